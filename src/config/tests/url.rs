//! Where a server is: URLs and host:port, with or without credentials.

use super::*;

/// A server whose URL is this, by a variable of our own.
fn of_url(url: &str) -> RedisServer {
    written().variable("STREAMGAUGE_REDIS_URL", url).server()
}

fn address(url: &str) -> Address {
    match of_url(url).topology {
        Topology::Single(address) => address,
        other => panic!("{url}: {other:?}"),
    }
}

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp(HostPort { host: host.into(), port })
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
        assert_eq!(server.topology.to_string(), name, "{url}");
        assert_eq!(&*server.name, name, "{url}");
        assert_eq!((server.databases, server.protocol), (BTreeSet::from([database]), protocol), "{url}");
    }
    // Without the brackets, as a resolver wants it.
    assert_eq!(address("redis://[::1]"), tcp("::1", 6379));
}

#[test]
fn the_scheme_says_how_it_is_reached() {
    for url in ["redis://h:1", "REDIS://h:1", "h:1"] {
        assert_eq!(address(url), tcp("h", 1), "{url}");
    }
    let server = of_url("rediss://h:1/2");
    assert_eq!((address("rediss://h:1/2"), &server.databases), (tcp("h", 1), &BTreeSet::from([2])));
    let tls = server.tls.unwrap();
    assert_eq!((tls.name_of("h").unwrap().to_str(), tls.verify), ("h".into(), true));
    assert_eq!(&*server.name, "h:1");
}

#[test]
fn sockets() {
    for (url, path, database, protocol) in [
        ("redis+unix:///run/redis.sock", "/run/redis.sock", 0, Protocol::Resp2),
        ("unix:///run/redis.sock", "/run/redis.sock", 0, Protocol::Resp2),
        ("unix:///s?db=3", "/s", 3, Protocol::Resp2),
        ("redis+unix:///s?protocol=resp3&db=65535", "/s", 65535, Protocol::Resp3),
        ("unix:///a%20b+c%3Fd/&%23", "/a b+c?d/&#", 0, Protocol::Resp2),
        ("unix://u@/s", "/s", 0, Protocol::Resp2),
    ] {
        let server = of_url(url);
        assert_eq!(address(url), Address::Unix(path.into()), "{url}");
        assert_eq!((server.databases, server.protocol), (BTreeSet::from([database]), protocol), "{url}");
        assert_eq!(&*server.name, path, "{url}");
    }
    let server = of_url("redis+unix://u:p%2F@/s");
    assert_eq!((username(&server).as_deref(), password(&server).as_deref()), (Some("u"), Some("p/")));
    // The same rules as for a host.
    assert!(
        written().flag("redis.url", &["unix://u:geheim@/s"]).problems()[0]
            .contains("must not hold a password")
    );
    assert_eq!(
        written().flag("redis.url", &["unix:///s?db=1"]).flag("redis.database", &["2"]).problems(),
        ["--redis.database: contradicts the URL, which says 1: leave one out"]
    );
}

#[test]
fn several_processes() {
    let seeds = |places: &[(&str, u16)]| -> Vec<_> {
        places.iter().map(|(host, port)| HostPort { host: (*host).to_owned(), port: *port }).collect()
    };
    let server = of_url("redis+sentinel://u:p@a,b:7000,[::1]/my%20master/3?protocol=resp3");
    let Topology::Sentinel(sentinel) = &server.topology else { panic!("{server:?}") };
    assert_eq!(sentinel.seeds, seeds(&[("a", 26379), ("b", 7000), ("::1", 26379)]));
    assert_eq!((sentinel.service.as_str(), &*server.name), ("my master", "my master"));
    assert_eq!((&server.databases, server.protocol), (&BTreeSet::from([3]), Protocol::Resp3));
    assert_eq!((username(&server).as_deref(), password(&server).as_deref()), (Some("u"), Some("p")));
    assert!(sentinel.username.is_none() && sentinel.password.is_none() && server.tls.is_none());

    let server = of_url("rediss+cluster://u:p@a:1,b");
    let Topology::Cluster(of_cluster) = &server.topology else { panic!("{server:?}") };
    assert_eq!(of_cluster, &seeds(&[("a", 1), ("b", 6379)]));
    assert_eq!((&*server.name, password(&server).as_deref()), ("a:1", Some("p")));
    // Each has a certificate for its own name.
    let tls = server.tls.unwrap();
    assert_eq!(tls.name_of("b").unwrap().to_str(), "b");

    let with = |url: &str, flag: &str, value: &str| {
        written().variable("STREAMGAUGE_REDIS_URL", url).flag(flag, &[value])
    };
    assert_eq!(with("redis+cluster://a", "redis.read-from", "replica").server().read_from, ReadFrom::Replica);
    assert_eq!(with("redis://a", "redis.database", "3,1,3").server().databases, BTreeSet::from([1, 3]));
    for (url, flag, value, expected) in [
        (
            "redis://a",
            "redis.read-from",
            "replica",
            "is for Sentinels and clusters: where there is one server, write the URL of the replica",
        ),
        ("redis+cluster://a", "redis.database", "1", "a cluster has only database 0: leave this out"),
        (
            "redis+cluster://a",
            "redis.sentinel.username",
            "u",
            "is for Sentinels, of which the URL has none: write redis+sentinel:// there, or leave this out",
        ),
        (
            "rediss+cluster://a,b..c",
            "redis.timeout",
            "1s",
            "the host is no name that a certificate can have: set tls.server_name",
        ),
    ] {
        let problems = with(url, flag, value).problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].ends_with(&format!(": {expected}")), "{problems:?}");
    }
}

