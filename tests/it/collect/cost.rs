//! What a poll costs Redis.

use std::collections::BTreeMap;

use crate::support::{exporter::Streamgauge, redis::RedisServer, tool::needs};

/// The commands of polls, by Redis's own count. The test itself sends none of them.
fn polling_calls(redis: &RedisServer) -> BTreeMap<String, u64> {
    let mut calls = redis.calls();
    calls.retain(|name, _| ["xinfo", "xpending", "multi", "exec", "time", "scan"].contains(&name.as_str()));
    calls
}

/// How often Redis has read from a socket: at least once for each round trip.
fn reads(redis: &RedisServer) -> u64 {
    let info: String = redis.ask(&["INFO", "stats"]);
    let reads = info.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
    reads.unwrap().parse().unwrap()
}

/// One poll, and then none for an hour: nothing moves while it is counted.
const ONE_POLL: [&str; 2] = ["--poll.interval", "1h"];

#[test]
fn commands_are_counted_and_round_trips_do_not_grow_with_streams() {
    needs!("redis-server");
    for streams in [1, 300] {
        let redis = RedisServer::start();
        let fill = "for i = 1, ARGV[1] do redis.call('XADD', 's'..i, '*', 'n', 1); redis.call('XGROUP', 'CREATE', 's'..i, 'g', 0); \
                    redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's'..i, '>') end";
        redis.ask::<()>(&["EVAL", fill, "0", &streams.to_string()]);
        // What the script did is not the poll's.
        redis.run(&["CONFIG RESETSTAT"]);
        let gauge = Streamgauge::of(&redis.url(), &ONE_POLL);
        let (calls, reads) = (polling_calls(&redis), reads(&redis));
        let metrics = gauge.metrics();

        assert_eq!(metrics.all("redis_stream_length").len(), streams);
        let streams = streams as u64;
        for (command, count) in [
            ("multi", streams),
            ("exec", streams),
            // STREAM, GROUPS and CONSUMERS
            ("xinfo", 3 * streams),
            ("xpending", streams),
            ("time", 1),
            ("scan", 1),
        ] {
            assert_eq!(calls.get(command), Some(&count), "{command} in {calls:?}");
        }
        // CLIENT twice for each connection, INFO twice in each poll.
        let commands = calls.values().sum::<u64>() + 4;
        assert_eq!(metrics.value("streamgauge_redis_commands_total"), Some(commands as f64), "{calls:?}");
        // 1,800 commands for 300 streams: were they sent one by one, there would be as many reads.
        assert!(reads < 100, "{reads} reads for {commands} commands");
    }
}

#[test]
fn exact_names_need_no_scan() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 1);
    let gauge = Streamgauge::of(&redis.url(), &["--streams", "orders"]);
    gauge.poll();
    let calls = redis.calls();
    assert!(calls["time"] > 1, "{calls:?}");
    assert_eq!(calls.get("scan"), None);
    assert_eq!(calls.get("keys"), None);
}

#[test]
fn readers_do_not_add_to_the_cost() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 1);
    let gauge = Streamgauge::of(&redis.url(), &ONE_POLL);
    let before = polling_calls(&redis);
    for path in ["/metrics", "/", "/api/v1/groups", "/readyz"] {
        assert_eq!(gauge.get(path, &[]).status, 200);
    }
    assert_eq!(polling_calls(&redis), before);
}
