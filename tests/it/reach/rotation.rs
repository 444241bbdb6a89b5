//! Credentials that are replaced while the exporter runs: no poll fails, and nothing that was proved is forgotten.

use std::{collections::BTreeSet, fs, path::Path};

use super::{Secured, fill};
use crate::support::{
    exporter::Streamgauge, pki::Authority, redis::RedisServer, samples::Samples, tool::needs, wait,
};

pub const READ: &str = "streamgauge_lag_entries_read_total";
pub const CHANGED: &str = "credentials have changed: a new connection is in use";
const OF_NO_USE: &str =
    "credentials have changed and are of no use: the connection goes on with those before";

/// The connections of a user.
pub fn clients(redis: &RedisServer, user: &str) -> BTreeSet<String> {
    let list: String = redis.ask(&["CLIENT", "LIST"]);
    let of_user = format!(" user={user} ");
    let lines = list.lines().filter(|line| line.contains(&of_user));
    lines.map(|line| line.split(' ').next().unwrap().trim_start_matches("id=").to_owned()).collect()
}

/// The one connection that a user has, once it is none of these.
#[track_caller]
pub fn one_client_besides(redis: &RedisServer, user: &str, others: &[&str]) -> String {
    wait::until("one other connection", || {
        let now = clients(redis, user);
        match now.first() {
            Some(id) if now.len() == 1 && !others.contains(&id.as_str()) => Ok(id.clone()),
            _ => Err(format!("{now:?}")),
        }
    })
}

#[track_caller]
pub fn no_poll_failed(gauge: &Streamgauge) -> Samples {
    let metrics = gauge.poll();
    let failed: Vec<_> = metrics
        .all("streamgauge_poll_errors_total")
        .into_iter()
        .filter(|sample| sample.value != 0.0)
        .collect();
    assert!(failed.is_empty(), "{failed:?}\n{}", gauge.process.stderr.text());
    metrics.check(&[("redis_up", Some(1.0))]);
    metrics
}

/// A lag that only memory knows exactly: a deletion hides what the counters would tell, and counting takes several polls.
pub fn fill_for_memory(redis: &RedisServer) {
    let many = "for i = 1, 1000 do redis.call('XADD', 'orders', i .. '-0', 'n', i) end";
    redis.ask::<()>(&["EVAL", many, "0"]);
    redis.run(&["XDEL orders 700-0", "XGROUP CREATE orders workers 500-0"]);
}

pub const LAG: f64 = 499.0;

#[track_caller]
pub fn exact(gauge: &Streamgauge) -> f64 {
    wait::until("the lag to be counted", || {
        let metrics = gauge.metrics();
        let bounded = metrics.value(r#"redis_stream_group_lag_source{source="bounded"}"#);
        match (metrics.value("redis_stream_group_lag"), bounded) {
            (Some(LAG), None) => Ok(metrics.value(READ).unwrap()),
            other => Err(format!("{other:?}")),
        }
    })
}

#[test]
fn a_password() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill_for_memory(&redis);
    redis.run(&["ACL SETUSER gauge on >old-horse >new-horse ~* +@all"]);
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    fs::write(&password, "old-horse\n").unwrap();
    let gauge = Streamgauge::of(
        &redis.url(),
        &["--redis.username", "gauge", "--redis.password-file", password.to_str().unwrap()],
    );
    let read = exact(&gauge);
    assert!(read > 300.0, "counting was no work: the test proves nothing");
    let first = one_client_besides(&redis, "gauge", &[]);

    // A wrong one changes nothing, however long it stands there; it is tried once.
    fs::write(&password, "wrong-horse\n").unwrap();
    wait::until_true("the log to say so", || !gauge.logged(OF_NO_USE).is_empty());
    no_poll_failed(&gauge);
    assert_eq!(one_client_besides(&redis, "gauge", &[]), first);
    let said = &gauge.logged(OF_NO_USE);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0]["reason"].as_str().unwrap().contains(": check the username and the password"),
        "{said:?}"
    );

    fs::write(&password, "new-horse\n").unwrap();
    let second = one_client_besides(&redis, "gauge", &[&first]);
    assert_eq!(gauge.logged(CHANGED).len(), 1);
    redis.run(&["ACL SETUSER gauge <old-horse"]);
    assert_eq!(redis.ask::<u64>(&["CLIENT", "KILL", "ID", &first]), 0, "it is closed already");
    let metrics = no_poll_failed(&gauge);
    assert_eq!(one_client_besides(&redis, "gauge", &[]), second);
    // Nothing was counted anew.
    assert_eq!((exact(&gauge), metrics.value(READ)), (read, Some(read)));

    // A file that is gone is no reason to stop either.
    fs::remove_file(&password).unwrap();
    wait::until_true("the log to say so", || gauge.logged(OF_NO_USE).len() == 2);
    no_poll_failed(&gauge);
    assert!(!gauge.process.stderr.text().contains("horse"));

    // Nor does it count anew after a connection that breaks: the same process answers.
    fs::write(&password, "new-horse\n").unwrap();
    redis.run(&[&format!("CLIENT KILL ID {second}")]);
    one_client_besides(&redis, "gauge", &[&second]);
    gauge.poll();
    assert_eq!(exact(&gauge), read);

    // The measure of all this: what may be other data is counted anew.
    redis.run(&["REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"]);
    wait::until_true("the lag to be counted anew", || exact(&gauge) > read + 300.0);
}

