//! The way to a server: name, connection, TLS, credentials, and a server that hangs.

use super::Checked;
use crate::{
    reach::Secured,
    support::{
        pki::Authority,
        redis::{RedisServer, free_port},
        tool::needs,
    },
};

fn fill(redis: &RedisServer) {
    redis.add("orders", 3);
    redis.run(&["XGROUP CREATE orders workers 0"]);
}

#[test]
fn all_is_well() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill(&redis);
    let checked = Checked::of(&redis.url(), &["--streams", "orders", "--groups.expect", "orders=workers"]);
    checked.all_ok();
    let order: Vec<_> = checked.lines().into_iter().map(|line| line.check).collect();
    assert_eq!(
        order,
        ["config", "dns", "tcp", "auth", "server", "clock", "acl", "streams", "groups", "lag"],
        "{}",
        checked.text
    );
    checked.one("auth", "ok").says("logged in as the default user, without a password", "");
    checked.one("server", "ok").says(", standalone, primary", "");
    checked.one("streams", "ok").says("1 stream found and read", "");
    checked.one("groups", "ok").says("1 group found", "");
    checked.one("lag", "ok").says("(now: 1 derived)", "");
    let with_resp3 = Checked::of(&format!("{}/?protocol=resp3", redis.url()), &[]);
    with_resp3.all_ok();
}

#[test]
fn a_name_that_is_none() {
    let checked = Checked::of("redis://redis.shop.invalid:6379", &[]);
    checked.ends_at("dns").says("redis.shop.invalid cannot be resolved: ", "check the host in redis[].url");
}

#[test]
fn a_name_with_its_addresses() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let checked = Checked::of(&redis.url().replace("127.0.0.1", "localhost"), &[]);
    let line = checked.one("dns", "ok");
    assert!(
        line.message.starts_with("localhost resolves to ") && line.message.contains("127.0.0.1"),
        "{line:?}"
    );
}

#[test]
fn a_port_where_nobody_listens() {
    let place = format!("127.0.0.1:{}", free_port());
    let checked = Checked::of(&format!("redis://{place}"), &[]);
    let refused = format!("cannot connect to {place}: Connection refused");
    checked.ends_at("tcp").says(&refused, "check host and port in redis[].url");
}

#[test]
fn a_unix_socket() {
    needs!("redis-server");
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("redis.sock");
    let socket = socket.to_str().unwrap();
    let redis = RedisServer::with(&["--unixsocket", socket]);
    fill(&redis);
    let checked = Checked::of(&format!("redis+unix://{socket}"), &[]);
    checked.all_ok();
    assert!(checked.all("dns").is_empty() && checked.all("tcp").is_empty(), "{}", checked.text);
    let checked = Checked::of(&format!("redis+unix://{socket}.none"), &[]);
    checked.ends_at("socket").says("No such file or directory", "unixsocket");
}

#[test]
fn tls() {
    needs!("redis-server");
    let secured = Secured::with(|authority| authority.server("127.0.0.1"), "no");
    let (url, ca) = (secured.url(), secured.ca());
    let checked = Checked::of(&url, &["--redis.tls.ca-file", &ca]);
    checked.all_ok();
    checked.one("tls", "ok").says("TLS 1.3, certificate for CN=127.0.0.1 (127.0.0.1), expires in ", "");

    let other = secured.path("other.crt");
    std::fs::write(&other, Authority::new("other-ca").certificate).unwrap();
    let other = other.to_str().unwrap();
    let checked = Checked::of(&url, &["--redis.tls.ca-file", other]);
    checked.ends_at("tls").says("UnknownIssuer", &format!("no CA in {other} (tls.ca_file) has signed"));

    let name = ["--redis.tls.ca-file", &ca, "--redis.tls.server-name", "redis.shop.svc"];
    let checked = Checked::of(&url, &name);
    checked.ends_at("tls").says("certificate not valid for name", "set tls.server_name");

    let checked = Checked::of(&url, &["--redis.tls.insecure-skip-verify", "true"]);
    checked.one("tls", "warn").says(", not verified", "set tls.ca_file in place of tls.insecure_skip_verify");
    assert_eq!((checked.code, checked.wrong().len()), (0, 1), "{}", checked.text);
}

