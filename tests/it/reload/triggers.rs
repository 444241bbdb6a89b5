//! What asks for a reload: a signal, a request, and the file itself. Each takes a good file, and refuses a bad one.

use std::{fs, os::unix::fs::symlink};

use rustix::process::Signal;
use serde_json::Value;

use super::{IN_USE, OF_NO_USE, Reloadable, SUCCEEDED_AT, SUCCESSFUL, servers};
use crate::support::{
    exporter::{Launch, Streamgauge},
    fake::FakeRedis,
    http, wait,
};

const LIFECYCLE: &[(&str, &str)] = &[("STREAMGAUGE_WEB_ENABLE_LIFECYCLE", "true")];

/// A trigger: its name in the log, and how it is pulled once the file has been written.
type Trigger = (&'static str, fn(&Reloadable));

const TRIGGERS: [Trigger; 3] = [
    ("SIGHUP", |it| it.gauge.process.signal(Signal::HUP)),
    ("POST /-/reload", |it| _ = it.post()),
    ("file", |_| {}),
];

/// How many servers came, changed and went, by the line of the log.
fn changes(line: &Value) -> [u64; 3] {
    ["added", "changed", "removed"].map(|what| line[what].as_u64().unwrap())
}

#[test]
fn each_trigger_takes_a_good_file_and_refuses_a_bad_one() {
    let redis = FakeRedis::start(|_| None);
    let url = redis.url();
    for (name, pull) in TRIGGERS {
        let one = servers(&[("one", &url, "")]);
        let it = Reloadable::start(&one);
        let metrics = it.gauge.metrics();
        metrics.check(&[(SUCCESSFUL, Some(1.0))]);
        let started = metrics.value(SUCCEEDED_AT).unwrap();
        assert!(started > 1.7e9);

        it.write(&servers(&[("one", &url, ""), ("two", &url, "")]));
        pull(&it);
        let line = it.next(IN_USE, 0);
        assert_eq!((&line["trigger"], changes(&line)), (&name.into(), [1, 0, 0]));
        let metrics = it.gauge.until(r#"redis_up{redis="two"}"#, Some(1.0));
        metrics.check(&[(SUCCESSFUL, Some(1.0)), (r#"redis_up{redis="one"}"#, Some(1.0))]);
        let succeeded = metrics.value(SUCCEEDED_AT).unwrap();
        assert!(succeeded > started);

        // All that is wrong, in one line, and no secret.
        it.write(
            "poll: {intervall: 1s}\nredis:\n  - {url: 'redis://u:horse@h:x'}\n  - {password: [horse]}\n",
        );
        pull(&it);
        let line = it.next(OF_NO_USE, 0);
        assert_eq!((&line["trigger"], &line["level"]), (&name.into(), &"WARN".into()));
        let problems = line["problems"].as_str().unwrap().replace(it.file.to_str().unwrap(), "file");
        let expected = [
            "file:1:8: poll.intervall: unknown key; did you mean \"poll.interval\"?",
            "file:3:11: redis[0].url: not a URL (invalid port number): expected redis://",
            "file:4:16: redis[1].password: expected a string, found a list",
        ];
        let found: Vec<_> = problems.split("; file:").collect();
        assert_eq!(found.len(), expected.len(), "{problems}");
        assert!(expected.iter().all(|expected| problems.contains(expected)), "{problems}");
        it.gauge.until(SUCCESSFUL, Some(0.0)).check(&[(SUCCEEDED_AT, Some(succeeded))]);
        let metrics = it.gauge.poll_of("one");
        metrics.check(&[
            (r#"redis_up{redis="one"}"#, Some(1.0)),
            (r#"redis_up{redis="two"}"#, Some(1.0)),
            (r#"redis_stream_length{redis="two"}"#, Some(10.0)),
        ]);
        assert_eq!(it.gauge.get("/readyz", &[]).status, 200);

        // Taken back, it is in use again, and nothing has changed.
        it.write(&servers(&[("one", &url, ""), ("two", &url, "")]));
        pull(&it);
        let line = it.next(IN_USE, 1);
        assert_eq!(changes(&line), [0, 0, 0]);
        let metrics = it.gauge.until(SUCCESSFUL, Some(1.0));
        assert!(metrics.value(SUCCEEDED_AT).unwrap() > succeeded);
        assert_eq!((it.gauge.logged(IN_USE).len(), it.gauge.logged(OF_NO_USE).len()), (2, 1));
        assert!(!it.gauge.process.stderr.text().contains("horse"));
    }
}

#[test]
fn a_request_gets_the_answer_to_its_own_reload() {
    let redis = FakeRedis::start(|_| None);
    let good = servers(&[("one", &redis.url(), "")]);
    let it = Reloadable::start(&good);
    it.reload(&good);
    let told =
        it.refused("redis:\n  - {url: 'http://u:horse@h', password: horse}\n  - {strems: x}\npol: {}\n");
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].starts_with("2:11: redis[0].url: the scheme http:// is not supported"), "{told}");
    assert_eq!(lines[1], "3:6: redis[1].strems: unknown key; did you mean \"streams\"?");
    assert_eq!(lines[2], "4:1: pol: unknown key; did you mean \"poll\"?");
    assert!(!told.contains("horse"));
    assert_eq!(it.refused("redis: [\n").lines().count(), 1);

    // Many at once come one after the other, and none is lost.
    it.write(&good);
    let before = it.gauge.logged(IN_USE).len();
    let address = it.gauge.address;
    let asked: Vec<_> = (0..20)
        .map(|_| std::thread::spawn(move || http::request("POST", address, "/-/reload", &[]).unwrap().status))
        .collect();
    let answers: Vec<_> = asked.into_iter().map(|asked| asked.join().unwrap()).collect();
    assert_eq!(answers, [200; 20]);
    assert_eq!(it.gauge.logged(IN_USE).len(), before + 20);

    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
        let answer = http::request(method, address, "/-/reload", &[]).unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    assert_eq!(it.gauge.logged(IN_USE).len(), before + 20);
}

#[test]
fn requests_are_refused_unless_enabled() {
    let redis = FakeRedis::start(|_| None);
    let it = Reloadable::with(&servers(&[("one", &redis.url(), "")]), |launch| launch);
    it.write("nonsense: 1");
    let answer = it.post();
    assert_eq!((answer.status, answer.text()), (403, "Lifecycle API is not enabled.\n"));
    assert_eq!(http::request("GET", it.gauge.address, "/-/reload", &[]).unwrap().status, 405);
    it.gauge.metrics().check(&[(SUCCESSFUL, Some(1.0))]);
    // By the variable it is enabled too; a signal needs no leave.
    it.hang_up(OF_NO_USE);
    let by_variable = Reloadable::with(&servers(&[("one", &redis.url(), "")]), |launch| {
        LIFECYCLE.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
    });
    assert_eq!(by_variable.post().status, 200);
}

/// As Kubernetes mounts a ConfigMap: the file is a link through a link, and that is replaced.
#[test]
fn a_config_map_that_changes() {
    let redis = FakeRedis::start(|_| None);
    let directory = tempfile::tempdir().unwrap();
    let mount = |version: &str, yaml: &str| {
        let data = directory.path().join(version);
        fs::create_dir(&data).unwrap();
        fs::write(data.join("streamgauge.yaml"), yaml).unwrap();
        let next = directory.path().join("..data_tmp");
        symlink(version, &next).unwrap();
        fs::rename(next, directory.path().join("..data")).unwrap();
    };
    mount("..1", &servers(&[("one", &redis.url(), "")]));
    let file = directory.path().join("streamgauge.yaml");
    symlink("..data/streamgauge.yaml", &file).unwrap();
    let gauge = Launch::new("serve").args(&["--config.file", file.to_str().unwrap()]).start();
    gauge.until(r#"redis_up{redis="one"}"#, Some(1.0));

    mount("..2", &servers(&[("two", &redis.url(), "")]));
    fs::remove_dir_all(directory.path().join("..1")).unwrap();
    gauge.until(r#"redis_up{redis="two"}"#, Some(1.0)).check(&[(r#"redis_up{redis="one"}"#, None)]);

    // Another link to the same content is no change.
    mount("..3", &servers(&[("two", &redis.url(), "")]));
    mount("..4", "redis: [{nam: x}]\n");
    gauge.until(SUCCESSFUL, Some(0.0)).check(&[(r#"redis_up{redis="two"}"#, Some(1.0))]);
    // The line comes after the metric.
    wait::until_true("the refusal to be logged", || !gauge.logged(OF_NO_USE).is_empty());
    assert_eq!((gauge.logged(IN_USE).len(), gauge.logged(OF_NO_USE).len()), (1, 1));

    // A file that is gone is as bad as a bad one, and no more.
    fs::remove_file(&file).unwrap();
    wait::until_true("the log to say so", || gauge.logged(OF_NO_USE).len() == 2);
    let problems = gauge.logged(OF_NO_USE)[1]["problems"].as_str().unwrap().to_owned();
    assert!(
        problems.ends_with(": cannot read the configuration file: No such file or directory (os error 2)")
    );
    symlink("..data/streamgauge.yaml", &file).unwrap();
    mount("..5", &servers(&[("two", &redis.url(), ""), ("three", &redis.url(), "")]));
    gauge.until(r#"redis_up{redis="three"}"#, Some(1.0)).check(&[(SUCCESSFUL, Some(1.0))]);
}

#[test]
fn without_a_file_flags_and_variables_are_checked_again() {
    let redis = FakeRedis::start(|_| None);
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    fs::write(&password, "").unwrap();
    let gauge = Streamgauge::of(&redis.url(), &["--redis.password-file", password.to_str().unwrap()]);
    gauge.process.signal(Signal::HUP);
    wait::until_true("a reload", || gauge.logged(IN_USE).len() == 1);
    assert_eq!(gauge.logged(IN_USE)[0]["changed"], 0);
    assert_eq!(redis.connections(), 1);
    fs::remove_file(&password).unwrap();
    gauge.process.signal(Signal::HUP);
    wait::until_true("a reload", || gauge.logged(OF_NO_USE).len() == 1);
    gauge.until(SUCCESSFUL, Some(0.0)).check(&[("redis_up", Some(1.0))]);
}

/// The end waits for nobody who asks for a reload, and a reload does not hold up the end.
#[test]
fn an_end_during_reloads() {
    let redis = FakeRedis::start(|_| None);
    let mut it = Reloadable::start(&servers(&[("one", &redis.url(), "")]));
    for _ in 0..5 {
        it.gauge.process.signal(Signal::HUP);
        it.post();
    }
    it.gauge.process.signal(Signal::TERM);
    it.gauge.process.signal(Signal::HUP);
    assert_eq!(it.gauge.process.wait().code(), Some(0), "{}", it.gauge.process.stderr.text());
}
