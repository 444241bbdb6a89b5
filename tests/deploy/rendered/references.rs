//! What one object says of another: that is there, and is what is meant.

use serde_json::Value;

use crate::objects::{kind, list, name, of_kind, selects, text, title};

/// Roles and accounts that every cluster has.
const OF_KUBERNETES: [&str; 2] = ["extension-apiserver-authentication-reader", "horizontal-pod-autoscaler"];

/// What runs pods.
pub fn workloads(objects: &[Value]) -> Vec<&Value> {
    objects.iter().filter(|object| ["Deployment", "StatefulSet"].contains(&kind(object))).collect()
}

pub fn problems(objects: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for object in objects {
        let problem = match kind(object) {
            "Deployment" | "StatefulSet" => of_workload(object),
            "Service" => of_service(objects, object),
            "PodDisruptionBudget" => chooses_pods(objects, &object["spec"]["selector"]["matchLabels"]),
            "NetworkPolicy" => chooses_pods(objects, &object["spec"]["podSelector"]["matchLabels"]),
            "RoleBinding" | "ClusterRoleBinding" => of_binding(objects, object),
            "APIService" => of_api_service(objects, object),
            "ServiceMonitor" => of_monitor(objects, object),
            "Certificate" => of_certificate(objects, object),
            _ => None,
        };
        found.extend(problem.map(|problem| format!("{}: {problem}", title(object))));
    }
    let mut titles: Vec<_> = objects.iter().map(title).collect();
    titles.sort();
    found
        .extend(titles.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| format!("{} twice", pair[0])));
    found
}

fn of_workload(object: &Value) -> Option<String> {
    let (selector, labels) =
        (&object["spec"]["selector"]["matchLabels"], &object["spec"]["template"]["metadata"]["labels"]);
    (!selects(selector, labels)).then(|| format!("{selector} does not select its own pods, {labels}"))
}

fn chosen<'a>(objects: &'a [Value], selector: &Value) -> Vec<&'a Value> {
    let mut all = workloads(objects);
    all.retain(|object| selects(selector, &object["spec"]["template"]["metadata"]["labels"]));
    all
}

fn chooses_pods(objects: &[Value], selector: &Value) -> Option<String> {
    chosen(objects, selector).is_empty().then(|| format!("{selector} selects no pods"))
}

/// Its ports lead to ports of the containers.
fn of_service(objects: &[Value], object: &Value) -> Option<String> {
    let selector = &object["spec"]["selector"];
    let chosen = chosen(objects, selector);
    let [workload] = chosen[..] else {
        return Some(format!("{selector} selects {} workloads", chosen.len()));
    };
    let containers = list(workload, "/spec/template/spec/containers");
    let ports: Vec<_> = containers.iter().flat_map(|container| list(container, "/ports")).collect();
    list(object, "/spec/ports").iter().find_map(|port| {
        let target = port.get("targetPort").unwrap_or(&port["port"]);
        let leads = ports.iter().any(|port| port["name"] == *target || port["containerPort"] == *target);
        (!leads).then(|| format!("its port {target} is none of the pods"))
    })
}

fn of_binding(objects: &[Value], object: &Value) -> Option<String> {
    let role = text(object, "/roleRef/name");
    let mut roles = of_kind(objects, text(object, "/roleRef/kind"));
    roles.retain(|candidate| name(candidate) == role);
    if roles.is_empty() && !OF_KUBERNETES.contains(&role) {
        return Some(format!("there is no role {role}"));
    }
    list(object, "/subjects").iter().find_map(|subject| {
        let (account, namespace) = (text(subject, "/name"), text(subject, "/namespace"));
        let is_there = of_kind(objects, "ServiceAccount").into_iter().any(|candidate| {
            name(candidate) == account && text(candidate, "/metadata/namespace") == namespace
        });
        (!is_there && !OF_KUBERNETES.contains(&account))
            .then(|| format!("there is no account {namespace}/{account}"))
    })
}

fn of_api_service(objects: &[Value], object: &Value) -> Option<String> {
    let reference = &object["spec"]["service"];
    let services = of_kind(objects, "Service");
    let service = services.into_iter().find(|service| {
        name(service) == reference["name"] && service["metadata"]["namespace"] == reference["namespace"]
    });
    let Some(service) = service else { return Some(format!("there is no service {reference}")) };
    let has_port = list(service, "/spec/ports").iter().any(|port| port["port"] == reference["port"]);
    (!has_port).then(|| format!("the service has no port {}", reference["port"]))
}

fn of_monitor(objects: &[Value], object: &Value) -> Option<String> {
    let selector = &object["spec"]["selector"]["matchLabels"];
    let mut services = of_kind(objects, "Service");
    services.retain(|service| selects(selector, &service["metadata"]["labels"]));
    let [service] = services[..] else {
        return Some(format!("{selector} selects {} services", services.len()));
    };
    list(object, "/spec/endpoints").iter().find_map(|endpoint| {
        let has_port = list(service, "/spec/ports").iter().any(|port| port["name"] == endpoint["port"]);
        (!has_port).then(|| format!("the service has no port {}", endpoint["port"]))
    })
}

fn of_certificate(objects: &[Value], object: &Value) -> Option<String> {
    let issuer = &object["spec"]["issuerRef"];
    let is_there = issuer["kind"] != "Issuer"
        || of_kind(objects, "Issuer").into_iter().any(|candidate| name(candidate) == issuer["name"]);
    (!is_there).then(|| format!("there is no issuer {}", issuer["name"]))
}
