//! Certificates that are replaced while the adapter runs, and connections that outlive them.

use super::{Adapter, FRONT_PROXY, USER, adapter_address, refusal};
use crate::support::{
    apiserver::ApiServer,
    exporter::{Launch, Streamgauge},
    https::{Https, runtime},
    pki::{Authority, Pair},
    redis::RedisServer,
    wait,
};

/// The certificate that the server shows.
fn shown(address: std::net::SocketAddr) -> Vec<u8> {
    runtime().block_on(async {
        let stream = Https::new(address, None).connect().await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    })
}

fn der(pair: &Pair) -> Vec<u8> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap().to_vec()
}

#[test]
fn the_servers_certificate_is_read_again() {
    let redis = RedisServer::start();
    let (authority, directory) = (Authority::new("serving-ca"), tempfile::tempdir().unwrap());
    let old = authority.server("streamgauge.monitoring.svc");
    let (certificate, key) = old.write(directory.path());
    let arguments = [
        "--kubernetes.tls-cert-file",
        certificate.to_str().unwrap(),
        "--kubernetes.tls-private-key-file",
        key.to_str().unwrap(),
    ];
    let adapter = Adapter::with_file(&format!("redis: [{{name: main, url: '{}'}}]", redis.url()), &arguments);
    assert_eq!(shown(adapter.address), der(&old));

    // A key that does not fit, as in the middle of a renewal: the old pair stays, and the log says so once.
    let new = authority.server("streamgauge.monitoring.svc");
    std::fs::write(&key, &new.key).unwrap();
    let said = wait::until("the log to say so", || {
        let warnings = adapter.gauge.logged("file has changed and is of no use: what was read before stays");
        warnings.into_iter().next().ok_or_else(|| adapter.gauge.process.stderr.text())
    });
    assert!(said["error"].as_str().unwrap().contains("cannot be used with the key"), "{said}");
    assert!(!said.to_string().contains("PRIVATE KEY"), "{said}");
    assert_eq!(shown(adapter.address), der(&old));

    new.write(directory.path());
    wait::until_true("the new certificate to be shown", || shown(adapter.address) == der(&new));
    assert_eq!(adapter.get("/apis").status, 200);
}

#[test]
fn the_front_proxys_authority_is_read_again() {
    let redis = RedisServer::start();
    let adapter = Adapter::of(&redis.url());
    let next = Authority::new("front-proxy-ca-2");
    let next_client = Https::new(adapter.address, Some(&next.client(FRONT_PROXY)));
    refusal(&next_client.get("/apis", &[USER]), 401);

    // Both, as in a rotation; then the new one alone.
    let ca = adapter.directory.path().join("ca.crt");
    std::fs::write(&ca, adapter.authority.certificate.clone() + &next.certificate).unwrap();
    wait::until_true("the next authority to be believed", || next_client.get("/apis", &[USER]).status == 200);
    assert_eq!(adapter.get("/apis").status, 200);
    std::fs::write(&ca, &next.certificate).unwrap();
    wait::until_true("the old authority to be believed no more", || adapter.get("/apis").status == 401);
    assert_eq!(next_client.get("/apis", &[USER]).status, 200);

    // What is no certificate changes nothing.
    std::fs::write(&ca, "nonsense").unwrap();
    wait::until_true("the log to say so", || {
        !adapter.gauge.logged("file has changed and is of no use: what was read before stays").is_empty()
    });
    assert_eq!(next_client.get("/apis", &[USER]).status, 200);
}

