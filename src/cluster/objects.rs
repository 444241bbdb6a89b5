//! Single objects: looked up when they are asked for, and remembered for a moment.

use std::{
    collections::BTreeMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResourceList};
use kube::{Client, api::GetParams, core::Request};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Limits,
    error::{self, Unavailable},
    follow::or_default,
    memory::Memory,
    path::{self, ResourceName},
};

/// Most resources whose kind is remembered at once.
const MOST_RESOURCES: usize = 256;

/// Holds a copy of the whole object, and is of no use to anybody here.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Everybody may read discovery, where nobody took that away.
const GRANT_DISCOVERY: &str = "bind the ClusterRole system:discovery";

/// What a metric may be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `Deployment`.
    pub kind: String,
    /// `apps/v1`.
    pub api_version: String,
    /// Its annotations, but for the copy of the object that kubectl leaves there.
    pub annotations: BTreeMap<String, String>,
}

/// What discovery says of a resource.
struct Resource {
    kind: String,
    api_version: String,
    /// Path of its group and version.
    path: String,
    namespaced: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    resource: ResourceName,
    namespace: Option<String>,
    name: String,
}

/// What was asked for lately. That there is no such thing is remembered as well.
pub struct Objects {
    client: Client,
    limits: Limits,
    resources: Mutex<Memory<ResourceName, Option<Arc<Resource>>>>,
    objects: Mutex<Memory<Key, Option<Arc<Object>>>>,
}

/// An object, as far as anybody here needs to know it.
#[derive(Deserialize)]
struct Partial {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default, deserialize_with = "or_default")]
    annotations: BTreeMap<String, String>,
}

/// An answer of the API server.
enum Found<T> {
    There(T),
    /// There is no such object.
    NoObject,
    /// There is nothing at all at that path.
    NoPath,
}

impl Objects {
    /// Nothing asked for yet.
    pub fn new(client: Client, limits: Limits) -> Self {
        Objects {
            client,
            limits,
            resources: Mutex::new(Memory::new(MOST_RESOURCES)),
            objects: Mutex::new(Memory::new(limits.objects)),
        }
    }

