//! Rights: no more than `docs/kubernetes.md` says that the program needs, and those in full.

use serde_json::Value;
use streamgauge::serve::kubernetes::discovery;

use crate::objects::{kind, list, name, text, title};

pub fn problems(objects: &[Value]) -> Vec<String> {
    let roles = objects.iter().filter(|object| ["Role", "ClusterRole"].contains(&kind(object)));
    let of_role = |role| list(role, "/rules").iter().filter_map(move |rule| of_rule(role, rule));
    roles.flat_map(of_role).collect()
}

fn words(rule: &Value, key: &str) -> Vec<String> {
    let mut words: Vec<_> =
        list(rule, &format!("/{key}")).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    words.sort();
    words
}

fn of_rule(role: &Value, rule: &Value) -> Option<String> {
    let (groups, resources, verbs) =
        (words(rule, "apiGroups"), words(rule, "resources"), words(rule, "verbs"));
    let is_of_metrics =
        groups.iter().all(|group| discovery::GROUPS.iter().any(|(served, _)| served == group));
    let wanted: &[&str] = if is_of_metrics {
        &["get", "list"]
    } else if resources == ["statefulsets"] {
        &["list", "watch"]
    } else if resources == ["pods"] && groups == [""] && !name(role).ends_with("-objects") {
        &["list", "watch"]
    } else {
        &["get"]
    };
    let is_wide = !is_of_metrics && resources.iter().chain(&groups).any(|word| word.contains('*'));
    // Of the pods' own StatefulSet, and of no other.
    let is_named = words(rule, "resourceNames") == [name(role).trim_end_matches("-shards")];
    let is_wide = is_wide || resources == ["statefulsets"] && !is_named;
    let more = rule.as_object().into_iter().flat_map(|rule| rule.keys());
    let known = ["apiGroups", "resources", "verbs", "resourceNames"];
    let unknown = more.filter(|key| !known.contains(&key.as_str())).count();
    if verbs != wanted || is_wide || unknown > 0 || groups.is_empty() || resources.is_empty() {
        return Some(format!("{}: {rule} is not {wanted:?} on what is named", title(role)));
    }
    None
}

/// The namespaces in which a role is bound to the program's account; `*` is all.
pub fn bound(objects: &[Value], role: &str) -> Vec<String> {
    let mut found: Vec<_> = objects
        .iter()
        .filter(|object| text(object, "/roleRef/name") == role)
        .map(|binding| match kind(binding) {
            "ClusterRoleBinding" => "*".to_owned(),
            _ => text(binding, "/metadata/namespace").to_owned(),
        })
        .collect();
    found.sort();
    found
}
