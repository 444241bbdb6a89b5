//! The Kubernetes adapter, as the API server's aggregator and the HPA controller use it.

use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    exporter::{Launch, Streamgauge},
    http::Answer,
    https::Https,
    pki::Authority,
    wait,
};

mod cluster;
mod custom;
mod documents;
mod external;
mod hostile;
mod hpa;
mod limited;
pub mod manifests;
mod reload;
mod replay;
mod rotation;

pub const EXTERNAL: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces";
pub const CUSTOM: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces";

/// Name on the certificate of the front proxy.
const FRONT_PROXY: &str = "front-proxy-client";
/// What the aggregator says of the user: without it, nobody has been authenticated.
pub const USER: (&str, &str) = ("X-Remote-User", "system:kube-controller-manager");

/// An exporter whose adapter believes an authority of the test.
pub struct Adapter {
    pub gauge: Streamgauge,
    address: SocketAddr,
    authority: Authority,
    pub client: Https,
    /// Where its files are.
    directory: TempDir,
}

impl Adapter {
    /// With this configuration file, to which the adapter's own settings are added by flags.
    #[track_caller]
    pub fn with_file(yaml: &str, arguments: &[&str]) -> Adapter {
        let (authority, directory) = (Authority::new("front-proxy-ca"), tempfile::tempdir().unwrap());
        let (file, ca) = (directory.path().join("streamgauge.yaml"), directory.path().join("ca.crt"));
        std::fs::write(&file, yaml).unwrap();
        std::fs::write(&ca, &authority.certificate).unwrap();
        let gauge = Launch::new("serve")
            .args(&["--config.file", file.to_str().unwrap()])
            .args(&["--kubernetes.listen-address", "127.0.0.1:0"])
            .args(&["--kubernetes.requestheader-client-ca-file", ca.to_str().unwrap()])
            .args(&["--kubernetes.requestheader-allowed-names", FRONT_PROXY])
            .args(arguments)
            .start();
        gauge.wait_ready();
        let address = adapter_address(&gauge);
        let client = Https::new(address, Some(&authority.client(FRONT_PROXY)));
        Adapter { gauge, address, authority, client, directory }
    }

    /// Of one server, named main.
    #[track_caller]
    fn of(url: &str) -> Adapter {
        Adapter::with_file(&format!("redis: [{{name: main, url: '{url}'}}]"), &[])
    }

    /// A request of the API server for a user.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.client.get(path, &[USER])
    }

    /// The numbers of an answer that succeeds, as they are written.
    #[track_caller]
    pub fn values(&self, path: &str) -> Vec<String> {
        values(&self.get(path))
    }

    /// The message of an answer that is a `Status` with this code.
    #[track_caller]
    pub fn refusal(&self, path: &str, code: u16) -> String {
        refusal(&self.get(path), code)
    }

    /// A poll that began after this call has ended.
    #[track_caller]
    pub fn poll(&self) {
        self.gauge.poll();
    }
}

/// Where the adapter serves, by its log.
#[track_caller]
fn adapter_address(gauge: &Streamgauge) -> SocketAddr {
    wait::until("the adapter to serve", || {
        let line = gauge.logged("serving the kubernetes adapter").pop();
        let address = line.and_then(|line| line["address"].as_str().map(str::to_owned));
        address.ok_or_else(|| gauge.process.stderr.text())
    })
    .parse()
    .unwrap()
}

#[track_caller]
fn values(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let items = answer.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["value"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn refusal(answer: &Answer, code: u16) -> String {
    let status: Value = answer.json();
    assert_eq!(
        (answer.status, &status["kind"], &status["code"]),
        (code, &"Status".into(), &code.into()),
        "{status}"
    );
    assert_eq!(status["status"], "Failure");
    let reason = match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        503 => "ServiceUnavailable",
        other => panic!("an unexpected code: {other}"),
    };
    assert_eq!(status["reason"], reason);
    status["message"].as_str().unwrap().to_owned()
}
