//! Every series of a stream, its groups and its consumers.

use std::collections::BTreeSet;

use streamgauge::catalogue::CATALOGUE;

use crate::support::{
    exporter::Streamgauge,
    redis::{RedisServer, id_ms, integer},
    samples::{Sample, Samples},
    tool::needs,
};

/// Two groups: `workers` in the middle of its work, `fresh` at the end of the stream with nothing read.
fn with_history() -> RedisServer {
    let redis = RedisServer::start();
    redis.add("orders", 10);
    redis.run(&[
        "XGROUP CREATE orders workers 0",
        "XGROUP CREATE orders fresh $",
        "XREADGROUP GROUP workers alice COUNT 4 STREAMS orders >",
        "XREADGROUP GROUP workers bob COUNT 3 STREAMS orders >",
    ]);
    let delivered: Vec<(String, Vec<String>)> = redis.ask(&["XRANGE", "orders", "-", "+", "COUNT", "2"]);
    redis.run(&[
        &format!("XACK orders workers {} {}", delivered[0].0, delivered[1].0),
        &format!("XDEL orders {}", delivered[1].0),
        // Delivered twice now, which counts.
        "XREADGROUP GROUP workers alice STREAMS orders 0",
    ]);
    redis
}

const WORKERS: &str = r#"{redis="main",db="db0",stream="orders",group="workers"}"#;

