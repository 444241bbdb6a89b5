//! What is published of the oldest undelivered entry of a group, and of its oldest pending one, on every version.

use std::collections::BTreeMap;

use crate::{
    servers::versions,
    support::{exporter::Streamgauge, redis::RedisServer, samples::Samples, tool::needs},
};

const AGE: &str = "redis_stream_group_oldest_undelivered_age_seconds";
const DELETED: &str = "redis_stream_group_oldest_pending_deleted";
const READ: &str = "streamgauge_lag_entries_read_total";

/// Seconds between two entries: far more than a test takes, so that an age tells which entry it is of.
const STEP: u64 = 1000;

/// Entries that have an ID.
const ENTRIES: u64 = 10;

/// IDs in the past that can be told by their ages.
struct Ids {
    start_ms: u64,
}

impl Ids {
    fn of(redis: &RedisServer) -> Ids {
        let (seconds, _): (u64, u64) = redis.ask(&["TIME"]);
        Ids { start_ms: (seconds - ENTRIES * STEP) * 1000 }
    }

    fn id(&self, entry: u64) -> String {
        format!("{}-0", self.start_ms + entry * STEP * 1000)
    }

    fn add(&self, redis: &RedisServer, stream: &str, entry: u64, value: &str) {
        redis.ask::<String>(&["XADD", stream, &self.id(entry), "f", value]);
    }
}

/// The entry that an age is of.
fn entry(age: f64) -> u64 {
    // A little older than it was when the IDs were made.
    ENTRIES - (age / STEP as f64) as u64
}

/// The oldest undelivered entry by group.
fn oldest(metrics: &Samples) -> BTreeMap<String, u64> {
    let samples = metrics.all(AGE).into_iter();
    samples.map(|sample| (sample.labels["group"].clone(), entry(sample.value))).collect()
}

fn read(redis: &RedisServer, count: &str) {
    redis.ask::<redis::Value>(&[
        "XREADGROUP",
        "GROUP",
        "workers",
        "c",
        "COUNT",
        count,
        "STREAMS",
        "orders",
        ">",
    ]);
}

/// A thing that happens to a stream.
type Change<'a> = &'a dyn Fn();

#[test]
fn of_all_that_can_happen_to_a_stream() {
    needs!("redis-server");
    for version in versions() {
        let redis = version.start();
        let ids = Ids::of(&redis);
        let run = |command: &str| redis.run(&[command]);
        (0..9).for_each(|entry| ids.add(&redis, "orders", entry, "v"));
        run("XGROUP CREATE orders workers 0");
        let gauge = Streamgauge::of(&redis.url(), &[]);
        let steps: [(&str, Change, Option<u64>, Option<f64>); 13] = [
            ("added", &|| (), Some(0), None),
            ("delivered", &|| read(&redis, "3"), Some(3), Some(0.0)),
            ("the oldest one deleted", &|| run(&format!("XDEL orders {}", ids.id(3))), Some(4), Some(0.0)),
            ("another one deleted", &|| run(&format!("XDEL orders {}", ids.id(7))), Some(4), Some(0.0)),
            ("trimmed past it", &|| run("XTRIM orders MAXLEN 3"), Some(5), Some(1.0)),
            ("read on", &|| read(&redis, "1"), Some(6), Some(1.0)),
            ("set back", &|| run("XGROUP SETID orders workers 0"), Some(5), Some(1.0)),
            (
                "set to an entry that is gone",
                &|| run(&format!("XGROUP SETID orders workers {}", ids.id(7))),
                Some(8),
                Some(1.0),
            ),
            ("set to the end", &|| run("XGROUP SETID orders workers $"), None, Some(1.0)),
            ("one more", &|| ids.add(&redis, "orders", 9, "v"), Some(9), Some(1.0)),
            (
                "those that are gone acknowledged",
                &|| {
                    let ids = [0, 1, 2].map(|entry| ids.id(entry)).join(" ");
                    run(&format!("XACK orders workers {ids}"));
                },
                Some(9),
                Some(0.0),
            ),
            ("all acknowledged", &|| run(&format!("XACK orders workers {}", ids.id(5))), Some(9), None),
            ("emptied", &|| run("XTRIM orders MAXLEN 0"), None, None),
        ];
        for (what, change, undelivered, deleted) in steps {
            change();
            let metrics = gauge.poll();
            let found = metrics.value(AGE).map(entry);
            assert_eq!(found, undelivered, "{}, {what}: the undelivered one", version.name);
            assert_eq!(metrics.value(DELETED), deleted, "{}, {what}: the pending one", version.name);
        }
    }
}

