//! Bad input: exit code 2, a message on standard error that names the place, nothing on standard output, nothing started.

use std::{fs, net::TcpListener, path::Path, process::Command};

use crate::support::process::run;

/// How the program ended and what it said.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the program in a directory, with these variables and no others.
fn streamgauge(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.current_dir(directory).env_clear().args(arguments);
    command.envs(variables.iter().copied());
    let output = run(command, b"");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What is said of a command line that is refused.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    let ended = streamgauge(Path::new("."), arguments, &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    ended.stderr
}

/// What is said of a file that is refused, by `serve` and by `groups` alike.
#[track_caller]
fn refused_file(yaml: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("gauge.yaml"), yaml).unwrap();
    let said = ["serve", "groups"].map(|action| {
        let ended = streamgauge(directory.path(), &[action, "--config.file", "gauge.yaml"], &[]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        ended.stderr
    });
    assert_eq!(said[0], said[1]);
    let [stderr, _] = said;
    stderr
}

#[test]
fn a_missing_configuration_file() {
    let expected = "streamgauge: nowhere.yaml: cannot read the configuration file: No such file or directory (os error 2)\n";
    assert_eq!(refused(&["--config.file", "nowhere.yaml"]), expected);
    let by_variable = [("STREAMGAUGE_CONFIG_FILE", "nowhere.yaml")];
    let ended = streamgauge(Path::new("."), &[], &by_variable);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), expected));
}

#[test]
fn a_file_that_is_wrong() {
    for (yaml, expected) in [
        (
            "poll:\n  intervall: 5s\n",
            "gauge.yaml:2:3: poll.intervall: unknown key; did you mean \"poll.interval\"?",
        ),
        (
            "redis:\n  - name: 6379\n",
            "gauge.yaml:2:11: redis[0].name: expected a string, found 6379 (put it in quotes)",
        ),
        (
            "redis:\n  - url: http://h\n",
            "gauge.yaml:2:10: redis[0].url: the scheme http:// is not supported: \
             expected redis://[username[:password]@]host[:port][/database], \
             redis+unix:///path/to/socket[?db=database], \
             redis+sentinel://host[:port],…/service[/database], redis+cluster://host[:port],…, \
             the same with rediss in place of redis for TLS, or host:port",
        ),
        (
            "redis:\n  - streams: [orders, \"events[\"]\n",
            "gauge.yaml:2:23: redis[0].streams: the name or glob \"events[\" has a \"[\" without its \"]\" \
             (write \\[ for the character itself)",
        ),
        (
            "redis:\n  - name: a\n  - name: a\n    url: h\n",
            "gauge.yaml:3:11: redis[1].name: another server is named \"a\" too: give each a name of its own",
        ),
        (
            "poll: {}\n---\npoll: {}\n",
            "gauge.yaml:3:1: the file holds a second YAML document: put everything into one",
        ),
    ] {
        assert_eq!(refused_file(yaml), format!("streamgauge: {expected}\n"), "{yaml}");
    }
}

#[test]
fn every_problem_has_a_line_of_its_own() {
    let stderr = refused_file("a: 1\nb: 2\nredis: []\n");
    let places: Vec<_> = stderr.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(places, ["gauge.yaml:1:1", "gauge.yaml:2:1", "gauge.yaml:3:8"]);
    assert!(stderr.lines().all(|line| line.starts_with("streamgauge: ")), "{stderr}");
}

