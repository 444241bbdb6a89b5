//! What the program publishes of a lag: policies, bounds, sources, groups that do not exist, disagreements, budgets.

use crate::support::{
    exporter::Streamgauge,
    redis::{RedisServer, free_port},
    tool::needs,
};

/// A group between the ends of its stream, at a deleted entry: bounded without reading.
fn between() -> RedisServer {
    let redis = RedisServer::start();
    redis.run(&["XGROUP CREATE orders early 0 MKSTREAM"]);
    for ms in 1..=9 {
        redis.run(&[&format!("XADD orders {ms}-0 f v")]);
    }
    redis.run(&["XGROUP CREATE orders workers 4-0"]);
    redis
}

#[test]
fn a_bounded_lag_is_published_by_policy() {
    needs!("redis-server");
    let redis = between();
    let lag = "redis_stream_group_lag{group=\"workers\"}";
    let backlog = "redis_stream_group_backlog{group=\"workers\"}";
    // By the time between the first and the last entry, the estimate is right here.
    for (policy, expected) in
        [("estimate", Some(5.0)), ("lower", Some(1.0)), ("upper", Some(8.0)), ("absent", None)]
    {
        let gauge = Streamgauge::of(&redis.url(), &["--lag.entries-per-group", "0", "--lag.bounded", policy]);
        gauge.metrics().check(&[
            (lag, expected),
            (backlog, expected),
            ("redis_stream_group_lag_lower_bound{group=\"workers\"}", Some(1.0)),
            ("redis_stream_group_lag_upper_bound{group=\"workers\"}", Some(8.0)),
            ("redis_stream_group_lag_source{group=\"workers\",source=\"bounded\"}", Some(1.0)),
        ]);
    }
}

#[test]
fn a_lag_is_counted_within_the_budget() {
    needs!("redis-server");
    let redis = between();
    let gauge = Streamgauge::of(&redis.url(), &[]);
    let metrics = gauge.metrics();
    metrics.check(&[
        ("redis_stream_group_lag{group=\"workers\"}", Some(5.0)),
        ("redis_stream_group_lag_source{group=\"workers\",source=\"counted\"}", Some(1.0)),
        ("redis_stream_group_lag_lower_bound{group=\"workers\"}", Some(5.0)),
        ("redis_stream_group_lag_upper_bound{group=\"workers\"}", Some(5.0)),
        ("redis_stream_group_lag{group=\"early\"}", Some(9.0)),
        ("redis_stream_group_lag_source{group=\"early\",source=\"derived\"}", Some(1.0)),
    ]);
    // Five above the group, four at and below it. Once the ladder knows the place, one entry shows that it still holds.
    let read = metrics.value("streamgauge_lag_entries_read_total");
    assert!(read.is_some_and(|read| (1.0..=9.0).contains(&read)), "{read:?}");
    gauge.poll().check(&[("redis_stream_group_lag_source{group=\"workers\",source=\"derived\"}", Some(1.0))]);
}

/// A user who may not read entries: what the ends of the stream prove is published all the same, and the lack is told.
#[test]
fn without_permission_to_read_entries_the_lag_is_bounded() {
    needs!("redis-server");
    let redis = between();
    let rights = "~* +ping +info +time +scan +multi +exec +xinfo +xpending";
    redis.run(&[&format!("ACL SETUSER narrow on nopass -@all {rights}")]);
    let gauge = Streamgauge::of(&redis.url(), &["--redis.username", "narrow"]);
    gauge.poll().check(&[
        ("redis_up", Some(1.0)),
        ("redis_stream_up", Some(0.0)),
        ("redis_stream_length", Some(9.0)),
        ("redis_stream_group_lag{group=\"early\"}", Some(9.0)),
        ("redis_stream_group_lag_source{group=\"workers\",source=\"bounded\"}", Some(1.0)),
        ("redis_stream_group_lag_upper_bound{group=\"workers\"}", Some(8.0)),
        ("streamgauge_lag_entries_read_total", Some(0.0)),
    ]);
    let told = gauge.logged("stream cannot be read");
    assert!(
        told.len() == 1 && told[0]["reason"].as_str().is_some_and(|reason| reason.contains("NOPERM")),
        "{told:?}"
    );
}

