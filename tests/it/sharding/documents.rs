//! What `docs/high-availability.md` shows: manifests to the last field, and command lines that the program takes.

use std::{collections::BTreeMap, path::Path};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use serde_json::{Value, json};
use streamgauge::{cli, config, config::tree};

use crate::{
    generated::schema::to_json,
    kubernetes::manifests::fits,
    support::document::{document, yaml},
};

const DOCUMENT: &str = "docs/high-availability.md";

/// The manifests by their kinds.
fn manifests() -> BTreeMap<String, Value> {
    let blocks = yaml(&document(DOCUMENT)).into_iter().filter(|block| block.contains("apiVersion:"));
    let manifest = |block: String| to_json(&tree::parse(Path::new(DOCUMENT), &block).unwrap());
    let all: Vec<_> = blocks.map(manifest).collect();
    let kind = |manifest: Value| (manifest["kind"].as_str().unwrap().to_owned(), manifest);
    let count = all.len();
    let by_kind: BTreeMap<_, _> = all.into_iter().map(kind).collect();
    assert_eq!(by_kind.len(), count, "a kind stands twice");
    by_kind
}

#[test]
fn every_manifest_is_one() {
    let all = manifests();
    let kinds: Vec<_> = all.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["PodDisruptionBudget", "Role", "RoleBinding", "StatefulSet"]);
    fits::<PodDisruptionBudget>(&all["PodDisruptionBudget"]);
    fits::<Role>(&all["Role"]);
    fits::<RoleBinding>(&all["RoleBinding"]);
    fits::<StatefulSet>(&all["StatefulSet"]);
    // What they say of each other.
    let set = &all["StatefulSet"];
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    // That of the adapter, to which the APIServices lead.
    let services = document("docs/kubernetes.md");
    let service = format!("service: {{name: {}, namespace: ", set["spec"]["serviceName"].as_str().unwrap());
    assert_eq!(services.matches(&service).count(), 3);
    for selector in [
        &set["spec"]["selector"]["matchLabels"],
        &all["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    assert_eq!(all["Role"]["rules"][0]["resourceNames"], json!([set["metadata"]["name"]]));
    assert_eq!(all["RoleBinding"]["roleRef"]["name"], all["Role"]["metadata"]["name"]);
    let account = &set["spec"]["template"]["spec"]["serviceAccountName"];
    assert_eq!(&all["RoleBinding"]["subjects"][0]["name"], account);
}

#[test]
fn the_program_takes_the_arguments_of_the_statefulset() {
    let set = &manifests()["StatefulSet"];
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let image = container["image"].as_str().unwrap();
    assert_eq!(image, format!("ghcr.io/streamgauge/streamgauge:{}", env!("CARGO_PKG_VERSION")));
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("streamgauge.yaml"), "redis: [{name: main, url: h}]").unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    for name in ["tls.crt", "tls.key"] {
        std::fs::write(file(name), "x").unwrap();
    }
    let variables: Vec<_> = container["env"].as_array().unwrap().iter().map(|env| &env["name"]).collect();
    assert_eq!(variables, ["POD_NAME", "POD_NAMESPACE"]);
    let arguments = container["args"].as_array().unwrap().iter().map(|argument| {
        let argument = argument.as_str().unwrap();
        let argument =
            argument.replace("$(POD_NAME)", "streamgauge-2").replace("$(POD_NAMESPACE)", "streamgauge");
        let of_etc = |name: &str| argument.split_once("/etc/").is_some_and(|(_, path)| path.ends_with(name));
        match ["streamgauge.yaml", "tls.crt", "tls.key"].into_iter().find(|name| of_etc(name)) {
            Some(name) => format!("{}{}", argument.split_once("/etc/").unwrap().0, file(name)),
            None => argument,
        }
    });
    let words = ["streamgauge".to_owned()].into_iter().chain(arguments).map(Into::into);
    let config = config::load(&cli::parse(words, []).unwrap().sources).unwrap();
    let (namespace, name) = ("streamgauge".to_owned(), "streamgauge".to_owned());
    let expected = config::Sharding::StatefulSet { namespace, name, ordinal: 2, kubeconfig: None };
    assert_eq!(config.sharding, Some(expected));
    let ports: Vec<_> =
        container["ports"].as_array().unwrap().iter().map(|port| &port["containerPort"]).collect();
    let listening = [config.listen[0].port, config.kubernetes.unwrap().listen[0].port];
    assert_eq!(ports, [&json!(listening[0]), &json!(listening[1])]);
}
