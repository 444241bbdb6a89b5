//! A control plane of one's own: etcd, kube-apiserver and kube-controller-manager on loopback, ended on drop. There is no
//! kubelet: pods stay as they are until a test says that they run.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    pki::{Authority, Pair, signing_keys},
    process::{self, Process},
    redis::free_port,
    wait,
};

/// The controllers that the tests need.
const CONTROLLERS: [&str; 6] = [
    "horizontal-pod-autoscaler-controller",
    "deployment-controller",
    "replicaset-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "clusterrole-aggregation-controller",
];

/// A running control plane.
pub struct ControlPlane {
    // Dropped in this order: whoever talks to another goes first.
    _controllers: Process,
    pub api_server: Process,
    _etcd: Process,
    url: String,
    ca: String,
    programs: PathBuf,
    admin: PathBuf,
    directory: TempDir,
}

impl ControlPlane {
    pub fn start() -> ControlPlane {
        let programs = env::var_os("STREAMGAUGE_TEST_KUBERNETES").map(PathBuf::from);
        let programs = programs.expect("STREAMGAUGE_TEST_KUBERNETES is not set: run make test-kubernetes");
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let write = |name: &str, text: &str| -> String {
            fs::write(at(name), text).unwrap();
            at(name).to_str().unwrap().to_owned()
        };
        let pair = |name: &str, pair: &Pair| {
            (write(&format!("{name}.crt"), &pair.certificate), write(&format!("{name}.key"), &pair.key))
        };
        let (ca, front_proxy) = (Authority::new("kubernetes-ca"), Authority::new("front-proxy-ca"));
        let (ca_file, front_proxy_file) =
            (write("ca.crt", &ca.certificate), write("front-proxy-ca.crt", &front_proxy.certificate));
        let (serving, serving_key) = pair("apiserver", &ca.server("127.0.0.1"));
        let (proxy, proxy_key) = pair("front-proxy", &front_proxy.client("front-proxy-client"));
        let (signing, public) = signing_keys();
        let (signing, public) = (write("sa.key", &signing), write("sa.pub", &public));

        let [etcd_port, peer_port, port] = [free_port(), free_port(), free_port()];
        let (etcd_url, peer_url) =
            (format!("http://127.0.0.1:{etcd_port}"), format!("http://127.0.0.1:{peer_port}"));
        let url = format!("https://127.0.0.1:{port}");
        let start = |program: &str, arguments: &[String]| {
            let mut command = Command::new(programs.join(program));
            command.args(arguments).current_dir(directory.path());
            Process::spawn(command)
        };
        let etcd = start(
            "etcd",
            &[
                format!("--data-dir={}", at("etcd").display()),
                "--unsafe-no-fsync=true".into(),
                "--log-level=warn".into(),
                format!("--listen-client-urls={etcd_url}"),
                format!("--advertise-client-urls={etcd_url}"),
                format!("--listen-peer-urls={peer_url}"),
                format!("--initial-advertise-peer-urls={peer_url}"),
                format!("--initial-cluster=default={peer_url}"),
            ],
        );
        wait::until("etcd to listen", || {
            std::net::TcpStream::connect(("127.0.0.1", etcd_port))
                .map_err(|error| format!("{error}: {}", etcd.stderr.text()))
        });
        let api_server = start(
            "kube-apiserver",
            &[
                format!("--etcd-servers={etcd_url}"),
                "--bind-address=127.0.0.1".into(),
                format!("--secure-port={port}"),
                // Loopback may not stand in the endpoints of the service kubernetes, and nothing here reads them.
                "--advertise-address=192.0.2.1".into(),
                "--endpoint-reconciler-type=none".into(),
                format!("--cert-dir={}", directory.path().display()),
                format!("--tls-cert-file={serving}"),
                format!("--tls-private-key-file={serving_key}"),
                format!("--client-ca-file={ca_file}"),
                "--service-account-issuer=https://kubernetes.default.svc".into(),
                format!("--service-account-key-file={public}"),
                format!("--service-account-signing-key-file={signing}"),
                "--service-cluster-ip-range=10.96.0.0/16".into(),
                format!("--requestheader-client-ca-file={front_proxy_file}"),
                "--requestheader-allowed-names=front-proxy-client".into(),
                "--requestheader-username-headers=X-Remote-User".into(),
                "--requestheader-group-headers=X-Remote-Group".into(),
                "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
                format!("--proxy-client-cert-file={proxy}"),
                format!("--proxy-client-key-file={proxy_key}"),
                "--authorization-mode=RBAC".into(),
                "--feature-gates=HPAScaleToZero=true".into(),
            ],
        );
        let kubeconfig = |name: &str, pair: &Pair| {
            let client = serde_json::json!({"client-certificate-data": base64(&pair.certificate), "client-key-data": base64(&pair.key)});
            PathBuf::from(write(name, &kubeconfig(&url, &ca.certificate, &client)))
        };
        let admin = kubeconfig("admin.kubeconfig", &ca.member("admin", "system:masters"));
        let manager = kubeconfig("manager.kubeconfig", &ca.client("system:kube-controller-manager"));
        // The controllers give up after ten seconds without an API server, which a busy machine takes longer to start.
        wait::until("the API server to be ready", || {
            kubectl(&programs, &admin, directory.path(), &["get", "--raw", "/readyz"], "")
        });
        let controllers = start(
            "kube-controller-manager",
            &[
                format!("--kubeconfig={}", manager.display()),
                "--use-service-account-credentials=true".into(),
                format!("--service-account-private-key-file={signing}"),
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
                format!("--controllers={}", CONTROLLERS.join(",")),
                "--feature-gates=HPAScaleToZero=true".into(),
                "--horizontal-pod-autoscaler-sync-period=1s".into(),
                "--horizontal-pod-autoscaler-downscale-stabilization=1s".into(),
                "--horizontal-pod-autoscaler-initial-readiness-delay=1s".into(),
                "--horizontal-pod-autoscaler-cpu-initialization-period=1s".into(),
            ],
        );
        let (ca, programs) = (ca.certificate, programs);
        let control_plane = ControlPlane {
            _controllers: controllers,
            api_server,
            _etcd: etcd,
            url,
            ca,
            programs,
            admin,
            directory,
        };
        // The controllers work once this account is there.
        wait::until("the control plane to work", || {
            control_plane.try_kubectl(&["get", "serviceaccount", "default", "--namespace=default"])
        });
        control_plane
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A kubeconfig file with a token of a service account.
    pub fn kubeconfig_of(&self, namespace: &str, account: &str) -> PathBuf {
        let token = self.kubectl(&["create", "token", account, "--namespace", namespace]);
        let path = self.directory.path().join(format!("{namespace}-{account}.kubeconfig"));
        fs::write(&path, kubeconfig(&self.url, &self.ca, &serde_json::json!({"token": token.trim()})))
            .unwrap();
        path
    }

    /// Runs kubectl as the cluster's administrator; what it writes.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.kubectl_with(arguments, "")
    }