#[test]
fn what_is_expected_and_does_not_exist_is_a_state() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 7);
    let lag = "redis_stream_group_lag{stream=\"orders\",group=\"workers\"}";
    let expect = ["--streams", "nothing-else", "--groups.expect", "orders=workers,a\\=b=c"];
    for (policy, expected) in [("length", Some(7.0)), ("zero", Some(0.0)), ("absent", None)] {
        let gauge = Streamgauge::of(&redis.url(), &[&expect[..], &["--lag.missing-group", policy]].concat());
        gauge.metrics().check(&[
            (lag, expected),
            ("redis_stream_group_backlog{stream=\"orders\",group=\"workers\"}", expected),
            ("redis_stream_group_lag_source{stream=\"orders\",source=\"no_group\"}", Some(1.0)),
            ("redis_stream_group_lag_upper_bound{stream=\"orders\"}", None),
            ("redis_stream_exists{stream=\"orders\"}", Some(1.0)),
            ("redis_stream_exists{stream=\"a=b\"}", Some(0.0)),
            ("redis_stream_group_lag{stream=\"a=b\",group=\"c\"}", Some(0.0)),
            ("redis_stream_group_backlog{stream=\"a=b\",group=\"c\"}", Some(0.0)),
            ("redis_stream_group_lag_source{stream=\"a=b\",source=\"no_stream\"}", Some(1.0)),
        ]);
    }
    // As soon as the group exists, it is one like any other.
    let gauge = Streamgauge::of(&redis.url(), &expect);
    redis.run(&["XGROUP CREATE orders workers $"]);
    gauge.until(lag, Some(0.0)).check(&[
        ("redis_stream_group_lag_source{stream=\"orders\",source=\"derived\"}", Some(1.0)),
        ("redis_stream_group_lag_source{stream=\"orders\",source=\"no_group\"}", None),
    ]);
}

/// A group that is expected is shown even where the filter would leave it out: it is not missing.
#[test]
fn an_expected_group_is_never_filtered_out() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 2);
    redis.run(&["XGROUP CREATE orders billing $"]);
    let gauge =
        Streamgauge::of(&redis.url(), &["--groups.include", "a*", "--groups.expect", "orders=billing"]);
    gauge.metrics().check(&[
        ("redis_stream_group_lag{group=\"billing\"}", Some(0.0)),
        ("redis_stream_group_lag_source{source=\"derived\"}", Some(1.0)),
    ]);
}

/// A replica that has never reached its primary is empty: its streams are not missing, they are unknown.
#[test]
fn a_replica_without_its_primary_tells_nothing() {
    needs!("redis-server");
    let nobody = free_port().to_string();
    let redis = RedisServer::with(&["--replicaof", "127.0.0.1", &nobody]);
    let gauge = Streamgauge::of(&redis.url(), &["--streams", "orders", "--groups.expect", "orders=billing"]);
    let metrics = gauge.metrics();
    metrics.check(&[
        ("redis_up", Some(0.0)),
        ("redis_stream_exists", None),
        ("redis_stream_group_lag", None),
        ("redis_stream_group_backlog", None),
    ]);
    assert!(metrics.value("streamgauge_poll_errors_total{kind=\"masterdown\"}") >= Some(1.0));
}

