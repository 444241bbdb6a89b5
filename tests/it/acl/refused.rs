//! Each documented right is needed: without it, what the table says is lost, and what to grant is told.

use std::collections::BTreeSet;

use streamgauge::collect::commands::{Command, Servers};

use super::{EVERYTHING, USER, commands, fill, refusals, servers_of, set_user};
use crate::{
    servers,
    support::{exporter::Streamgauge, redis::RedisServer, samples::Samples, tool::needs},
};

/// The metrics that are lost with a command, by how their names begin.
const LOST: &[(&str, &[&str])] = &[
    ("SELECT", EVERY_NUMBER),
    ("TIME", EVERY_NUMBER),
    ("MULTI", EVERY_STREAM),
    ("XINFO STREAM", EVERY_STREAM),
    ("XINFO GROUPS", EVERY_STREAM),
    ("EXEC", EVERY_STREAM),
    ("XPENDING", &["redis_stream_group_oldest_pending_"]),
    // Of a group without consumers it is known how many are active.
    ("XINFO CONSUMERS", &["redis_stream_group_consumer_"]),
    // Only streams that a glob means, and how sure a lag is: see below.
    ("SCAN", &[]),
    ("XRANGE", &[]),
    ("XREVRANGE", &[]),
    // Where the version is not known, a deletion may have left no trace.
    ("INFO", &["redis_stream_group_oldest_pending_deleted"]),
    ("CLIENT SETINFO", &[]),
    ("CLIENT TRACKING", &[]),
    ("CLIENT CACHING", &[]),
];
const EVERY_NUMBER: &[&str] = &["redis_stream_"];
const EVERY_STREAM: &[&str] = &[
    "redis_stream_exists",
    "redis_stream_length",
    "redis_stream_groups",
    "redis_stream_entries_",
    "redis_stream_radix_",
    "redis_stream_first_",
    "redis_stream_last_",
    "redis_stream_max_",
    "redis_stream_group_",
];

fn names(metrics: &Samples) -> BTreeSet<String> {
    metrics
        .0
        .iter()
        .map(|sample| sample.name.clone())
        .filter(|name| name.starts_with("redis_stream_"))
        // Rates come only after some seconds, whatever the rights are.
        .filter(|name| !name.ends_with("_per_second") && !name.ends_with("_drain_seconds"))
        .collect()
}

fn sources(metrics: &Samples) -> BTreeSet<String> {
    let all = metrics.all("redis_stream_group_lag_source");
    all.into_iter().map(|sample| sample.labels["source"].clone()).collect()
}

/// Several polls of a user with some rights.
fn polled(redis: &RedisServer, rights: &[String]) -> (Streamgauge, Samples) {
    redis.run(&[&set_user(USER, rights), "ACL LOG RESET"]);
    let gauge = EVERYTHING.gauge(redis, USER);
    // Where the server cannot be polled, no poll succeeds.
    let metrics = match gauge.metrics().value("redis_up") {
        Some(1.0) => gauge.poll(),
        _ => gauge.metrics(),
    };
    (gauge, metrics)
}

/// The reasons that are told: in the log, and in the JSON.
fn told(gauge: &Streamgauge) -> Vec<String> {
    const MESSAGES: [&str; 3] =
        ["stream cannot be read", "redis cannot be polled", "redis can be polled in part only"];
    let lines = MESSAGES.map(|message| gauge.logged(message)).concat();
    lines.iter().map(|line| line["reason"].as_str().unwrap().to_owned()).collect()
}

