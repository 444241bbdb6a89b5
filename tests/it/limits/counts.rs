//! Limits on streams, groups and consumers: what they leave out is counted and told, and is no failure.

use serde_json::Value;

use crate::support::{exporter::Streamgauge, redis::RedisServer, samples::Samples, tool::needs};

/// One poll, and then none for an hour: each thing that is left out counts once.
const ONE_POLL: [&str; 2] = ["--poll.interval", "1h"];

const PENDING: &str = "redis_stream_group_consumer_messages_pending";
const LEAVES_OUT: &str = "a limit leaves something out";

fn of(redis: &RedisServer, arguments: &[&str]) -> Streamgauge {
    Streamgauge::of(&redis.url(), &[&ONE_POLL, arguments].concat())
}

/// The values of a label, in order.
fn labels<'a>(metrics: &'a Samples, name: &str, label: &str) -> Vec<&'a str> {
    let mut found: Vec<_> = metrics.all(name).iter().map(|sample| sample.labels[label].as_str()).collect();
    found.sort_unstable();
    found
}

/// What the limits leave out: of streams, groups and consumers.
#[track_caller]
fn check_left_out(metrics: &Samples, [streams, groups, consumers]: [f64; 3]) {
    metrics.check(&[
        (r#"streamgauge_limit_dropped_total{limit="streams"}"#, Some(streams)),
        (r#"streamgauge_limit_dropped_total{limit="groups"}"#, Some(groups)),
        (r#"streamgauge_limit_dropped_total{limit="consumers"}"#, Some(consumers)),
        // Nothing has failed.
        ("redis_up", Some(1.0)),
    ]);
    assert!(
        metrics.all("redis_stream_up").iter().all(|sample| sample.value == 1.0),
        "{}",
        metrics.redis_lines()
    );
    assert!(metrics.all("streamgauge_poll_errors_total").iter().all(|sample| sample.value == 0.0));
}

/// Adds consumers `c1` and so on.
fn crowd(redis: &RedisServer, count: u64) {
    let script = "redis.call('XGROUP', 'CREATE', 'orders', 'workers', '0', 'MKSTREAM'); \
                  for i = 1, ARGV[1] do redis.call('XGROUP', 'CREATECONSUMER', 'orders', 'workers', 'c'..i) end";
    redis.ask::<()>(&["EVAL", script, "0", &count.to_string()]);
}

fn stream(gauge: &Streamgauge) -> Value {
    gauge.groups()["servers"][0]["streams"][0].clone()
}

#[test]
fn of_many_consumers_those_are_shown_that_own_pending_entries() {
    needs!("redis-server");
    let redis = RedisServer::start();
    crowd(&redis, 1500);
    redis.add("orders", 20);
    redis.run(&[
        "XREADGROUP GROUP workers c7 COUNT 3 STREAMS orders >",
        "XREADGROUP GROUP workers late COUNT 2 STREAMS orders >",
        "XREADGROUP GROUP workers c1500 COUNT 1 STREAMS orders >",
        "CONFIG RESETSTAT",
    ]);
    let gauge = of(&redis, &[]);
    let calls = redis.calls();
    // STREAM and GROUPS in each MULTI, and no CONSUMERS.
    assert_eq!((calls["xinfo"], calls["xpending"]), (2 * calls["multi"], 1), "{calls:?}");

    let metrics = gauge.metrics();
    check_left_out(&metrics, [0.0, 0.0, 1498.0]);
    metrics.check(&[
        ("redis_stream_group_consumers", Some(1501.0)),
        ("redis_stream_group_messages_pending", Some(6.0)),
        ("redis_stream_group_oldest_pending_deliveries", Some(1.0)),
        (&format!(r#"{PENDING}{{consumer="c7"}}"#), Some(3.0)),
        (&format!(r#"{PENDING}{{consumer="late"}}"#), Some(2.0)),
        (&format!(r#"{PENDING}{{consumer="c1500"}}"#), Some(1.0)),
        ("streamgauge_poll_complete", Some(1.0)),
    ]);
    assert_eq!(metrics.all(PENDING).len(), 3);
    // Since when they are idle is not known.
    assert!(metrics.all("redis_stream_group_consumer_idle_seconds").is_empty());
    let said = "the group has 1501 consumers, more than 1000: only those that own pending entries are shown, which are 3 \
                (raise \
                redis[].limits.consumers_per_group or --limits.consumers-per-group)";
    assert_eq!(stream(&gauge)["groups"][0]["error"], said);
    assert_eq!(stream(&gauge)["error"], said);
    let logged = gauge.logged(LEAVES_OUT);
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(
        (&logged[0]["limit"], &logged[0]["left_out"], &logged[0]["stream"], &logged[0]["reason"]),
        (&"consumers".into(), &1498.into(), &"orders".into(), &said.into())
    );
}

/// Whose entries the rest are is not known, so nobody's number is.
#[test]
fn of_many_consumers_with_too_many_pending_entries_none_is_shown() {
    needs!("redis-server");
    let redis = RedisServer::start();
    crowd(&redis, 11);
    redis.add("orders", 20);
    redis.run(&["XREADGROUP GROUP workers c7 COUNT 10 STREAMS orders >"]);
    let limit = ["--limits.consumers-per-group", "10"];
    let gauge = of(&redis, &limit);
    let metrics = gauge.metrics();
    check_left_out(&metrics, [0.0, 0.0, 11.0]);
    assert!(metrics.all(PENDING).is_empty());
    metrics.check(&[
        ("redis_stream_group_consumers", Some(11.0)),
        ("redis_stream_group_messages_pending", Some(10.0)),
        ("redis_stream_group_oldest_pending_deliveries", Some(1.0)),
    ]);
    // One entry fewer, and it is known that they are all.
    let first: Vec<Vec<redis::Value>> = redis.ask(&["XRANGE", "orders", "-", "+", "COUNT", "1"]);
    let id: String = redis::FromRedisValue::from_redis_value(first[0][0].clone()).unwrap();
    redis.run(&[&format!("XACK orders workers {id}")]);
    let metrics = of(&redis, &limit).metrics();
    check_left_out(&metrics, [0.0, 0.0, 10.0]);
    metrics.check(&[(PENDING, Some(9.0))]);
    // And up to the limit all are asked for.
    redis.run(&["XGROUP DELCONSUMER orders workers c1"]);
    let metrics = of(&redis, &limit).metrics();
    check_left_out(&metrics, [0.0; 3]);
    assert_eq!(metrics.all(PENDING).len(), 10);
}

#[test]
fn of_many_groups_the_first_ones_are_shown_and_those_that_are_expected() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 2);
    for group in ["e", "b", "d", "a", "c", "tmp"] {
        redis.run(&[&format!("XGROUP CREATE orders {group} 0")]);
    }
    let expected = "orders=d,orders=later";
    let arguments =
        ["--limits.groups-per-stream", "3", "--groups.exclude", "tmp", "--groups.expect", expected];
    let gauge = of(&redis, &arguments);
    let metrics = gauge.metrics();
    check_left_out(&metrics, [0.0, 2.0, 0.0]);
    assert_eq!(labels(&metrics, "redis_stream_group_consumers", "group"), ["a", "b", "d", "later"]);
    metrics.check(&[("redis_stream_groups", Some(6.0)), ("streamgauge_poll_complete", Some(1.0))]);
    let said = "the stream has 5 groups, more than 3: 2 left out (raise redis[].limits.groups_per_stream or \
                --limits.groups-per-stream)";
    assert_eq!(stream(&gauge)["error"], said);
    assert_eq!(gauge.logged(LEAVES_OUT).len(), 1);
}

#[test]
fn of_many_streams_the_first_ones_are_measured_and_those_that_are_named() {
    needs!("redis-server");
    let redis = RedisServer::start();
    for stream in ["e", "b", "z", "a", "d", "c"] {
        redis.add(stream, 1);
    }
    redis.run(&["CONFIG RESETSTAT"]);
    let gauge = of(&redis, &["--streams", "?,z", "--limits.streams", "3"]);
    let metrics = gauge.metrics();
    check_left_out(&metrics, [3.0, 0.0, 0.0]);
    assert_eq!(labels(&metrics, "redis_stream_length", "stream"), ["a", "b", "z"]);
    metrics.check(&[("streamgauge_poll_complete", Some(0.0))]);
    // What is left out costs nothing.
    assert_eq!(redis.calls()["multi"], 3);
    let server = &gauge.groups()["servers"][0];
    let said = "there are more streams than limits.streams lets in, 3: 3 left out (raise \
                redis[].limits.streams or --limits.streams)";
    assert_eq!((&server["up"], &server["error"]), (&true.into(), &said.into()));
    assert!(gauge.get("/", &[]).text().contains(&format!("up, but not whole: {said}")));
}

#[test]
fn a_limit_is_told_once_and_so_is_its_end() {
    needs!("redis-server");
    let redis = RedisServer::start();
    ["a", "b", "c", "d"].iter().for_each(|stream| redis.add(stream, 1));
    let gauge = Streamgauge::of(&redis.url(), &["--limits.streams", "2"]);
    gauge.poll();
    redis.add("e", 1);
    assert_eq!(labels(&gauge.poll(), "redis_stream_length", "stream"), ["a", "b"]);
    assert_eq!(gauge.logged(LEAVES_OUT).len(), 1);
    // The next ones take the place of one that is gone.
    redis.run(&["DEL a"]);
    gauge.poll();
    assert_eq!(labels(&gauge.poll(), "redis_stream_length", "stream"), ["b", "c"]);
    redis.run(&["DEL c d"]);
    gauge.until("streamgauge_poll_complete", Some(1.0));
    assert_eq!(labels(&gauge.poll(), "redis_stream_length", "stream"), ["b", "e"]);
    assert_eq!(gauge.logged(LEAVES_OUT).len(), 1);
    assert_eq!(gauge.logged("the limit leaves nothing out any more").len(), 1);
    assert!(gauge.logged("redis cannot be polled").is_empty());
    assert_eq!(gauge.logged("redis is up").len(), 1);
}

/// For scripts: what is left out is no success.
#[test]
fn the_terminal_says_what_is_left_out() {
    needs!("redis-server");
    let redis = RedisServer::start();
    ["a", "b"].iter().for_each(|stream| redis.add(stream, 1));
    let arguments = ["--redis.url", &redis.url(), "--redis.name", "main", "--limits.streams", "1"];
    let output = crate::support::exporter::Launch::new("groups").args(&arguments).output();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("main: there are more streams than limits.streams lets in, 1: 1 left out"),
        "{said}"
    );
}
