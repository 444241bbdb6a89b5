//! How long a poll may take, and how soon the next one comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::{
    exporter::Streamgauge,
    fake::{FakeRedis, Reply, array, bulk},
    wait,
};

const DOWN: &str = "redis cannot be polled";

/// Each reply comes in time, and the poll as a whole does not.
#[test]
fn a_poll_that_takes_too_long_has_failed() {
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = slow.clone();
    let redis = FakeRedis::start(move |_| {
        if is_slow.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(100));
        }
        None
    });
    let gauge = Streamgauge::of(&redis.url(), &["--poll.timeout", "500ms", "--redis.timeout", "30s"]);
    gauge.metrics().check(&[("redis_up", Some(0.0)), ("redis_stream_length", None)]);
    let logged = gauge.logged(DOWN);
    let said = "the poll took longer than 500ms (poll.timeout, else poll.stale_after intervals)";
    assert_eq!(logged[0]["reason"], said);
    assert_eq!(gauge.groups()["servers"][0]["error"], said);
    // The connection went with the poll: replies may have been on their way.
    wait::until_true("another connection", || redis.connections() >= 2);
    let metrics = gauge.metrics();
    assert!(metrics.value(r#"streamgauge_poll_errors_total{kind="timeout"}"#) >= Some(1.0));
    slow.store(false, Ordering::SeqCst);
    gauge.until("redis_up", Some(1.0)).check(&[("redis_stream_length", Some(10.0))]);
}

/// A page that was read is not read again, so what was found on it must not be lost with the poll.
#[test]
fn what_was_found_before_the_poll_took_too_long_is_kept() {
    let (first, second) = (AtomicBool::new(true), AtomicBool::new(true));
    let redis = FakeRedis::start(move |words| {
        let (next, key) = match words {
            ["SCAN", "0", ..] if first.swap(false, Ordering::SeqCst) => ("1", bulk("seldom")),
            ["SCAN", "0", ..] => ("1", String::new()),
            ["SCAN", ..] => {
                if second.swap(false, Ordering::SeqCst) {
                    thread::sleep(Duration::from_secs(2));
                }
                ("0", bulk("orders"))
            }
            _ => return None,
        };
        let keys = if key.is_empty() { array(&[]) } else { array(&[key]) };
        Some(Reply::Is(array(&[bulk(next), keys])))
    });
    let gauge = Streamgauge::of(&redis.url(), &["--poll.timeout", "1s", "--redis.timeout", "30s"]);
    gauge.until("redis_up", Some(1.0)).check(&[
        (r#"redis_stream_length{stream="seldom"}"#, Some(10.0)),
        (r#"redis_stream_length{stream="orders"}"#, Some(10.0)),
    ]);
    assert_eq!(gauge.logged(DOWN).len(), 1);
}

/// One that asks at full pace has asked many times more often by the time that it has asked forty times.
#[test]
fn a_server_that_is_down_is_asked_less_and_less() {
    let refusing = || FakeRedis::start(|_| Some(Reply::Cut(String::new())));
    let (spared, pestered) = (refusing(), refusing());
    let of = |redis: &FakeRedis, most| Streamgauge::of(&redis.url(), &["--poll.max-backoff", most]);
    let gauges = [of(&spared, "30s"), of(&pestered, "100ms")];
    let errors = |gauge: &Streamgauge| {
        let metrics = gauge.metrics();
        metrics.value(r#"streamgauge_poll_errors_total{kind="connect"}"#).unwrap_or_default()
    };
    wait::until_true("forty polls", || errors(&gauges[1]) >= 40.0);
    assert!(errors(&gauges[0]) <= 20.0, "{}", errors(&gauges[0]));
}
