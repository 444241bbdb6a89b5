//! Replies that no known server sends, and replies that end in the middle.

use crate::support::{
    exporter::Streamgauge,
    fake::{self, FakeRedis, Reply, array, bulk, fields, group, int},
    wait,
};

/// Two streams, `bad` and the healthy `orders`.
fn with_bad(answer: impl Fn(&[&str]) -> Option<String> + Send + Sync + 'static) -> FakeRedis {
    FakeRedis::start(move |words| match words {
        ["SCAN", ..] => Some(Reply::Is(array(&[bulk("0"), array(&[bulk("bad"), bulk("orders")])]))),
        words if words.contains(&"bad") => answer(words).map(Reply::Is),
        _ => None,
    })
}

#[test]
fn an_unexpected_shape_fails_that_stream_alone() {
    let wrong_id = fake::stream(10, "1-0", "10-0").replace("$4\r\n10-0", "$4\r\nten!");
    let negative_length = fake::stream(-1, "1-0", "10-0");
    let wrong_pending = array(&[group("workers", -1, 1, "10-0", &int(0))]);
    for (command, reply) in [
        ("XINFO STREAM", "+OK\r\n".to_owned()),
        ("XINFO STREAM", "*0\r\n".to_owned()),
        ("XINFO STREAM", "$-1\r\n".to_owned()),
        ("XINFO STREAM", fields(&[("length", int(1))])),
        ("XINFO STREAM", array(&[bulk("length")])),
        ("XINFO STREAM", wrong_id),
        ("XINFO STREAM", negative_length),
        ("XINFO GROUPS", ":1\r\n".to_owned()),
        ("XINFO GROUPS", array(&[int(7)])),
        ("XINFO GROUPS", array(&[fields(&[("name", bulk("g"))])])),
        ("XINFO GROUPS", wrong_pending),
        ("XINFO CONSUMERS", array(&[fields(&[("name", bulk("alice"))])])),
        ("XINFO CONSUMERS", "$3\r\nabc\r\n".to_owned()),
    ] {
        let answer = reply.clone();
        let redis = with_bad(move |words| words.join(" ").starts_with(command).then(|| answer.clone()));
        let gauge = Streamgauge::of(&redis.url(), &["--poll.interval", "1h"]);
        let metrics = gauge.metrics();
        let place = format!("{command} {reply:?}\n{}", metrics.redis_lines());
        for (selector, value) in [
            ("redis_up", 1.0),
            (r#"redis_stream_up{stream="bad"}"#, 0.0),
            (r#"redis_stream_up{stream="orders"}"#, 1.0),
            (r#"redis_stream_group_lag{stream="orders",group="workers"}"#, 0.0),
            (r#"streamgauge_poll_errors_total{kind="unexpected_reply"}"#, 1.0),
        ] {
            assert_eq!(metrics.value(selector), Some(value), "{selector}: {place}");
        }
        let logged = gauge.logged("stream cannot be read");
        assert_eq!(logged.len(), 1, "{place}");
        assert!(logged[0]["reason"].as_str().unwrap().starts_with(command), "{logged:?}");
    }
}

/// Newer servers add fields, in any place and of any type; the numbers that count are read all the same.
#[test]
fn odd_replies_that_are_no_faults() {
    let unknown = array(&[int(1), bulk("x"), array(&[])]);
    let odd = fields(&[
        ("future-field", unknown),
        ("lag", int(-5)),
        ("pending", int(0)),
        ("entries-read", "$-1\r\n".into()),
        ("last-delivered-id", bulk("4-0")),
        ("consumers", bulk("0")),
        ("name", bulk("odd")),
    ]);
    let groups = array(&[odd]);
    let redis = with_bad(move |words| match words {
        ["XINFO", "GROUPS", _] => Some(groups.clone()),
        _ => None,
    });
    let gauge = Streamgauge::of(&redis.url(), &["--poll.interval", "1h"]);
    let metrics = gauge.metrics();
    metrics.check(&[
        (r#"redis_stream_up{stream="bad"}"#, Some(1.0)),
        (r#"redis_stream_group_entries_read{group="odd"}"#, None),
        (r#"redis_stream_group_lag_lower_bound{group="odd"}"#, Some(6.0)),
        (r#"redis_stream_group_lag_upper_bound{group="odd"}"#, Some(6.0)),
        (r#"redis_stream_group_lag_source{group="odd",source="counted"}"#, Some(1.0)),
        // 5 to 10.
        (r#"redis_stream_group_lag{group="odd"}"#, Some(6.0)),
    ]);
    assert_eq!(gauge.groups()["servers"][0]["streams"][0]["groups"][0]["redis_lag"], -5);
}

/// A poll that fails whole fails alone: the next one opens a connection of its own.
#[test]
fn broken_conversations_end_the_poll_and_nothing_else() {
    for (reply, kinds) in [
        (Reply::Cut(String::new()), &["disconnected"][..]),
        (Reply::Cut("*2\r\n$5\r\nabc".into()), &["disconnected", "unexpected_reply"]),
        (Reply::Is("HTTP/1.1 400 Bad Request\r\n\r\n".into()), &["unexpected_reply", "disconnected"]),
        (Reply::Is("-LOADING Redis is loading the dataset in memory\r\n".into()), &["loading"]),
        (Reply::Is("-MASTERDOWN Link with MASTER is down\r\n".into()), &["masterdown"]),
        (Reply::Is("-BUSY Redis is busy running a script\r\n".into()), &["busy"]),
        (Reply::Is("-NOAUTH Authentication required.\r\n".into()), &["auth"]),
        (Reply::Never, &["timeout"]),
    ] {
        let answer = reply.clone();
        let redis = FakeRedis::start(move |words| (words == ["TIME"]).then(|| answer.clone()));
        let gauge = Streamgauge::of(&redis.url(), &["--redis.timeout", "300ms"]);
        let metrics = gauge.metrics();
        assert_eq!(metrics.value("redis_up"), Some(0.0), "{reply:?}");
        let counted: Vec<_> = metrics
            .all("streamgauge_poll_errors_total")
            .into_iter()
            .filter(|sample| sample.value > 0.0)
            .map(|sample| sample.labels["kind"].clone())
            .collect();
        assert!(
            counted.iter().all(|kind| kinds.contains(&kind.as_str())) && !counted.is_empty(),
            "{reply:?}: {counted:?}"
        );
        assert_eq!(metrics.all("redis_stream_length").len(), 0);
        wait::until("another connection", || {
            let connections = redis.connections();
            if connections >= 3 { Ok(()) } else { Err(connections.to_string()) }
        });
        let logged = gauge.logged("redis cannot be polled");
        assert_eq!(logged.len(), 1, "{reply:?}: what does not change is said once: {logged:?}");
    }
}
