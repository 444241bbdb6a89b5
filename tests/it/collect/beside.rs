//! The search for streams, which goes on beside the questions about those that are known.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use crate::support::{
    exporter::Streamgauge,
    fake::{FakeRedis, Reply, array, bulk, stream},
    redis::RedisServer,
    samples::{Sample, Samples},
    tool::needs,
    wait,
};

/// As long as nothing new is found: the first poll finds all, and the second one nothing.
const BEFORE: usize = 2;

/// A page of keys, and the cursor of the next one.
fn page(next: usize, keys: &[&str]) -> Reply {
    let keys: Vec<_> = keys.iter().map(|key| bulk(key)).collect();
    Reply::Is(array(&[bulk(&next.to_string()), array(&keys)]))
}

/// A Redis that says until its search goes on beside which streams there are, and then that there are others; the poll
/// after that one never ends, so that it stays the latest one.
fn changing(before: &'static [&str], after: &'static [&str]) -> FakeRedis {
    let (polls, old) = (AtomicUsize::new(0), AtomicUsize::new(0));
    FakeRedis::start(move |words| match words {
        ["SCAN", ..] => Some(match polls.fetch_add(1, Ordering::SeqCst) {
            poll if poll < BEFORE => page(0, before),
            BEFORE => page(0, after),
            _ => Reply::Never,
        }),
        // It is there as often as it is asked for before the search has told of others.
        ["XINFO", "STREAM", "old"] if old.fetch_add(1, Ordering::SeqCst) > BEFORE => {
            Some(Reply::Is("-ERR no such key\r\n".into()))
        }
        _ => None,
    })
}

/// Polls never end but by an answer.
const PATIENT: [&str; 4] = ["--redis.timeout", "1h", "--poll.timeout", "1h"];

/// The streams that are shown once one of them is.
fn shown_with(gauge: &Streamgauge, stream: &str) -> Vec<String> {
    let metrics = gauge.until(&format!("redis_stream_length{{stream=\"{stream}\"}}"), Some(10.0));
    let of = |sample: &Sample| sample.labels["stream"].clone();
    let mut shown: Vec<_> = metrics.all("redis_stream_length").into_iter().map(of).collect();
    shown.sort_unstable();
    shown
}

#[test]
fn pages_of_keys_are_asked_for_among_the_questions_about_streams() {
    const PAGES: usize = 5;
    // More than are on their way at once, however long it is.
    const STREAMS: usize = 1000;
    let name = |number: usize| format!("s{number:03}");
    let (asked, last): (Arc<Mutex<Vec<String>>>, _) = (Arc::default(), name(STREAMS - 1));
    let seen = asked.clone();
    let redis = FakeRedis::start(move |words| {
        if ["TIME", "SCAN"].contains(&words[0]) || words[..] == ["XINFO", "GROUPS", &last] {
            seen.lock().unwrap().push(words[0].to_owned());
        }
        let number: usize = words.get(1).filter(|_| words[0] == "SCAN")?.parse().unwrap();
        let keys: Vec<_> = (number * STREAMS / PAGES..(number + 1) * STREAMS / PAGES).map(name).collect();
        Some(page((number + 1) % PAGES, &keys.iter().map(String::as_str).collect::<Vec<_>>()))
    });
    let gauge = Streamgauge::of(&redis.url(), &[]);
    gauge.poll();
    let of_polls = wait::until("five polls", || {
        let asked = asked.lock().unwrap();
        let mut polls: Vec<_> = asked.split(|word| word == "TIME").map(|poll| poll.join(" ")).collect();
        polls.pop();
        if polls.len() > 5 { Ok(polls) } else { Err(polls.len().to_string()) }
    });
    // As long as something is found, they come first, and then the time is asked for.
    assert_eq!(of_polls[0], ["SCAN"; PAGES].join(" "));
    assert_eq!(of_polls[2], "XINFO");
    for poll in &of_polls[3..] {
        let (before, after) = poll.split_once("XINFO").unwrap();
        let scans = [before, after].map(|part| part.matches("SCAN").count());
        assert_eq!(scans.iter().sum::<usize>(), PAGES, "{poll}");
        assert!(scans[0] >= 2, "{poll}");
    }
}

#[test]
fn what_is_found_is_measured_in_the_same_poll() {
    let redis = changing(&["b", "d"], &["a", "b", "c", "d"]);
    let gauge = Streamgauge::of(&redis.url(), &PATIENT);
    assert_eq!(shown_with(&gauge, "c"), ["a", "b", "c", "d"]);
    gauge.metrics().check(&[("streamgauge_poll_complete", Some(1.0))]);
}

