//! Which servers, databases, streams, groups and consumers are measured.

use crate::support::{
    exporter::{Launch, Streamgauge},
    redis::{RedisServer, free_port},
    samples::Samples,
    tool::needs,
};

fn streams(metrics: &Samples) -> Vec<&str> {
    let mut names: Vec<_> =
        metrics.all("redis_stream_length").iter().map(|sample| sample.labels["stream"].as_str()).collect();
    names.sort_unstable();
    names
}

fn groups(metrics: &Samples) -> Vec<&str> {
    let mut names: Vec<_> =
        metrics.all("redis_stream_group_lag").iter().map(|sample| sample.labels["group"].as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn streams_are_found_by_names_and_globs() {
    needs!("redis-server");
    let redis = RedisServer::start();
    for stream in ["orders", "events:a", "events:b", "e[x]"] {
        redis.add(stream, 1);
    }
    redis.run(&["SET events:text no-stream", "LPUSH list 1"]);
    for (patterns, expected) in [
        ("*", &["e[x]", "events:a", "events:b", "orders"][..]),
        ("orders", &["orders"]),
        ("events:*", &["events:a", "events:b"]),
        ("events:?,orders", &["events:a", "events:b", "orders"]),
        (r"e\[x\]", &["e[x]"]),
        ("nothing:*", &[]),
    ] {
        let gauge = Streamgauge::of(&redis.url(), &["--streams", patterns]);
        assert_eq!(streams(&gauge.metrics()), expected, "--streams {patterns}");
    }
}

#[test]
fn discovery_follows_what_comes_and_goes() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("events:a", 1);
    let gauge = Streamgauge::of(&redis.url(), &["--streams", "events:*"]);
    assert_eq!(streams(&gauge.poll()), ["events:a"]);
    redis.add("events:b", 1);
    redis.add("other", 1);
    assert_eq!(streams(&gauge.poll()), ["events:a", "events:b"]);
    redis.run(&["DEL events:a"]);
    assert_eq!(streams(&gauge.poll()), ["events:b"]);
    // A key that has become something else is no stream, and no fault either.
    redis.run(&["SET events:b text"]);
    let metrics = gauge.poll();
    assert_eq!(streams(&metrics), [""; 0]);
    metrics.check(&[(r#"redis_stream_up{stream="events:b"}"#, None), ("redis_up", Some(1.0))]);
}

#[test]
fn a_named_stream_that_does_not_exist_is_shown_as_such() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let gauge = Streamgauge::of(&redis.url(), &["--streams", "orders"]);
    let absent = [
        (r#"redis_stream_exists{stream="orders"}"#, Some(0.0)),
        (r#"redis_stream_up{stream="orders"}"#, Some(1.0)),
        (r#"redis_stream_length{stream="orders"}"#, None),
        ("redis_up", Some(1.0)),
    ];
    gauge.poll().check(&absent);
    redis.add("orders", 2);
    gauge.poll().check(&[
        (r#"redis_stream_exists{stream="orders"}"#, Some(1.0)),
        (r#"redis_stream_length{stream="orders"}"#, Some(2.0)),
    ]);
    redis.run(&["DEL orders"]);
    gauge.poll().check(&absent);
    // An empty stream is a stream.
    redis.run(&["XGROUP CREATE orders workers $ MKSTREAM"]);
    gauge.poll().check(&[
        (r#"redis_stream_exists{stream="orders"}"#, Some(1.0)),
        (r#"redis_stream_length{stream="orders"}"#, Some(0.0)),
        (r#"redis_stream_group_lag{group="workers"}"#, Some(0.0)),
        (r#"redis_stream_first_entry_id{stream="orders"}"#, None),
        (r#"redis_stream_last_entry_timestamp_seconds{stream="orders"}"#, None),
    ]);
}

#[test]
fn groups_are_included_and_excluded() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 1);
    for group in ["billing", "tmp-1", "tmp-2", "web"] {
        redis.run(&[&format!("XGROUP CREATE orders {group} 0")]);
    }
    for (arguments, expected) in [
        (&[][..], &["billing", "tmp-1", "tmp-2", "web"][..]),
        (&["--groups.include", "web,tmp-*"], &["tmp-1", "tmp-2", "web"]),
        (&["--groups.exclude", "tmp-*"], &["billing", "web"]),
        (&["--groups.include", "tmp-*", "--groups.exclude", "tmp-2"], &["tmp-1"]),
    ] {
        let gauge = Streamgauge::of(&redis.url(), arguments);
        let metrics = gauge.metrics();
        assert_eq!(groups(&metrics), expected, "{arguments:?}");
        assert_eq!(metrics.value("redis_stream_groups"), Some(4.0), "{arguments:?}");
    }
}

#[test]
fn consumers_can_be_left_out() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 3);
    redis.run(&["XGROUP CREATE orders workers 0", "XREADGROUP GROUP workers alice COUNT 2 STREAMS orders >"]);
    let gauge = Streamgauge::of(&redis.url(), &["--consumers", "false"]);
    let metrics = gauge.poll();
    let of_consumers = metrics.0.iter().find(|sample| sample.labels.contains_key("consumer"));
    assert_eq!(of_consumers, None);
    metrics.check(&[
        ("redis_stream_group_consumers", Some(1.0)),
        ("redis_stream_group_messages_pending", Some(2.0)),
        ("redis_stream_group_oldest_pending_deliveries", Some(1.0)),
    ]);
    let calls = redis.calls();
    // STREAM and GROUPS in each MULTI, and no CONSUMERS.
    assert_eq!(calls["xinfo"], 2 * calls["multi"], "{calls:?}");
}

#[test]
fn the_database_is_the_one_that_is_asked_for() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 1);
    redis.run_on(3, &["XADD orders 1-1 n 1", "XADD orders 1-2 n 1"]);
    let (url, with_path) = (redis.url(), format!("{}/3", redis.url()));
    for arguments in [&["--redis.url", &with_path][..], &["--redis.url", &url, "--redis.database", "3"]] {
        let gauge = Launch::new("serve").args(arguments).start();
        gauge.wait_ready();
        let metrics = gauge.metrics();
        assert_eq!(metrics.value(r#"redis_stream_length{db="db3",stream="orders"}"#), Some(2.0));
        assert_eq!(metrics.all("redis_stream_length").len(), 1);
    }
}

#[test]
fn one_server_that_is_down_costs_the_others_nothing() {
    needs!("redis-server");
    let (one, two) = (RedisServer::start(), RedisServer::start());
    one.add("orders", 1);
    two.add("orders", 2);
    let down = free_port();
    let yaml = format!(
        "redis:\n  - {{name: one, url: '{}'}}\n  - {{name: down, url: 'redis://127.0.0.1:{down}'}}\n  - {{name: two, url: '{}'}}\n",
        one.url(),
        two.url()
    );
    let gauge = Streamgauge::with_file(&yaml);
    gauge.metrics().check(&[
        (r#"redis_up{redis="one"}"#, Some(1.0)),
        (r#"redis_up{redis="two"}"#, Some(1.0)),
        (r#"redis_up{redis="down"}"#, Some(0.0)),
        (r#"redis_stream_length{redis="one",stream="orders"}"#, Some(1.0)),
        (r#"redis_stream_length{redis="two",stream="orders"}"#, Some(2.0)),
        (r#"redis_stream_length{redis="down"}"#, None),
    ]);
    let logged = gauge.logged("redis cannot be polled");
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(logged[0]["redis"], "down");
}
