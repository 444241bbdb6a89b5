//! The lag, against a count of the entries themselves and against Redis's own number.

use serde_json::Value;

use crate::support::{
    exporter::Launch,
    redis::{RedisServer, integer},
    tool::needs,
};

/// What Redis's own number is in a history.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Redis {
    /// The truth.
    Right,
    /// Nil.
    Nil,
    /// It depends on the version.
    Any,
}
use Redis::{Any, Nil, Right};

/// What has happened to the stream `s`, and what Redis's own number for its group `g` is then.
#[rustfmt::skip] // one history a row, as a table
const HISTORIES: &[(&str, &[&str], Redis)] = &[
    ("nothing read", &["10", "XGROUP CREATE s g 0"], Right),
    ("read in part", &["10", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 4 STREAMS s >"], Right),
    ("all read", &["10", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c STREAMS s >"], Right),
    ("all read, more added", &["10", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c STREAMS s >", "3"], Right),
    ("read without pending", &["10", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 4 NOACK STREAMS s >"], Right),
    ("at the end", &["10", "XGROUP CREATE s g $"], Right),
    ("empty", &["XGROUP CREATE s g $ MKSTREAM"], Right),
    ("at the end of nothing, then added", &["XGROUP CREATE s g $ MKSTREAM", "5"], Right),
    ("at the end, then added", &["10", "XGROUP CREATE s g $", "3"], Nil),
    ("at the end, then read in part", &["10", "XGROUP CREATE s g $", "5", "XREADGROUP GROUP g c COUNT 2 STREAMS s >"], Nil),
    ("at the end, then all read", &["10", "XGROUP CREATE s g $", "5", "XREADGROUP GROUP g c STREAMS s >"], Right),
    ("in the middle", &["XADD s 1-1 n 1", "XADD s 2-1 n 1", "XADD s 3-1 n 1", "XGROUP CREATE s g 2-1"], Nil),
    ("undelivered deleted", &["XADD s 1-1 n 1", "XADD s 2-1 n 1", "XADD s 3-1 n 1", "XADD s 4-1 n 1", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS s >", "XDEL s 3-1"], Nil),
    ("last deleted", &["XADD s 1-1 n 1", "XADD s 2-1 n 1", "XADD s 3-1 n 1", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 2 STREAMS s >", "XDEL s 3-1"], Nil),
    ("trimmed past the group", &["10", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 2 STREAMS s >", "XTRIM s MAXLEN 3"], Any),
    ("emptied", &["10", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 2 STREAMS s >", "XTRIM s MAXLEN 0"], Any),
    ("a counter set by hand", &["10", "XGROUP CREATE s g 0 ENTRIESREAD 10"], Any),
];

#[test]
fn the_lag_is_true_or_says_that_it_is_not() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let has_counters = redis.version() >= (7, 0);
    let histories = HISTORIES
        .iter()
        .filter(|(_, commands, _)| has_counters || !commands.concat().contains("ENTRIESREAD"));
    for (name, commands, _) in histories.clone() {
        for command in *commands {
            match command.parse() {
                Ok(count) => redis.add("s", count),
                Err(_) => redis.run(&[command]),
            }
        }
        redis.ask::<()>(&["RENAME", "s", name]);
    }
    let output = Launch::new("groups").args(&["--output", "json", "--redis.url", &redis.url()]).output();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let streams = report["servers"][0]["streams"].as_array().unwrap();
    assert_eq!(streams.len(), histories.clone().count());

    for (name, _, claimed) in histories {
        let stream = streams.iter().find(|stream| stream["stream"] == *name).unwrap();
        let ours = &stream["groups"][0];
        let of = |field: &str| ours[field].as_u64().unwrap_or_else(|| panic!("{name}: no {field} in {ours}"));
        let (lag, lower, upper) = (of("lag"), of("lag_lower_bound"), of("lag_upper_bound"));

        // Whatever anybody says, these are the entries that wait.
        let last_delivered = ours["last_delivered_id"].as_str().unwrap();
        let from_there: Vec<(String, redis::Value)> = redis.ask(&["XRANGE", name, last_delivered, "+"]);
        let truth = from_there.iter().filter(|(id, _)| id != last_delivered).count() as u64;
        assert!((lower..=upper).contains(&truth), "{name}: {truth} entries wait, {ours}");
        assert!((lower..=upper).contains(&lag), "{name}: {ours}");
        assert_eq!(lag == 0, truth == 0, "{name}: {truth} entries wait, {ours}");
        if lower == upper {
            assert_eq!(lag, truth, "{name}: {ours}");
        } else {
            assert_eq!(ours["lag_source"], "bounded", "{name}: {ours}");
        }

        let theirs = integer(&redis.groups(name)["g"], "lag");
        assert_eq!(ours["redis_lag"].as_f64(), theirs, "{name}: {ours}");
        match claimed {
            _ if !has_counters => assert_eq!(theirs, None, "{name}"),
            Right => {
                assert_eq!(theirs, Some(truth as f64), "{name}: Redis was right here once");
                assert_eq!(lag, truth, "{name}: {ours}");
            }
            Nil => assert_eq!(theirs, None, "{name}: Redis said nil here once"),
            Any => {}
        }
    }
}

/// The same numbers for a person.
#[test]
fn the_table_shows_the_same() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 10);
    redis.run(&["XGROUP CREATE orders workers 0", "XREADGROUP GROUP workers alice COUNT 1 STREAMS orders >"]);
    let output = Launch::new("groups").args(&["--redis.url", &redis.url(), "--redis.name", "main"]).output();
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 2, "{table}");
    let row = ["main", "0", "orders", "workers", "10", "9", "derived", "1", "1", "ok"];
    assert_eq!(rows[1], row, "{table}");
    assert_eq!(output.stderr, b"", "{table}");
}
