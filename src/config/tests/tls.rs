//! TLS to a server, and credentials in files: what fits together, and what is told where it does not.

use super::*;

/// A directory with files to name, and a launch that reaches a server over TLS.
fn files() -> (TempDir, [String; 3]) {
    let directory = TempDir::new().unwrap();
    let files = ["ca", "cert", "key"].map(|name| {
        let path = directory.path().join(name);
        fs::write(&path, name).unwrap();
        path.to_str().unwrap().to_owned()
    });
    (directory, files)
}

#[test]
fn all_of_it() {
    let (_directory, [ca, cert, key]) = files();
    let server = written()
        .flag("redis.url", &["rediss://10.0.0.1:7000"])
        .flag("redis.tls.ca-file", &[&ca])
        .flag("redis.tls.cert-file", &[&cert])
        .flag("redis.tls.key-file", &[&key])
        .flag("redis.tls.server-name", &["redis.shop.svc"])
        .server();
    let tls = server.tls.unwrap();
    let client = TlsFiles { certificate: cert.into(), private_key: key.into() };
    assert_eq!((tls.name_of("10.0.0.1").unwrap().to_str(), tls.verify), ("redis.shop.svc".into(), true));
    assert_eq!((tls.ca_file, tls.client), (Some(ca.into()), Some(client)));

    let server = written().file("redis: [{url: 'rediss://h', tls: {insecure_skip_verify: true}}]").server();
    assert!(matches!(server.tls, Some(Tls { verify: false, ca_file: None, .. })));
}

#[test]
fn what_does_not_fit_together() {
    const NO_TLS: &str =
        "is for TLS, which the URL does not ask for: write rediss:// there, or leave this out";
    let (_directory, [ca, cert, _]) = files();
    let tls = || written().flag("redis.url", &["rediss://h"]);
    for (written, expected) in [
        (written().flag("redis.tls.ca-file", &[&ca]), vec![format!("--redis.tls.ca-file: {NO_TLS}")]),
        (
            written().file("redis:\n- url: unix:///s\n  tls: {server_name: h, insecure_skip_verify: false}"),
            vec![
                format!("streamgauge.yaml:3:22: redis[0].tls.server_name: {NO_TLS}"),
                format!("streamgauge.yaml:3:47: redis[0].tls.insecure_skip_verify: {NO_TLS}"),
            ],
        ),
        (
            tls().flag("redis.tls.cert-file", &[&cert]),
            vec!["--redis.tls.cert-file: needs tls.key_file besides: give both or neither".into()],
        ),
        (
            tls().flag("redis.tls.key-file", &[&cert]),
            vec!["--redis.tls.key-file: needs tls.cert_file besides: give both or neither".into()],
        ),
        (
            tls().flag("redis.tls.insecure-skip-verify", &["true"]).flag("redis.tls.ca-file", &[&ca]),
            vec![
                "--redis.tls.ca-file: nothing is verified with tls.insecure_skip_verify: leave one out"
                    .into(),
            ],
        ),
        (
            tls().flag("redis.tls.ca-file", &["/nonexistent"]),
            vec![
                "--redis.tls.ca-file: cannot read /nonexistent: No such file or directory (os error 2)"
                    .into(),
            ],
        ),
        (
            tls().flag("redis.tls.server-name", &["a b"]),
            vec!["--redis.tls.server-name: expected a DNS name or an IP address, found \"a b\"".into()],
        ),
        (
            written().flag("redis.url", &["rediss://a..b"]),
            vec!["--redis.url: the host is no name that a certificate can have: set tls.server_name".into()],
        ),
        // With a URL that is wrong, nobody knows what fits to it.
        (
            written().flag("redis.url", &["rediss://h/x"]).flag("redis.tls.ca-file", &[&ca]),
            vec![
                "--redis.url: the path must be the number of a database, 0 to 65535, as in redis://host/0"
                    .into(),
            ],
        ),
    ] {
        assert_eq!(written.problems(), expected);
    }
}

#[test]
fn a_username_in_a_file() {
    let (_directory, [file, ..]) = files();
    let server = written().flag("redis.username-file", &[&file]).variable("REDIS_USER", "v").server();
    assert_eq!(username(&server).as_deref(), Some("ca"));
    const TWICE: &str = "--redis.username-file: there is a username besides the file: leave one out";
    for written in [written().flag("redis.url", &["redis://u@h"]), written().flag("redis.username", &["u"])] {
        assert_eq!(written.flag("redis.username-file", &[&file]).problems(), [TWICE]);
    }
}
