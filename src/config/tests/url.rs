//! Where a server is: URLs and host:port, with or without credentials.

use super::*;

/// A server whose URL is this, by a variable of our own.
fn of_url(url: &str) -> RedisServer {
    written().variable("STREAMGAUGE_REDIS_URL", url).server()
}

fn problem(url: &str) -> String {
    let all = written().variable("STREAMGAUGE_REDIS_URL", url).problems();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].strip_prefix("STREAMGAUGE_REDIS_URL: ").unwrap_or_else(|| panic!("{all:?}")).to_owned()
}

#[test]
fn places() {
    for (url, name, database, protocol) in [
        ("h", "h:6379", 0, Protocol::Resp2),
        ("h:7000", "h:7000", 0, Protocol::Resp2),
        ("10.0.0.1:7000", "10.0.0.1:7000", 0, Protocol::Resp2),
        ("redis://h", "h:6379", 0, Protocol::Resp2),
        ("redis://h/", "h:6379", 0, Protocol::Resp2),
        ("redis://h/15", "h:6379", 15, Protocol::Resp2),
        ("redis://h:7000/65535?protocol=resp3", "h:7000", 65535, Protocol::Resp3),
        ("redis://h?protocol=resp2", "h:6379", 0, Protocol::Resp2),
        ("[::1]:7000", "[::1]:7000", 0, Protocol::Resp2),
        ("redis://[fd00::1]/3", "[fd00::1]:6379", 3, Protocol::Resp2),
    ] {
        let server = of_url(url);
        assert_eq!(server.address.to_string(), name, "{url}");
        assert_eq!(&*server.name, name, "{url}");
        assert_eq!((server.database, server.protocol), (database, protocol), "{url}");
    }
    // Without the brackets, as a resolver wants it.
    assert_eq!(of_url("redis://[::1]").address.host, "::1");
}

#[test]
fn credentials_are_decoded() {
    for (url, username, secret) in [
        ("redis://h", None, None),
        ("redis://u@h", Some("u"), None),
        ("redis://u:p@h", Some("u"), Some("p")),
        ("redis://:p@h", None, Some("p")),
        ("u:p@h:7000", Some("u"), Some("p")),
        ("redis://a%40b:p%40ss%2Fw%3Aord%25@h", Some("a@b"), Some("p@ss/w:ord%")),
        ("redis://:a+b@h", None, Some("a+b")),
        ("redis://:a%2Bb%20c@h", None, Some("a+b c")),
        ("redis://:a&b=c;d@h", None, Some("a&b=c;d")),
        ("redis://:%C3%A9é@h", None, Some("éé")),
        ("redis://:p@ss@h", None, Some("p@ss")),
        ("redis://:100%@h", None, Some("100%")),
    ] {
        let server = of_url(url);
        assert_eq!(server.username.as_deref(), username, "{url}");
        assert_eq!(password(&server).as_deref(), secret, "{url}");
        assert_eq!(server.address.host, "h", "{url}");
    }
}

#[test]
fn a_url_that_is_wrong_is_never_quoted() {
    const FORM: &str = "expected redis://[username[:password]@]host[:port][/database] or host:port";
    const DATABASE: &str = "the path must be the number of a database, 0 to 65535, as in redis://host/0";
    for (url, expected) in [
        ("http://u:geheim@h", format!("the scheme http:// is not supported: {FORM}")),
        ("rediss://u:geheim@h", format!("the scheme rediss:// is not supported: {FORM}")),
        ("unix:///geheim.sock", format!("the scheme unix:// is not supported: {FORM}")),
        ("redis://u:geheim@", format!("not a URL (empty host): {FORM}")),
        ("redis://", format!("there is no host: {FORM}")),
        ("redis:///0", format!("there is no host: {FORM}")),
        ("redis://u:geheim@h:99999", format!("not a URL (invalid port number): {FORM}")),
        ("redis://u:geheim@[::1", format!("not a URL (invalid IPv6 address): {FORM}")),
        // A slash in a password ends the host; what comes before reads as a port.
        ("redis://u:ge/heim@h", format!("not a URL (invalid port number): {FORM}")),
        ("redis://u:geheim@h/zero", DATABASE.into()),
        ("redis://u:geheim@h/1/2", DATABASE.into()),
        ("redis://u:geheim@h/65536", DATABASE.into()),
        ("redis://u:geheim@h/-1", DATABASE.into()),
        ("redis://u:geheim@h?db=geheim", "the only parameter is protocol, resp2 or resp3".into()),
        ("redis://u:geheim@h?protocol=3", "the only parameter is protocol, resp2 or resp3".into()),
        ("redis://u:geheim@h/0#0", "has a \"#\": in a password write it as %23".into()),
        ("redis://u:ge#heim@h", "has a \"#\": in a password write it as %23".into()),
        ("redis://u:geheim%ff@h", "the credentials are not UTF-8 when decoded".into()),
    ] {
        let told = problem(url);
        assert_eq!(told, expected, "{url}");
        assert!(!told.contains("heim"), "{url}");
    }
}

#[test]
fn database_in_url_and_apart() {
    let with_database = |database| {
        written().variable("STREAMGAUGE_REDIS_URL", "redis://h/2").flag("redis.database", &[database])
    };
    assert_eq!(with_database("2").server().database, 2);
    assert_eq!(
        with_database("3").problems(),
        ["--redis.database: contradicts the URL, which says 2: leave one out"]
    );
}
