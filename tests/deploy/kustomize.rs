//! `deploy/kustomize`, built as `kubectl apply -k` builds it: each overlay is what Kubernetes takes and the program runs
//! with. That it is the same as what the chart makes, [`equal`] shows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    objects::{self, find, kind, list, name, of_kind, text, title},
    rendered,
    support::document::document,
    tools,
};

mod documents;
mod equal;
mod starts;

const FOLDER: &str = "deploy/kustomize";

/// What `kubectl kustomize` makes of a folder.
#[track_caller]
pub fn build(folder: &Path) -> Vec<Value> {
    let home = tempfile::tempdir().unwrap();
    let mut command = tools::kubectl(home.path());
    command.arg("kustomize").arg(folder);
    let text = tools::output(command).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut objects = objects::parse(&text);
    // It breaks base 64 into lines. Kubernetes takes that, and the types of the tests do not.
    for object in &mut objects {
        let data = object["kind"] == "Secret";
        let data = data.then(|| object["data"].as_object_mut()).flatten().into_iter();
        for value in data.flat_map(|data| data.values_mut()) {
            *value = value.as_str().unwrap().replace('\n', "").into();
        }
        if let Some(bundle) = object.pointer_mut("/spec/caBundle") {
            *bundle = bundle.as_str().unwrap().replace('\n', "").into();
        }
    }
    objects
}

#[track_caller]
pub fn overlay(name: &str) -> Vec<Value> {
    build(&Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join("overlays").join(name))
}

/// A user's folder with a kustomization and other files.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    pub fn write(&self, name: &str, content: &str) -> &Folder {
        let file = self.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
        self
    }

    /// The way from a folder below this one to a part of `deploy/kustomize`: Kustomize takes relative paths only.
    pub fn to(&self, below: &str, part: &str) -> String {
        let from = self.path().join(below);
        let up = "../".repeat(from.components().count() - 1);
        format!("{up}{}/{FOLDER}/{part}", env!("CARGO_MANIFEST_DIR").trim_start_matches('/'))
    }

    /// With the base and these components, and more of a kustomization, with more resources, say; in a namespace.
    pub fn composed(components: &[&str], more: &Value, namespace: &str) -> Folder {
        let folder = Folder::new();
        let components: Vec<_> =
            components.iter().map(|name| folder.to("", &format!("components/{name}"))).collect();
        let mut kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [folder.to("", "base")],
            "components": components,
            "transformers": ["namespace"],
        });
        for (key, value) in more.as_object().unwrap() {
            match kustomization.get_mut(key).and_then(Value::as_array_mut) {
                Some(list) => list.extend(value.as_array().unwrap().clone()),
                None => kustomization[key] = value.clone(),
            }
        }
        let patch = json!([{"op": "replace", "path": "/metadata/namespace", "value": namespace}]);
        let of_namespace = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [folder.to("namespace", "namespace")],
            "patches": [{"target": {"kind": "NamespaceTransformer"}, "patch": patch.to_string()}],
        });
        // JSON is YAML.
        folder.write("kustomization.yaml", &kustomization.to_string());
        folder.write("namespace/kustomization.yaml", &of_namespace.to_string());
        folder
    }

    #[track_caller]
    pub fn build(&self) -> Vec<Value> {
        build(&self.path())
    }
}

#[test]
fn every_overlay_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join("overlays");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(["default", "example", "keda"].iter().all(|name| names.iter().any(|found| found == name)));
    for name in names {
        let objects = overlay(&name);
        assert_eq!(rendered::problems(&objects), [""; 0], "{name}");
    }
}

#[test]
fn the_base_alone_is_an_exporter() {
    let objects = Folder::composed(&[], &json!({}), "streamgauge").build();
    rendered::check(&objects);
    let kinds: Vec<_> = objects.iter().map(kind).collect();
    assert_eq!(kinds, ["ServiceAccount", "ConfigMap", "Service", "Deployment", "PodDisruptionBudget"]);
}