    /// The same, with this on its standard input.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        kubectl(&self.programs, &self.admin, self.directory.path(), arguments, input)
    }

    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    /// Creates or changes what a manifest describes.
    #[track_caller]
    pub fn apply(&self, manifest: &str) {
        // Without the mark of YAML, a text that begins with a brace is taken for JSON.
        self.kubectl_with(&["apply", "-f", "-"], &format!("---\n{manifest}"))
            .unwrap_or_else(|error| panic!("{error}: {manifest}"));
    }

    /// One object, as it is now.
    #[track_caller]
    pub fn object(&self, arguments: &[&str]) -> Value {
        let text = self.kubectl(&[&["get", "--output=json"], arguments].concat());
        serde_json::from_str(&text).unwrap()
    }
}

fn kubectl(
    programs: &Path,
    kubeconfig: &Path,
    home: &Path,
    arguments: &[&str],
    input: &str,
) -> Result<String, String> {
    let mut command = Command::new(programs.join("kubectl"));
    command.arg("--kubeconfig").arg(kubeconfig).args(arguments).env("HOME", home);
    let output = process::run(command, input.as_bytes());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A kubeconfig for one user. JSON is YAML.
fn kubeconfig(url: &str, ca: &str, user: &Value) -> String {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": url, "certificate-authority-data": base64(ca)}}],
        "users": [{"name": "it", "user": user}],
    })
    .to_string()
}

/// Base 64, as kubeconfig files have their certificates.
fn base64(text: &str) -> Value {
    serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap()
}
