//! What is served, as clients of the Kubernetes API discover it: groups, versions, and the metrics as resources.

use axum::http::{HeaderMap, header};
use serde_json::{Value, json};

use crate::{
    catalogue::{self, CATALOGUE, Combine, Metric, Read},
    model::offer::{Offer, RESOURCES},
};

/// Group of the external metrics.
pub const EXTERNAL: &str = "external.metrics.k8s.io";
/// Group of the custom metrics.
pub const CUSTOM: &str = "custom.metrics.k8s.io";

/// The groups and their versions, the preferred one first.
pub const GROUPS: &[(&str, &[&str])] = &[(EXTERNAL, &["v1beta1"]), (CUSTOM, &["v1beta2", "v1beta1"])];

/// Versions of aggregated discovery, in which one document says it all.
pub const AGGREGATED: &[&str] = &["v2", "v2beta1"];

/// The resources of the two groups: a row for each metric, and for custom metrics for each sort of object too.
#[derive(Debug)]
pub struct Served {
    external: Vec<Resource>,
    custom: Vec<Resource>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Resource {
    /// The sort of object; `None` for external metrics.
    object: Option<String>,
    metric: String,
    is_namespaced: bool,
}

impl Resource {
    fn name(&self) -> String {
        self.object.as_ref().map_or_else(|| self.metric.clone(), |object| format!("{object}/{}", self.metric))
    }
}

/// Whether the metric can be one of an object that stands for groups: of streams and groups, not of single consumers.
pub fn is_of_objects(metric: &Metric) -> bool {
    metric.combine != Combine::Never && matches!(metric.read, Read::Stream(_) | Read::Group(_))
}

impl Served {
    /// What the catalogue has for autoscalers, and what the configuration adds.
    pub fn new(offer: &Offer) -> Served {
        let for_autoscalers = || CATALOGUE.iter().filter(|metric| metric.combine != Combine::Never);
        let named = offer.named.iter().map(|named| named.name.to_string());
        let external = for_autoscalers().map(|metric| metric.name.to_owned()).chain(named);
        let external = external.map(|metric| Resource { object: None, metric, is_namespaced: true });

        let configured = offer.objects.iter().map(|rule| (rule.resource.as_str(), rule.namespace.is_some()));
        let known = RESOURCES.iter().map(|resource| (resource.name, resource.is_namespaced));
        let objects = known.chain(configured);
        let of_objects = objects.flat_map(|(object, is_namespaced)| {
            for_autoscalers().filter(|metric| is_of_objects(metric)).map(move |metric| Resource {
                object: Some(object.to_owned()),
                metric: metric.name.to_owned(),
                is_namespaced,
            })
        });
        let of_pods = for_autoscalers()
            .map(|metric| metric.name)
            .filter(|name| catalogue::for_pods(name).is_some())
            .chain([catalogue::PENDING_OF_POD])
            .map(|metric| Resource {
                object: Some("pods".to_owned()),
                metric: metric.to_owned(),
                is_namespaced: true,
            });
        let sorted = |resources: &mut Vec<Resource>| {
            resources.sort();
            // One sort of object has one scope; the built-in rows know it.
            resources.dedup_by(|a, b| (&a.object, &a.metric) == (&b.object, &b.metric));
        };
        let (mut external, mut custom): (Vec<_>, Vec<_>) =
            (external.collect(), of_objects.chain(of_pods).collect());
        sorted(&mut external);
        sorted(&mut custom);
        Served { external, custom }
    }

    fn of(&self, group: &str) -> (&[Resource], &'static str) {
        if group == EXTERNAL {
            (&self.external, "ExternalMetricValueList")
        } else {
            (&self.custom, "MetricValueList")
        }
    }
}

/// `/apis`.
pub fn api_group_list() -> Value {
    let groups: Vec<_> = GROUPS.iter().map(|(group, versions)| group_of(group, versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`.
pub fn api_group(group: &str, versions: &[&str]) -> Value {
    let mut document = group_of(group, versions);
    document["kind"] = json!("APIGroup");
    document["apiVersion"] = json!("v1");
    document
}

fn group_of(group: &str, versions: &[&str]) -> Value {
    let version = |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let versions: Vec<_> = versions.iter().map(version).collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// `/apis/<group>/<version>`.
pub fn api_resource_list(group: &str, version: &str, served: &Served) -> Value {
    let (resources, kind) = served.of(group);
    let resources: Vec<_> = resources
        .iter()
        .map(|resource| {
            json!({
                "name": resource.name(),
                "singularName": "",
                "namespaced": resource.is_namespaced,
                "kind": kind,
                "verbs": ["get"],
            })
        })
        .collect();
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": format!("{group}/{version}"),
        "resources": resources,
    })
}

/// `/apis` in aggregated form, in one of its versions.
pub fn aggregated(of: &str, served: &Served) -> Value {
    let items: Vec<_> = GROUPS
        .iter()
        .map(|(group, versions)| {
            let versions: Vec<_> = versions
                .iter()
                .map(|version| {
                    let resources = aggregated_resources(group, version, served);
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{of}"),
        "metadata": {},
        "items": items,
    })
}

/// External metrics are resources; custom ones are subresources of the objects that they describe.
fn aggregated_resources(group: &str, version: &str, served: &Served) -> Vec<Value> {
    let (resources, kind) = served.of(group);
    let response = json!({"group": group, "version": version, "kind": kind});
    let scope = |resource: &Resource| if resource.is_namespaced { "Namespaced" } else { "Cluster" };
    let by_object = resources.chunk_by(|a, b| a.object.is_some() && a.object == b.object);
    by_object
        .filter_map(|resources| {
            let first = resources.first()?;
            Some(match &first.object {
                None => json!({
                    "resource": first.metric,
                    "responseKind": response,
                    "scope": scope(first),
                    "singularResource": "",
                    "verbs": ["get"],
                }),
                Some(object) => {
                    let metric = |resource: &Resource| {
                        json!({"subresource": resource.metric, "responseKind": response, "verbs": ["get"]})
                    };
                    json!({
                        "resource": object,
                        // As the API server has it for a resource that is only there for what lies below it.
                        "responseKind": {"group": "", "version": "", "kind": ""},
                        "scope": scope(first),
                        "singularResource": "",
                        "verbs": [],
                        "subresources": resources.iter().map(metric).collect::<Vec<_>>(),
                    })
                }
            })
        })
        .collect()
}

/// The version of aggregated discovery that an `Accept` header names first, if it does before anything else that is JSON.
pub fn aggregated_version(headers: &HeaderMap) -> Option<&'static str> {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in accept.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        if !matches!(parts.next(), Some("application/json" | "application/*" | "*/*")) {
            continue;
        }
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |name| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        match (parameter("as"), parameter("g")) {
            (None, _) => return None,
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io")) => {
                let version = AGGREGATED.iter().find(|version| parameter("v") == Some(**version));
                if version.is_some() {
                    return version.copied();
                }
            }
            _ => {}
        }
    }
    None
}