/// The API groups that are registered, and what else belongs to them.
#[test]
fn the_overlay_beside_keda_leaves_its_api_alone() {
    let registered = |objects: &[Value]| -> Vec<String> {
        of_kind(objects, "APIService").into_iter().map(|object| name(object).to_owned()).collect()
    };
    let (default, keda) = (overlay("default"), overlay("keda"));
    assert_eq!(
        registered(&default),
        ["v1beta1.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"]
    );
    assert_eq!(registered(&keda), ["v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"]);
    let groups = |objects: &[Value]| -> Vec<String> {
        let rules = list(find(objects, "ClusterRole", "streamgauge-hpa-reader"), "/rules");
        rules.iter().map(|rule| text(rule, "/apiGroups/0").to_owned()).collect()
    };
    assert_eq!(groups(&default), ["external.metrics.k8s.io", "custom.metrics.k8s.io"]);
    assert_eq!(groups(&keda), ["custom.metrics.k8s.io"]);
}

/// `insecureSkipTLSVerify` is a choice: nothing but its component, and the overlay for trying, makes it.
#[test]
fn the_adapter_is_verified_unless_somebody_chooses_otherwise() {
    let verified = |objects: &[Value]| {
        of_kind(objects, "APIService").iter().all(|object| object["spec"]["insecureSkipTLSVerify"] != true)
    };
    assert!(verified(&overlay("default")) && verified(&overlay("keda")));
    assert!(!verified(&overlay("example")));
    // Without a choice, nothing is verified and nothing is let through: the API server then refuses the adapter.
    let objects = Folder::composed(&["adapter", "external-metrics"], &json!({}), "streamgauge").build();
    let problem = "APIService v1beta1.external.metrics.k8s.io: nothing verifies its certificate";
    assert_eq!(rendered::problems(&objects), [problem]);
}

/// All that can be chosen at once, in a namespace of one's own: only what belongs to Kubernetes stays where it was.
#[test]
fn everything_moves_to_another_namespace() {
    let components = [
        "redis-credentials",
        "network-policy",
        "adapter",
        "external-metrics",
        "custom-metrics",
        "objects",
        "cert-manager",
        "prometheus-operator",
        "grafana",
    ];
    let objects = Folder::composed(&components, &json!({}), "measuring").build();
    rendered::check(&objects);
    for object in &objects {
        let namespace = text(object, "/metadata/namespace");
        let is_of_cluster = ["ClusterRole", "ClusterRoleBinding", "APIService"].contains(&kind(object));
        let expected = match name(object) {
            "streamgauge-auth-reader" => "kube-system",
            _ if is_of_cluster => "",
            _ => "measuring",
        };
        assert_eq!(namespace, expected, "{}", title(object));
        let written = object.to_string();
        // As the last part of a path of kinds (`streamgauge/streamgauge-tls`), of a host, or alone.
        for left in [
            "\"namespace\":\"streamgauge\"",
            "streamgauge/streamgauge-tls",
            "streamgauge.streamgauge",
            ".namespace.",
        ] {
            assert!(!written.contains(left), "{}: {left}", title(object));
        }
    }
    let certificate = find(&objects, "Certificate", "streamgauge-tls");
    assert_eq!(certificate["spec"]["dnsNames"], json!(["streamgauge.measuring.svc"]));
}

/// The configuration of the example and that of its guide: the same server and groups.
#[test]
fn the_example_measures_what_the_guide_does() {
    let objects = overlay("example");
    let config = text(find(&objects, "ConfigMap", "streamgauge"), "/data/streamgauge.yaml");
    let guide = document("deploy/examples/order-processor/streamgauge.yaml");
    assert_eq!(objects::parse(config)[0]["redis"], objects::parse(&guide)[0]["redis"]);
    // Redis is where it is looked for, and the HPA asks for a group that is expected.
    let redis = find(&objects, "Service", "redis");
    let url = format!(
        "redis://redis.{}.svc:{}",
        text(redis, "/metadata/namespace"),
        redis["spec"]["ports"][0]["port"]
    );
    assert!(config.contains(&url), "{url}: {config}");
    let hpa = find(&objects, "HorizontalPodAutoscaler", "order-processor");
    let labels = &hpa["spec"]["metrics"][0]["external"]["metric"]["selector"]["matchLabels"];
    assert!(config.contains(&format!("{}={}", text(labels, "/stream"), text(labels, "/group"))), "{labels}");
}

/// The image is that of this version.
#[test]
fn the_image_is_of_this_version() {
    let objects = overlay("default");
    let deployment = find(&objects, "Deployment", "streamgauge");
    let image = format!("ghcr.io/streamgauge/streamgauge:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(deployment, "/spec/template/spec/containers/0/image"), image);
}
