//! What the server holds: its objects, all that happened to them, and what it serves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Failure,
    request::{Seen, Target},
};

/// Which object: a resource such as `deployments.apps`, a namespace where it has one, and a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    resource: String,
    namespace: Option<String>,
    name: String,
}

/// A resource that is served.
pub struct Served {
    pub group: String,
    pub version: String,
    plural: String,
    kind: String,
    namespaced: bool,
}

/// Something that happened, at a version.
struct Event {
    version: u64,
    kind: &'static str,
    /// `None`: to all.
    key: Option<Key>,
    object: Value,
}

pub struct Store {
    version: u64,
    /// What happened before is forgotten.
    pub oldest: u64,
    objects: BTreeMap<Key, Value>,
    events: Vec<Event>,
    pub served: Vec<Served>,
    /// What is answered at these paths, whatever is asked there.
    pub documents: BTreeMap<String, Value>,
    pub failures: Vec<(String, Failure)>,
    pub seen: Vec<Seen>,
    /// Paths of the watches that are open.
    pub open: Vec<String>,
    /// Whether what happens is kept from the watches.
    pub events_held: bool,
    /// How often all watches were closed.
    pub watches_closed: u64,
}

impl Key {
    pub fn new(resource: &str, namespace: Option<&str>, name: &str) -> Key {
        Key { resource: resource.to_owned(), namespace: namespace.map(str::to_owned), name: name.to_owned() }
    }

    pub fn front_proxy() -> Key {
        Key::new("configmaps", Some("kube-system"), "extension-apiserver-authentication")
    }

    fn is_in(&self, collection: &Key) -> bool {
        self.resource == collection.resource && self.namespace == collection.namespace
    }

    fn is_selected(&self, seen: &Seen) -> bool {
        let selector = seen.parameter("fieldSelector");
        selector.is_none_or(|selector| selector == format!("metadata.name={}", self.name))
    }
}

impl Store {
    pub fn new() -> Store {
        let mut store = Store {
            version: 1,
            oldest: 0,
            objects: BTreeMap::new(),
            events: vec![],
            served: vec![],
            documents: BTreeMap::new(),
            failures: vec![],
            seen: vec![],
            open: vec![],
            events_held: false,
            watches_closed: 0,
        };
        for (group, version, plural, kind, namespaced) in [
            ("", "v1", "configmaps", "ConfigMap", true),
            ("", "v1", "namespaces", "Namespace", false),
            ("", "v1", "nodes", "Node", false),
            ("", "v1", "pods", "Pod", true),
            ("", "v1", "pods/status", "Pod", true),
            ("", "v1", "services", "Service", true),
            ("apps", "v1", "deployments", "Deployment", true),
            ("apps", "v1", "deployments/scale", "Scale", true),
            ("apps", "v1", "statefulsets", "StatefulSet", true),
            ("batch", "v1", "jobs", "Job", true),
        ] {
            store.serve(group, version, plural, kind, namespaced);
        }
        store
    }

    pub fn serve(&mut self, group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) {
        let (group, version) = (group.to_owned(), version.to_owned());
        self.served.push(Served { group, version, plural: plural.into(), kind: kind.into(), namespaced });
    }

    pub fn set(&mut self, key: Key, mut metadata: Value, mut object: Value) {
        self.version += 1;
        metadata["name"] = key.name.clone().into();
        metadata["namespace"] = key.namespace.clone().into();
        metadata["resourceVersion"] = self.version.to_string().into();
        metadata["managedFields"] = json!([{"manager": "test", "operation": "Update"}]);
        object["metadata"] = metadata;
        let kind = if self.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        self.objects.insert(key.clone(), object.clone());
        self.events.push(Event { version: self.version, kind, key: Some(key), object });
    }

    pub fn delete(&mut self, key: &Key) {
        self.version += 1;
        let mut object = self.objects.remove(key).unwrap_or_else(|| panic!("there is no {key:?}"));
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.events.push(Event { version: self.version, kind: "DELETED", key: Some(key.clone()), object });
    }

    pub fn expire(&mut self) {
        self.version += 1;
        self.oldest = self.version;
        self.events.clear();
    }