#[test]
fn credentials_are_decoded() {
    for (url, user, secret) in [
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
        assert_eq!(username(&server).as_deref(), user, "{url}");
        assert_eq!(password(&server).as_deref(), secret, "{url}");
        assert_eq!(server.topology.to_string().split(':').next(), Some("h"), "{url}");
    }
}

#[test]
fn a_url_that_is_wrong_is_never_quoted() {
    const FORM: &str = "expected redis://[username[:password]@]host[:port][/database], \
                        redis+unix:///path/to/socket[?db=database], \
                        redis+sentinel://host[:port],…/service[/database], redis+cluster://host[:port],…, \
                        the same with rediss in place of redis for TLS, or host:port";
    const SOCKET: &str =
        "a socket has a path and no host: write three slashes, as in redis+unix:///run/redis.sock";
    const SERVICE: &str =
        "the path must name the service that the Sentinels watch, as in redis+sentinel://host/mymaster";
    const PARAMETERS: &str =
        "the only parameters are db, the number of a database from 0 to 65535, and protocol, resp2 or resp3";
    const DATABASE: &str = "the path must be the number of a database, 0 to 65535, as in redis://host/0";
    for (url, expected) in [
        ("http://u:geheim@h", format!("the scheme http:// is not supported: {FORM}")),
        ("valkey://u:geheim@h", format!("the scheme valkey:// is not supported: {FORM}")),
        ("u:geheim://@h", format!("not a URL: {FORM}")),
        ("rediss://u:geheim@", format!("there is no host: {FORM}")),
        ("redis://u:geheim@a,b", "there are several hosts: write redis+cluster:// or redis+sentinel://".into()),
        ("redis+cluster://u:geheim@a,,b", format!("there is no host: {FORM}")),
        ("redis+cluster://u:geheim@a:x,b", format!("not a URL (invalid port number): {FORM}")),
        ("redis+cluster://u:geheim@a/0", "a cluster has one database and no path: leave it out".into()),
        ("redis+sentinel://u:geheim@a", SERVICE.into()),
        ("redis+sentinel://u:geheim@a/", SERVICE.into()),
        ("redis+sentinel://u:geheim@a//0", SERVICE.into()),
        (
            "rediss+sentinel://u:geheim@a/s/x",
            "after the service comes the number of a database, 0 to 65535, as in redis+sentinel://host/mymaster/0"
                .into(),
        ),
        ("rediss://", format!("there is no host: {FORM}")),
        ("rediss://u:geheim@h/zero", DATABASE.into()),
        ("unix://geheim.sock", SOCKET.into()),
        ("unix://u:geheim@h/s", SOCKET.into()),
        ("redis+unix://", format!("there is no path of a socket: {FORM}")),
        ("redis+unix:///geheim/", format!("there is no path of a socket: {FORM}")),
        ("redis+unix:///geheim%ff", "the path is not UTF-8 when decoded".into()),
        ("redis+unix:///s?db=geheim", PARAMETERS.into()),
        ("redis+unix:///s?db=65536", PARAMETERS.into()),
        ("redis+unix:///s?password=geheim", PARAMETERS.into()),
        ("redis://u:geheim@", format!("there is no host: {FORM}")),
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
    assert_eq!(with_database("2").server().databases, BTreeSet::from([2]));
    assert_eq!(
        with_database("3").problems(),
        ["--redis.database: contradicts the URL, which says 2: leave one out"]
    );
}