#[test]
fn an_id_of_ones_own_has_no_age() {
    needs!("redis-server");
    for version in versions() {
        let redis = version.start();
        redis.run(&["XADD orders 1-0 f v", "XADD orders 2-0 f v", "XGROUP CREATE orders workers 1-0"]);
        let gauge = Streamgauge::of(&redis.url(), &[]);
        gauge.poll().check(&[("redis_stream_group_lag", Some(1.0)), (AGE, None)]);
        let report = gauge.groups();
        let group = &report["servers"][0]["streams"][0]["groups"][0];
        assert!(group["oldest_undelivered_age_seconds"].is_null(), "{group}");
    }
}

/// Groups at every entry but the first, whose lags are reported by nobody: each needs an entry read of its own.
fn large(redis: &RedisServer) {
    let (ids, payload) = (Ids::of(redis), "x".repeat(100_000));
    (0..10).for_each(|entry| ids.add(redis, "orders", entry, &payload));
    for entry in 0..10 {
        redis.run(&[&format!("XGROUP CREATE orders g{entry} {}", ids.id(entry))]);
    }
}

/// The bytes of a poll allow two of the entries. Each group has its turn, and what was found is not read again.
#[test]
fn large_entries_are_read_within_the_budget_and_once() {
    needs!("redis-server");
    for version in versions() {
        let redis = version.start();
        large(&redis);
        let budget = ["--lag.bytes-per-poll", "250000", "--lag.bytes-per-group", "100000"];
        let first = Streamgauge::of(&redis.url(), &[&budget[..], &["--poll.interval", "1h"]].concat());
        let metrics = first.metrics();
        let read = metrics.value(READ);
        assert!(read.is_some_and(|read| (1.0..=2.0).contains(&read)), "{}: {read:?}", version.name);
        // By the ends of the stream, the group before the last entry.
        assert!(metrics.all(AGE).len() < 9, "{}: {}", version.name, metrics.redis_lines());
        if redis.version() < (7, 0) {
            continue;
        }
        let gauge = Streamgauge::of(&redis.url(), &budget);
        let expected: BTreeMap<_, _> = (0..9).map(|entry| (format!("g{entry}"), entry + 1)).collect();
        let metrics = crate::support::wait::until("every group to have its turn", || {
            let metrics = gauge.metrics();
            // Never a wrong one on the way.
            let found = oldest(&metrics);
            assert!(found.iter().all(|(group, entry)| expected[group] == *entry), "{found:?}");
            let is_counted = metrics.all("redis_stream_group_lag_source{source=\"bounded\"}").is_empty();
            if found == expected && is_counted { Ok(metrics) } else { Err(metrics.redis_lines()) }
        });
        assert_eq!(gauge.poll().value(READ), metrics.value(READ), "{}: read again", version.name);
    }
}

/// Without a byte to read, the ends of the stream tell what they can.
#[test]
fn without_a_byte_to_read_the_ends_tell() {
    needs!("redis-server");
    for version in versions() {
        let redis = version.start();
        let ids = Ids::of(&redis);
        (0..5).for_each(|entry| ids.add(&redis, "orders", entry, "v"));
        let at = [("start", "0".to_owned()), ("middle", ids.id(1)), ("end", "$".to_owned())];
        for (group, id) in &at {
            redis.run(&[&format!("XGROUP CREATE orders {group} {id}")]);
        }
        let gauge = Streamgauge::of(&redis.url(), &["--lag.bytes-per-poll", "0"]);
        assert_eq!(oldest(&gauge.poll()), [("start".to_owned(), 0)].into(), "{}", version.name);
        redis.run(&[&format!("XDEL orders {}", ids.id(2)), "XTRIM orders MAXLEN 2"]);
        let both = ["start", "middle"].map(|group| (group.to_owned(), 3)).into();
        assert_eq!(oldest(&gauge.poll()), both, "{}", version.name);
        let calls = redis.calls();
        assert_eq!((calls.get("xrange"), calls.get("xrevrange")), (None, None), "{calls:?}");
    }
}