#[test]
fn flags_that_are_wrong() {
    for (arguments, expected) in [
        (&["--streams", "a["][..], "streamgauge: --streams: the name or glob \"a[\" "),
        (&["--redis.url", "redis://"], "streamgauge: --redis.url: there is no host: "),
        (
            &["--redis.database", "x"],
            "streamgauge: --redis.database: expected a whole number from 0 to 65535, ",
        ),
        (
            &["serve", "--poll.interval", "5"],
            "streamgauge: --poll.interval: expected a duration from 100ms to 1h, ",
        ),
        (
            &["groups", "--consumers", "yes"],
            "streamgauge: --consumers: expected true or false, found \"yes\"",
        ),
        (&["--log.level", "loud"], "error: invalid value 'loud' for '--log.level "),
        (&["groups", "--output", "xml"], "error: invalid value 'xml' for '--output "),
        (&["groups", "--watch=0s"], "error: invalid value '0s' for '--watch "),
        (&["groups", "--poll.interval", "5s"], "error: unexpected argument '--poll.interval' found"),
        (
            &["--kubernetes.tls-cert-file", "/nonexistent"],
            "streamgauge: --kubernetes.tls-cert-file: needs kubernetes.tls_private_key_file besides: ",
        ),
        (
            &["groups", "--kubernetes.listen-address", ":0"],
            "error: unexpected argument '--kubernetes.listen-address' found",
        ),
        (
            &["demo", "--kubernetes.listen-address", ":0"],
            "error: unexpected argument '--kubernetes.listen-address' found",
        ),
        (&["--no-such-flag"], "error: unexpected argument '--no-such-flag' found"),
        (&["--streams"], "error: a value is required for '--streams <LIST>' but none was supplied"),
        (&["no-such-command"], "error: unrecognized subcommand 'no-such-command'"),
        (
            &["--log.level", "info", "serve"],
            "error: the subcommand 'serve' cannot be used with '--log.level ",
        ),
    ] {
        let stderr = refused(arguments);
        assert!(stderr.starts_with(expected), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_secret_on_the_command_line_is_not_repeated() {
    for arguments in [
        &["--redis.url", "redis://u:geheim@h"][..],
        &["--redis.url", "redis://u:geheim@h:x"],
        &["groups", "--redis.url=u:geheim@h"],
        &["--redis.password", "geheim"],
        &["--redis.password=geheim"],
        &["redis://u:geheim@h"],
        &["groups", "redis://u:geheim@h"],
        &["serve", "u:geheim@h"],
        &["--streams", "orders", "redis://u:geheim@h"],
        &["demo", "--redis.url=redis://u:geheim@h"],
    ] {
        let stderr = refused(arguments);
        assert!(!stderr.contains("geheim"), "{arguments:?}: {stderr}");
        assert!(stderr.lines().count() > 0);
    }
    assert_eq!(
        refused(&["--redis.url", "redis://u:geheim@h"]),
        "streamgauge: --redis.url: must not hold a password: every process can read the command line; \
         use STREAMGAUGE_REDIS_URL, STREAMGAUGE_REDIS_PASSWORD or --redis.password-file\n"
    );
}

#[test]
fn variables_that_are_wrong() {
    let said = |name, value| {
        let ended = streamgauge(Path::new("."), &[], &[(name, value)]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        ended.stderr
    };
    assert_eq!(
        said("STREAMGAUGE_POLL_INTERVAL", "often"),
        "streamgauge: STREAMGAUGE_POLL_INTERVAL: expected a duration from 100ms to 1h, as 500ms, 5s or 1m, found \"often\"\n"
    );
    let stderr = said("REDIS_ADDR", "ftp://u:geheim@h");
    assert!(stderr.starts_with("streamgauge: REDIS_ADDR: the scheme ftp:// is not supported: "), "{stderr}");
    assert!(!stderr.contains("geheim"));
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = streamgauge(
        Path::new("."),
        &["--web.listen-address", "127.0.0.1:0", "--web.listen-address", &address, "--log.level", "error"],
        &[("STREAMGAUGE_REDIS_URL", "127.0.0.1:1")],
    );
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    let expected =
        format!("streamgauge: cannot listen on {address} (--web.listen-address): Address already in use");
    assert!(ended.stderr.starts_with(&expected) && ended.stderr.lines().count() == 1, "{ended:?}");
}

#[test]
fn help_and_version() {
    let ended = streamgauge(Path::new("."), &["--version"], &[]);
    assert_eq!(
        (ended.code, ended.stdout, ended.stderr),
        (Some(0), format!("streamgauge {}\n", env!("CARGO_PKG_VERSION")), String::new())
    );
    let ended = streamgauge(Path::new("."), &["--help"], &[("COLUMNS", "100")]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("help", ended.stdout);
    });
}
