//! What is asked for, for how long, and who gives way to whom.

use super::*;
use crate::model::{lag::Policy, time::UnixMicros};

fn redis() -> Arc<str> {
    "main".into()
}

fn named(name: &str) -> Wish {
    Wish::named(name.into())
}

fn after(seconds: u64, start: Instant) -> Instant {
    start + Duration::from_secs(seconds)
}

/// The wishes that there are, by their names.
fn names(wishes: &Wishes, now: Instant) -> Vec<String> {
    let name = |wish: Wish| match wish.streams {
        Pattern::Exact(name) => name.text().to_owned(),
        Pattern::Glob(glob) => glob.text().to_owned(),
    };
    wishes.of("main", now).into_iter().map(name).collect()
}

/// What came of wishes: how many streams are known of each, and whether it is refused.
fn heard(all: &[(&str, usize, bool)]) -> Guests {
    let heard = |(pattern, found, is_refused): &(&str, usize, bool)| {
        let wish = Wish { streams: Pattern::parse(pattern).unwrap(), access: Access::default() };
        Heard { wish, found: *found, refused: is_refused.then(|| crowded(3)) }
    };
    Guests {
        share: Share { shard: 0, total: 2 },
        heard: all.iter().map(heard).collect(),
        taken: all.iter().map(|(_, found, _)| (*found).max(1)).sum(),
        poll: Ok(Arc::new(poll())),
    }
}

fn poll() -> Poll {
    Poll {
        started: Instant::now(),
        duration: Duration::ZERO,
        ended_at: UnixMicros(0),
        version: "7.0.15".into(),
        policy: Policy::default(),
        incomplete: vec![],
        cuts: vec![],
        share: Some(Share { shard: 0, total: 2 }),
        orders: 0,
        streams: vec![],
    }
}

fn down() -> Fault {
    Fault::new(FaultKind::Connect, "down")
}

#[test]
fn a_wish_lapses_when_nobody_utters_it_any_more() {
    let (mut wishes, start) = (Wishes::new(10), Instant::now());
    assert_eq!(wishes.ask(&redis(), &named("a"), None, start), Ok(true));
    assert_eq!(wishes.ask(&redis(), &named("b"), None, start), Ok(true));
    assert_eq!(wishes.ask(&redis(), &named("a"), None, after(500, start)), Ok(false));
    assert_eq!(names(&wishes, after(599, start)), ["a", "b"]);
    assert_eq!(names(&wishes, after(600, start)), ["a"]);
    assert_eq!(names(&wishes, after(1100, start)), [""; 0]);
    // It is news again, and has to be heard again.
    assert_eq!(wishes.ask(&redis(), &named("b"), None, after(700, start)), Ok(true));
    assert!(wishes.of("other", start).is_empty());
}

#[test]
fn what_does_not_exist_gives_way_and_what_exists_never_does() {
    let (mut wishes, start) = (Wishes::new(3), Instant::now());
    let mut ask = |name: &str, known: Option<&Guests>, second| {
        wishes.ask(&redis(), &named(name), known, after(second, start)).map(|_| names(&wishes, start))
    };
    ask("real", None, 0).unwrap();
    ask("invented", None, 1).unwrap();
    ask("fake", None, 2).unwrap();
    let full = ask("new", None, 3).unwrap_err();
    assert_eq!(full.kind, FaultKind::TooMany);
    assert_eq!(
        full.message,
        "more streams of other shards are asked for than sharding.guest_streams lets in, 3 (name the stream, or raise \
         sharding.guest_streams or --sharding.guest-streams)"
    );
    // Those that were looked for and do not exist make room; what was asked for only now does not.
    let known = heard(&[("real", 1, false), ("invented", 0, false)]);
    assert_eq!(ask("new", Some(&known), 4).unwrap(), ["real", "fake", "new"]);
    let known = heard(&[("real", 1, false), ("fake", 1, false), ("new", 1, false)]);
    assert!(ask("one more", Some(&known), 5).is_err());
    assert_eq!(ask("new", Some(&known), 6).unwrap(), ["real", "fake", "new"]);
}

/// What exists is not known where the poll failed; of a glob, not before all keys are searched.
#[test]
fn what_is_not_known_to_be_invented_does_not_give_way() {
    let unfinished = || Fault::new(FaultKind::Unfinished, "searching");
    let incomplete =
        |fault: Fault| Ok(Arc::new(Poll { incomplete: vec![Incomplete { db: 1, fault }], ..poll() }));
    let glob = Wish { streams: Pattern::parse("events:*").unwrap(), access: Access::default() };
    for (polled, left) in [
        (Err(down()), Err(FaultKind::TooMany)),
        (incomplete(down()), Err(FaultKind::TooMany)),
        (incomplete(unfinished()), Ok(vec!["events:*".to_owned(), "new".to_owned()])),
        (Ok(Arc::new(poll())), Ok(vec!["new".to_owned()])),
    ] {
        let (mut wishes, now) = (Wishes::new(2), Instant::now());
        wishes.ask(&redis(), &glob, None, now).unwrap();
        wishes.ask(&redis(), &named("name"), None, now).unwrap();
        let known = Guests { poll: polled, ..heard(&[("events:*", 0, false), ("name", 0, false)]) };
        let asked = wishes.ask(&redis(), &named("new"), Some(&known), now);
        assert_eq!(asked.map(|_| names(&wishes, now)).map_err(|fault| fault.kind), left, "{known:?}");
    }
}

#[test]
fn a_wish_that_is_refused_is_heard_again_once_names_that_are_invented_give_way() {
    let (mut wishes, start) = (Wishes::new(3), Instant::now());
    let glob = Wish { streams: Pattern::parse("events:*").unwrap(), access: Access::default() };
    wishes.ask(&redis(), &glob, None, start).unwrap();
    wishes.ask(&redis(), &named("invented"), None, start).unwrap();
    let known = heard(&[("events:*", 0, true), ("invented", 0, false)]);
    assert_eq!(wishes.ask(&redis(), &glob, Some(&known), start), Ok(true));
    assert_eq!(names(&wishes, start), ["events:*"]);
    // There is nobody else to give way.
    assert_eq!(wishes.ask(&redis(), &glob, Some(&known), start), Ok(false));
    assert_eq!(names(&wishes, start), ["events:*"]);
}

#[test]
fn what_was_heard_too_long_ago_does_not_count() {
    let (now, stale_after) = (Instant::now(), Duration::from_secs(15));
    // A poll that failed counts until there is another.
    let known = Guests { poll: Err(down()), ..heard(&[("a", 1, false)]) };
    assert!(known.answer(&named("a"), stale_after, after(1000, now)).is_some());
    assert!(known.answer(&named("b"), stale_after, now).is_none());
}