#[test]
fn a_certificate_that_ends() {
    needs!("redis-server");
    let secured = Secured::with(|authority| authority.expired_server("127.0.0.1"), "no");
    let checked = Checked::of(&secured.url(), &["--redis.tls.ca-file", &secured.ca()]);
    checked.ends_at("tls").says("certificate expired", "the server's certificate must be renewed");
    let unverified = Checked::of(&secured.url(), &["--redis.tls.insecure-skip-verify", "true"]);
    unverified.one("tls", "warn").says(" ago, not verified", "");

    let secured = Secured::with(|authority| authority.server_for_days("127.0.0.1", 5), "no");
    let checked = Checked::of(&secured.url(), &["--redis.tls.ca-file", &secured.ca()]);
    checked.one("tls", "warn").says(", expires in 5 days", "renew the certificate");
    assert_eq!(checked.code, 0);
}

#[test]
fn a_client_certificate_that_lacks() {
    needs!("redis-server");
    let secured = Secured::with(|authority| authority.server("127.0.0.1"), "yes");
    let checked = Checked::of(&secured.url(), &["--redis.tls.ca-file", &secured.ca()]);
    // In TLS 1.3 a server says so only once its own part of the handshake is over.
    checked.ends_at("auth").says("", "set tls.cert_file and tls.key_file");
}

#[test]
fn tls_on_one_side_only() {
    needs!("redis-server");
    let secured = Secured::with(|authority| authority.server("127.0.0.1"), "no");
    let checked = Checked::of(&secured.url().replace("rediss:", "redis:"), &[]);
    checked.ends_at("auth").says("", "if it is a TLS port, write rediss:// in the URL");
    let plain = secured.redis.url().replace("redis:", "rediss:");
    let checked = Checked::of(&plain, &["--redis.timeout", "1s"]);
    checked.ends_at("tls").says("no answer within 1s", "is this not its TLS port?");
}

#[test]
fn credentials() {
    needs!("redis-server");
    let redis = RedisServer::with(&["--requirepass", "right-horse"]);
    fill(&redis);
    let with = |password: &str, arguments: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        std::fs::write(&file, password).unwrap();
        let file = file.to_str().unwrap();
        Checked::of(&redis.url(), &[&["--redis.password-file", file], arguments].concat())
    };
    let checked = with("right-horse", &[]);
    checked.all_ok();
    checked.one("auth", "ok").says("logged in as the default user, with a password", "");
    with("wrong-horse", &[]).ends_at("auth").says("", "check the username and the password");
    with("right-horse", &["--redis.username", "nobody"])
        .ends_at("auth")
        .says("", "check the username and the password");
    Checked::of(&redis.url(), &[]).ends_at("auth").says("NOAUTH", "check the username and the password");

    redis.run(&["ACL SETUSER gauge on >right-horse ~* +@all"]);
    let checked = with("right-horse", &["--redis.username", "gauge"]);
    checked.all_ok();
    checked.one("auth", "ok").says("logged in as \"gauge\", with a password", "");
    // A name in a file stays there.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "gauge").unwrap();
    let checked = with("right-horse", &["--redis.username-file", file.path().to_str().unwrap()]);
    checked.all_ok();
    assert!(!checked.text.contains("gauge\\\""), "{}", checked.text);
    checked.one("auth", "ok").says(&format!("logged in as the user in {}", file.path().display()), "");
}

#[test]
fn a_server_that_hangs_holds_up_no_other() {
    needs!("redis-server");
    let (hanging, healthy) = (RedisServer::start(), RedisServer::start());
    fill(&healthy);
    hanging.pause();
    let file = tempfile::NamedTempFile::new().unwrap();
    let yaml = format!(
        "redis: [{{name: hanging, url: '{}', timeout: 1s}}, {{name: healthy, url: '{}'}}]\n",
        hanging.url(),
        healthy.url()
    );
    std::fs::write(file.path(), yaml).unwrap();
    let launch = crate::support::exporter::Launch::new("check");
    let checked = Checked::by(launch.args(&["--config.file", file.path().to_str().unwrap()]));
    hanging.resume();
    let lines = checked.said["checks"].as_array().unwrap();
    let of = |redis: &str| lines.iter().filter(|line| line["redis"] == redis).cloned().collect::<Vec<_>>();
    assert!(of("healthy").iter().all(|line| line["status"] == "ok"), "{}", checked.text);
    checked.all("auth")[0].says("no answer within 1s", "look whether Redis hangs");
    // In the order of the configuration, whoever is done first.
    let names: Vec<_> = lines.iter().filter_map(|line| line["redis"].as_str()).collect();
    assert!(names.is_sorted_by_key(|name| *name == "healthy"), "{names:?}");
}
