//! The entry that tells whether a stream is still the same one: asked for together with the stream, where it will be needed.

use crate::{
    servers,
    support::{exporter::Streamgauge, redis::RedisServer, samples::Samples, tool::needs},
};

const LAG: &str = "redis_stream_group_lag{stream=\"orders\",group=\"workers\"}";

/// A group in the midst of its stream.
fn fill(redis: &RedisServer) {
    for id in ["1-0", "2-0", "3-0", "4-0"] {
        redis.run(&[&format!("XADD orders {id} f v")]);
    }
    redis.run(&["XGROUP CREATE orders workers 2-0"]);
}

/// The stream grows by so many entries, each seen by a poll. Returns how many more transactions there were than polls, to
/// one or two of which the poll under way may have added, and the latest metrics.
fn grow(redis: &RedisServer, gauge: &Streamgauge, entries: u64) -> (u64, Samples) {
    let counts = || {
        let calls = redis.calls();
        ["time", "multi"].map(|command| calls.get(command).copied().unwrap_or(0))
    };
    let before = counts();
    let mut metrics = None;
    for _ in 0..entries {
        redis.run(&["XADD orders * f v"]);
        metrics = Some(gauge.poll());
    }
    let after = counts();
    ((after[1] - before[1]).saturating_sub(after[0] - before[0]), metrics.unwrap())
}

#[test]
fn a_stream_that_grows_is_asked_for_once() {
    needs!("redis-server");
    // Before Redis 7.0 nothing is remembered, so that nothing has to be confirmed.
    for version in servers::versions() {
        let redis = version.start();
        if redis.version() < (7, 0) {
            continue;
        }
        fill(&redis);
        let gauge = Streamgauge::of(&redis.url(), &[]);
        assert_eq!(gauge.poll().value(LAG), Some(2.0), "{version:?}");
        let (_, metrics) = grow(&redis, &gauge, 2);
        assert_eq!(metrics.value(LAG), Some(4.0), "{version:?}");
        let (more, metrics) = grow(&redis, &gauge, 8);
        assert_eq!(metrics.value(LAG), Some(12.0), "{version:?}");
        assert!(more <= 2, "{version:?}: {more} streams were asked for twice");
        // Another stream, which looks like it, has no such entry.
        let length = 14;
        redis.run(&["DEL orders"]);
        (0..length).for_each(|ms| redis.run(&[&format!("XADD orders {}-0 f v", 10_u64.pow(14) + ms)]));
        redis.run(&[&format!("XGROUP CREATE orders workers {}-0", 10_u64.pow(14) + 9)]);
        assert_eq!(gauge.poll().value(LAG), Some(4.0), "{version:?}");
    }
}

#[test]
fn what_may_not_be_read_any_more_costs_the_lag_and_not_the_stream() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill(&redis);
    redis.run(&["ACL SETUSER narrow on nopass ~* +@all"]);
    let gauge = Streamgauge::of(&redis.url(), &["--redis.username", "narrow"]);
    gauge.poll();
    let (_, metrics) = grow(&redis, &gauge, 3);
    assert_eq!(metrics.value(LAG), Some(5.0));

    redis.run(&["ACL SETUSER narrow -xrange -xrevrange"]);
    let (_, metrics) = grow(&redis, &gauge, 1);
    assert_eq!(metrics.value("redis_stream_length{stream=\"orders\"}"), Some(8.0));
    assert_eq!(metrics.value("redis_stream_up{stream=\"orders\"}"), Some(0.0));
    // Once more in each poll, in vain: what was foreseen is not asked for again.
    let polls = 6;
    let (more, _) = grow(&redis, &gauge, polls);
    assert!(more <= 2 * polls + 4, "{more}");

    redis.run(&["ACL SETUSER narrow +xrange +xrevrange"]);
    let (_, metrics) = grow(&redis, &gauge, 1);
    assert_eq!(
        (metrics.value(LAG), metrics.value("redis_stream_up{stream=\"orders\"}")),
        (Some(13.0), Some(1.0))
    );
}
