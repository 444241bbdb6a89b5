//! The ways to a server: TCP with TLS and Unix sockets, who one is there, and credentials that are replaced.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::support::{
    exporter::Streamgauge,
    pki::{Authority, Pair},
    redis::{RedisServer, free_port},
};

mod cluster;
mod databases;
mod paths;
pub mod rotation;
mod sentinel;
mod tls;

const LAG: &str = r#"redis_stream_group_lag{stream="orders",group="workers"}"#;

fn fill(redis: &RedisServer) {
    redis.add("orders", 3);
    redis.run(&["XGROUP CREATE orders workers 0"]);
}

/// A server with a TLS port, and the files of both sides. The tests themselves talk to its other port.
pub struct Secured {
    pub redis: RedisServer,
    pub port: u16,
    authority: Authority,
    directory: TempDir,
}

impl Secured {
    /// The certificate that this makes of the authority; and whether clients must show one ("yes" or "no").
    pub fn with(certificate: impl FnOnce(&Authority) -> Pair, clients: &str) -> Secured {
        let (authority, directory, port) = (Authority::new("redis-ca"), TempDir::new().unwrap(), free_port());
        let own = directory.path().join("server");
        fs::create_dir(&own).unwrap();
        let (certificate, key) = certificate(&authority).write(&own);
        let ca = directory.path().join("ca.crt");
        fs::write(&ca, &authority.certificate).unwrap();
        let [certificate, key, ca] = [certificate, key, ca].map(|path| path.to_str().unwrap().to_owned());
        let redis = RedisServer::with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-auth-clients",
            clients,
        ]);
        fill(&redis);
        Secured { redis, port, authority, directory }
    }

    pub fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn ca(&self) -> String {
        self.path("ca.crt").to_str().unwrap().to_owned()
    }
}

/// An exporter whose server can be measured.
#[track_caller]
fn measures(url: &str, arguments: &[&str]) {
    let gauge = Streamgauge::of(url, arguments);
    gauge.metrics().check(&[("redis_up", Some(1.0)), (LAG, Some(3.0))]);
    assert_eq!(
        gauge.metrics().all("streamgauge_poll_errors_total").iter().filter(|s| s.value != 0.0).count(),
        0
    );
}

/// Why a server cannot be measured: the kind, and the words.
#[track_caller]
fn refusal(url: &str, arguments: &[&str], kind: &str) -> String {
    let gauge = Streamgauge::of(url, arguments);
    let metrics = gauge.metrics();
    metrics.check(&[("redis_up", Some(0.0))]);
    let errors = metrics.value(&format!("streamgauge_poll_errors_total{{kind=\"{kind}\"}}"));
    assert!(errors >= Some(1.0), "{}", gauge.process.stderr.text());
    gauge.groups()["servers"][0]["error"].as_str().unwrap().to_owned()
}
