//! Streams with large entries, which are read only when they have changed.

use crate::{
    servers,
    support::{
        exporter::Streamgauge,
        redis::{RedisServer, integer},
        samples::Samples,
        tool::needs,
    },
};

/// An entry of 20 kB.
fn add(redis: &RedisServer, stream: &str, id: &str) {
    redis.ask::<String>(&["XADD", stream, id, "payload", &"x".repeat(20_000)]);
}

fn fill(redis: &RedisServer) {
    for id in ["1-0", "2-0", "3-0", "4-0"] {
        add(redis, "big", id);
    }
    redis.run(&["XGROUP CREATE big g 0", "XADD small 1-0 f v", "XGROUP CREATE small g 0"]);
}

/// Polls since a moment, and how often a stream was read in full: either may be one more, of the poll under way.
fn polls_and_reads(redis: &RedisServer, gauge: &Streamgauge) -> (u64, u64) {
    let counts = || {
        let calls = redis.calls();
        ["time", "multi"].map(|command| calls.get(command).copied().unwrap_or(0))
    };
    let before = counts();
    (0..4).for_each(|_| _ = gauge.poll());
    let after = counts();
    (after[0] - before[0], after[1] - before[1])
}

/// What is published of the stream is what Redis says itself.
#[track_caller]
fn agree(metrics: &Samples, redis: &RedisServer) {
    let stream = redis.stream("big");
    let fields = [
        ("length", "redis_stream_length"),
        ("groups", "redis_stream_groups"),
        ("radix-tree-keys", "redis_stream_radix_tree_keys"),
        ("entries-added", "redis_stream_entries_added_total"),
    ];
    for (field, metric) in fields {
        let found = metrics.value(&format!("{metric}{{stream=\"big\"}}"));
        assert_eq!(found, integer(&stream, field), "{metric}");
    }
    for (group, fields) in redis.groups("big") {
        let of = |metric: &str| metrics.value(&format!("{metric}{{stream=\"big\",group=\"{group}\"}}"));
        assert_eq!(of("redis_stream_group_messages_pending"), integer(&fields, "pending"), "{group}");
        let last: String =
            redis::FromRedisValue::from_redis_value(fields["last-delivered-id"].clone()).unwrap();
        let later: Vec<redis::Value> = redis.ask(&["XRANGE", "big", &last, "+"]);
        let has_last: Vec<redis::Value> = redis.ask(&["XRANGE", "big", &last, &last]);
        assert_eq!(of("redis_stream_group_lag"), Some((later.len() - has_last.len()) as f64), "{group}");
    }
}

#[test]
fn they_are_read_when_they_have_changed_and_only_then() {
    needs!("redis-server");
    for version in servers::versions() {
        let redis = version.start();
        fill(&redis);
        let gauge = Streamgauge::of(&redis.url(), &[]);
        // The first poll finds that they are large, the second has Redis tell.
        gauge.poll();
        gauge.poll();
        agree(&gauge.poll(), &redis);
        let (polls, reads) = polls_and_reads(&redis, &gauge);
        let each_time = if redis.version() >= (7, 0) { 1 } else { 2 };
        let (most, least) = (each_time * polls + 1, (each_time * polls).saturating_sub(2));
        assert!((least..=most).contains(&reads), "{version:?}: {reads} reads in {polls} polls");

        let changes: &[&[&str]] = &[
            &["XREADGROUP", "GROUP", "g", "c", "COUNT", "2", "STREAMS", "big", ">"],
            &["XACK", "big", "g", "1-0"],
            &["XGROUP", "CREATE", "big", "late", "3-0"],
            &["XDEL", "big", "4-0"],
            &["XTRIM", "big", "MAXLEN", "2"],
            &["XGROUP", "DESTROY", "big", "late"],
            &["XADD", "big", "9-0", "f", "v"],
            &["XDEL", "big", "9-0"],
            &["RENAME", "big", "elsewhere"],
            &["RENAME", "elsewhere", "big"],
            &["CLIENT", "KILL", "TYPE", "normal"],
            &["XADD", "big", "10-0", "f", "v"],
        ];
        // Of the last ones Redis does not tell; older servers have some of them only, and tell of nothing.
        let untold: &[&[&str]] = &[
            &["XSETID", "big", "20-0", "ENTRIESADDED", "50", "MAXDELETEDID", "9-0"],
            &["COPY", "big", "big", "DB", "1"],
            &["XTRIM", "big", "MAXLEN", "1"],
            &["XADD", "big", "30-0", "f", "v"],
            &["SWAPDB", "0", "1"],
            &["SWAPDB", "0", "1"],
        ];
        let untold = if redis.version() >= (7, 0) { untold } else { &[] };
        for change in changes.iter().chain(untold) {
            // Whatever that answers.
            redis.try_ask::<redis::Value>(change).ok();
            let metrics = gauge.poll();
            match change {
                ["RENAME", "big", _] => {
                    let of_big = metrics.all("redis_stream_length{stream=\"big\"}");
                    assert!(of_big.is_empty(), "{version:?}: {of_big:?}");
                }
                _ => agree(&metrics, &redis),
            }
        }
        redis.run(&["FLUSHALL"]);
        assert!(gauge.poll().all("redis_stream_length").is_empty(), "{version:?}");
        fill(&redis);
        gauge.until("redis_stream_length{stream=\"big\"}", Some(4.0));
        agree(&gauge.poll(), &redis);
    }
}

