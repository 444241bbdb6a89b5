//! The manifests and configurations that `docs/kubernetes.md` shows: each is what it says it is, to the last field.

use std::{fs, path::Path};

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::Service,
        rbac::v1::{ClusterRole, RoleBinding},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use streamgauge::{
    catalogue,
    config::{self, Sources, tree},
    serve::kubernetes::discovery,
};

use crate::{
    generated::schema::to_json,
    support::document::{document, yaml},
};

/// The type takes all of it: what it does not know would be gone when it is written again.
pub fn fits<T: Serialize + DeserializeOwned>(manifest: &Value) {
    let typed: T =
        serde_json::from_value(manifest.clone()).unwrap_or_else(|error| panic!("{error}: {manifest:#}"));
    assert_eq!(&serde_json::to_value(typed).unwrap(), manifest);
}

/// A manifest is what its kind says: which one that is.
#[track_caller]
pub fn kind_of(manifest: &Value) -> &str {
    let kind = manifest["kind"].as_str().unwrap();
    match kind {
        "HorizontalPodAutoscaler" => {
            fits::<HorizontalPodAutoscaler>(manifest);
            for metric in manifest["spec"]["metrics"].as_array().unwrap() {
                let name = |sort: &str| metric[sort]["metric"]["name"].as_str();
                let of_groups = name("external").or(name("object")).and_then(catalogue::for_autoscalers);
                let known = of_groups.or_else(|| name("pods").and_then(catalogue::for_pods));
                assert!(known.is_some(), "{metric}");
            }
        }
        "APIService" => fits::<APIService>(manifest),
        "ClusterRole" => fits::<ClusterRole>(manifest),
        "Deployment" => fits::<Deployment>(manifest),
        "RoleBinding" => fits::<RoleBinding>(manifest),
        "Service" => fits::<Service>(manifest),
        other => panic!("{other} is not checked"),
    }
    kind
}

/// The manifest that a text holds.
#[track_caller]
pub fn read(file: &str, text: &str) -> Value {
    to_json(&tree::parse(Path::new(file), text).unwrap_or_else(|error| panic!("{file}: {error:?}: {text}")))
}

#[test]
fn every_manifest_is_one() {
    let (mut kinds, mut services) = (Vec::new(), Vec::new());
    for block in yaml(&document("docs/kubernetes.md")).iter().filter(|block| block.contains("apiVersion:")) {
        let manifest = read("docs/kubernetes.md", block);
        if kind_of(&manifest) == "APIService" {
            let text = |key: &str| manifest["spec"][key].as_str().unwrap();
            services.push(format!("{}/{}", text("group"), text("version")));
        }
        kinds.push(kind_of(&manifest).to_owned());
    }
    for kind in ["HorizontalPodAutoscaler", "ClusterRole", "RoleBinding", "Service"] {
        assert!(kinds.iter().any(|found| found == kind), "{kind}: {kinds:?}");
    }
    let mut served: Vec<_> = discovery::GROUPS
        .iter()
        .flat_map(|(group, versions)| versions.iter().map(move |version| format!("{group}/{version}")))
        .collect();
    served.sort();
    services.sort();
    assert_eq!(services, served);
}

#[test]
fn every_configuration_is_sound() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("streamgauge.yaml");
    let text = document("docs/kubernetes.md");
    let configurations: Vec<_> =
        yaml(&text).into_iter().filter(|block| !block.contains("apiVersion:")).collect();
    assert!(configurations.len() > 2);
    for block in configurations {
        fs::write(&file, &block).unwrap();
        let sources = Sources { file: Some(file.clone()), ..Sources::default() };
        config::load(&sources).unwrap_or_else(|error| panic!("{error}\n{block}"));
    }
}