fn without(redis: &RedisServer, servers: Servers, command: &Command, all: &Samples) {
    let rule = command.rule();
    let rights: Vec<_> = EVERYTHING.rights(servers).into_iter().filter(|right| *right != rule).collect();
    let (gauge, metrics) = polled(redis, &rights);
    let word = command.rule().trim_start_matches('+').split('|').next().unwrap().to_owned();
    let refused = refusals(redis, USER);
    assert!(refused.iter().any(|object| object.split('|').next() == Some(&*word)), "{rule}: {refused:?}");

    let (_, beginnings) = LOST.iter().find(|(words, _)| *words == command.words).expect(command.words);
    let lost: BTreeSet<_> = names(all).difference(&names(&metrics)).cloned().collect();
    let expected: BTreeSet<_> = names(all)
        .into_iter()
        .filter(|name| beginnings.iter().any(|start| name.starts_with(start)))
        .collect();
    assert_eq!(lost, expected, "{rule}");

    let told = told(&gauge);
    if command.is_reported {
        let ending = format!(": grant {rule} (docs/redis-acl.md)");
        assert!(!told.is_empty(), "{rule}: nothing is told");
        for reason in &told {
            assert!(
                reason.contains(command.words) && reason.contains(": NOPERM ") && reason.ends_with(&ending),
                "{rule}: {reason}"
            );
        }
        let json = gauge.groups().to_string();
        assert!(json.contains(&ending), "{rule}: {json}");
        assert!(metrics.value(r#"streamgauge_poll_errors_total{kind="noperm"}"#) > Some(0.0), "{rule}");
    } else {
        assert_eq!(told, [""; 0], "{rule}");
    }
    let globbed = metrics.all(r#"redis_stream_length{stream="events:eu"}"#).len();
    match command.words {
        "SCAN" => {
            metrics.check(&[("redis_up", Some(0.0)), (r#"redis_stream_length{stream="orders"}"#, Some(9.0))]);
            assert_eq!(globbed, 0);
        }
        "XRANGE" | "XREVRANGE" => {
            assert!(sources(&metrics).contains("bounded"), "{rule}: {:?}", sources(&metrics));
            metrics.check(&[(r#"redis_stream_up{stream="orders"}"#, Some(0.0))]);
        }
        // What was counted is not remembered.
        "INFO" => assert!(sources(&metrics).contains("counted"), "{:?}", sources(&metrics)),
        "CLIENT SETINFO" => assert!(!connection(redis).contains("lib-name=streamgauge")),
        _ => {}
    }
}

/// The exporter's connection, as `CLIENT LIST` has it.
fn connection(redis: &RedisServer) -> String {
    let clients: String = redis.ask(&["CLIENT", "LIST"]);
    let user = format!(" user={USER}");
    clients.lines().find(|line| line.contains(&user)).unwrap().to_owned()
}

#[test]
fn each_right_is_needed_and_its_lack_is_told() {
    needs!("redis-server");
    for version in servers::versions() {
        let redis = version.start();
        let servers = servers_of(&redis);
        fill(&redis, 1);
        let (gauge, all) = polled(&redis, &EVERYTHING.rights(servers));
        if servers == Servers::V7_2 {
            assert!(connection(&redis).contains("lib-name=streamgauge"));
        }
        drop(gauge);
        assert_eq!(refusals(&redis, USER), [""; 0]);
        let ruled = commands().filter(|command| command.ruled_by.contains(&servers));
        ruled.for_each(|command| without(&redis, servers, command, &all));
    }
}

/// A key that the user may not read fails alone, and its pattern is named.
#[test]
fn a_missing_key_is_told_by_its_pattern() {
    needs!("redis-server");
    for version in servers::versions() {
        let redis = version.start();
        let servers = servers_of(&redis);
        fill(&redis, 1);
        let key = servers.key_rule("orders");
        let rights: Vec<_> = EVERYTHING.rights(servers).into_iter().filter(|right| *right != key).collect();
        let (gauge, metrics) = polled(&redis, &rights);
        metrics.check(&[
            ("redis_up", Some(1.0)),
            (r#"redis_stream_up{stream="orders"}"#, Some(0.0)),
            (r#"redis_stream_up{stream="events:eu"}"#, Some(1.0)),
        ]);
        let told = told(&gauge);
        let ending = ": grant %R~orders (before Redis 7.0: ~orders) (docs/redis-acl.md)";
        assert!(told.len() == 1 && told[0].ends_with(ending), "{version:?}: {told:?}");
    }
}

/// Where no lag needs an entry, the lack of XRANGE costs the age of the oldest one that waits, and nothing else.
#[test]
fn an_age_that_may_not_be_read_is_all_that_is_lost() {
    const AGE: &str = "redis_stream_group_oldest_undelivered_age_seconds";
    needs!("redis-server");
    for version in servers::versions() {
        let redis = version.start();
        let servers = servers_of(&redis);
        for stream in ["orders", "events:eu"] {
            let create = |group| format!("XGROUP CREATE {stream} {group} 0 MKSTREAM");
            let add = format!("XADD {stream} * f v");
            let read = format!("XREADGROUP GROUP workers alice COUNT 1 STREAMS {stream} >");
            redis.run_on(1, &[&create("early"), &create("workers"), &add, &add, &add, &read]);
        }
        let rights: Vec<_> =
            EVERYTHING.rights(servers).into_iter().filter(|right| *right != "+xrange").collect();
        let (gauge, _) = polled(&redis, &rights);
        let metrics = gauge.poll();
        let of = |group: &str| format!(r#"{AGE}{{stream="orders",group="{group}"}}"#);
        metrics.check(&[
            ("redis_up", Some(1.0)),
            (r#"redis_stream_up{stream="orders"}"#, Some(1.0)),
            (r#"redis_stream_up{stream="events:eu"}"#, Some(1.0)),
            (r#"redis_stream_group_lag{stream="orders",group="workers"}"#, Some(2.0)),
            (&of("workers"), None),
        ]);
        assert_eq!(sources(&metrics), ["derived".to_owned()].into(), "{version:?}");
        // What the ends of the stream tell needs no right.
        assert!(metrics.value(&of("early")).is_some(), "{version:?}");
        assert_eq!(told(&gauge), [""; 0], "{version:?}");
        let warned = gauge.logged("the oldest undelivered entry cannot be read");
        let ending = ": grant +xrange (docs/redis-acl.md)";
        assert!(
            warned.len() == 1 && warned[0]["reason"].as_str().unwrap().ends_with(ending),
            "{version:?}: {warned:?}"
        );
        let json = gauge.groups().to_string();
        assert!(json.contains(ending), "{version:?}: {json}");

        redis.run(&[&set_user(USER, &EVERYTHING.rights(servers))]);
        assert!(gauge.poll().value(&of("workers")).is_some(), "{version:?}");
        assert_eq!(gauge.logged("oldest undelivered entries can be read again").len(), 1, "{version:?}");
    }
}