#[test]
fn a_user() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill(&redis);
    redis.run(&["ACL SETUSER one on >p1 ~* +@all", "ACL SETUSER two on >p2 ~* +@all"]);
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (user, password) = (write("user", "one"), write("password", "p1"));
    let gauge =
        Streamgauge::of(&redis.url(), &["--redis.username-file", &user, "--redis.password-file", &password]);
    one_client_besides(&redis, "one", &[]);
    // One after the other, as it may be seen of a mounted Secret.
    write("user", "two");
    wait::until_true("the log to say so", || !gauge.logged(OF_NO_USE).is_empty());
    write("password", "p2");
    one_client_besides(&redis, "two", &[]);
    redis.run(&["ACL DELUSER one"]);
    no_poll_failed(&gauge);
    assert!(clients(&redis, "one").is_empty());
}

#[test]
fn certificates() {
    needs!("redis-server");
    if RedisServer::start().version() < (7, 0) {
        return; // It cannot be told to take a certificate and its key at once.
    }
    let secured = Secured::with(|authority| authority.server("127.0.0.1"), "yes");
    let (redis, own, next) = (&secured.redis, secured.path("own"), Authority::new("next-ca"));
    fs::create_dir(&own).unwrap();
    redis.run(&["ACL SETUSER gauge on nopass ~* +@all"]);
    let (certificate, key) = secured.authority.client("streamgauge").write(&own);
    let ca = secured.ca();
    let gauge = Streamgauge::of(
        &secured.url(),
        &[
            "--redis.username",
            "gauge",
            "--redis.tls.ca-file",
            &ca,
            "--redis.tls.cert-file",
            certificate.to_str().unwrap(),
            "--redis.tls.key-file",
            key.to_str().unwrap(),
        ],
    );
    let first = one_client_besides(redis, "gauge", &[]);

    // One that the server does not accept yet is of no use.
    next.client("streamgauge").write(&own);
    wait::until_true("the log to say so", || !gauge.logged(OF_NO_USE).is_empty());
    no_poll_failed(&gauge);
    assert_eq!(one_client_besides(redis, "gauge", &[]), first);

    // Both sides believe both; then the server shows the next one, and nobody believes the first any more.
    let both = secured.authority.certificate.clone() + &next.certificate;
    let server_ca = secured.path("server-ca.crt");
    fs::write(&server_ca, &both).unwrap();
    redis.run(&[&format!("CONFIG SET tls-ca-cert-file {}", server_ca.display())]);
    fs::write(Path::new(&ca), &both).unwrap();
    let second = one_client_besides(redis, "gauge", &[&first]);
    let directory = secured.path("next");
    fs::create_dir(&directory).unwrap();
    let (server_certificate, server_key) = next.server("127.0.0.1").write(&directory);
    redis.run(&[&format!(
        "CONFIG SET tls-cert-file {} tls-key-file {}",
        server_certificate.display(),
        server_key.display()
    )]);
    fs::write(Path::new(&ca), &next.certificate).unwrap();
    one_client_besides(redis, "gauge", &[&first, &second]);
    no_poll_failed(&gauge);
}