#[test]
fn an_entry_takes_no_memory_however_large_it_is() {
    needs!("redis-server");
    const BYTES: usize = 200_000_000;
    let redis = RedisServer::start();
    redis.ask::<String>(&["XADD", "big", "1-0", "payload", &"x".repeat(BYTES)]);
    redis.run(&["XADD big 2-0 f v", "XGROUP CREATE big g 0"]);
    for protocol in ["resp2", "resp3"] {
        let gauge = Streamgauge::of(&format!("{}?protocol={protocol}", redis.url()), &[]);
        // The first entry is read with the stream, and once more for its age.
        agree(&gauge.poll(), &redis);
        let peak = gauge.memory_kib("VmHWM:") * 1024;
        assert!(peak < BYTES as u64 / 2, "{protocol}: {peak}");
    }
}

#[test]
fn a_replica_with_the_data_of_another_primary() {
    needs!("redis-server");
    for load in ["disabled", "swapdb"] {
        let primaries = [RedisServer::start(), RedisServer::start()];
        primaries.iter().for_each(fill);
        add(&primaries[1], "big", "5-0");
        let follow = |primary: &RedisServer| format!("127.0.0.1 {}", primary.address().port());
        let of_first = follow(&primaries[0]);
        let replica = RedisServer::with(&["--repl-diskless-load", load, "--replicaof", &of_first]);
        let gauge = Streamgauge::of(&replica.url(), &[]);
        gauge.until("redis_stream_length{stream=\"big\"}", Some(4.0));
        gauge.poll();
        let (polls, reads) = polls_and_reads(&replica, &gauge);
        assert!(reads <= polls + 1, "{load}: {reads} reads in {polls} polls");
        replica.run(&[&format!("REPLICAOF {}", follow(&primaries[1]))]);
        gauge.until("redis_stream_length{stream=\"big\"}", Some(5.0));
        agree(&gauge.poll(), &replica);
        // What the primary does is not told of to those who ask a replica either.
        primaries[1].run(&["XSETID big 20-0"]);
        gauge.until("redis_stream_last_generated_id{stream=\"big\"}", Some(20.0));
    }
}

#[test]
fn without_the_right_to_be_told_they_are_read_each_time() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill(&redis);
    redis.run(&["ACL SETUSER narrow on nopass ~* +@all -client|tracking -client|caching"]);
    let gauge = Streamgauge::of(&redis.url(), &["--redis.username", "narrow"]);
    gauge.poll();
    gauge.poll();
    let (polls, reads) = polls_and_reads(&redis, &gauge);
    assert!(reads + 2 >= 2 * polls, "{reads} in {polls} polls");
    agree(&gauge.poll(), &redis);
    add(&redis, "big", "5-0");
    agree(&gauge.poll(), &redis);
    assert!(gauge.logged("stream cannot be read").is_empty());
}
