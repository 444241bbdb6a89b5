//! What becomes of servers: those that stay lose nothing, and those that go are gone at once.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Reloadable, servers};
use crate::{
    reach::rotation::{
        CHANGED, LAG, READ, clients, exact, fill_for_memory, no_poll_failed, one_client_besides,
    },
    support::{
        fake::{FakeRedis, Reply},
        redis::RedisServer,
        samples::Samples,
        tool::needs,
        wait,
    },
};

const COMMANDS: &str = "streamgauge_redis_commands_total";

/// A Redis with a lag that only memory knows exactly, a user whose connections can be told, and the URL of both.
fn with_memory() -> (RedisServer, String) {
    let redis = RedisServer::start();
    fill_for_memory(&redis);
    redis.run(&["ACL SETUSER gauge on >p ~* +@all"]);
    let url = redis.url().replace("redis://", "redis://gauge:p@");
    (redis, url)
}

/// Of one of several servers.
fn of(name: &str, metric: &str) -> String {
    format!("{metric}{{redis=\"{name}\"}}")
}

/// The servers, as the JSON has them.
fn listed(it: &Reloadable) -> Vec<String> {
    let groups = it.gauge.groups();
    let servers = groups["servers"].as_array().unwrap();
    servers.iter().map(|server| server["redis"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_server_that_stays_goes_on_untouched() {
    needs!("redis-server");
    let ((redis, url), other) = (with_memory(), FakeRedis::start(|_| None));
    let main = ("main", url.as_str(), "streams: [orders]");
    let alone = servers(&[main]);
    let it = Reloadable::start(&alone);
    let read = exact(&it.gauge);
    assert!(read > 300.0, "counting was no work: the test proves nothing");
    let client = one_client_besides(&redis, "gauge", &[]);
    let commands = it.gauge.metrics().value(COMMANDS).unwrap();

    let (other, new) = (other.url(), servers(&[("new", "redis://127.0.0.1:1", "")]));
    for newer in [
        servers(&[main, ("b", &other, "")]),
        servers(&[("b", &other, "streams: [x]"), main]),
        format!("# moved\n{}", servers(&[("b", &other, "database: 3"), ("c", &other, ""), main])),
        servers(&[main, ("c", &other, "")]),
    ] {
        it.reload(&newer);
        // Not for a moment without its numbers.
        it.gauge.metrics().check(&[
            (&of("main", "redis_up"), Some(1.0)),
            (&of("main", "redis_stream_group_lag"), Some(LAG)),
            (&of("main", READ), Some(read)),
        ]);
        it.gauge.poll_of("main");
    }
    it.refused(&(new + "nonsense: 1"));
    it.reload(&alone);
    assert_eq!(one_client_besides(&redis, "gauge", &[]), client);
    let metrics = no_poll_failed(&it.gauge);
    metrics.check(&[(READ, Some(read)), ("redis_stream_group_lag", Some(LAG))]);
    assert!(metrics.value(COMMANDS).unwrap() > commands);
    assert_eq!(it.gauge.logged("redis is up").iter().filter(|line| line["redis"] == "main").count(), 1);
}

#[test]
fn a_server_that_is_measured_otherwise_keeps_what_it_has() {
    needs!("redis-server");
    let (redis, url) = with_memory();
    redis.run(&["XADD other 1-0 n 1", "XGROUP CREATE other spare 0", "XGROUP CREATE orders second 900-0"]);
    let with = |more: &str| servers(&[("main", &url, more)]);
    let it = Reloadable::start(&with("streams: [orders], groups: {include: [workers]}"));
    let read = exact(&it.gauge);
    let client = one_client_besides(&redis, "gauge", &[]);
    let lag = r#"redis_stream_group_lag{group="workers"}"#;
    let mut commands = 0.0;
    for (more, selector, value) in [
        (
            "streams: [orders, other], groups: {include: [workers, spare]}",
            r#"redis_stream_group_lag{group="spare"}"#,
            Some(1.0),
        ),
        (
            "streams: ['o*'], groups: {include: [workers, spare]}",
            r#"redis_stream_group_lag{group="spare"}"#,
            Some(1.0),
        ),
        (
            "streams: ['o*'], groups: {include: ['*'], exclude: [spare]}",
            r#"redis_stream_group_lag{group="spare"}"#,
            None,
        ),
        ("streams: [orders], groups: {include: ['*']}", r#"redis_stream_length{stream="other"}"#, None),
        (
            "streams: [orders], groups: {include: [workers], expect: ['orders=third']}",
            r#"redis_stream_group_lag_source{group="third",source="no_group"}"#,
            Some(1.0),
        ),
        (
            "streams: [orders], groups: {include: [workers]}, consumers: false",
            r#"redis_stream_group_lag_source{group="third"}"#,
            None,
        ),
    ] {
        it.reload(&with(more));
        it.gauge.metrics().check(&[(lag, Some(LAG))]);
        let metrics = it.gauge.until(selector, value);
        metrics.check(&[(lag, Some(LAG)), (READ, Some(read)), ("redis_up", Some(1.0))]);
        assert!(metrics.value(COMMANDS).unwrap() >= commands, "counters go on");
        commands = metrics.value(COMMANDS).unwrap();
    }
    assert_eq!(one_client_besides(&redis, "gauge", &[]), client);
    no_poll_failed(&it.gauge).check(&[(READ, Some(read))]);

    // How it is talked to takes another connection, to the same server: what is shown stays.
    it.reload(&with("streams: [orders], groups: {include: [workers]}, timeout: 7s"));
    it.gauge.metrics().check(&[(lag, Some(LAG)), ("redis_up", Some(1.0))]);
    one_client_besides(&redis, "gauge", &[&client]);
    no_poll_failed(&it.gauge);
}

/// The first poll by the newer configuration hangs; until it ends, what was measured before is shown.
#[test]
fn the_latest_poll_stays_until_the_next_and_goes_with_its_server() {
    let asked = Arc::new(AtomicBool::new(false));
    let seen = asked.clone();
    let slow = FakeRedis::start(move |words| {
        (words == ["XINFO", "STREAM", "new"]).then(|| {
            seen.store(true, Ordering::SeqCst);
            Reply::Never
        })
    });
    let other = FakeRedis::start(|_| None);
    let (slow, other) = (slow.url(), ("other", other.url()));
    let slow =
        |more: &str| servers(&[("slow", &slow, &format!("timeout: 1h, {more}")), (other.0, &other.1, "")]);
    let it = Reloadable::start(&slow("streams: [orders]"));
    let before = it.gauge.poll_of("slow");
    it.reload(&slow("streams: [orders, new]"));
    wait::until_true("a poll by the newer configuration", || asked.load(Ordering::SeqCst));
    let shown = |metrics: Samples| {
        metrics.check(&[
            (&of("slow", "redis_up"), Some(1.0)),
            (&of("slow", "redis_stream_length"), Some(10.0)),
            (&of("slow", "redis_stream_group_lag"), Some(0.0)),
        ]);
        assert!(metrics.value(&of("slow", COMMANDS)) >= before.value(&of("slow", COMMANDS)));
    };
    shown(it.gauge.metrics());
    // Whatever comes meanwhile, nobody waits for it.
    it.reload(&slow("streams: [orders, new], consumers: false"));
    it.reload(&slow("streams: [orders]"));
    shown(it.gauge.poll_of("other"));

    it.reload(&servers(&[(other.0, &other.1, "")]));
    it.gauge.metrics().check(&[(&of("slow", "redis_up"), None), (&of("slow", "redis_stream_length"), None)]);
    it.gauge.poll_of("other").check(&[(&of("slow", "redis_up"), None)]);
}

#[test]
fn another_server_of_the_same_name_starts_anew() {
    needs!("redis-server");
    let ((old, url), mute) =
        (with_memory(), FakeRedis::start(|words| (words == ["TIME"]).then_some(Reply::Never)));
    let it = Reloadable::start(&servers(&[("main", &url, "")]));
    exact(&it.gauge);
    let commands = it.gauge.metrics().value(COMMANDS).unwrap();

    it.reload(&servers(&[("main", &mute.url(), "timeout: 1h")]));
    let anew = it.gauge.metrics();
    anew.check(&[
        ("redis_up", Some(0.0)),
        ("redis_stream_length", None),
        ("redis_stream_group_lag", None),
        ("streamgauge_poll_last_success_timestamp_seconds", None),
    ]);
    assert!(anew.value(COMMANDS).unwrap() >= commands, "counters go on");
    wait::until_true("the old connection to close", || clients(&old, "gauge").is_empty());
    // It was ready, and stays so.
    assert_eq!(it.gauge.get("/readyz", &[]).status, 200);

    it.reload(&servers(&[("main", &url, "")]));
    exact(&it.gauge);
    let first = one_client_besides(&old, "gauge", &[]);
    // Another user may see other things.
    old.run(&["ACL SETUSER second on >q ~* +@all"]);
    let second = old.url().replace("redis://", "redis://second:q@");
    it.reload(&servers(&[("main", &second, "")]));
    one_client_besides(&old, "second", &[&first]);
    wait::until_true("the old connection to close", || clients(&old, "gauge").is_empty());
    assert!(it.gauge.poll().value(COMMANDS).unwrap() > commands);
}

#[test]
fn servers_come_and_go_in_the_order_of_the_file() {
    needs!("redis-server");
    let ((redis, url), fake) = (with_memory(), FakeRedis::start(|_| None));
    let (fake, down) = (fake.url(), "redis://127.0.0.1:1");
    let it = Reloadable::start(&servers(&[("a", &url, ""), ("b", &fake, ""), ("c", down, "")]));
    assert_eq!(listed(&it), ["a", "b", "c"]);
    it.reload(&servers(&[("c", down, ""), ("d", &fake, ""), ("b", &fake, "")]));
    assert_eq!(listed(&it), ["c", "d", "b"]);
    it.gauge.metrics().check(&[(&of("a", "redis_up"), None), (&of("a", COMMANDS), None)]);
    wait::until_true("the connection to close", || clients(&redis, "gauge").is_empty());
    it.gauge.until(&of("d", "redis_up"), Some(1.0));
    it.reload(&servers(&[("d", &fake, ""), ("e", &url, "")]));
    assert_eq!(listed(&it), ["d", "e"]);
    it.gauge.until(&of("e", "redis_up"), Some(1.0));
}

#[test]
fn a_redis_that_hangs_holds_up_no_reload() {
    needs!("redis-server");
    let ((redis, url), fake) = (with_memory(), FakeRedis::start(|_| None));
    let main = ("main", url.as_str(), "timeout: 1h, streams: [orders]");
    let it = Reloadable::start(&servers(&[main]));
    let read = exact(&it.gauge);
    let client = one_client_besides(&redis, "gauge", &[]);
    redis.pause();
    for number in 0..3 {
        it.reload(&servers(&[main, (&format!("other-{number}"), &fake.url(), "")]));
        let up = format!("other-{number}");
        it.gauge
            .until(&of(&up, "redis_up"), Some(1.0))
            .check(&[(&of("main", "redis_stream_group_lag"), Some(LAG))]);
    }
    redis.resume();
    it.reload(&servers(&[main]));
    no_poll_failed(&it.gauge).check(&[(READ, Some(read))]);
    assert_eq!(one_client_besides(&redis, "gauge", &[]), client);
    // One that is removed while it hangs.
    redis.pause();
    it.reload(&servers(&[("other", &fake.url(), "")]));
    assert_eq!(listed(&it), ["other"]);
    redis.resume();
    wait::until_true("the connection to close", || clients(&redis, "gauge").is_empty());
    it.gauge.poll().check(&[(&of("main", "redis_up"), None)]);
}

/// A file of credentials that the newer configuration names is followed as any other.
#[test]
fn files_that_are_named_anew_are_followed() {
    needs!("redis-server");
    let (redis, url) = with_memory();
    redis.run(&["ACL SETUSER gauge >next"]);
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    fs::write(&password, "p").unwrap();
    let it = Reloadable::start(&servers(&[("main", &url, "streams: [orders]")]));
    let first = one_client_besides(&redis, "gauge", &[]);
    let more = format!("username: gauge, password_file: {}, streams: [orders]", password.display());
    it.reload(&servers(&[("main", &redis.url(), &more)]));
    let second = one_client_besides(&redis, "gauge", &[&first]);
    let read = exact(&it.gauge);
    fs::write(&password, "next").unwrap();
    one_client_besides(&redis, "gauge", &[&first, &second]);
    assert_eq!(it.gauge.logged(CHANGED).len(), 1);
    no_poll_failed(&it.gauge).check(&[(READ, Some(read))]);
}
