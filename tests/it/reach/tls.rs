//! TLS: who is believed by whom, and what is told where somebody is not.

use super::{LAG, Secured, fill, measures, refusal};
use crate::support::{
    exporter::{Launch, Streamgauge},
    pki::Authority,
    redis::RedisServer,
    tool::needs,
};

/// Every refusal begins with the place; this is the rest of it.
#[track_caller]
fn why(secured: &Secured, arguments: &[&str]) -> String {
    let said = refusal(&secured.url(), arguments, "connect");
    let place = format!("cannot connect to 127.0.0.1:{}: ", secured.port);
    said.strip_prefix(&place).unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn the_servers_certificate_is_verified() {
    needs!("redis-server");
    let secured = Secured::with(|authority| authority.server("127.0.0.1"), "no");
    let ca = secured.ca();
    measures(&secured.url(), &["--redis.tls.ca-file", &ca]);
    measures(&format!("{}?protocol=resp3", secured.url()), &["--redis.tls.ca-file", &ca]);

    let other = secured.path("other.crt");
    std::fs::write(&other, Authority::new("other-ca").certificate).unwrap();
    let other = other.to_str().unwrap();
    assert_eq!(
        why(&secured, &["--redis.tls.ca-file", other]),
        format!(
            "invalid peer certificate: UnknownIssuer: no CA in {other} (tls.ca_file) has signed the server's certificate"
        )
    );
    // Nobody but the test knows its CA.
    let said = why(&secured, &[]);
    assert!(said.contains("set tls.ca_file"), "{said}");

    let said = why(&secured, &["--redis.tls.ca-file", &ca, "--redis.tls.server-name", "redis.shop.svc"]);
    assert!(said.starts_with("invalid peer certificate: certificate not valid for name"), "{said}");
    assert!(said.ends_with(": set tls.server_name to a name that the certificate is for"), "{said}");

    // Believed, whatever it shows; for who asks for that.
    measures(&secured.url(), &["--redis.tls.insecure-skip-verify", "true"]);

    let gauge = Streamgauge::of(&secured.url(), &["--redis.tls.ca-file", &ca]);
    secured.redis.add("orders", 2);
    gauge.until(LAG, Some(5.0));
}

/// Without a CA of one's own, those of the system are believed; a variable says where they are.
#[test]
fn the_cas_of_the_system() {
    needs!("redis-server");
    let secured = Secured::with(|authority| authority.server("127.0.0.1"), "no");
    let url = secured.url();
    let with = |file: &str| {
        let launch = Launch::new("serve").args(&["--redis.url", &url]).env("SSL_CERT_FILE", file);
        let gauge = launch.env("SSL_CERT_DIR", "").start();
        gauge.wait_ready();
        (gauge.metrics().value("redis_up"), gauge.groups()["servers"][0]["error"].clone())
    };
    assert_eq!(with(&secured.ca()).0, Some(1.0));
    let (up, error) = with("/nonexistent");
    assert_eq!(up, Some(0.0));
    let expected = ": the system has no CA certificates: install them, or set tls.ca_file";
    assert!(error.as_str().unwrap().ends_with(expected), "{error}");
}

#[test]
fn the_name_may_be_another_than_the_host() {
    needs!("redis-server");
    let secured = Secured::with(|authority| authority.server("redis.shop.svc"), "no");
    let ca = secured.ca();
    measures(&secured.url(), &["--redis.tls.ca-file", &ca, "--redis.tls.server-name", "redis.shop.svc"]);
    let said = why(&secured, &["--redis.tls.ca-file", &ca]);
    assert!(said.contains("set tls.server_name"), "{said}");
}

#[test]
fn an_expired_certificate() {
    needs!("redis-server");
    let secured = Secured::with(|authority| authority.expired_server("127.0.0.1"), "no");
    let said = why(&secured, &["--redis.tls.ca-file", &secured.ca()]);
    assert!(said.starts_with("invalid peer certificate: certificate expired"), "{said}");
    assert!(said.ends_with(": the server's certificate must be renewed"), "{said}");
}

#[test]
fn a_client_certificate_is_required() {
    needs!("redis-server");
    let secured = Secured::with(|authority| authority.server("127.0.0.1"), "yes");
    let (ca, own) = (secured.ca(), secured.path("own"));
    std::fs::create_dir(&own).unwrap();
    let (certificate, key) = secured.authority.client("streamgauge").write(&own);
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let arguments =
        ["--redis.tls.ca-file", &ca, "--redis.tls.cert-file", certificate, "--redis.tls.key-file", key];
    measures(&secured.url(), &arguments);

    let said = why(&secured, &["--redis.tls.ca-file", &ca]);
    assert!(
        said.ends_with(": if the server asks for a client certificate, set tls.cert_file and tls.key_file"),
        "{said}"
    );
    let not_accepted =
        format!(": does the server not accept the certificate in {certificate} (tls.cert_file)?");
    for pair in [secured.authority.expired_client("streamgauge"), Authority::new("x").client("streamgauge")] {
        pair.write(&own);
        let said = why(&secured, &arguments);
        assert!(said.ends_with(&not_accepted), "{said}");
    }
    // The key of another certificate.
    std::fs::write(key, secured.authority.client("other").key).unwrap();
    let said = why(&secured, &arguments);
    let unusable = format!("the certificate {certificate} cannot be used with the key {key}: ");
    assert!(said.starts_with(&unusable) && !said.contains("PRIVATE KEY"), "{said}");
    std::fs::write(certificate, "nonsense").unwrap();
    assert_eq!(
        why(&secured, &arguments),
        format!("{certificate} holds no certificate (in PEM form, -----BEGIN CERTIFICATE-----)")
    );
}

#[test]
fn tls_with_a_server_that_has_none() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill(&redis);
    let url = redis.url().replace("redis://", "rediss://");
    let said = refusal(&url, &["--redis.timeout", "1s"], "timeout");
    assert!(said.ends_with(": no answer within 1s: does it hang, or is this not its TLS port?"), "{said}");
}

#[test]
fn no_tls_with_a_server_that_wants_it() {
    needs!("redis-server");
    let secured = Secured::with(|authority| authority.server("127.0.0.1"), "no");
    let said = refusal(&secured.url().replace("rediss://", "redis://"), &[], "connect");
    assert!(said.ends_with(": if it is a TLS port, write rediss:// in the URL"), "{said}");
}

/// The certificate is not verified: who reads the log is told.
#[test]
fn unverified_is_logged() {
    needs!("redis-server");
    let secured = Secured::with(|authority| authority.server("127.0.0.1"), "no");
    let gauge = Streamgauge::of(&secured.url(), &["--redis.tls.insecure-skip-verify", "true"]);
    assert_eq!(gauge.logged("the certificate of redis is not verified").len(), 1);
}