#[test]
fn every_series_says_what_redis_says() {
    needs!("redis-server");
    let redis = with_history();
    let gauge = Streamgauge::of(&redis.url(), &[]);
    let metrics = gauge.poll();

    let stream = redis.stream("orders");
    for (metric, value) in [
        ("redis_stream_up", Some(1.0)),
        ("redis_stream_exists", Some(1.0)),
        ("redis_stream_length", integer(&stream, "length")),
        ("redis_stream_groups", integer(&stream, "groups")),
        ("redis_stream_entries_added_total", integer(&stream, "entries-added")),
        ("redis_stream_radix_tree_keys", integer(&stream, "radix-tree-keys")),
        ("redis_stream_radix_tree_nodes", integer(&stream, "radix-tree-nodes")),
        ("redis_stream_first_entry_id", id_ms(&stream, "first-entry")),
        ("redis_stream_last_entry_id", id_ms(&stream, "last-entry")),
        ("redis_stream_last_generated_id", id_ms(&stream, "last-generated-id")),
        ("redis_stream_max_deleted_entry_id", id_ms(&stream, "max-deleted-entry-id")),
        ("redis_stream_first_entry_timestamp_seconds", id_ms(&stream, "first-entry").map(|ms| ms / 1e3)),
        ("redis_stream_last_entry_timestamp_seconds", id_ms(&stream, "last-entry").map(|ms| ms / 1e3)),
    ] {
        let selector = format!(r#"{metric}{{redis="main",db="db0",stream="orders"}}"#);
        metrics.check(&[(&selector, value)]);
    }

    let groups = redis.groups("orders");
    assert_eq!(groups.keys().collect::<Vec<_>>(), ["fresh", "workers"]);
    // Before 7.0 nothing tells how many entries lie above an ID in the middle: between 1 and 8 of the 9.
    let workers = if redis.version() >= (7, 0) {
        3.0
    } else {
        metrics.value(&format!("redis_stream_group_lag{WORKERS}")).unwrap().clamp(1.0, 8.0)
    };
    for (name, lag) in [("workers", workers), ("fresh", 0.0)] {
        let group = &groups[name];
        let pending = integer(group, "pending").unwrap();
        for (metric, value) in [
            ("redis_stream_group_lag", Some(lag)),
            ("redis_stream_group_backlog", Some(lag + pending)),
            ("redis_stream_group_messages_pending", Some(pending)),
            ("redis_stream_group_consumers", integer(group, "consumers")),
            ("redis_stream_group_last_delivered_id", id_ms(group, "last-delivered-id")),
            ("redis_stream_group_entries_read", integer(group, "entries-read")),
        ] {
            let selector = format!(r#"{metric}{{redis="main",db="db0",stream="orders",group="{name}"}}"#);
            metrics.check(&[(&selector, value)]);
        }
    }

    for (name, consumer) in redis.consumers("orders", "workers") {
        let selector = format!(
            r#"redis_stream_group_consumer_messages_pending{{stream="orders",group="workers",consumer="{name}"}}"#
        );
        metrics.check(&[(&selector, integer(&consumer, "pending"))]);
    }
    metrics.check(&[(&format!("redis_stream_group_oldest_pending_deliveries{WORKERS}"), Some(2.0))]);
}

/// Between what Redis said before a poll and what it says afterwards.
#[test]
fn ages_are_measured_by_redis_clock() {
    needs!("redis-server");
    let redis = with_history();
    let gauge = Streamgauge::of(&redis.url(), &[]);
    let look = || {
        let consumer = redis.consumers("orders", "workers")["alice"].clone();
        let pending: Vec<(String, String, u64, u64)> =
            redis.ask(&["XPENDING", "orders", "workers", "-", "+", "1"]);
        let (seconds, micros): (u64, u64) = redis.ask(&["TIME"]);
        let added: u64 = pending[0].0.split('-').next().unwrap().parse().unwrap();
        [
            integer(&consumer, "idle").unwrap() / 1e3,
            pending[0].2 as f64 / 1e3,
            (seconds * 1000 + micros / 1000 - added) as f64 / 1e3,
        ]
    };
    let before = look();
    let metrics = gauge.poll();
    let after = look();
    let selectors = [
        r#"redis_stream_group_consumer_idle_seconds{group="workers",consumer="alice"}"#.to_owned(),
        format!("redis_stream_group_oldest_pending_idle_seconds{WORKERS}"),
        format!("redis_stream_group_oldest_pending_age_seconds{WORKERS}"),
    ];
    for (selector, (before, after)) in selectors.iter().zip(before.into_iter().zip(after)) {
        let value = metrics.value(selector).unwrap();
        assert!((before..=after).contains(&value), "{selector}: {value} is not in {before}..={after}");
    }
}

#[test]
fn no_metric_of_the_catalogue_is_missing() {
    needs!("redis-server");
    let redis = with_history();
    // The only shard there is: what shards say of themselves is there, too.
    let gauge = Streamgauge::of(&redis.url(), &["--shard", "0", "--total-shards", "1"]);
    let shown: BTreeSet<_> = gauge.metrics().0.into_iter().map(|sample| sample.name).collect();
    let version = redis.version();
    let known: BTreeSet<_> = CATALOGUE
        .iter()
        .map(|metric| metric.name)
        .filter(|name| version >= (7, 2) || *name != "redis_stream_group_consumer_inactive_seconds")
        .filter(|_| version >= (7, 0))
        // Of the adapters, which are off: the tests of each look for its own.
        .filter(|name| !name.starts_with("streamgauge_adapter_"))
        // They come with time: `tests/it/health` waits for them.
        .filter(|name| !name.ends_with("_per_second") && *name != "redis_stream_group_drain_seconds")
        .map(str::to_owned)
        .collect();
    assert!(known.is_subset(&shown), "missing: {:?}", known.difference(&shown));
    assert!(shown.iter().all(|name| CATALOGUE.iter().any(|metric| metric.name == name)), "{shown:?}");
}

/// What does not change with time.
fn lasting(metrics: Samples) -> Vec<Sample> {
    let mut samples = metrics.0;
    samples.retain(|sample| sample.name.starts_with("redis_"));
    for sample in &mut samples {
        if sample.name.contains("_idle_")
            || sample.name.contains("_age_")
            || sample.name.contains("_inactive_")
        {
            sample.value = 0.0;
        }
    }
    samples
}

#[test]
fn resp3_gives_the_same_series() {
    needs!("redis-server");
    let redis = with_history();
    let [two, three] = ["resp2", "resp3"].map(|protocol| {
        // The second poll knows more than the first one.
        let url = format!("{}/0?protocol={protocol}", redis.url());
        let gauge = Streamgauge::of(&url, &["--poll.interval", "1h"]);
        let clients: String = redis.ask(&["CLIENT", "LIST"]);
        let expected = format!("resp={}", &protocol[4..]);
        // `resp` is in the list from 7.0 on.
        assert!(redis.version() < (7, 0) || clients.contains(&expected), "{clients}");
        lasting(gauge.metrics())
    });
    assert!(two.len() > 30, "{two:?}");
    assert_eq!(two, three);
}

#[test]
fn what_is_gone_from_redis_is_gone_from_the_next_poll() {
    needs!("redis-server");
    let redis = with_history();
    redis.run(&["XADD other * n 1"]);
    let gauge = Streamgauge::of(&redis.url(), &[]);
    for (command, gone) in [
        (
            "XGROUP DELCONSUMER orders workers bob",
            r#"redis_stream_group_consumer_idle_seconds{consumer="bob"}"#,
        ),
        ("XGROUP DESTROY orders fresh", r#"redis_stream_group_lag{group="fresh"}"#),
        ("DEL other", r#"redis_stream_length{stream="other"}"#),
    ] {
        let is_shown = |metrics: &Samples| !metrics.all(gone).is_empty();
        assert!(is_shown(&gauge.poll()), "{gone} before {command}");
        redis.run(&[command]);
        assert!(!is_shown(&gauge.poll()), "{gone} after {command}");
    }
    // Not a trace of them in any series, and the rest is there.
    let metrics = gauge.metrics();
    for (label, value) in [("consumer", "bob"), ("group", "fresh"), ("stream", "other")] {
        let left = metrics.0.iter().find(|sample| sample.labels.get(label).is_some_and(|name| name == value));
        assert_eq!(left, None);
    }
    // What bob held went with him.
    let left =
        |group: &str| metrics.value(&format!(r#"redis_stream_group_messages_pending{{group="{group}"}}"#));
    assert_eq!((left("workers"), left("fresh")), (Some(2.0), None));
}