    /// An object; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be found out.
    pub async fn read(
        &self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Arc<Object>>, Unavailable> {
        // Nothing can be called what Kubernetes does not allow.
        let Some(resource) = ResourceName::parse(resource) else { return Ok(None) };
        if !path::is_name(name) || !namespace.is_none_or(path::is_label) {
            return Ok(None);
        }
        let key = Key { resource, namespace: namespace.map(str::to_owned), name: name.to_owned() };
        let now = Instant::now();
        if let Some(object) = lock(&self.objects).get(&key, now) {
            return Ok(object);
        }
        let object = match tokio::time::timeout(self.limits.look_up, self.look_up(&key)).await {
            Ok(found) => found,
            Err(_) => Err(error::no_answer(self.limits.look_up)),
        };
        let object = object.map_err(|reason| key.unavailable(&reason))?;
        lock(&self.objects).put(key, object.clone(), now, self.limits.object);
        Ok(object)
    }

    /// Forgets what is too old.
    pub fn sweep(&self, now: Instant) {
        lock(&self.objects).sweep(now);
        lock(&self.resources).sweep(now);
    }

    async fn look_up(&self, key: &Key) -> Result<Option<Arc<Object>>, String> {
        let remembered = lock(&self.resources).get(&key.resource, Instant::now());
        let mut found = match &remembered {
            Some(resource) => self.get(key, resource.as_deref()).await?,
            None => Found::NoPath,
        };
        if matches!(found, Found::NoPath) {
            // Not the object is missing, but what discovery once said was there, if it said anything.
            let resource = self.resource(&key.resource).await?;
            found = self.get(key, resource.as_deref()).await?;
        }
        Ok(match found {
            Found::There(object) => Some(Arc::new(object)),
            Found::NoObject | Found::NoPath => None,
        })
    }

    async fn get(&self, key: &Key, resource: Option<&Resource>) -> Result<Found<Object>, String> {
        let Some(resource) = resource.filter(|resource| resource.namespaced == key.namespace.is_some())
        else {
            return Ok(Found::NoObject);
        };
        let request = Request::new(key.collection(&resource.path))
            .get_metadata(&path::segment(&key.name), &GetParams::default());
        Ok(match self.ask::<Partial>(request, &format!("grant get on {}", key.resource)).await? {
            Found::There(Partial { metadata: Metadata { mut annotations } }) => {
                annotations.remove(LAST_APPLIED);
                let (kind, api_version) = (resource.kind.clone(), resource.api_version.clone());
                Found::There(Object { kind, api_version, annotations })
            }
            Found::NoObject => Found::NoObject,
            Found::NoPath => Found::NoPath,
        })
    }

    /// What kind of thing a resource is, as of now; `None` where there is no such resource.
    async fn resource(&self, name: &ResourceName) -> Result<Option<Arc<Resource>>, String> {
        let now = Instant::now();
        let resource = self.discover(name).await?.map(Arc::new);
        // What is not there may be installed at any time.
        let during = if resource.is_some() { self.limits.resource } else { self.limits.object };
        lock(&self.resources).put(name.clone(), resource.clone(), now, during);
        Ok(resource)
    }

    /// In the version that its group prefers, or else in another one.
    async fn discover(&self, name: &ResourceName) -> Result<Option<Resource>, String> {
        if name.group.is_empty() {
            return self.discover_in(name, "/api", "v1").await;
        }
        let request = Request::new("/apis").get(&name.group, &GetParams::default());
        let Found::There(group) = self.ask::<APIGroup>(request, GRANT_DISCOVERY).await? else {
            return Ok(None);
        };
        let mut versions: Vec<_> = group.versions.into_iter().map(|version| version.version).collect();
        if let Some(preferred) = group.preferred_version {
            versions.retain(|version| *version != preferred.version);
            versions.insert(0, preferred.version);
        }
        let group = format!("/apis/{}", name.group);
        for version in versions.iter().filter(|version| path::is_label(version)) {
            if let Some(resource) = self.discover_in(name, &group, version).await? {
                return Ok(Some(resource));
            }
        }
        Ok(None)
    }

    async fn discover_in(
        &self,
        name: &ResourceName,
        group: &str,
        version: &str,
    ) -> Result<Option<Resource>, String> {
        let request = Request::new(group).get(version, &GetParams::default());
        let Found::There(list) = self.ask::<APIResourceList>(request, GRANT_DISCOVERY).await? else {
            return Ok(None);
        };
        let resource = list.resources.into_iter().find(|resource| resource.name == name.plural);
        Ok(resource.map(|resource| Resource {
            kind: resource.kind,
            api_version: list.group_version,
            path: format!("{group}/{version}"),
            namespaced: resource.namespaced,
        }))
    }

    /// One question to the API server.
    async fn ask<T: DeserializeOwned>(
        &self,
        request: Result<hyper::Request<Vec<u8>>, kube::core::request::Error>,
        grant: &str,
    ) -> Result<Found<T>, String> {
        let request = request.map_err(|error| error.to_string())?;
        match self.client.request(request).await {
            Ok(answer) => Ok(Found::There(answer)),
            Err(kube::Error::Api(status)) if status.code == 404 => {
                // Only whoever looked for the object says its name.
                let named = status.details.is_some_and(|details| !details.name.is_empty());
                Ok(if named { Found::NoObject } else { Found::NoPath })
            }
            Err(error) => Err(error::reason(&error, grant)),
        }
    }
}

impl Key {
    /// Path of the collection that the object is in.
    fn collection(&self, version: &str) -> String {
        match &self.namespace {
            Some(namespace) => format!("{version}/namespaces/{namespace}/{}", self.resource.plural),
            None => format!("{version}/{}", self.resource.plural),
        }
    }

    fn unavailable(&self, reason: &str) -> Unavailable {
        let place = match &self.namespace {
            Some(namespace) => format!(" of namespace {namespace}"),
            None => String::new(),
        };
        Unavailable::new(format!("{} {}{place} cannot be read: {reason}", self.resource, self.name))
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks leaves anything half done.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
