//! Metrics that are named: in HPAs, and the APIs that they are read from.

use serde_json::Value;
use streamgauge::{catalogue, serve::kubernetes::discovery};

use crate::objects::{list, name, of_kind, text, title};

pub fn problems(objects: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for hpa in of_kind(objects, "HorizontalPodAutoscaler") {
        for metric in list(hpa, "/spec/metrics") {
            found.extend(of_metric(metric).map(|problem| format!("{}: {problem}", title(hpa))));
        }
    }
    for service in of_kind(objects, "APIService") {
        found.extend(of_api_service(service).map(|problem| format!("{}: {problem}", title(service))));
    }
    found
}

fn of_metric(metric: &Value) -> Option<String> {
    let named = |sort: &str| metric.pointer(&format!("/{sort}/metric/name")).and_then(Value::as_str);
    let (of_groups, of_pods) = (named("external").or(named("object")), named("pods"));
    let known = match (of_groups, of_pods) {
        // A name without the prefix is one of `kubernetes.metrics`.
        (Some(name), _) => !name.starts_with("redis_") || catalogue::for_autoscalers(name).is_some(),
        (None, Some(name)) => catalogue::for_pods(name).is_some(),
        // Those of others: CPU and its like.
        (None, None) => true,
    };
    (!known).then(|| format!("there is no metric {metric}"))
}

/// Its group and version are served, and it is called after them.
fn of_api_service(service: &Value) -> Option<String> {
    let (group, version) = (text(service, "/spec/group"), text(service, "/spec/version"));
    let is_served =
        discovery::GROUPS.iter().any(|(served, versions)| *served == group && versions.contains(&version));
    if !is_served {
        return Some(format!("{group}/{version} is not served"));
    }
    let spec = &service["spec"];
    let is_verified = spec.get("caBundle").is_some()
        || service.pointer("/metadata/annotations/cert-manager.io~1inject-ca-from").is_some();
    match (is_verified, spec["insecureSkipTLSVerify"] == true) {
        _ if name(service) != format!("{version}.{group}") => Some("it has another name".into()),
        (true, true) => Some("it has a CA, and does not use it".into()),
        (false, false) => Some("nothing verifies its certificate".into()),
        _ => None,
    }
}