/// In a cluster, the API server itself says whom to believe.
#[test]
fn the_configmap_is_followed() {
    let (redis, cluster) = (RedisServer::start(), ApiServer::start());
    let first = Authority::new("front-proxy-ca");
    let kubeconfig = cluster.kubeconfig();
    let gauge = Launch::new("serve")
        .args(&["--redis.url", &redis.url(), "--kubernetes.listen-address", "127.0.0.1:0"])
        .args(&["--kubernetes.kubeconfig", kubeconfig.to_str().unwrap()])
        .start();
    gauge.wait_ready();
    let address = adapter_address(&gauge);
    let client = |authority: &Authority, name: &str| Https::new(address, Some(&authority.client(name)));
    let (own, named_otherwise) = (client(&first, FRONT_PROXY), client(&first, "other"));

    // Nobody is believed before it is known whom to believe, and the probe says so.
    let ready = Https::new(address, None).get("/readyz", &[]);
    assert_eq!((ready.status, ready.text()), (503, "waiting for the CA of the front proxy\n"));
    refusal(&own.get("/apis", &[USER]), 503);

    let say = |ca: &str, names: &str, user_headers: &str| {
        cluster.set_front_proxy(&[
            ("client-ca-file", "not ours"),
            ("requestheader-client-ca-file", ca),
            ("requestheader-allowed-names", names),
            ("requestheader-username-headers", user_headers),
            ("requestheader-group-headers", "[\"X-Remote-Group\"]"),
        ]);
    };
    let answers = |client: &Https, header: &str, code: u16| {
        wait::until(&format!("{code}"), || match client.get("/apis", &[(header, "u")]).status {
            status if status == code => Ok(()),
            status => Err(format!("{status}: {}", gauge.process.stderr.text())),
        });
    };
    say(&first.certificate, "[\"front-proxy-client\"]", "[\"X-Remote-User\"]");
    answers(&own, "X-Remote-User", 200);
    answers(&named_otherwise, "X-Remote-User", 401);
    // Any name; another header.
    say(&first.certificate, "[]", "[\"X-Proxy-User\"]");
    answers(&named_otherwise, "X-Proxy-User", 200);
    answers(&own, "X-Remote-User", 401);
    // Another authority.
    let second = Authority::new("front-proxy-ca");
    say(&second.certificate, "[]", "[\"X-Remote-User\"]");
    answers(&client(&second, "any"), "X-Remote-User", 200);
    answers(&own, "X-Remote-User", 401);
    // Gone or malformed, it changes nothing.
    say("nonsense", "[]", "[\"X-Remote-User\"]");
    cluster.delete_front_proxy();
    answers(&client(&second, "any"), "X-Remote-User", 200);
    assert_eq!(Https::new(address, None).get("/readyz", &[]).status, 200);
}

#[test]
fn a_start_that_cannot_succeed_says_why() {
    let (redis, directory) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new("ca");
    let (certificate, _) = authority.server("a").write(directory.path());
    let other_key = directory.path().join("other.key");
    std::fs::write(&other_key, authority.server("b").key).unwrap();
    let (certificate, other_key) = (certificate.to_str().unwrap(), other_key.to_str().unwrap());
    // A key whose line breaks were lost is not written anywhere.
    let one_line = directory.path().join("one-line.key");
    let key = authority.server("c").key;
    std::fs::write(&one_line, key.replace('\n', "")).unwrap();
    let one_line = one_line.to_str().unwrap();
    let missing = directory.path().join("missing");
    let missing = missing.to_str().unwrap();
    for (arguments, expected) in [
        (
            vec!["--kubernetes.tls-cert-file", certificate, "--kubernetes.tls-private-key-file", other_key],
            "cannot be used with the key",
        ),
        (
            vec!["--kubernetes.tls-cert-file", certificate, "--kubernetes.tls-private-key-file", one_line],
            "one-line.key is not PEM",
        ),
        (vec!["--kubernetes.requestheader-client-ca-file", other_key], "holds no certificate"),
        (vec!["--kubernetes.kubeconfig", missing], "missing"),
        (vec![], "kubernetes.requestheader_client_ca_file"),
    ] {
        let output = Launch::new("serve")
            .args(&["--redis.url", &redis.url(), "--kubernetes.listen-address", "127.0.0.1:0"])
            .args(&arguments)
            .output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains("80, 82, 73") && !said.contains(key.lines().nth(1).unwrap()), "{said}");
    }
}

/// The adapter is not there unless it is asked for.
#[test]
fn off_by_default() {
    let redis = RedisServer::start();
    let gauge = Streamgauge::of(&redis.url(), &[]);
    assert!(gauge.logged("serving the kubernetes adapter").is_empty());
    assert!(gauge.metrics().all("streamgauge_adapter_requests_total").is_empty());
}