#[test]
fn what_is_renamed_meanwhile_is_shown_once() {
    let redis = changing(&["old"], &["new"]);
    let gauge = Streamgauge::of(&redis.url(), &PATIENT);
    assert_eq!(shown_with(&gauge, "new"), ["new"]);
}

#[test]
fn what_a_process_said_before_another_one_took_its_place_is_not_shown() {
    let scans = AtomicUsize::new(0);
    let redis = FakeRedis::start(move |words| {
        let is_other = scans.load(Ordering::SeqCst) > BEFORE + 1;
        match words {
            ["INFO", "server"] => {
                let run_id = if is_other { "two" } else { "one" };
                let version = if is_other { "7.0.16" } else { "7.0.15" };
                Some(Reply::Is(bulk(&format!("redis_version:{version}\r\nrun_id:{run_id}\r\n"))))
            }
            ["INFO", ..] => Some(Reply::Is(bulk("role:master\r\nmaster_replid:abc\r\n"))),
            ["SCAN", ..] => Some(match scans.fetch_add(1, Ordering::SeqCst) {
                // Beside, and then for itself.
                BEFORE => page(7, &["orders"]),
                3 => Reply::Cut(String::new()),
                scan if scan < 5 => page(0, &["orders"]),
                _ => Reply::Never,
            }),
            ["XINFO", "STREAM", _] if is_other => Some(Reply::Is(stream(20, "1-0", "20-0"))),
            _ => None,
        }
    });
    let gauge = Streamgauge::of(&redis.url(), &PATIENT);
    let metrics = gauge.until("redis_stream_length", Some(20.0));
    metrics.check(&[("streamgauge_poll_complete", Some(1.0))]);
    assert_eq!(gauge.groups()["servers"][0]["version"], "7.0.16");
}

#[test]
fn what_the_limit_leaves_out_in_favour_of_another_is_not_shown_with_it() {
    let redis = changing(&["b", "c"], &["a", "b", "c"]);
    let gauge = Streamgauge::of(&redis.url(), &[&PATIENT[..], &["--limits.streams", "2"]].concat());
    assert_eq!(shown_with(&gauge, "a"), ["a", "b"]);
    gauge.metrics().check(&[
        ("streamgauge_poll_complete", Some(0.0)),
        (r#"streamgauge_limit_dropped_total{limit="streams"}"#, Some(1.0)),
    ]);
}

#[test]
fn what_was_counted_of_a_stream_in_the_poll_that_found_it_is_not_counted_again() {
    needs!("redis-server");
    let redis = RedisServer::start();
    // The lag of its group has to be counted: 30 entries, of which 20 are not delivered.
    let add = |stream: &str| {
        (1..=30).for_each(|id| _ = redis.ask::<String>(&["XADD", stream, &format!("{id}-0"), "n", "1"]));
        redis.run(&[&format!("XGROUP CREATE {stream} workers 10-0")]);
    };
    let read = |metrics: &Samples| metrics.value("streamgauge_lag_entries_read_total").unwrap();
    add("first");
    let gauge = Streamgauge::of(&redis.url(), &[]);
    let once = read(&gauge.poll());
    assert!(once >= 10.0, "{once}");
    add("second");
    let lag = r#"redis_stream_group_lag{stream="second",group="workers"}"#;
    gauge.until(lag, Some(20.0));
    let metrics = gauge.poll();
    assert_eq!((metrics.value(lag), read(&metrics)), (Some(20.0), 2.0 * once));
}

#[test]
fn a_search_that_is_refused_by_now_costs_no_number() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 3);
    redis.run(&["ACL SETUSER narrow on nopass ~* +@all"]);
    let gauge = Streamgauge::of(&redis.url(), &["--redis.username", "narrow"]);
    gauge.poll().check(&[("streamgauge_poll_complete", Some(1.0))]);
    redis.run(&["ACL SETUSER narrow -scan"]);
    redis.add("orders", 1);
    gauge.poll().check(&[
        ("streamgauge_poll_complete", Some(0.0)),
        (r#"redis_stream_up{stream="orders"}"#, Some(1.0)),
        (r#"redis_stream_length{stream="orders"}"#, Some(4.0)),
    ]);
    let error = gauge.groups()["servers"][0]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("SCAN"), "{error}");
    redis.add("new", 1);
    redis.run(&["ACL SETUSER narrow +scan"]);
    gauge.poll().check(&[
        ("streamgauge_poll_complete", Some(1.0)),
        (r#"redis_stream_length{stream="new"}"#, Some(1.0)),
    ]);
}
