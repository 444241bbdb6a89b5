//! The search for streams among very many keys: in bounded pieces, and never taken for whole before it is.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::support::{
    exporter::{Launch, Streamgauge},
    fake::{FakeRedis, Reply, array, bulk},
    wait,
};

/// Pages of keys that the fake has: each cursor is the number of its page.
const PAGES: usize = 3750;

/// Most pages in one poll until all were seen once.
const AT_FIRST: usize = 2500;

/// The same later on.
const LATER: usize = 500;

/// What a fake was asked: a page of keys, or `None` for the time, which is asked for once in each poll.
type Asked = Arc<Mutex<Vec<Option<usize>>>>;

/// The page that a SCAN asks for.
fn page(words: &[&str]) -> Option<usize> {
    match words {
        ["SCAN", cursor, ..] => cursor.parse().ok(),
        _ => None,
    }
}

/// A page without streams; of the last one, `orders`.
fn keys(page: usize) -> Reply {
    let last = page + 1 == PAGES;
    let next = if last { 0 } else { page + 1 };
    let keys = if last { array(&[bulk("orders")]) } else { array(&[]) };
    Reply::Is(array(&[bulk(&next.to_string()), keys]))
}

/// A Redis with very many keys; `answer` comes first.
fn vast(answer: impl Fn(&[&str]) -> Option<Reply> + Send + Sync + 'static) -> (FakeRedis, Asked) {
    let asked = Asked::default();
    let seen = asked.clone();
    let redis = FakeRedis::start(move |words| {
        if words[0] == "TIME" || words[0] == "SCAN" {
            seen.lock().unwrap().push(page(words));
        }
        answer(words).or_else(|| page(words).map(keys))
    });
    (redis, asked)
}

/// The pages that were asked for in each poll that has ended.
fn polls(asked: &Asked) -> Vec<Vec<usize>> {
    let asked = asked.lock().unwrap();
    let mut polls: Vec<Vec<usize>> =
        asked.split(Option::is_none).map(|poll| poll.iter().flatten().copied().collect()).collect();
    polls.pop();
    polls
}

#[track_caller]
fn until_polls(asked: &Asked, count: usize) -> Vec<Vec<usize>> {
    wait::until("so many polls", || {
        let polls = polls(asked);
        if polls.len() >= count { Ok(polls) } else { Err(polls.len().to_string()) }
    })
}

#[test]
fn a_poll_searches_a_bounded_number_of_keys() {
    let (redis, asked) = vast(|_| None);
    let gauge = Streamgauge::of(&redis.url(), &["--streams", "*,named"]);
    let polls = until_polls(&asked, 5);
    assert_eq!(polls[0], (0..AT_FIRST).collect::<Vec<_>>());
    assert_eq!(polls[1], (AT_FIRST..PAGES).collect::<Vec<_>>());
    // All keys were seen once: there is no hurry any more.
    assert_eq!(polls[2], (0..LATER).collect::<Vec<_>>());
    assert_eq!(polls[3], (LATER..2 * LATER).collect::<Vec<_>>());
    gauge
        .until("streamgauge_poll_complete", Some(1.0))
        .check(&[(r#"redis_stream_length{stream="orders"}"#, Some(10.0)), ("redis_up", Some(1.0))]);
    assert!(gauge.groups()["servers"][0]["error"].is_null());
    assert_eq!(gauge.logged("redis is up; its keys are still being searched").len(), 1);
    assert_eq!(gauge.logged("redis is up").len(), 1);
}

#[test]
fn until_all_keys_are_searched_the_poll_says_so() {
    let (redis, _) = vast(|_| None);
    let gauge = Streamgauge::of(&redis.url(), &["--streams", "*,named", "--poll.interval", "1h"]);
    gauge.metrics().check(&[
        ("redis_up", Some(1.0)),
        ("streamgauge_poll_complete", Some(0.0)),
        (r#"redis_stream_length{stream="named"}"#, Some(10.0)),
        (r#"redis_stream_length{stream="orders"}"#, None),
    ]);
    let server = &gauge.groups()["servers"][0];
    let said = "the keys are still being searched for streams: about 1000000 were looked at so far";
    assert_eq!((&server["up"], &server["error"]), (&true.into(), &said.into()));
}

#[test]
fn the_terminal_waits_for_the_whole_search() {
    let (redis, _) = vast(|_| None);
    let output = Launch::new("groups").args(&["--redis.url", &redis.url()]).output();
    let (table, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{table}");
    assert!(table.contains("orders"), "{table}");
}

/// INFO of a process.
fn info(words: &[&str], run_id: &str) -> Option<Reply> {
    let text = match words {
        ["INFO", "server"] => format!("redis_version:7.0.15\r\nrun_id:{run_id}\r\n"),
        ["INFO", "replication"] => "role:master\r\nmaster_replid:abc\r\n".to_owned(),
        _ => return None,
    };
    Some(Reply::Is(bulk(&text)))
}

#[test]
fn after_a_broken_connection_to_the_same_process_the_search_goes_on() {
    let cut = AtomicBool::new(true);
    let (redis, asked) = vast(move |words| {
        let breaks = page(words) == Some(3000) && cut.swap(false, Ordering::SeqCst);
        if breaks { Some(Reply::Cut(String::new())) } else { info(words, "one") }
    });
    let gauge = Streamgauge::of(&redis.url(), &[]);
    gauge.until("streamgauge_poll_complete", Some(1.0));
    // On the new connection, the process is asked who it is, and for the time with it.
    let polls = until_polls(&asked, 4);
    assert_eq!(polls[1], (AT_FIRST..=3000).collect::<Vec<_>>());
    assert_eq!(polls[2], (3000..PAGES).collect::<Vec<_>>());
    assert_eq!(polls[3].len(), LATER);
    assert_eq!(redis.connections(), 2);
}

#[test]
fn another_process_is_searched_as_a_whole() {
    let breaks = Arc::new(AtomicUsize::new(0));
    let broken = breaks.clone();
    let (redis, asked) = vast(move |words| {
        if page(words) == Some(LATER + LATER / 2) && broken.fetch_add(1, Ordering::SeqCst) == 1 {
            return Some(Reply::Cut(String::new()));
        }
        let run_id = if broken.load(Ordering::SeqCst) < 2 { "one" } else { "two" };
        info(words, run_id)
    });
    let gauge = Streamgauge::of(&redis.url(), &[]);
    // The first two polls are the first round, the next two begin the second one; then the process is another one.
    let polls = until_polls(&asked, 8);
    let begun = polls[4..].iter().position(|poll| poll.len() == AT_FIRST).map(|place| &polls[place + 4]);
    assert_eq!(begun, Some(&(0..AT_FIRST).collect()), "{:?}", polls.iter().map(Vec::len).collect::<Vec<_>>());
    gauge.until("streamgauge_poll_complete", Some(1.0));
    assert_eq!(gauge.logged("redis is up; its keys are still being searched").len(), 2);
}
