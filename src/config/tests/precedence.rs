//! Flag, variable, file, the other tools' variable, default: the first that says something counts.

use super::*;

#[test]
fn a_global_setting() {
    let interval = |written: &Written| written.load().poll_interval.as_secs();
    let all = written()
        .flag("poll.interval", &["1s"])
        .variable("STREAMGAUGE_POLL_INTERVAL", "2s")
        .file("poll: {interval: 3s}");
    assert_eq!(interval(&all), 1);
    let no_flag = written().variable("STREAMGAUGE_POLL_INTERVAL", "2s").file("poll: {interval: 3s}");
    assert_eq!(interval(&no_flag), 2);
    assert_eq!(interval(&written().file("poll: {interval: 3s}")), 3);
    assert_eq!(interval(&written()), 5);
    // An empty variable is none.
    let empty = written().variable("STREAMGAUGE_POLL_INTERVAL", "").file("poll: {interval: 3s}");
    assert_eq!(interval(&empty), 3);
}

#[test]
fn a_setting_of_the_server() {
    let address = |written: &Written| written.server().topology.to_string();
    let variables =
        || written().variable("STREAMGAUGE_REDIS_URL", "variable").variable("REDIS_ADDR", "fallback:6379");
    assert_eq!(address(&variables().flag("redis.url", &["flag"])), "flag:6379");
    assert_eq!(address(&variables()), "variable:6379");
    assert_eq!(address(&variables().variable("STREAMGAUGE_REDIS_URL", "")), "fallback:6379");
    assert_eq!(address(&written().variable("REDIS_ADDR", "")), "127.0.0.1:6379");
    // A file that lists its servers is the last word: other tools' variables are not meant for them.
    let server = written()
        .variable("REDIS_ADDR", "fallback")
        .variable("REDIS_USER", "fallback")
        .variable("REDIS_PASSWORD", "fallback")
        .file("redis: [{name: a}]")
        .server();
    assert_eq!(server.topology.to_string(), "127.0.0.1:6379");
    assert!(server.username.is_none() && server.password.is_none());
    // A file without a list leaves them to flags and variables.
    assert_eq!(address(&variables().file("poll: {interval: 3s}")), "variable:6379");
}

#[test]
fn variables_of_redis_exporter() {
    for (address, expected) in
        [("h:7000", "h:7000"), ("redis://h:7000", "h:7000"), ("h", "h:6379"), ("[::1]:7000", "[::1]:7000")]
    {
        let server = written()
            .variable("REDIS_ADDR", address)
            .variable("REDIS_USER", "u")
            .variable("REDIS_PASSWORD", "p+%40")
            .server();
        assert_eq!(server.topology.to_string(), expected);
        assert_eq!(username(&server).as_deref(), Some("u"));
        // Not a part of a URL: taken as it is.
        assert_eq!(password(&server).as_deref(), Some("p+%40"));
    }
    assert_eq!(
        written().variable("REDIS_ADDR", "x://h").problems(),
        ["REDIS_ADDR: the scheme x:// is not supported: \
            expected redis://[username[:password]@]host[:port][/database], \
            redis+unix:///path/to/socket[?db=database], \
            redis+sentinel://host[:port],…/service[/database], redis+cluster://host[:port],…, \
            the same with rediss in place of redis for TLS, or host:port"]
    );
}

#[test]
fn flags_and_variables_stand_for_any_type() {
    let written = written()
        .flag("streams", &["orders, events:*", "payments"])
        .flag("consumers", &["false"])
        .variable("STREAMGAUGE_GROUPS_EXCLUDE", "a,b*")
        .variable("STREAMGAUGE_POLL_STALE_AFTER", "7")
        .variable("STREAMGAUGE_LOG_FORMAT", "json");
    let (config, server) = (written.load(), written.server());
    assert_eq!(texts(&server.streams), ["orders", "events:*", "payments"]);
    assert_eq!(texts(&server.groups.exclude), ["a", "b*"]);
    assert!(!server.consumers && config.log.json);
    assert_eq!(config.stale_after, Duration::from_secs(35));
}

#[test]
fn problems_name_the_flag_or_the_variable() {
    let told = written()
        .flag("consumers", &["yes"])
        .flag("streams", &["a,,b", "c["])
        .flag("web.listen-address", &["80"])
        .variable("STREAMGAUGE_POLL_STALE_AFTER", "many")
        .variable("STREAMGAUGE_REDIS_DATABASE", "-1")
        .problems();
    assert_eq!(
        told,
        [
            "STREAMGAUGE_POLL_STALE_AFTER: expected a whole number from 1 to 1000, found \"many\"",
            "STREAMGAUGE_REDIS_DATABASE: expected a whole number from 0 to 65535, or a list of them, found \"-1\"",
            "--consumers: expected true or false, found \"yes\"",
            "--web.listen-address: expected host:port or :port, found \"80\"",
            "--streams: the name or glob \"\" is empty",
            "--streams: the name or glob \"c[\" has a \"[\" without its \"]\" (write \\[ for the character itself)",
        ]
    );
}

#[test]
fn flags_of_a_server_do_not_go_with_a_list_of_servers() {
    let told = written()
        .flag("redis.url", &["h"])
        .variable("STREAMGAUGE_STREAMS", "a")
        .variable("STREAMGAUGE_REDIS_PASSWORD", "geheim")
        .file("redis: [{name: a}]")
        .problems();
    let expected = ["--redis.url", "STREAMGAUGE_REDIS_PASSWORD", "STREAMGAUGE_STREAMS"].map(|name| {
        format!("{name}: cannot be combined with the redis list of the configuration file: set it there")
    });
    assert_eq!(told, expected);
    // Settings that are not of a server may be combined.
    written().flag("poll.interval", &["1s"]).file("redis: [{name: a}]").load();
}
