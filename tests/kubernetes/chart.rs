//! The Helm chart in a real cluster: the API server takes every object, the adapter works by what they say, an upgrade
//! keeps the certificate until it is due, and an API that has another server is not taken over.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    control_plane::ControlPlane,
    support::{
        exporter::{Launch, Streamgauge},
        redis::{RedisServer, free_port},
        wait,
    },
    tools,
};

const CHART: &str = "deploy/helm/streamgauge";
const EXTERNAL: &str = "v1beta1.external.metrics.k8s.io";

/// Runs helm as the cluster's administrator.
fn helm(cluster: &ControlPlane, arguments: &[&str]) -> Result<String, String> {
    let home = tempfile::tempdir().unwrap();
    let mut command = tools::helm(home.path());
    command.args(arguments).arg("--namespace=streamgauge");
    command.env("KUBECONFIG", cluster.directory().join("admin.kubeconfig"));
    tools::output(command)
}

/// Installs or upgrades the release `streamgauge` with these values.
fn upgrade(cluster: &ControlPlane, values: &str) -> Result<String, String> {
    let file = cluster.directory().join("values.yaml");
    fs::write(&file, values).unwrap();
    let file = file.to_str().unwrap();
    helm(
        cluster,
        &[
            "upgrade",
            "--install",
            "--reset-values",
            "streamgauge",
            CHART,
            "--create-namespace",
            "--values",
            file,
        ],
    )
}

/// The files of the rendered Secret.
fn certificate(cluster: &ControlPlane) -> Value {
    cluster.object(&["secret", "streamgauge-tls", "--namespace=streamgauge"])["data"].clone()
}

fn decoded(data: &Value, key: &str) -> String {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(data[key].clone()).unwrap();
    String::from_utf8(bytes.0).unwrap()
}

/// A program that runs as the chart's pod would: there is no kubelet here.
struct Pod {
    gauge: Streamgauge,
    mounted: TempDir,
}

impl Pod {
    fn start(cluster: &ControlPlane, port: u16) -> Pod {
        Pod::start_with(cluster, port, &[])
    }

    fn start_with(cluster: &ControlPlane, port: u16, more: &[&str]) -> Pod {
        let mounted = tempfile::tempdir().unwrap();
        let at = |name: &str| -> PathBuf { mounted.path().join(name) };
        let config = cluster.object(&["configmap", "streamgauge", "--namespace=streamgauge"]);
        fs::write(at("streamgauge.yaml"), config["data"]["streamgauge.yaml"].as_str().unwrap()).unwrap();
        mount(cluster, &mounted);
        let kubeconfig = cluster.kubeconfig_of("streamgauge", "streamgauge");
        let gauge = Launch::new("serve")
            .args(&["--config.file", at("streamgauge.yaml").to_str().unwrap()])
            .args(&["--kubernetes.listen-address", &format!("127.0.0.1:{port}")])
            .args(&["--kubernetes.kubeconfig", kubeconfig.to_str().unwrap()])
            .args(&["--kubernetes.tls-cert-file", at("tls.crt").to_str().unwrap()])
            .args(&["--kubernetes.tls-private-key-file", at("tls.key").to_str().unwrap()])
            .args(more)
            .start();
        gauge.wait_ready();
        Pod { gauge, mounted }
    }
}

/// The Service of the chart leads to pods; here it must lead to loopback. An upgrade makes it as it was.
fn lead_to_loopback(cluster: &ControlPlane, port: u16) {
    cluster.kubectl(&["delete", "service", "streamgauge", "--namespace=streamgauge"]);
    cluster.apply(&format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: streamgauge, namespace: streamgauge, \
         labels: {{app.kubernetes.io/managed-by: Helm}}, \
         annotations: {{meta.helm.sh/release-name: streamgauge, meta.helm.sh/release-namespace: streamgauge}}}}, \
         spec: {{type: ExternalName, externalName: localhost, ports: [{{port: {port}}}]}}}}"
    ));
}

/// As the kubelet does when the Secret has changed.
fn mount(cluster: &ControlPlane, mounted: &TempDir) {
    let data = certificate(cluster);
    for key in ["tls.key", "tls.crt"] {
        fs::write(mounted.path().join(key), decoded(&data, key)).unwrap();
    }
}

#[track_caller]
fn until_answered(cluster: &ControlPlane, pod: &Pod, backlog: &str) {
    let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/redis_stream_group_backlog";
    wait::until("the API server to have an answer", || {
        let said = cluster.try_kubectl(&["get", "--raw", path])?;
        let list: Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
        let value = list["items"][0]["value"].as_str().unwrap_or_default();
        if value == backlog { Ok(()) } else { Err(format!("{said}\n{}", pod.gauge.process.stderr.text())) }
    });
}

