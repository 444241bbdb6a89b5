//! The entry that tells whether a stream is still the same one: asked for together with the stream, where it will be needed.

use crate::{
    servers,
    support::{exporter::Streamgauge, redis::RedisServer, samples::Samples, tool::needs},
};

const LAG: &str = "redis_stream_group_lag{stream=\"orders\",group=\"workers\"}";

/// Payloads of usual entries, and of those that are large: Redis is to tell when a stream of them changes.
const PAYLOADS: [usize; 2] = [1, 20_000];

fn add(redis: &RedisServer, id: &str, payload: usize) {
    redis.ask::<String>(&["XADD", "orders", id, "f", &"v".repeat(payload)]);
}

/// A group in the midst of its stream.
fn fill(redis: &RedisServer, payload: usize) {
    ["1-0", "2-0", "3-0", "4-0"].iter().for_each(|id| add(redis, id, payload));
    redis.run(&["XGROUP CREATE orders workers 2-0"]);
}

/// The stream grows by so many entries, each seen by a poll. Returns how many polls and transactions there were, to one or
/// two of which the poll under way may have added, and the latest metrics.
fn grow(redis: &RedisServer, gauge: &Streamgauge, entries: u64, payload: usize) -> ([u64; 2], Samples) {
    let counts = || {
        let calls = redis.calls();
        ["time", "multi"].map(|command| calls.get(command).copied().unwrap_or(0))
    };
    let before = counts();
    let mut metrics = None;
    for _ in 0..entries {
        add(redis, "*", payload);
        metrics = Some(gauge.poll());
    }
    let after = counts();
    ([0, 1].map(|count| after[count] - before[count]), metrics.unwrap())
}

#[test]
fn a_stream_that_grows_is_asked_for_once() {
    needs!("redis-server");
    let all = servers::versions();
    for (version, payload) in all.iter().flat_map(|version| PAYLOADS.map(|payload| (version, payload))) {
        let of = format!("{version:?}, {payload} bytes");
        let redis = version.start();
        // Before Redis 7.0 nothing is remembered, so that nothing has to be confirmed.
        if redis.version() < (7, 0) {
            continue;
        }
        fill(&redis, payload);
        let gauge = Streamgauge::of(&redis.url(), &[]);
        assert_eq!(gauge.poll().value(LAG), Some(2.0), "{of}");
        let (_, metrics) = grow(&redis, &gauge, 2, payload);
        assert_eq!(metrics.value(LAG), Some(4.0), "{of}");
        let entries = 8;
        let ([polls, reads], metrics) = grow(&redis, &gauge, entries, payload);
        assert_eq!(metrics.value(LAG), Some(12.0), "{of}");
        // Of large ones Redis tells when they change: they are not read in the polls between.
        let changes = if payload == PAYLOADS[0] { polls } else { entries };
        assert!(reads <= changes + 2, "{of}: {reads} reads of a stream for {changes}");
        // Another stream, which looks like it, has no such entry.
        let length = 14;
        redis.run(&["DEL orders"]);
        (0..length).for_each(|ms| add(&redis, &format!("{}-0", 10_u64.pow(14) + ms), payload));
        redis.run(&[&format!("XGROUP CREATE orders workers {}-0", 10_u64.pow(14) + 9)]);
        assert_eq!(gauge.poll().value(LAG), Some(4.0), "{of}");
    }
}

#[test]
fn what_may_not_be_read_any_more_costs_the_lag_and_not_the_stream() {
    needs!("redis-server");
    for payload in PAYLOADS {
        let redis = RedisServer::start();
        fill(&redis, payload);
        redis.run(&["ACL SETUSER narrow on nopass ~* +@all"]);
        let gauge = Streamgauge::of(&redis.url(), &["--redis.username", "narrow"]);
        gauge.poll();
        let (_, metrics) = grow(&redis, &gauge, 3, payload);
        assert_eq!(metrics.value(LAG), Some(5.0), "{payload} bytes");

        redis.run(&["ACL SETUSER narrow -xrange -xrevrange"]);
        let (_, metrics) = grow(&redis, &gauge, 1, payload);
        assert_eq!(metrics.value("redis_stream_length{stream=\"orders\"}"), Some(8.0), "{payload} bytes");
        assert_eq!(metrics.value("redis_stream_up{stream=\"orders\"}"), Some(0.0), "{payload} bytes");
        // Once more in each poll, in vain: what was foreseen is not asked for again.
        let polls = 6;
        let ([seen, reads], _) = grow(&redis, &gauge, polls, payload);
        assert!(reads <= seen + 2 * polls + 4, "{payload} bytes: {reads} reads in {seen} polls");

        redis.run(&["ACL SETUSER narrow +xrange +xrevrange"]);
        let (_, metrics) = grow(&redis, &gauge, 1, payload);
        assert_eq!(
            (metrics.value(LAG), metrics.value("redis_stream_up{stream=\"orders\"}")),
            (Some(13.0), Some(1.0)),
            "{payload} bytes"
        );
    }
}
