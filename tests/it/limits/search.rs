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

/// Most pages in one poll until all were seen once, of 400 keys each.
const AT_FIRST: usize = 2500;

/// Keys that each poll looks at later on. Beside other questions they are asked for in smaller pages.
const LATER: u64 = 200_000;

/// What a fake was asked: a page of so many keys, or `None` for the time, which is asked for in each poll, before a search
/// or behind it.
type Asked = Arc<Mutex<Vec<Option<(usize, u64)>>>>;

/// The page that a SCAN asks for, and of how many keys it should be.
fn page(words: &[&str]) -> Option<(usize, u64)> {
    let ["SCAN", cursor, arguments @ ..] = words else { return None };
    let count = arguments.iter().position(|word| *word == "COUNT")?;
    Some((cursor.parse().ok()?, arguments[count + 1].parse().ok()?))
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
        answer(words).or_else(|| page(words).map(|(page, _)| keys(page)))
    });
    (redis, asked)
}

/// The pages that were asked for in each poll that has ended, and of how many keys all were.
fn polls(asked: &Asked) -> Vec<(Vec<usize>, u64)> {
    let asked = asked.lock().unwrap();
    let mut polls: Vec<(Vec<usize>, u64)> = asked
        .split(Option::is_none)
        .map(|poll| {
            let (pages, keys): (_, Vec<u64>) = poll.iter().flatten().copied().unzip();
            (pages, keys.iter().sum())
        })
        .collect();
    polls.pop();
    polls.retain(|(pages, _)| !pages.is_empty());
    polls
}

#[track_caller]
fn until_polls(asked: &Asked, count: usize) -> Vec<(Vec<usize>, u64)> {
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
    assert_eq!(polls[0], ((0..AT_FIRST).collect(), 1_000_000));
    assert_eq!(polls[1].0, (AT_FIRST..PAGES).collect::<Vec<_>>());
    // All keys were seen once: there is no hurry any more.
    assert_eq!((polls[2].1, polls[3].1), (LATER, LATER));
    let pages = [&polls[2].0[..], &polls[3].0].concat();
    assert_eq!(pages, (0..pages.len()).collect::<Vec<_>>());
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
        let breaks = page(words).is_some_and(|(page, _)| page == 3000) && cut.swap(false, Ordering::SeqCst);
        if breaks { Some(Reply::Cut(String::new())) } else { info(words, "one") }
    });
    let gauge = Streamgauge::of(&redis.url(), &[]);
    gauge.until("streamgauge_poll_complete", Some(1.0));
    // On the new connection, the process is asked who it is, and for the time with it.
    let polls = until_polls(&asked, 4);
    assert_eq!(polls[1].0, (AT_FIRST..=3000).collect::<Vec<_>>());
    assert_eq!(polls[2].0, (3000..PAGES).collect::<Vec<_>>());
    assert_eq!((polls[3].0[0], polls[3].1), (0, LATER));
    assert_eq!(redis.connections(), 2);
}

#[test]
fn another_process_is_searched_as_a_whole() {
    // A page that the second round comes to in its second poll.
    const LATE: usize = 750;
    let breaks = Arc::new(AtomicUsize::new(0));
    let broken = breaks.clone();
    let (redis, asked) = vast(move |words| {
        if page(words).is_some_and(|(page, _)| page == LATE) && broken.fetch_add(1, Ordering::SeqCst) == 1 {
            return Some(Reply::Cut(String::new()));
        }
        let run_id = if broken.load(Ordering::SeqCst) < 2 { "one" } else { "two" };
        info(words, run_id)
    });
    let gauge = Streamgauge::of(&redis.url(), &[]);
    gauge.until("streamgauge_poll_complete", Some(1.0));
    let since_then = wait::until("a whole search of the new process", || {
        let pages: Vec<_> = asked.lock().unwrap().iter().flatten().map(|(page, _)| *page).collect();
        let broken = pages.iter().enumerate().filter(|(_, page)| **page == LATE).nth(1);
        let since_then = broken.map_or(&[][..], |(place, _)| &pages[place + 1..]);
        if since_then.len() >= PAGES {
            Ok(since_then[..PAGES].to_vec())
        } else {
            Err(pages.len().to_string())
        }
    });
    assert_eq!(since_then, (0..PAGES).collect::<Vec<_>>());
    gauge.until("streamgauge_poll_complete", Some(1.0));
    assert_eq!(gauge.logged("redis is up; its keys are still being searched").len(), 2);
}