#[test]
fn it_works_and_its_certificate_outlives_upgrades() {
    let (cluster, redis, port) = (ControlPlane::start(), RedisServer::start(), free_port());
    redis.run(&["XGROUP CREATE orders processing_group 0 MKSTREAM"]);
    redis.add("orders", 12);
    let values = |more: &str| {
        format!(
            "config: {{redis: [{{name: main, url: '{}'}}]}}\nservice: {{adapterPort: {port}}}\n\
             adapter: {{apiServices: {{custom: true}}}}\n{more}",
            redis.url()
        )
    };
    let notes = upgrade(&cluster, &values("")).unwrap();
    assert!(notes.contains("helm test streamgauge --namespace streamgauge"), "{notes}");
    let pod = Pod::start(&cluster, port);
    lead_to_loopback(&cluster, port);
    until_answered(&cluster, &pod, "12");

    // Upgrades leave the certificate as it is.
    let first = certificate(&cluster);
    for more in ["replicaCount: 2", "podLabels: {a: b}"] {
        upgrade(&cluster, &values(more)).unwrap();
        assert_eq!(certificate(&cluster), first, "{more}");
    }

    // Due: a new one, and its CA beside the one before, so that both are believed.
    let soon = "streamgauge.io/expires=2000000";
    cluster.kubectl(&[
        "annotate",
        "--overwrite",
        "secret",
        "streamgauge-tls",
        "--namespace=streamgauge",
        soon,
    ]);
    upgrade(&cluster, &values("")).unwrap();
    let second = certificate(&cluster);
    assert_ne!(second["tls.crt"], first["tls.crt"]);
    let (before, after) = (decoded(&first, "ca.crt"), decoded(&second, "ca.crt"));
    assert_eq!(after.matches("BEGIN CERTIFICATE").count(), 2, "{after}");
    assert!(after.trim_end().ends_with(before.trim()), "{after}");
    let services = cluster.object(&["apiservice", EXTERNAL]);
    assert_eq!(decoded(&services["spec"], "caBundle"), after);

    // The pod has not read the new one yet, and is believed; and after it has.
    lead_to_loopback(&cluster, port);
    until_answered(&cluster, &pod, "12");
    mount(&cluster, &pod.mounted);
    wait::until("the adapter to use the new certificate", || {
        let log = pod.gauge.logged("file has changed and is in use");
        if log.is_empty() { Err(pod.gauge.process.stderr.text()) } else { Ok(()) }
    });
    redis.add("orders", 1);
    until_answered(&cluster, &pod, "13");
    upgrade(&cluster, &values("replicaCount: 2")).unwrap();
    assert_eq!(certificate(&cluster), second);
}

/// Shards by the StatefulSet of the chart, with the rights that it gives: each shows its share, any of them answers for all,
/// and they follow the number of replicas.
#[test]
fn its_shards_share_the_streams() {
    let (cluster, redis) = (ControlPlane::start(), RedisServer::start());
    let ports = [free_port(), free_port()];
    let names: Vec<_> = (0..12).map(|number| format!("orders{number}")).collect();
    for name in &names {
        redis.run(&[&format!("XGROUP CREATE {name} workers 0 MKSTREAM")]);
        redis.add(name, 5);
    }
    let values = format!(
        "config: {{redis: [{{name: main, url: '{}'}}]}}\nservice: {{adapterPort: {}}}\n\
         sharding: {{enabled: true}}\nreplicaCount: 2\n",
        redis.url(),
        ports[0]
    );
    upgrade(&cluster, &values).unwrap();
    let pods = [0, 1].map(|number: usize| {
        let of_pod = ["--pod", &format!("streamgauge-{number}"), "--pod-namespace", "streamgauge"];
        Pod::start_with(&cluster, ports[number], &of_pod)
    });
    let shown = |pod: &Pod| -> Vec<String> {
        let metrics = pod.gauge.metrics();
        let length = |name: &str| {
            metrics.value(&format!("redis_stream_length{{redis=\"main\",db=\"db0\",stream=\"{name}\"}}"))
        };
        let is_shown = |name: &&String| length(name).is_some();
        names.iter().filter(is_shown).cloned().collect()
    };
    for pod in &pods {
        pod.gauge.until("streamgauge_total_shards", Some(2.0));
        wait::until("each shard to show its share", || {
            let shares = pods.each_ref().map(shown);
            let mut all = shares.concat();
            all.sort();
            let mut names = names.clone();
            names.sort();
            if all == names && shares.iter().all(|share| !share.is_empty()) {
                Ok(())
            } else {
                Err(format!("{shares:?}"))
            }
        });
    }

    // The API server asks the first pod, and that one answers for all.
    lead_to_loopback(&cluster, ports[0]);
    until_answered(&cluster, &pods[0], "5");
    let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/redis_stream_group_backlog";
    for name in &names {
        let said = cluster.kubectl(&["get", "--raw", &format!("{path}?labelSelector=stream%3D{name}")]);
        let list: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(list["items"][0]["value"], "5", "{name}: {said}");
    }

    cluster.kubectl(&["scale", "statefulset", "streamgauge", "--replicas=3", "--namespace=streamgauge"]);
    for pod in &pods {
        pod.gauge.until("streamgauge_total_shards", Some(3.0));
    }
}

