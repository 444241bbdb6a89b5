//! An object against the schema of its kind: nothing unknown, nothing of another type.
//!
//! Kubernetes's own kinds are held against its OpenAPI, as the structs of k8s-openapi that are generated from it; those of
//! operators against the openAPIV3Schema of their definitions.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::{CronJob, Job},
        core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::objects::{kind, text, title};

mod schema;

/// What is wrong with an object, with its place.
pub fn check(object: &Value) -> Result<(), String> {
    let said = match (text(object, "/apiVersion"), kind(object)) {
        ("v1", "Namespace") => fits::<Namespace>(object),
        ("v1", "Service") => fits::<Service>(object),
        ("v1", "ServiceAccount") => fits::<ServiceAccount>(object),
        ("v1", "ConfigMap") => fits::<ConfigMap>(object),
        ("v1", "Secret") => fits::<Secret>(object),
        ("v1", "Pod") => fits::<Pod>(object),
        ("v1", "PersistentVolumeClaim") => fits::<PersistentVolumeClaim>(object),
        ("apps/v1", "Deployment") => fits::<Deployment>(object),
        ("apps/v1", "StatefulSet") => fits::<StatefulSet>(object),
        ("batch/v1", "Job") => fits::<Job>(object),
        ("batch/v1", "CronJob") => fits::<CronJob>(object),
        ("policy/v1", "PodDisruptionBudget") => fits::<PodDisruptionBudget>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => fits::<NetworkPolicy>(object),
        ("rbac.authorization.k8s.io/v1", "Role") => fits::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => fits::<ClusterRole>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => fits::<RoleBinding>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => fits::<ClusterRoleBinding>(object),
        ("apiregistration.k8s.io/v1", "APIService") => fits::<APIService>(object),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => fits::<HorizontalPodAutoscaler>(object),
        ("monitoring.coreos.com/v1", "ServiceMonitor") => {
            schema::fits("servicemonitors.monitoring.coreos.com", object)
        }
        ("monitoring.coreos.com/v1", "PrometheusRule") => {
            schema::fits("prometheusrules.monitoring.coreos.com", object)
        }
        ("cert-manager.io/v1", "Certificate") => schema::fits("certificates.cert-manager.io", object),
        ("cert-manager.io/v1", "Issuer") => schema::fits("issuers.cert-manager.io", object),
        (version, kind) => {
            Err(format!("{version} {kind} is not known here: add it to tests/deploy/typed.rs"))
        }
    };
    said.and_then(|()| named(object)).map_err(|said| format!("{}: {said}", title(object)))
}

/// The type takes all of it: what it does not know would be gone when it is written again.
fn fits<T: Serialize + DeserializeOwned>(object: &Value) -> Result<(), String> {
    let typed: T = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    let written = serde_json::to_value(typed).map_err(|error| error.to_string())?;
    difference("", object, &written).map_or(Ok(()), Err)
}

/// The first place where the two are not the same.
fn difference(place: &str, given: &Value, written: &Value) -> Option<String> {
    match (given, written) {
        (Value::Object(given), Value::Object(written)) => given
            .iter()
            .find_map(|(key, value)| match written.get(key) {
                Some(other) => difference(&format!("{place}.{key}"), value, other),
                None => Some(format!("{place}.{key} is not known, or null")),
            })
            .or_else(|| {
                let added = written.keys().find(|key| !given.contains_key(*key))?;
                Some(format!("{place}.{added} is missing"))
            }),
        (Value::Array(given), Value::Array(written)) if given.len() == written.len() => {
            let mut pairs = given.iter().zip(written).enumerate();
            pairs.find_map(|(at, (value, other))| difference(&format!("{place}[{at}]"), value, other))
        }
        _ if given == written => None,
        _ => Some(format!("{place} is {given}, and was read as {written}")),
    }
}

/// Kubernetes limits names and labels beyond the schema.
fn named(object: &Value) -> Result<(), String> {
    let fits = |name: &str, longest: usize, more: &[char]| {
        let ends = |c: char| c.is_ascii_alphanumeric();
        name.len() <= longest
            && name.starts_with(ends)
            && name.ends_with(ends)
            && name.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
    };
    let name = text(object, "/metadata/name");
    // The names of roles may have a colon; ours have none.
    let longest = if kind(object) == "Service" { 63 } else { 253 };
    if !fits(name, longest, &['-', '.']) || name.contains(|c: char| c.is_ascii_uppercase()) {
        return Err(format!("{name:?} is no name"));
    }
    for pointer in ["/metadata/labels", "/spec/template/metadata/labels"] {
        for (key, value) in object.pointer(pointer).and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            if !value.is_empty() && !fits(value, 63, &['-', '_', '.']) {
                return Err(format!("{value:?} is no value of a label ({key})"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::check;

    #[test]
    fn sound_objects_pass() {
        for object in [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}),
            json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "a"},
                   "spec": {"selector": {"matchLabels": {"a": "b"}}, "endpoints": [{"port": "http", "interval": "15s"}]}}),
            json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "a"},
                   "spec": {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": 1, "for": "5m"}]}]}}),
            json!({"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "a"}, "spec": {"selfSigned": {}}}),
        ] {
            assert_eq!(check(&object), Ok(()));
        }
    }

    #[test]
    fn unsound_objects_are_refused_with_their_place() {
        let monitor = |endpoint| {
            json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "a"},
                   "spec": {"selector": {}, "endpoints": [endpoint]}})
        };
        for (object, problem) in [
            (
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "lables": {}}}),
                "ConfigMap a: .metadata.lables is not known, or null",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": "80"}]}}),
                "Service a: invalid type: string \"80\", expected i32",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "A"}}),
                "Service A: \"A\" is no name",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "labels": {"v": "1+2"}}}),
                "Service a: \"1+2\" is no value of a label (v)",
            ),
            (
                json!({"apiVersion": "v2", "kind": "Service", "metadata": {"name": "a"}}),
                "Service a: v2 Service is not known here: add it to tests/deploy/typed.rs",
            ),
            (monitor(json!({"prot": "http"})), "ServiceMonitor a: .spec.endpoints[0].prot is not known"),
            (
                monitor(json!({"port": 1})),
                "ServiceMonitor a: .spec.endpoints[0].port is 1, not of the type string",
            ),
            (
                monitor(json!({"interval": "15 seconds"})),
                "ServiceMonitor a: .spec.endpoints[0].interval is \"15 seconds\", which does not match",
            ),
            (
                monitor(json!({"scheme": "gopher"})),
                "ServiceMonitor a: .spec.endpoints[0].scheme is \"gopher\", not one of",
            ),
            (
                json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "a"}, "spec": {"issuerRef": {"name": "b"}}}),
                "Certificate a: .spec.secretName is missing",
            ),
        ] {
            let said = check(&object).unwrap_err();
            assert!(said.starts_with(problem), "{said}");
        }
    }
}
