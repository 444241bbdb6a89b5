//! Sentinels with a password, with TLS, and with names in place of addresses.

use std::fs;

use super::*;
use crate::support::{pki::Authority, redis::free_port};

const CONNECTED: &str = "the sentinels can be asked again";

#[test]
fn a_password_and_its_rotation() {
    needs!("redis-server");
    let mut service =
        filled(Service::with(&Setup { servers: SERVERS, password: Some("watch-horse"), ..Setup::default() }));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "watch-horse\n").unwrap();
    let argument = ["--redis.sentinel.password-file", file.to_str().unwrap()];
    let gauge = gauge(&service, &argument);

    let error = refusal(&service.url(), &[], "auth");
    assert!(error.starts_with("no Sentinel says where \"shop\" is: 127.0.0.1:"), "{error}");
    assert!(error.contains("NOAUTH") && error.contains("set redis[].sentinel.password_file"), "{error}");
    let wrong = directory.path().join("wrong");
    fs::write(&wrong, "other-horse").unwrap();
    let error = refusal(&service.url(), &["--redis.sentinel.password-file", wrong.to_str().unwrap()], "auth");
    assert!(
        error.contains("check redis[].sentinel.username and .password") && !error.contains("horse"),
        "{error}"
    );

    // A user of one's own, whose password changes under the exporter: first in the file, then at the Sentinels.
    fs::write(&file, "new-horse\n").unwrap();
    no_poll_failed(&gauge);
    for sentinel in &service.sentinels {
        sentinel.ask::<()>(&["ACL", "SETUSER", "default", ">new-horse", "<watch-horse"]);
    }
    no_poll_failed(&gauge);
    // A connection that is opened now has the new one.
    for place in 0..3 {
        service.sentinels[place].password = Some("new-horse".to_owned());
        service.sentinels[place].ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }
    no_poll_failed(&gauge);
    // The wrong order is an outage of the Sentinels, and none of Redis.
    fs::write(&file, "newest-horse\n").unwrap();
    for sentinel in &service.sentinels {
        sentinel.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }
    wait::until_true("the log to say so", || {
        !gauge.logged("no sentinel can be asked: redis is polled where it was").is_empty()
    });
    no_poll_failed(&gauge);
    fs::write(&file, "new-horse\n").unwrap();
    wait::until_true("the log to say so", || gauge.logged(CONNECTED).len() == 1);
    no_poll_failed(&gauge);
    assert!(!gauge.process.stderr.text().contains("horse"));
}

#[test]
fn tls_to_all() {
    needs!("redis-server");
    let (authority, directory) = (Authority::new("redis-ca"), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.server("127.0.0.1").write(directory.path());
    let ca = directory.path().join("ca.crt");
    fs::write(&ca, &authority.certificate).unwrap();
    let settings = [
        ("tls-cert-file", certificate.to_str().unwrap()),
        ("tls-key-file", key.to_str().unwrap()),
        ("tls-ca-cert-file", ca.to_str().unwrap()),
        ("tls-auth-clients", "no"),
        ("tls-replication", "yes"),
    ];
    let flags: Vec<_> = settings.iter().map(|(name, _)| format!("--{name}")).collect();
    let servers: Vec<_> =
        flags.iter().zip(&settings).flat_map(|(flag, (_, value))| [flag.as_str(), value]).collect();
    let lines: Vec<_> = settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let ports = [(); 6].map(|()| free_port());
    let service = filled(Service::with(&Setup {
        servers: &[SERVERS, &servers].concat(),
        sentinels: &lines,
        tls_ports: Some(ports),
        ..Setup::default()
    }));
    let url = format!("rediss+sentinel://127.0.0.1:{},127.0.0.1:{}/shop", ports[3], ports[4]);
    let trusting = [&LOGIN[..], &["--redis.tls.ca-file", ca.to_str().unwrap()]].concat();
    let gauge = Streamgauge::of(&url, &trusting);
    no_poll_failed(&gauge);
    let new = service.fail_over(0);
    service.servers[new].add("orders", 1);
    gauge.poll().check(&[("redis_up", Some(1.0)), (LAG, Some(4.0))]);

    let error = refusal(&url, &LOGIN, "connect");
    assert!(error.contains("set tls.ca_file"), "{error}");
    let clear = refusal(&url.replace("rediss", "redis"), &[], "connect");
    assert!(clear.contains("if it is a TLS port, write rediss:// in the URL"), "{clear}");
}

#[test]
fn names_in_place_of_addresses() {
    needs!("redis-server");
    let lines = ["sentinel resolve-hostnames yes", "sentinel announce-hostnames yes"].map(str::to_owned);
    let service = filled(Service::with(&Setup {
        servers: &[SERVERS, &["--replica-announce-ip", "localhost"]].concat(),
        sentinels: &lines,
        host: Some("localhost"),
        ..Setup::default()
    }));
    let gauge = gauge(&service, &[]);
    let places = gauge.logged("the sentinels say where redis is");
    assert_eq!(places[0]["address"], format!("localhost:{}", service.ports[0]));
    let new = service.fail_over(0);
    service.servers[new].add("orders", 1);
    gauge.poll().check(&[("redis_up", Some(1.0)), (LAG, Some(4.0))]);
    assert_eq!(
        gauge.logged("the sentinels say where redis is").last().unwrap()["address"],
        format!("localhost:{}", service.ports[new])
    );
}