    pub fn bookmark(&mut self) {
        self.version += 1;
        let object = json!({
            "apiVersion": "v1", "kind": "Any", "metadata": {"resourceVersion": self.version.to_string()},
        });
        self.events.push(Event { version: self.version, kind: "BOOKMARK", key: None, object });
    }

    pub fn get(&self, key: &Key) -> Option<Value> {
        self.objects.get(key).cloned()
    }

    /// One page of a list. A version that is forgotten cannot be gone on with.
    pub fn list(&self, seen: &Seen, of: &Key) -> Result<Value, u16> {
        let number = |text: &str| text.parse::<usize>().ok();
        let token = seen.parameter("continue");
        let (version, skip) = match token.as_deref().and_then(|token| token.split_once(':')) {
            Some((version, skip)) => (version.parse().unwrap(), number(skip).unwrap()),
            None => (self.version, 0),
        };
        if version < self.oldest {
            return Err(410);
        }
        let limit = seen.parameter("limit").as_deref().and_then(number).unwrap_or(usize::MAX);
        let all: Vec<_> =
            self.objects.iter().filter(|(key, _)| key.is_in(of) && key.is_selected(seen)).collect();
        let page = all.iter().skip(skip).take(limit);
        let items: Vec<_> = page.map(|(_, object)| seen.shape((*object).clone())).collect();
        let next = skip + items.len();
        // As a real one writes it.
        let items = if items.is_empty() { Value::Null } else { items.into() };
        let token = if next < all.len() { format!("{version}:{next}") } else { String::new() };
        let metadata = json!({"resourceVersion": version.to_string(), "continue": token});
        Ok(json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}))
    }

    /// What happened first after a version.
    pub fn next_event(&self, seen: &Seen, of: &Key, after: u64) -> Option<(u64, &'static str, Value)> {
        let concerns =
            |event: &&Event| event.key.as_ref().is_none_or(|key| key.is_in(of) && key.is_selected(seen));
        let mut later = self.events.iter().filter(|event| event.version > after && !self.events_held);
        let event = later.find(concerns)?;
        Some((event.version, event.kind, event.object.clone()))
    }

    /// Where a path leads.
    pub fn target(&self, seen: &Seen) -> Option<Target> {
        if let Some(document) = self.documents.get(&seen.path) {
            return Some(Target::Document(document.clone()));
        }
        let Some(place) = seen.place() else {
            return self.discovery(&seen.path).map(Target::Document);
        };
        let served = self.served.iter().any(|served| {
            (&*served.group, &*served.version, &*served.plural) == (place.group, place.version, place.plural)
                && served.namespaced == place.namespace.is_some()
        });
        let key = Key::new(&place.resource(), place.namespace, place.name.as_deref().unwrap_or_default());
        served.then(|| if place.name.is_some() { Target::Object(key) } else { Target::Collection(key) })
    }

    fn discovery(&self, path: &str) -> Option<Value> {
        let segments: Vec<_> = path.split('/').skip(1).collect();
        let (group, version) = match &segments[..] {
            ["api", version] => ("", *version),
            ["apis", group] => return self.group(group),
            ["apis", group, version] => (*group, *version),
            _ => return None,
        };
        let all = self.served.iter().filter(|served| served.group == group && served.version == version);
        let resources: Vec<_> = all
            .map(|served| {
                json!({
                    "name": served.plural, "singularName": "", "namespaced": served.namespaced,
                    "kind": served.kind, "verbs": ["get", "list", "watch"],
                })
            })
            .collect();
        let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        (!resources.is_empty()).then(|| {
            json!({
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
            })
        })
    }

    fn group(&self, group: &str) -> Option<Value> {
        let mut versions: Vec<Value> = vec![];
        for served in self.served.iter().filter(|served| served.group == group && !group.is_empty()) {
            let version = json!({
                "groupVersion": format!("{group}/{}", served.version), "version": served.version,
            });
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        let preferred = versions.first()?.clone();
        Some(json!({
            "kind": "APIGroup", "apiVersion": "v1", "name": group,
            "versions": versions, "preferredVersion": preferred,
        }))
    }
}
