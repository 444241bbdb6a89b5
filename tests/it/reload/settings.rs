//! Settings of the process itself: those that follow, and those that need a restart.

use super::{IN_USE, OF_NO_USE, Reloadable, SUCCESSFUL, servers};
use crate::support::{fake::FakeRedis, http, redis::RedisServer, tool::needs};

const MEND: &str = "needs a restart to change: restart streamgauge, or put back what it was started with";

#[test]
fn what_needs_a_restart_is_refused_as_a_whole() {
    let redis = FakeRedis::start(|_| None);
    let one = servers(&[("one", &redis.url(), "")]);
    let start = format!("web: {{listen_address: '127.0.0.1:0', enable_lifecycle: true}}\n{one}");
    let it = Reloadable::with(&start, |launch| launch.env("STREAMGAUGE_WEB_LISTEN_ADDRESS", ""));
    let two = servers(&[("one", &redis.url(), "streams: [other]"), ("two", &redis.url(), "")]);
    let told = it.refused(&format!("web:\n  listen_address: ['127.0.0.1:0', '127.0.0.1:0']\n  enable_lifecycle: true\n  telemetry_path: /numbers\nkubernetes:\n  listen_address: '127.0.0.1:0'\n{two}"));
    assert_eq!(
        told,
        format!(
            "2:19: web.listen_address: {MEND}\n4:19: web.telemetry_path: {MEND}\n6:19: kubernetes.listen_address: {MEND}\n"
        )
    );
    // One that is written no more.
    assert_eq!(
        it.refused(&format!("web: {{listen_address: '127.0.0.1:0'}}\n{two}")),
        format!("default: web.enable_lifecycle: {MEND}\n")
    );
    let metrics = it.gauge.poll_of("one");
    metrics.check(&[
        (SUCCESSFUL, Some(0.0)),
        (r#"redis_up{redis="two"}"#, None),
        (r#"redis_stream_exists{redis="one",stream="orders"}"#, Some(1.0)),
        (r#"redis_stream_exists{redis="one",stream="other"}"#, None),
    ]);
    assert_eq!(http::get(it.gauge.address, "/numbers", &[]).unwrap().status, 404);
    assert_eq!((it.gauge.logged(IN_USE).len(), it.gauge.logged(OF_NO_USE).len()), (0, 2));
    // The same servers, with all else as it was.
    it.reload(&format!("web: {{enable_lifecycle: true, listen_address: ['127.0.0.1:0']}}\n{two}"));
    it.gauge.until(r#"redis_up{redis="two"}"#, Some(1.0)).check(&[(SUCCESSFUL, Some(1.0))]);
}

#[test]
fn the_log_follows() {
    let redis = FakeRedis::start(|_| None);
    let one = servers(&[("one", &redis.url(), "")]);
    let with = |log: &str| format!("log: {{{log}}}\n{one}");
    let it = Reloadable::with(&with("format: json"), |launch| {
        launch.args(&["--web.enable-lifecycle"]).env("STREAMGAUGE_LOG_FORMAT", "")
    });
    let told = || it.gauge.process.stderr.lines().iter().filter(|line| line.contains(IN_USE)).count();
    it.reload(&with("format: json"));
    assert_eq!(told(), 1);
    it.reload(&with("format: json, level: error"));
    it.refused("nonsense: 1");
    assert_eq!(told(), 1);
    assert!(it.gauge.logged(OF_NO_USE).is_empty());
    it.reload(&with("format: text, level: info"));
    assert_eq!(told(), 2);
    let line = it.gauge.process.stderr.lines().pop().unwrap();
    assert!(
        line.ends_with("INFO configuration is in use trigger=\"POST /-/reload\" added=0 changed=0 removed=0"),
        "{line}"
    );
    it.refused("nonsense: 1\nmore: 2");
    let line = it.gauge.process.stderr.lines().pop().unwrap();
    assert!(line.contains("WARN configuration is of no use") && line.contains("more: unknown key"), "{line}");
    it.reload(&with("format: json"));
    assert!(it.gauge.process.stderr.lines().pop().unwrap().starts_with('{'));
}

#[test]
fn intervals_budgets_and_policies_follow() {
    let redis = FakeRedis::start(|_| None);
    let one = servers(&[("one", &redis.url(), "groups: {expect: ['orders=nobody']}")]);
    let it = Reloadable::with(&format!("poll: {{interval: 1h}}\n{one}"), |launch| {
        launch.args(&["--web.enable-lifecycle"]).env("STREAMGAUGE_POLL_INTERVAL", "")
    });
    let lag = r#"redis_stream_group_lag{group="nobody"}"#;
    it.gauge.until(lag, Some(10.0));
    it.reload(&format!("poll: {{interval: 1h}}\nlag: {{missing_group: zero}}\n{one}"));
    it.gauge.until(lag, Some(0.0));
    it.reload(&format!("poll: {{interval: 100ms}}\nlag: {{missing_group: absent}}\n{one}"));
    it.gauge.until(lag, None).check(&[("redis_up", Some(1.0))]);
    it.gauge.poll();
    assert_eq!(redis.connections(), 1);
}

#[test]
fn the_rules_for_states_follow() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.run(&["XGROUP CREATE orders workers 0 MKSTREAM", "XADD orders * n 1"]);
    let one = servers(&[("one", &redis.url(), "")]);
    let with = |health: &str| format!("health: {{{health}}}\npoll: {{interval: 200ms}}\n{one}");
    let it = Reloadable::start(&with("floor: 1"));
    let state = |state: &str| format!("redis_stream_group_state{{state=\"{state}\"}}");
    // One entry is a handful, without consumers or with.
    it.gauge.until(&state("ok"), Some(1.0));
    it.reload(&with("floor: 0"));
    it.gauge.until(&state("no_consumers"), Some(1.0)).check(&[(&state("ok"), None)]);
    it.reload(&with("floor: 1"));
    it.gauge.until(&state("ok"), Some(1.0));
}
