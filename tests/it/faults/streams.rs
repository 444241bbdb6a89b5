//! One stream fails: it says why, and the others keep their numbers.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::support::{
    exporter::Streamgauge,
    fake::{self, FakeRedis, Reply},
    redis::RedisServer,
    tool::needs,
    wait,
};

const GOOD: [(&str, Option<f64>); 3] = [
    ("redis_up", Some(1.0)),
    (r#"redis_stream_up{stream="good"}"#, Some(1.0)),
    (r#"redis_stream_group_lag{stream="good",group="workers"}"#, Some(3.0)),
];

fn with_a_good_stream() -> RedisServer {
    let redis = RedisServer::start();
    redis.add("good", 3);
    redis.run(&["XGROUP CREATE good workers 0"]);
    redis
}

#[test]
fn a_key_of_another_type() {
    needs!("redis-server");
    let redis = with_a_good_stream();
    redis.run(&["SET bad text"]);
    let gauge = Streamgauge::of(&redis.url(), &["--streams", "good,bad"]);
    // Several polls: what does not change is said once.
    gauge.poll();
    let metrics = gauge.poll();
    metrics.check(&GOOD);
    metrics.check(&[
        (r#"redis_stream_up{stream="bad"}"#, Some(0.0)),
        (r#"redis_stream_exists{stream="bad"}"#, None),
        (r#"redis_stream_length{stream="bad"}"#, None),
    ]);
    assert!(metrics.value(r#"streamgauge_poll_errors_total{kind="wrongtype"}"#) >= Some(2.0));
    let logged = gauge.logged("stream cannot be read");
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(logged[0]["stream"], "bad");
    assert!(logged[0]["reason"].as_str().unwrap().contains("WRONGTYPE"), "{logged:?}");
    assert_eq!(gauge.groups()["servers"][0]["streams"][0]["error"], logged[0]["reason"]);

    // Mended while it runs.
    redis.run(&["DEL bad", "XADD bad * n 1"]);
    gauge.poll().check(&[
        (r#"redis_stream_up{stream="bad"}"#, Some(1.0)),
        (r#"redis_stream_length{stream="bad"}"#, Some(1.0)),
    ]);
    assert_eq!(gauge.logged("stream can be read again, or is gone").len(), 1);
}

/// What a command that the user may not send costs, and what it leaves.
#[test]
fn no_permission_for_one_command() {
    needs!("redis-server");
    let commands = "~* -@all +ping +info +time +scan +multi +exec +xinfo|stream";
    for (rights, lag, exists) in [
        // Without XPENDING all but the oldest pending entry is known.
        ("+xinfo|groups +xinfo|consumers", Some(2.0), Some(1.0)),
        ("+xinfo|groups +xpending", Some(2.0), Some(1.0)),
        ("+xpending +xinfo|consumers", None, None),
    ] {
        let redis = with_a_good_stream();
        redis.add("busy", 3);
        redis.run(&[
            "XGROUP CREATE busy workers 0",
            "XREADGROUP GROUP workers alice COUNT 1 STREAMS busy >",
            &format!("ACL SETUSER narrow on nopass {commands} {rights}"),
        ]);
        let gauge = Streamgauge::of(&redis.url(), &["--redis.username", "narrow"]);
        gauge.poll();
        let metrics = gauge.poll();
        metrics.check(&[
            ("redis_up", Some(1.0)),
            (r#"redis_stream_up{stream="busy"}"#, Some(0.0)),
            (r#"redis_stream_exists{stream="busy"}"#, exists),
            (r#"redis_stream_group_lag{stream="busy"}"#, lag),
        ]);
        if lag.is_some() {
            // Nothing is pending and nobody consumes there: nothing is refused.
            metrics.check(&GOOD);
        }
        assert!(metrics.value(r#"streamgauge_poll_errors_total{kind="noperm"}"#) >= Some(2.0), "{rights}");
        let logged = gauge.logged("stream cannot be read");
        let of_busy: Vec<_> = logged.iter().filter(|line| line["stream"] == "busy").collect();
        assert_eq!(of_busy.len(), 1, "{rights}: {logged:?}");
        assert!(of_busy[0]["reason"].as_str().unwrap().contains("NOPERM"), "{rights}: {logged:?}");
    }
}

struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn streams_and_groups_come_and_go_while_they_are_polled() {
    needs!("redis-server");
    let redis = with_a_good_stream();
    let gauge = Streamgauge::of(&redis.url(), &[]);
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        let churn = scope.spawn(|| {
            let mut rounds = 0;
            while !end.load(Ordering::Relaxed) {
                redis.run(&[
                    "XADD flicker * n 1",
                    "XGROUP CREATE flicker brief 0",
                    "XREADGROUP GROUP brief alice STREAMS flicker >",
                    "XGROUP DESTROY flicker brief",
                    "XGROUP CREATE flicker brief 0",
                    "XREADGROUP GROUP brief bob STREAMS flicker >",
                    "DEL flicker",
                    "SET flicker text",
                    "DEL flicker",
                ]);
                rounds += 1;
            }
            rounds
        });
        // Also where a check below fails: the scope waits for the thread.
        let ending = EndOnDrop(&end);
        let mut polls = BTreeSet::new();
        wait::until("40 polls", || {
            let metrics = gauge.metrics();
            metrics.check(&GOOD);
            let ended = metrics.value("streamgauge_poll_last_success_timestamp_seconds").unwrap();
            polls.insert((ended * 1e6) as u64);
            if polls.len() >= 40 { Ok(()) } else { Err(polls.len().to_string()) }
        });
        drop(ending);
        assert!(churn.join().unwrap() > 40, "the churn was too slow to prove anything");
    });
    redis.run(&["DEL flicker", "XADD flicker * n 1", "XGROUP CREATE flicker brief 0"]);
    let metrics = gauge.poll();
    metrics.check(&GOOD);
    metrics.check(&[(r#"redis_stream_group_lag{stream="flicker",group="brief"}"#, Some(1.0))]);
}

/// The same races, each for certain.
#[test]
fn gone_between_two_commands() {
    // A group that is there in XINFO GROUPS and gone when it is asked about.
    for gone in ["XPENDING", "XINFO CONSUMERS"] {
        let redis = FakeRedis::start(move |words| match words {
            ["XINFO", "STREAM", _] => Some(Reply::Is(fake::stream(10, "1-0", "10-0"))),
            ["XINFO", "GROUPS", _] => Some(Reply::Is(fake::array(&[
                fake::group("brief", 1, 1, "4-0", &fake::int(6)),
                fake::group("workers", 0, 0, "10-0", &fake::int(0)),
            ]))),
            _ if words.join(" ").starts_with(gone) => Some(Reply::Is("-NOGROUP No such group\r\n".into())),
            ["XPENDING", ..] => Some(Reply::Is(fake::array(&[fake::array(&[
                fake::bulk("1-0"),
                fake::bulk("alice"),
                fake::int(5),
                fake::int(1),
            ])]))),
            _ => None,
        });
        let gauge = Streamgauge::of(&redis.url(), &[]);
        let metrics = gauge.poll();
        metrics.check(&[
            ("redis_up", Some(1.0)),
            (r#"redis_stream_up{stream="orders"}"#, Some(1.0)),
            (r#"redis_stream_group_lag{group="brief"}"#, None),
            (r#"redis_stream_group_lag{group="workers"}"#, Some(0.0)),
        ]);
        assert!(metrics.value(r#"streamgauge_poll_errors_total{kind="vanished"}"#) >= Some(1.0), "{gone}");
    }

    // A stream that SCAN has found.
    let redis = FakeRedis::start(|words| match words {
        ["SCAN", ..] => Some(Reply::Is(fake::array(&[
            fake::bulk("0"),
            fake::array(&[fake::bulk("gone"), fake::bulk("orders")]),
        ]))),
        ["XINFO", _, "gone"] => Some(Reply::Is("-ERR no such key\r\n".into())),
        _ => None,
    });
    let gauge = Streamgauge::of(&redis.url(), &[]);
    let metrics = gauge.poll();
    assert_eq!(metrics.all(r#"redis_stream_up{stream="gone"}"#).len(), 0, "{}", metrics.redis_lines());
    metrics.check(&[("redis_up", Some(1.0)), (r#"redis_stream_length{stream="orders"}"#, Some(10.0))]);
}

#[test]
fn ids_that_are_no_times() {
    needs!("redis-server");
    let redis = with_a_good_stream();
    for (stream, id, ms) in [
        ("low", "1-1", 1.0),
        // Shown as the nearest number that a float can hold.
        ("high", "18446744073709551615-18446744073709551615", 18_446_744_073_709_551_615.0),
    ] {
        redis.run(&[
            &format!("XGROUP CREATE {stream} workers $ MKSTREAM"),
            &format!("XADD {stream} {id} n 1"),
        ]);
        let gauge = Streamgauge::of(&redis.url(), &[]);
        let lag = format!(r#"redis_stream_group_lag{{stream="{stream}"}}"#);
        let of = |metric: &str| format!(r#"redis_stream_{metric}{{stream="{stream}"}}"#);
        gauge.poll().check(&[(&lag, Some(1.0))]);
        redis.run(&[&format!("XREADGROUP GROUP workers alice STREAMS {stream} >")]);
        let metrics = gauge.poll();
        metrics.check(&GOOD);
        metrics.check(&[
            (&lag, Some(0.0)),
            (&of("last_entry_id"), Some(ms)),
            (&of("first_entry_timestamp_seconds"), None),
            (&of("last_entry_timestamp_seconds"), None),
            (&of("group_oldest_pending_age_seconds"), None),
            (&of("group_oldest_pending_deliveries"), Some(1.0)),
            (&of("group_backlog"), Some(1.0)),
        ]);
    }
}

#[test]
fn a_large_payload() {
    needs!("redis-server");
    let redis = with_a_good_stream();
    let payload = vec![b'x'; 1 << 20];
    for _ in 0..3 {
        redis.run_bytes(&[b"XADD", b"large", b"*", b"payload", &payload]);
    }
    redis.run(&["XGROUP CREATE large workers 0"]);
    let gauge = Streamgauge::of(&redis.url(), &[]);
    let metrics = gauge.poll();
    metrics.check(&GOOD);
    metrics.check(&[(r#"redis_stream_group_lag{stream="large"}"#, Some(3.0))]);
}
