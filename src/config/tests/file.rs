//! Files that are wrong: every problem in one go, each at its line and column.

use super::*;

/// The problems of a file.
fn problems(text: &str) -> Vec<String> {
    written().file(text).problems()
}

/// The only problem of a file, without the name of the file.
fn problem(text: &str) -> String {
    let mut all = problems(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).replace("streamgauge.yaml:", "")
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = r#"poll:
  intervall: 5s
  stale_after: "3"
web:
  listen_address: ["::1:80", 9121]
  telemetry_path: /healthz
log:
  level: loud
redis:
  - name: main
    url: http://redis
    timeout: 5
    streams: ["orders[", 7, "x\\"]
  - name: 6379
    database: 70000
    consumers: "yes"
  - url: redis://u:geheim@h/zero
    password: 12345
  - url: redis://h
  - url: redis://h:6379
    groups: {include: []}
  - name: main
    hosts: [a, b]
"#;
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("all-mistakes", format!("{text}---\n{}", problems(text).join("\n")));
    });
}

#[test]
fn an_unknown_key_may_be_a_misspelled_one() {
    for (text, expected) in [
        ("pol: {}", "1:1: pol: unknown key; did you mean \"poll\"?"),
        ("poll: {intreval: 5s}", "1:8: poll.intreval: unknown key; did you mean \"poll.interval\"?"),
        (
            "web: {listen-address: ':80'}",
            "1:7: web.listen-address: unknown key; did you mean \"web.listen_address\"?",
        ),
        ("redis:\n- pasword: x", "2:3: redis[0].pasword: unknown key; did you mean \"password\"?"),
        ("redis:\n- group: x", "2:3: redis[0].group: unknown key; did you mean \"groups\"?"),
        ("poll: {every: 5s}", "1:8: poll.every: unknown key"),
        ("poll: {x: 5s}", "1:8: poll.x: unknown key"),
        ("1: 2", "1:1: 1: unknown key"),
        ("? [a]\n: b", "1:3: ?: unknown key"),
        // A setting is no mapping.
        (
            "poll: {interval: {of: 5s}}",
            "1:18: poll.interval: expected a duration from 100ms to 1h, as 500ms, 5s or 1m, found a mapping",
        ),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn a_wrong_type_is_told_with_its_mend() {
    for (text, expected) in [
        ("redis:\n- name: 5", "2:9: redis[0].name: expected a string, found 5 (put it in quotes)"),
        (
            "redis:\n- name: 1.5",
            "2:9: redis[0].name: expected a string, found a number with a fraction (put it in quotes)",
        ),
        (
            "redis:\n- password: 12345",
            "2:13: redis[0].password: expected a string, found a whole number (put it in quotes)",
        ),
        (
            "redis:\n- password: true",
            "2:13: redis[0].password: expected a string, found true or false (put it in quotes)",
        ),
        ("redis:\n- name:", "2:7: redis[0].name: expected a string, found nothing"),
        (
            "redis:\n- streams: 5",
            "2:12: redis[0].streams: expected a list of strings, found 5 (put it in quotes)",
        ),
        ("redis:\n- streams: [a, [b]]", "2:16: redis[0].streams: expected a string, found a list"),
        ("redis:\n- consumers: \"true\"", "2:14: redis[0].consumers: expected true or false, found \"true\""),
        (
            "poll: {stale_after: \"3\"}",
            "1:21: poll.stale_after: expected a whole number from 1 to 1000, found \"3\"",
        ),
        (
            "poll: {stale_after: 2.5}",
            "1:21: poll.stale_after: expected a whole number from 1 to 1000, found a number with a fraction",
        ),
        (
            "poll: {interval: 5}",
            "1:18: poll.interval: expected a duration from 100ms to 1h, as 500ms, 5s or 1m, found 5",
        ),
        (
            "log: {level: loud}",
            "1:14: log.level: expected one of error, warn, info, debug, trace, found \"loud\"",
        ),
        ("poll: 5", "1:7: poll: expected keys and values, found a whole number"),
        ("redis: x", "1:8: redis: expected a list of servers, found a string"),
        ("redis: {url: h}", "1:8: redis: expected a list of servers, found a mapping"),
        ("redis: [h]", "1:9: redis[0]: expected keys and values, found a string"),
        ("[1]", "1:1: expected keys and values, found a list"),
        ("x", "1:1: expected keys and values, found a string"),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn ranges_include_their_ends() {
    for (key, good, bad) in [
        ("interval", ["100ms", "1h"], ["99ms", "1h 1ms"]),
        ("interval", ["0.5s", "1m 30s"], ["5 parsecs", "-5s"]),
        ("stale_after", ["1", "1000"], ["0", "1001"]),
        ("stale_after", ["3", "+3"], ["-1", "99999999999999999999"]),
    ] {
        for value in good {
            let text = format!("poll: {{{key}: {value}}}");
            assert!(load(&written().file(&text).sources).is_ok(), "{text}");
        }
        for value in bad {
            let told = problem(&format!("poll: {{{key}: {value}}}"));
            assert!(told.contains(&format!(": poll.{key}: expected a ")), "{told}");
        }
    }
    for (text, at) in [
        ("redis: [{database: -1}]", "1:20: redis[0].database"),
        ("redis: [{database: 65536}]", "1:20: redis[0].database"),
        ("redis: [{timeout: 9ms}]", "1:19: redis[0].timeout"),
    ] {
        assert!(problem(text).starts_with(at), "{}", problem(text));
    }
}

#[test]
fn a_list_must_name_something() {
    assert_eq!(
        problem("redis: []"),
        "1:8: redis: the list is empty: name at least one server, or leave redis out"
    );
    assert_eq!(
        problem("redis: [{streams: []}]"),
        "1:19: redis[0].streams: the list is empty: name at least one, or leave it out"
    );
    assert_eq!(
        problem("web: {listen_address: []}"),
        "1:23: web.listen_address: the list is empty: name at least one, or leave it out"
    );
    assert_eq!(
        problem("redis: [{groups: {exclude: [\"\"]}}]"),
        "1:29: redis[0].groups.exclude: the name or glob \"\" is empty"
    );
    // To leave nothing out is as good as any.
    written().file("redis: [{groups: {exclude: []}}]").load();
}

#[test]
fn a_glob_that_is_wrong_is_quoted() {
    for (glob, why) in [
        ("a[b", "has a \"[\" without its \"]\" (write \\[ for the character itself)"),
        ("a[]", "has an empty \"[]\""),
        ("a*\\", "ends in a single \"\\\" (write \\\\ for the character itself)"),
    ] {
        assert_eq!(
            problem(&format!("redis: [{{streams: ['{glob}']}}]")),
            format!("1:20: redis[0].streams: the name or glob {glob:?} {why}")
        );
    }
}

#[test]
fn addresses_to_serve_on() {
    let file = |address: &str| format!("web: {{listen_address: '{address}'}}");
    for address in [":80", "h:0", "127.0.0.1:65535", "[::1]:80"] {
        let config = written().file(file(address)).load();
        assert_eq!(config.listen[0].to_string(), address);
    }
    for address in ["80", ":x", ":65536", ":-1", "h:", ""] {
        assert_eq!(
            problem(&file(address)),
            format!("1:23: web.listen_address: expected host:port or :port, found {address:?}")
        );
    }
    assert_eq!(
        problem(&file("::1:80")),
        "1:23: web.listen_address: expected host:port or :port, found \"::1:80\"; an IPv6 address goes in brackets"
    );
}

#[test]
fn names_of_servers_are_unique() {
    assert_eq!(
        problem("redis:\n- {name: a, url: h}\n- {name: a, url: g}"),
        "3:10: redis[1].name: another server is named \"a\" too: give each a name of its own"
    );
    // Without a name it is host:port; without a place of its own the problem stands at the server.
    assert_eq!(
        problem("redis:\n- url: h\n- url: redis://h:6379/1"),
        "3:3: redis[1].name: another server is named \"h:6379\" too: give each a name of its own"
    );
    assert_eq!(
        problem("redis:\n- {}\n- {}"),
        "3:3: redis[1].name: another server is named \"127.0.0.1:6379\" too: give each a name of its own"
    );
    assert_eq!(problem("redis: [{name: ''}]"), "1:16: redis[0].name: is empty: leave it out for host:port");
}

#[test]
fn one_mistake_is_not_told_twice() {
    // Servers without a sound URL have no host:port that could be the same; a name of their own is compared.
    assert_eq!(problems("redis: [{url: 'x://h'}, {url: 'y://h'}]").len(), 2);
    assert_eq!(problems("redis: [{url: 5}, {url: 6}]").len(), 2);
    assert_eq!(problems("redis: [{name: 5}, {name: 6}]").len(), 2);
    assert_eq!(problems("redis: [~, ~]").len(), 2);
    assert_eq!(problems("redis: [{name: a, url: 5}, {name: a}]").len(), 2);
}

#[test]
fn the_path_of_the_metrics() {
    for path in ["metrics", "", "/a b", "/{x}", "/:x", "/*x", "/a?b", "/a#b", "/é"] {
        let told = problem(&format!("web: {{telemetry_path: \"{path}\"}}"));
        assert_eq!(told, format!("1:23: web.telemetry_path: expected a path like /metrics, found {path:?}"));
    }
    for path in ["/", "/-/healthy", "/-/ready", "/healthz", "/readyz", "/livez", "/-/reload", "/api/v1"] {
        let told = problem(&format!("web: {{telemetry_path: {path}}}"));
        assert_eq!(told, format!("1:23: web.telemetry_path: {path} is taken: choose another path"));
    }
}

#[test]
fn what_is_not_yaml_has_a_place_too() {
    for (text, at) in [
        ("redis:\n  - url: \"redis://h\n", "2:10: "),
        ("redis:\n\t- a\n", "2:2: "),
        ("a: [1, 2\nb: 3\n", "2:2: "),
        ("poll:\n  interval: 1s\n  interval: 2s\n", "3:3: duplicated key"),
        ("poll: {}\n---\nlog: {}\n", "3:1: the file holds a second YAML document: put everything into one"),
    ] {
        assert!(problem(text).starts_with(at), "{text:?} gives {}", problem(text));
    }
}

#[test]
fn a_file_that_cannot_be_read() {
    let mut sources = Sources { file: Some("/nonexistent/streamgauge.yaml".into()), ..Sources::default() };
    assert_eq!(
        load(&sources).unwrap_err().to_string(),
        "/nonexistent/streamgauge.yaml: cannot read the configuration file: No such file or directory (os error 2)"
    );
    let directory = TempDir::new().unwrap();
    sources.file = Some(directory.path().into());
    assert!(load(&sources).unwrap_err().to_string().contains(": cannot read the configuration file: "));
    assert_eq!(
        written().file(b"poll: {}\n# \xff\n").problems(),
        ["streamgauge.yaml: the configuration file is not UTF-8"]
    );
}