/// What is printed after an installation: an HPA that the API server takes, and advice that fits what was installed.
fn notes_fit(cluster: &ControlPlane) {
    let notes = |values: &str| {
        let file = cluster.directory().join("values.yaml");
        fs::write(&file, values).unwrap();
        let dry_run = ["install", "noted", CHART, "--dry-run=server", "--values", file.to_str().unwrap()];
        let said = helm(cluster, &dry_run).unwrap();
        said.split_once("\nNOTES:\n").unwrap().1.to_owned()
    };
    // The API of others is still there.
    let external = "adapter: {apiServices: {create: false}}";
    let said = notes(external);
    assert!(said.contains("No APIService was created") && !said.contains("autoscaling/v2"), "{said}");
    let said = notes("adapter: {enabled: false}");
    assert!(
        !said.contains("APIService") && said.contains("port-forward service/noted-streamgauge 9121:9121"),
        "{said}"
    );
    cluster.kubectl(&["delete", "apiservice", EXTERNAL]);
    let said = notes("adapter: {apiServices: {custom: false}}");
    let (_, hpa) = said.split_once("apiVersion: autoscaling/v2").unwrap();
    let hpa = format!("apiVersion: autoscaling/v2{}", hpa.split("\n\n").next().unwrap());
    let strict = ["apply", "--namespace=default", "--dry-run=server", "--validate=strict", "-f", "-"];
    cluster.kubectl_with(&strict, &hpa).unwrap_or_else(|error| panic!("{error}: {hpa}"));
    assert!(!said.contains("does not verify") && !said.contains("No APIService"), "{said}");
    assert!(notes("adapter: {certificate: {mode: insecure}}").contains("does not verify whom it asks"));
}

#[test]
fn it_takes_over_no_api_of_others() {
    let cluster = ControlPlane::start();
    let foreign = |annotations: Value| {
        json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
               "metadata": {"name": EXTERNAL, "annotations": annotations},
               "spec": {"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100,
                        "versionPriority": 100, "insecureSkipTLSVerify": true,
                        "service": {"name": "keda-operator-metrics-apiserver", "namespace": "keda"}}})
        .to_string()
    };
    cluster.apply(&foreign(json!({})));
    let said = upgrade(&cluster, "").unwrap_err();
    let served = format!(
        "the API of the APIService {EXTERNAL} is served by keda-operator-metrics-apiserver in the namespace keda, and"
    );
    assert!(
        said.contains(&format!("{served} does not belong to this release. Leave it to that one: set")),
        "{said}"
    );
    let owner = json!({"meta.helm.sh/release-name": "keda", "meta.helm.sh/release-namespace": "keda"});
    cluster.apply(&foreign(owner));
    let said = upgrade(&cluster, "").unwrap_err();
    assert!(said.contains(&format!("{served} belongs to the release keda in keda.")), "{said}");

    // Beside it, all else can be had: everything that is switched on, as the API server takes it.
    for definition in [
        "servicemonitors.monitoring.coreos.com",
        "prometheusrules.monitoring.coreos.com",
        "certificates.cert-manager.io",
        "issuers.cert-manager.io",
    ] {
        let file = tools::definition(definition);
        // Too long for the annotation that the client's own apply leaves.
        cluster.kubectl(&["create", "-f", file.to_str().unwrap()]);
        cluster.kubectl(&[
            "wait",
            "--for=condition=Established",
            &format!("crd/{definition}"),
            "--timeout=60s",
        ]);
    }
    let all = "adapter: {apiServices: {external: false, custom: true}, certificate: {mode: certManager},\n\
               objects: {rules: [{apiGroups: [apps], resources: [deployments]}]}}\n\
               credentials: [{server: main, secretName: redis, passwordKey: password}]\n\
               serviceMonitor: {enabled: true}\nprometheusRule: {enabled: true}\ndashboards: {enabled: true}\n\
               networkPolicy: {enabled: true}\n";
    upgrade(&cluster, all).unwrap();
    let values = cluster.directory().join("values.yaml");
    let text =
        helm(&cluster, &["template", "streamgauge", CHART, "--values", values.to_str().unwrap()]).unwrap();
    // Strictly: helm itself lets fields pass that are not known.
    let strict =
        ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"];
    let said = cluster.kubectl_with(&strict, &text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(said.lines().count(), text.matches("\nkind: ").count(), "{said}");

    notes_fit(&cluster);

    // A second release would take the first one's API.
    upgrade(&cluster, "").unwrap();
    let said = helm(&cluster, &["install", "other", CHART]).unwrap_err();
    assert!(said.contains("belongs to the release streamgauge in streamgauge"), "{said}");
    helm(&cluster, &["install", "other", CHART, "--set=adapter.apiServices.create=false"]).unwrap();
    helm(&cluster, &["uninstall", "streamgauge"]).unwrap();
    let left = cluster.try_kubectl(&["get", "apiservice", EXTERNAL]).unwrap_err();
    assert!(left.contains("NotFound"), "{left}");
}
