//! `kubectl apply -k`: a real API server takes what `deploy/kustomize` makes, to the last field; with the arguments, the
//! configuration and the rights of it, the program serves the metrics APIs.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    control_plane::ControlPlane,
    scene::Scene,
    support::{
        exporter::Launch,
        pki::Authority,
        redis::{RedisServer, free_port},
    },
    tools,
};

fn overlay(name: &str) -> String {
    format!("{}/deploy/kustomize/overlays/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Starts what was applied, as the Deployment has it: there is no kubelet. Files are found in `files` by their names.
fn start(cluster: ControlPlane, redis: RedisServer, files: &Path) -> Scene {
    let of_streamgauge = |kind: &str| cluster.object(&[kind, "streamgauge", "--namespace=streamgauge"]);
    let config = of_streamgauge("configmap")["data"]["streamgauge.yaml"].as_str().unwrap().to_owned();
    let url = "redis://redis.shop.svc:6379";
    assert_eq!(config.matches(url).count(), 1, "{config}");
    fs::write(files.join("streamgauge.yaml"), config.replace(url, &redis.url())).unwrap();

    let port = free_port();
    let deployment = of_streamgauge("deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let mut words = container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let mut launch = Launch::new(words.next().unwrap());
    for word in words {
        let (flag, value) = word.split_once('=').unwrap();
        let here = match flag {
            "--web.listen-address" => "127.0.0.1:0".to_owned(),
            "--kubernetes.listen-address" => format!("127.0.0.1:{port}"),
            _ => {
                let file = files.join(Path::new(value).file_name().unwrap());
                assert!(value.starts_with("/etc/streamgauge/") && file.is_file(), "{word}");
                file.display().to_string()
            }
        };
        launch = launch.args(&[&format!("{flag}={here}")]);
    }
    // In a pod, this is found.
    let kubeconfig = cluster.kubeconfig_of("streamgauge", "streamgauge");
    let gauge = launch.args(&["--kubernetes.kubeconfig", kubeconfig.to_str().unwrap()]).start();
    gauge.wait_ready();

    // The service leads to it.
    let apis = cluster.object(&["apiservice", "--selector=app.kubernetes.io/name=streamgauge"]);
    cluster.kubectl(&["delete", "service", "streamgauge", "--namespace=streamgauge"]);
    cluster.apply(
        &json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "streamgauge", "namespace": "streamgauge"},
                "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}})
        .to_string(),
    );
    let scene = Scene { gauge, redis, cluster };
    let apis = apis["items"].as_array().unwrap();
    assert_eq!(apis.len(), 3);
    for api in apis {
        let name = api["metadata"]["name"].as_str().unwrap();
        let patch = json!({"spec": {"service": {"port": port}}}).to_string();
        scene.cluster.kubectl(&["patch", "apiservice", name, "--type=merge", "--patch", &patch]);
        scene.until(&format!("{name} to be available"), || {
            let conditions = scene.cluster.object(&["apiservice", name])["status"]["conditions"].clone();
            let is_available = conditions[0]["type"] == "Available" && conditions[0]["status"] == "True";
            if is_available { Ok(()) } else { Err(conditions.to_string()) }
        });
    }
    scene
}

/// From an empty cluster: one command, and the workers are scaled by their backlog.
#[test]
fn the_example_scales_its_workers() {
    let (cluster, redis) = (ControlPlane::start(), RedisServer::start());
    redis.run(&["XGROUP CREATE orders processing_group 0 MKSTREAM"]);
    redis.add("orders", 950);
    cluster.kubectl(&["apply", "--validate=strict", "-k", &overlay("example")]);
    let files = tempfile::tempdir().unwrap();
    let scene = start(cluster, redis, files.path());
    scene.gauge.poll();
    scene.until_replicas("order-processor", 10);

    // The pods of the example are found: none has taken anything yet.
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/redis_stream_pending_messages?labelSelector=app%3Dorder-processor";
    scene.until("ten pods", || {
        let list = scene.raw(path)?;
        let values: Vec<&Value> =
            list["items"].as_array().unwrap().iter().map(|item| &item["value"]).collect();
        if values == [&json!("0"); 10] { Ok(()) } else { Err(list.to_string()) }
    });
}

/// The other overlays, alerts and dashboards, where the kinds of cert-manager and the Prometheus operator are known.
fn takes_the_other_overlays(scene: &Scene) {
    let cluster = &scene.cluster;
    for name in [
        "certificates.cert-manager.io",
        "issuers.cert-manager.io",
        "servicemonitors.monitoring.coreos.com",
        "prometheusrules.monitoring.coreos.com",
    ] {
        let file = tools::definition(name);
        // Too large for the annotation that kubectl would write.
        cluster.kubectl(&["apply", "--server-side", "-f", file.to_str().unwrap()]);
        scene.until(&format!("{name} to be served"), || {
            let conditions = cluster.object(&["crd", name])["status"]["conditions"].clone();
            let mut all = conditions.as_array().into_iter().flatten();
            let is_served = all.any(|one| one["type"] == "Established" && one["status"] == "True");
            if is_served { Ok(()) } else { Err(conditions.to_string()) }
        });
    }
    for name in ["default", "keda"] {
        cluster.kubectl(&["apply", "--validate=strict", "--dry-run=server", "-k", &overlay(name)]);
    }
    for part in ["alerts", "dashboards"] {
        let folder = format!("{}/{part}", env!("CARGO_MANIFEST_DIR"));
        cluster.kubectl(&["apply", "--validate=strict", "--namespace=streamgauge", "-k", &folder]);
    }
    let monitor = format!(
        "{}/deploy/kustomize/components/prometheus-operator/servicemonitor.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    cluster.kubectl(&["apply", "--validate=strict", "--namespace=streamgauge", "-f", &monitor]);
}

/// With a certificate of one's own, by which the API server verifies the adapter.
#[test]
fn a_certificate_of_ones_own_is_verified() {
    let (cluster, redis) = (ControlPlane::start(), RedisServer::start());
    redis.run(&["XGROUP CREATE orders processing_group 0 MKSTREAM"]);
    let files = tempfile::tempdir().unwrap();
    let folder = files.path().canonicalize().unwrap();
    let authority = Authority::new("serving-ca");
    let pair = authority.server("streamgauge.streamgauge.svc");
    let secret = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "secretGenerator": [{
            "name": "streamgauge-tls",
            "type": "kubernetes.io/tls",
            "files": ["tls.crt", "tls.key", "ca.crt"],
            "options": {"disableNameSuffixHash": true},
        }],
    })
    .to_string();
    let certificate = folder.join("certificate");
    fs::create_dir(&certificate).unwrap();
    for (name, content) in [
        ("tls.crt", &pair.certificate),
        ("tls.key", &pair.key),
        ("ca.crt", &authority.certificate),
        ("kustomization.yaml", &secret),
    ] {
        fs::write(certificate.join(name), content).unwrap();
    }
    let to = |part: &str| {
        let up = "../".repeat(folder.components().count() - 1);
        format!("{up}{}/deploy/kustomize/{part}", env!("CARGO_MANIFEST_DIR").trim_start_matches('/'))
    };
    let components = ["adapter", "external-metrics", "custom-metrics", "given-certificate"]
        .map(|component| to(&format!("components/{component}")));
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [to("base"), "namespace.json", "certificate"],
        "components": components,
        "configMapGenerator": [{"name": "streamgauge", "behavior": "replace", "files": ["streamgauge.yaml"]}],
        "transformers": [to("namespace")],
    });
    fs::write(folder.join("kustomization.yaml"), kustomization.to_string()).unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "streamgauge"}});
    fs::write(folder.join("namespace.json"), namespace.to_string()).unwrap();
    fs::copy(format!("{}/streamgauge.yaml", overlay("example")), folder.join("streamgauge.yaml")).unwrap();
    cluster.kubectl(&["apply", "--validate=strict", "-k", folder.to_str().unwrap()]);

    let scene = start(cluster, redis, &certificate);
    let api = scene.cluster.object(&["apiservice", "v1beta1.external.metrics.k8s.io"]);
    assert_eq!(api["spec"].get("insecureSkipTLSVerify"), None);
    let list = scene
        .raw("/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/redis_stream_group_backlog")
        .unwrap();
    assert_eq!(list["items"][0]["value"], "0");
    takes_the_other_overlays(&scene);
}
