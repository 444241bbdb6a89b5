//! Kustomize and Helm make the same of the same choices. Where they do not, [`DIFFERENCES`] says why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::{Map, Value, json};

use super::{FOLDER, Folder, documents::certificate};
use crate::{
    objects::{self, kind, list, merge, name, title},
    rendered, tools,
};

/// Evens a difference out, on either side; whether there was one.
type Even = fn(&mut Vec<Value>) -> bool;

/// What differs, by its reason. There is none that no pair has.
const DIFFERENCES: [(&str, Even); 6] = [
    (
        "the chart starts new pods for the few settings that are not reloaded; Kustomize cannot tell them",
        |objects| {
            let workloads = ["Deployment", "StatefulSet"];
            let place = "/spec/template/metadata/annotations";
            workloads.iter().filter(|kind| without(objects, kind, place)).count() > 0
        },
    ),
    ("a rule for each API: each component adds its own", |objects| {
        let of_hpas = objects.iter_mut().filter(|object| name(object) == "streamgauge-hpa-reader");
        let rules = of_hpas.filter_map(|object| object.get_mut("rules")?.as_array_mut());
        rules.map(split).filter(|was_split| *was_split).count() > 0
    }),
    ("the chart's policy is for the pod of `helm test` too", |objects| {
        without(objects, "NetworkPolicy", "/spec/podSelector")
    }),
    (
        "the chart's ServiceMonitor may stand in another namespace than the Service; otherwise its own is meant",
        |objects| without(objects, "ServiceMonitor", "/spec/namespaceSelector"),
    ),
    ("the chart names a Secret that is there; with Kustomize it is made of files", |objects| {
        let before = objects.len();
        objects.retain(|object| kind(object) != "Secret");
        objects.len() < before
    }),
    (
        "one ConfigMap for each dashboard, since kubectl notes an object in an annotation of 256 KiB at most",
        |objects| {
            let of_dashboards =
                objects.iter_mut().filter(|object| name(object).starts_with("streamgauge-dashboard-"));
            of_dashboards.map(|object| object["metadata"]["name"] = "streamgauge-dashboards".into()).count()
                > 0
        },
    ),
];

/// Makes a rule for each API of those that are for several; whether there was one.
fn split(rules: &mut Vec<Value>) -> bool {
    let before = rules.len();
    let of_group = |rule: &Value, group: &Value| {
        let mut rule = rule.clone();
        rule["apiGroups"] = json!([group]);
        rule
    };
    *rules = rules
        .iter()
        .flat_map(|rule| list(rule, "/apiGroups").iter().map(move |group| of_group(rule, group)))
        .collect();
    rules.len() > before
}

/// Removes what objects of a kind have at a place.
fn without(objects: &mut [Value], of_kind: &str, place: &str) -> bool {
    let (parent, key) = place.rsplit_once('/').unwrap();
    let of_kind = objects.iter_mut().filter(|object| kind(object) == of_kind);
    let parents = of_kind.filter_map(|object| object.pointer_mut(parent)?.as_object_mut());
    parents.filter_map(|parent| parent.remove(key)).count() > 0
}

/// The same choices, for both.
struct Pair {
    components: &'static [&'static str],
    /// More of the kustomization.
    kustomization: Value,
    values: Value,
}

/// The configuration of the pairs with credentials, for Kustomize; the chart writes the paths itself.
const WITH_CREDENTIALS: &str = "redis: [{name: main, url: 'redis://redis:6379', \
    username_file: /etc/streamgauge/secrets/main/username, password_file: /etc/streamgauge/secrets/main/password}]";

fn pairs() -> Vec<Pair> {
    let adapter = |external: bool, custom: bool, certificate: Value| json!({"adapter": {"enabled": true, "apiServices": {"external": external, "custom": custom}, "certificate": certificate}});
    let replaced = |files: Value| json!({"configMapGenerator": [{"name": "streamgauge", "behavior": "replace", "files": files}]});
    let with = |mut values: Value, more: Value| {
        merge(&mut values, more);
        values
    };
    let (insecure, managed) = (json!({"mode": "insecure"}), json!({"mode": "certManager"}));
    let off = json!({"adapter": {"enabled": false}});
    let pair = |components, kustomization, values| Pair { components, kustomization, values };
    vec![
        pair(&[], json!({}), off.clone()),
        pair(
            &["redis-credentials"],
            replaced(json!(["streamgauge.yaml"])),
            with(off.clone(), json!({"credentials": [credentials()]})),
        ),
        pair(&["network-policy"], json!({}), with(off.clone(), json!({"networkPolicy": {"enabled": true}}))),
        pair(
            &["prometheus-operator"],
            json!({}),
            with(
                off.clone(),
                json!({"serviceMonitor": {"enabled": true}, "prometheusRule": {"enabled": true}}),
            ),
        ),
        pair(&["grafana"], json!({}), with(off, json!({"dashboards": {"enabled": true}}))),
        pair(
            &["adapter", "external-metrics", "insecure-tls"],
            json!({}),
            adapter(true, false, insecure.clone()),
        ),
        pair(&["adapter", "custom-metrics", "insecure-tls"], json!({}), adapter(false, true, insecure)),
        pair(
            &["adapter", "external-metrics", "given-certificate"],
            json!({"resources": ["certificate"]}),
            adapter(
                true,
                false,
                json!({"mode": "secret", "secretName": "streamgauge-tls", "caBundle": authority()}),
            ),
        ),
        pair(
            &["network-policy", "adapter", "external-metrics", "insecure-tls", "shards"],
            json!({"replicas": [{"name": "streamgauge", "count": 3}]}),
            with(
                adapter(true, false, json!({"mode": "insecure"})),
                json!({"sharding": {"enabled": true}, "replicaCount": 3, "networkPolicy": {"enabled": true}}),
            ),
        ),
        // Everything.
        pair(
            &[
                "redis-credentials",
                "network-policy",
                "adapter",
                "external-metrics",
                "custom-metrics",
                "objects",
                "cert-manager",
                "prometheus-operator",
                "grafana",
            ],
            replaced(json!(["streamgauge.yaml"])),
            with(
                adapter(true, true, managed),
                json!({
                    "credentials": [credentials()],
                    "networkPolicy": {"enabled": true},
                    "serviceMonitor": {"enabled": true},
                    "prometheusRule": {"enabled": true},
                    "dashboards": {"enabled": true},
                    "adapter": {"objects": {"rules": [
                        {"apiGroups": ["apps"], "resources": ["deployments"]},
                        {"apiGroups": [""], "resources": ["services"]},
                    ]}},
                }),
            ),
        ),
    ]
}

