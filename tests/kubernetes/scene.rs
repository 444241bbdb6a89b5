//! A control plane, a Redis, and a streamgauge that is registered as `docs/kubernetes.md` says.

use std::net::SocketAddr;

use serde_json::Value;

use crate::{
    control_plane::ControlPlane,
    support::{
        document::{document, yaml},
        exporter::{Launch, Streamgauge},
        pki::Authority,
        redis::{RedisServer, free_port},
        wait,
    },
};

/// Everything there is. Dropped from the top: nobody talks to what is gone.
pub struct Scene {
    pub gauge: Streamgauge,
    pub redis: RedisServer,
    pub cluster: ControlPlane,
}

impl Scene {
    /// With a stream `orders` and a group `processing_group` at its beginning.
    pub fn start() -> Scene {
        let (cluster, redis) = (ControlPlane::start(), RedisServer::start());
        redis.run(&["XGROUP CREATE orders processing_group 0 MKSTREAM"]);
        let account =
            "{apiVersion: v1, kind: ServiceAccount, metadata: {name: streamgauge, namespace: streamgauge}}";
        cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: streamgauge}}");
        cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
        cluster.apply(account);
        let shown = yaml(&document("docs/kubernetes.md"));
        let of_kind = |kind: &str| -> Vec<&String> {
            shown.iter().filter(|block| block.contains(&format!("kind: {kind}\n"))).collect()
        };
        for manifest in of_kind("ClusterRole").into_iter().chain(of_kind("RoleBinding")) {
            cluster.apply(manifest);
        }

        // Below a service that leads to loopback, the API server verifies the certificate by the service's name.
        let (authority, port) = (Authority::new("serving-ca"), free_port());
        let (certificate, key) = authority.server("streamgauge.streamgauge.svc").write(cluster.directory());
        let kubeconfig = cluster.kubeconfig_of("streamgauge", "streamgauge");
        let gauge = Launch::new("serve")
            .args(&["--redis.url", &redis.url(), "--redis.name", "main"])
            .args(&["--kubernetes.listen-address", &format!("127.0.0.1:{port}")])
            .args(&["--kubernetes.kubeconfig", kubeconfig.to_str().unwrap()])
            .args(&["--kubernetes.tls-cert-file", certificate.to_str().unwrap()])
            .args(&["--kubernetes.tls-private-key-file", key.to_str().unwrap()])
            .args(&["--log.level", "debug"])
            .start();
        gauge.wait_ready();
        let service = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: streamgauge, namespace: streamgauge}}, \
             spec: {{type: ExternalName, externalName: localhost, ports: [{{port: {port}}}]}}}}"
        );
        cluster.apply(&service);
        let bundle =
            serde_json::to_string(&k8s_openapi::ByteString(authority.certificate.into_bytes())).unwrap();
        for manifest in of_kind("APIService") {
            let manifest = manifest.replace("port: 6443", &format!("port: {port}"));
            cluster.apply(&manifest.replace("insecureSkipTLSVerify: true", &format!("caBundle: {bundle}")));
        }
        let scene = Scene { gauge, redis, cluster };
        for api in [
            "v1beta1.external.metrics.k8s.io",
            "v1beta1.custom.metrics.k8s.io",
            "v1beta2.custom.metrics.k8s.io",
        ] {
            scene.until(&format!("{api} to be available"), || {
                let service = scene.cluster.object(&["apiservice", api]);
                let conditions = service["status"]["conditions"].clone();
                let is_available = conditions[0]["type"] == "Available" && conditions[0]["status"] == "True";
                if is_available { Ok(()) } else { Err(conditions.to_string()) }
            });
        }
        scene
    }

    /// Waits, and shows the log of streamgauge where it is in vain.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
        wait::until(what, || {
            attempt().map_err(|last| {
                let log = self.gauge.process.stderr.lines();
                let end: Vec<_> = log.iter().rev().take(20).rev().map(String::as_str).collect();
                format!("{last}\n{}", end.join("\n"))
            })
        })
    }

    /// The replicas that a Deployment should have.
    #[track_caller]
    pub fn replicas(&self, deployment: &str) -> u64 {
        let object = self.cluster.object(&["deployment", deployment, "--namespace=shop"]);
        object["spec"]["replicas"].as_u64().unwrap()
    }

    #[track_caller]
    pub fn until_replicas(&self, deployment: &str, expected: u64) {
        self.until(&format!("{deployment} to have {expected} replicas"), || {
            let replicas = self.replicas(deployment);
            let hpa = || self.condition("ScalingActive").1;
            if replicas == expected { Ok(()) } else { Err(format!("{replicas} replicas: {}", hpa())) }
        });
    }

    /// Status and message of a condition of the one HPA.
    #[track_caller]
    pub fn condition(&self, name: &str) -> (String, String) {
        let list = self.cluster.object(&["hpa", "--namespace=shop"]);
        let conditions = list["items"][0]["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let condition =
            conditions.into_iter().find(|condition| condition["type"] == name).unwrap_or(Value::Null);
        let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
        (text("status"), text("message"))
    }

    /// What the API server answers under a path.
    pub fn raw(&self, path: &str) -> Result<Value, String> {
        let text = self.cluster.try_kubectl(&["get", "--raw", path])?;
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    }

    /// A Deployment of workers in the namespace shop.
    #[track_caller]
    pub fn deploy(&self, name: &str, replicas: u64, annotations: &str) {
        self.cluster.apply(&format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}, namespace: shop, annotations: {{{annotations}}}}}, \
             spec: {{replicas: {replicas}, selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, \
             spec: {{containers: [{{name: worker, image: worker}}]}}}}}}}}"
        ));
    }

    /// The names of so many pods of a Deployment. There is no kubelet: the test says that they run, and have for a while.
    #[track_caller]
    pub fn running_pods(&self, deployment: &str, count: usize) -> Vec<String> {
        let pods = self.until(&format!("{count} pods"), || {
            let selector = format!("--selector=app={deployment}");
            let list = self.cluster.object(&["pods", "--namespace=shop", &selector]);
            let items = list["items"].as_array().unwrap().iter();
            let names: Vec<_> =
                items.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect();
            if names.len() == count { Ok(names) } else { Err(format!("{names:?}")) }
        });
        let since = "2026-01-01T00:00:00Z";
        let ready = format!(
            "{{\"status\":{{\"phase\":\"Running\",\"startTime\":\"{since}\",\"conditions\":[{{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"{since}\"}}]}}}}"
        );
        for pod in &pods {
            let of_status = ["--subresource=status", "--type=merge", "--patch", &ready];
            self.cluster.kubectl(&[&["patch", "pod", pod, "--namespace=shop"], &of_status[..]].concat());
        }
        pods
    }

    /// The manifest of the HPA in the document that holds this text, for the namespace shop.
    #[track_caller]
    pub fn apply_hpa_of(&self, text: &str, change: impl Fn(String) -> String) {
        let shown = yaml(&document("docs/kubernetes.md"));
        let hpa = shown
            .into_iter()
            .find(|block| block.contains("kind: HorizontalPodAutoscaler") && block.contains(text));
        let hpa = hpa.unwrap_or_else(|| panic!("no HPA in docs/kubernetes.md has {text:?}"));
        self.cluster.apply(&change(hpa).replace("metadata:\n", "metadata:\n  namespace: shop\n"));
    }

    /// Where the adapter serves.
    pub fn adapter(&self) -> SocketAddr {
        let line = self.gauge.logged("serving the kubernetes adapter").pop().unwrap();
        line["address"].as_str().unwrap().parse().unwrap()
    }
}