/// Counters that were set by hand: every version from 7.0 on reports a lag that is plainly wrong then.
#[test]
fn a_wrong_lag_of_redis_is_counted_and_told_once() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 10);
    redis.run(&["XGROUP CREATE orders workers 0", "XGROUP SETID orders workers $ ENTRIESREAD 3"]);
    let reported = redis.groups("orders")["workers"].get("lag").cloned();
    assert_eq!(reported, Some(redis::Value::Int(7)), "Redis is expected to be wrong here");
    let gauge = Streamgauge::of(&redis.url(), &[]);
    let before = gauge.metrics().value("streamgauge_lag_disagreements_total");
    let after = gauge.poll();
    after.check(&[("redis_stream_group_lag", Some(0.0))]);
    assert!(after.value("streamgauge_lag_disagreements_total") > before, "{before:?}");
    let told = gauge.logged("redis reports a wrong lag");
    assert_eq!(told.len(), 1, "{told:?}");
    let reason = told[0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("says 7") && reason.contains("the truth is 0"), "{reason}");
    assert_eq!(told[0]["group"], "workers");
}

/// A million entries, half of them undelivered, behind a tombstone: Redis says nil, and counting takes many polls.
#[test]
fn a_long_count_stays_within_its_budget_and_ends() {
    const ENTRIES: u64 = 1_000_000;
    needs!("redis-server");
    let redis = RedisServer::start();
    let fill = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], i .. '-0', 'f', 'v') end";
    redis.ask::<()>(&["EVAL", fill, "1", "orders", &ENTRIES.to_string()]);
    let half = ENTRIES / 2;
    redis.run(&[&format!("XGROUP CREATE orders workers {half}-0"), &format!("XDEL orders {}-0", half + 10)]);
    assert_eq!(redis.groups("orders")["workers"].get("lag"), Some(&redis::Value::Nil));
    let truth = (half - 1) as f64;
    let budget = 20_000.0;
    let arguments = [
        "--lag.entries-per-group",
        "20000",
        "--lag.bytes-per-group",
        "100000000",
        "--poll.interval",
        "100ms",
    ];
    let gauge = Streamgauge::of(&redis.url(), &arguments);
    let (mut polls, mut read, mut commands) = (0, 0.0, 0.0);
    loop {
        let metrics = gauge.poll();
        polls += 1;
        let value = |name: &str| metrics.value(name).unwrap_or_else(|| panic!("no {name}"));
        let (lower, upper) =
            (value("redis_stream_group_lag_lower_bound"), value("redis_stream_group_lag_upper_bound"));
        assert!(lower <= truth && truth <= upper, "{lower} to {upper}, poll {polls}");
        // A poll that counts sends at least 12 commands: so many polls at most have ended since the last look.
        let before = (read, commands);
        (read, commands) =
            (value("streamgauge_lag_entries_read_total"), value("streamgauge_redis_commands_total"));
        let counting_polls = ((commands - before.1) / 12.0).floor();
        assert!(
            read - before.0 <= (budget + 1.0) * counting_polls,
            "{} entries in {counting_polls} polls",
            read - before.0
        );
        if lower == upper {
            break;
        }
        assert!(polls < 1000, "the count does not end: {lower} to {upper}");
    }
    // Half a page went down at first; the rest of the way was read once, and one entry in each poll to confirm it.
    assert!(read <= truth + budget + commands / 12.0, "{read} entries for a lag of {truth}");
    gauge.poll().check(&[("redis_stream_group_lag", Some(truth))]);
}

/// What is read of entries can be nothing at all, not even whether one still exists.
#[test]
fn with_no_byte_to_read_no_entry_is_read() {
    needs!("redis-server");
    let redis = between();
    let gauge = Streamgauge::of(&redis.url(), &["--lag.bytes-per-poll", "0"]);
    for ms in [10, 11] {
        redis.run(&[&format!("XADD orders {ms}-0 f v")]);
        gauge.poll().check(&[
            ("redis_stream_up", Some(1.0)),
            ("redis_stream_group_lag_source{group=\"early\",source=\"derived\"}", Some(1.0)),
            ("redis_stream_group_lag_source{group=\"workers\",source=\"bounded\"}", Some(1.0)),
            ("streamgauge_lag_entries_read_total", Some(0.0)),
        ]);
    }
    let calls = redis.calls();
    assert_eq!((calls.get("xrange"), calls.get("xrevrange")), (None, None), "{calls:?}");
}