fn credentials() -> Value {
    json!({"server": "main", "secretName": "streamgauge-redis", "passwordKey": "password", "usernameKey": "username"})
}

/// A CA; that it is one is not looked at here.
fn authority() -> &'static str {
    "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n"
}

fn by_kustomize(pair: &Pair, namespace: &str) -> Vec<Value> {
    let folder = Folder::composed(pair.components, &pair.kustomization, namespace);
    folder.write("streamgauge.yaml", WITH_CREDENTIALS);
    certificate(&folder, "certificate", "key", authority());
    folder.build()
}

fn by_helm(pair: &Pair, namespace: &str) -> Vec<Value> {
    let home = tempfile::tempdir().unwrap();
    let values = home.path().join("values.yaml");
    fs::write(&values, pair.values.to_string()).unwrap();
    let mut command = tools::helm(home.path());
    command.args(["template", "streamgauge", "deploy/helm/streamgauge", "--skip-tests"]);
    command.arg("--namespace").arg(namespace).arg("--values").arg(&values);
    objects::parse(&tools::output(command).unwrap_or_else(|error| panic!("{error}: {}", pair.values)))
}

/// What both say, by titles. `used` notes which of the differences there were.
fn plain(mut rendered: Vec<Value>, used: &mut BTreeSet<usize>) -> BTreeMap<String, Value> {
    for (row, (_, even)) in DIFFERENCES.iter().enumerate() {
        if even(&mut rendered) {
            used.insert(row);
        }
    }
    let mut found = BTreeMap::new();
    for mut object in rendered {
        for place in ["/metadata/labels", "/spec/template/metadata/labels"] {
            if let Some(Value::Object(labels)) = object.pointer_mut(place) {
                for label in ["app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"] {
                    labels.remove(label);
                }
            }
        }
        if let Some(Value::String(config)) = object.pointer_mut("/data/streamgauge.yaml") {
            // Comments and the order of keys are no difference.
            *config = objects::parse(config)[0].to_string();
        }
        merge(found.entry(title(&object)).or_insert(Value::Null), object);
    }
    found
}

/// The first places where two objects differ.
fn differences(place: &str, a: &Value, b: &Value, found: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let get = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                differences(&format!("{place}/{key}"), &get(a), &get(b), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{place}/{at}"), a, b, found);
            }
        }
        _ if a == b => {}
        _ => found.push(format!("{place}: Kustomize has {a}, Helm has {b}")),
    }
}

#[test]
fn kustomize_and_helm_make_the_same_of_the_same_choices() {
    let (mut used, mut found) = (BTreeSet::new(), Vec::new());
    // Names and namespace are the contract; another namespace must not matter.
    for (pair, namespace) in pairs().iter().flat_map(|pair| [(pair, "streamgauge"), (pair, "measuring")]) {
        let (kustomize, helm) = (by_kustomize(pair, namespace), by_helm(pair, namespace));
        assert_eq!(rendered::problems(&kustomize), [""; 0], "{:?}", pair.components);
        let (kustomize, helm) = (plain(kustomize, &mut used), plain(helm, &mut used));
        let titles: BTreeSet<_> = kustomize.keys().chain(helm.keys()).collect();
        for title in titles {
            let mut here = Vec::new();
            let of = |side: &BTreeMap<String, Value>| side.get(title).cloned().unwrap_or(Value::Null);
            differences("", &of(&kustomize), &of(&helm), &mut here);
            found.extend(here.into_iter().map(|line| format!("{:?}: {title}{line}", pair.components)));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    for (row, (why, _)) in DIFFERENCES.iter().enumerate() {
        assert!(used.contains(&row), "no longer: {why}");
    }
}

/// Every component stands in a pair.
#[test]
fn every_component_is_compared() {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join("components")).unwrap()
    {
        let component = entry.unwrap().file_name().into_string().unwrap();
        let is_compared = pairs().iter().any(|pair| pair.components.contains(&component.as_str()));
        assert!(is_compared, "{component}");
    }
}

#[test]
fn a_difference_is_found() {
    let (a, b) = (json!({"spec": {"ports": [1, 2], "type": "A"}}), json!({"spec": {"ports": [1, 3]}}));
    let mut found = Vec::new();
    differences("", &a, &b, &mut found);
    assert_eq!(
        found,
        ["/spec/ports/1: Kustomize has 2, Helm has 3", "/spec/type: Kustomize has \"A\", Helm has null"]
    );
    let mut objects = [json!({"kind": "A", "spec": {"x": 1}}), json!({"kind": "B", "spec": {"x": 1}})];
    assert!(without(&mut objects, "A", "/spec/x"));
    assert!(!without(&mut objects, "A", "/spec/x"));
    assert_eq!(objects, [json!({"kind": "A", "spec": {}}), json!({"kind": "B", "spec": {"x": 1}})]);
}
