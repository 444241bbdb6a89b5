//! Redis's clock jumps. The exporter's own cannot be set by a test: it decides on no number but the time of a poll.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::support::{
    exporter::Streamgauge,
    fake::{self, FakeRedis, Reply, array, bulk, int},
};

/// 2027-01-15.
const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

/// A server with that clock.
fn with_clock(
    answer: impl Fn(&[&str]) -> Option<String> + Send + Sync + 'static,
) -> (FakeRedis, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(NOW));
    let seconds = clock.clone();
    let redis = FakeRedis::start(move |words| match words {
        ["TIME"] => {
            let seconds = seconds.load(Ordering::SeqCst).to_string();
            Some(Reply::Is(array(&[bulk(&seconds), bulk("0")])))
        }
        words => answer(words).map(Reply::Is),
    });
    (redis, clock)
}

/// An age is right by Redis's clock, and absent where by that clock the ID is no time. No poll is lost.
#[test]
fn ages_are_never_nonsense() {
    let (redis, clock) = with_clock(|words| match words {
        ["XINFO", "STREAM", _] => Some(fake::stream(10, "1800000000000-0", "1800000050000-0")),
        ["XINFO", "GROUPS", _] => Some(array(&[fake::group("workers", 1, 1, "1800000000000-0", &int(9))])),
        ["XPENDING", ..] => Some(array(&[array(&[bulk("1800000000000-0"), bulk("alice"), int(5), int(1)])])),
        _ => None,
    });
    let gauge = Streamgauge::of(&redis.url(), &[]);
    for (seconds, age) in [
        (NOW, Some(0.0)),
        (NOW + 100, Some(100.0)),
        (NOW + DAY, Some(86_400.0)),
        (NOW - 3600, Some(0.0)),
        (NOW - 2 * DAY, None),
        (0, None),
        (NOW + 100, Some(100.0)),
        // The last second of the year 9999.
        (253_402_300_799, Some(251_602_300_799.0)),
        (NOW + 1, Some(1.0)),
    ] {
        clock.store(seconds, Ordering::SeqCst);
        let metrics = gauge.poll();
        metrics.check(&[
            ("redis_up", Some(1.0)),
            (r#"redis_stream_group_lag{group="workers"}"#, Some(9.0)),
            ("redis_stream_group_oldest_pending_age_seconds", age),
            ("redis_stream_group_oldest_pending_idle_seconds", Some(0.005)),
            ("redis_stream_first_entry_timestamp_seconds", age.map(|_| 1.8e9)),
        ]);
        let errors = metrics.all("streamgauge_poll_errors_total");
        assert!(errors.iter().all(|sample| sample.value == 0.0), "{seconds}: {errors:?}");
    }
}

/// What was counted is forgotten after a time, lest counters that were set by hand deceive for ever: a clock that goes back
/// must not put that off.
#[test]
fn what_is_remembered_is_forgotten_where_the_clock_goes_back() {
    let (redis, clock) = with_clock(|words| match words {
        // Without a name of its own, nothing of a server is remembered.
        ["INFO", ..] => Some(bulk("redis_version:7.0.15\r\nrun_id:r\r\nrole:master\r\nmaster_replid:m\r\n")),
        ["XINFO", "GROUPS", _] => Some(array(&[fake::group("workers", 0, 1, "4-0", "$-1\r\n")])),
        _ => None,
    });
    let gauge = Streamgauge::of(&redis.url(), &[]);
    // (The time, and entries read so far: nine to count it, and none as long as that is remembered.)
    for (seconds, entries) in [
        (NOW, 9.0),
        (NOW + 60, 9.0),
        (NOW - 365 * DAY, 18.0),
        (NOW - 365 * DAY + 60, 18.0),
        (NOW - 364 * DAY, 27.0),
    ] {
        clock.store(seconds, Ordering::SeqCst);
        gauge.poll().check(&[
            (r#"redis_stream_group_lag{group="workers"}"#, Some(6.0)),
            ("streamgauge_lag_entries_read_total", Some(entries)),
        ]);
    }
}
