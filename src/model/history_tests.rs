use proptest::prelude::*;

use super::*;
use crate::model::lag::StreamFacts;

const WINDOW: Duration = Duration::from_secs(300);

/// A group that was delivered `read` of `added` entries at this second; the entries are `1-0`, `2-0` and so on.
fn at(seconds: u64, added: u64, read: u64, pending: u64) -> Observation {
    let id = |number| StreamId::new(number, 0);
    let seen = Seen {
        at: UnixMicros(seconds * 1_000_000),
        stream: StreamFacts {
            length: added,
            entries_added: Some(added),
            max_deleted: Some(StreamId::default()),
            last_generated: id(added),
            ends: (added > 0).then(|| (id(1), id(added))),
        },
        lag: (added - read, added - read),
        pending,
        last_delivered: id(read),
        entries_read: Some(i64::try_from(read).unwrap()),
    };
    Observation { seen, oldest_pending: Some(None), consumers: 1, activity: None }
}

/// The same of another stream.
fn with_stream(stream: StreamFacts, observation: Observation) -> Observation {
    Observation { seen: Seen { stream, ..observation.seen }, ..observation }
}

fn after(observations: &[Observation]) -> History {
    let mut history = History::default();
    for observation in observations {
        history.observe(observation, WINDOW);
    }
    history
}

#[test]
fn it_tells_since_when_things_are_as_they_are() {
    let history = after(&[at(0, 5, 5, 0), at(10, 9, 5, 0), at(20, 9, 5, 0)]);
    assert_eq!((history.waited().as_secs(), history.still().as_secs()), (10, 10));
    let history = after(&[at(0, 5, 5, 0), at(10, 9, 5, 0), at(20, 9, 6, 0), at(50, 9, 6, 0)]);
    assert_eq!((history.waited().as_secs(), history.still().as_secs()), (40, 30));
    // An acknowledgement moves it too, and the arrival of entries does not.
    let history = after(&[at(0, 9, 5, 4), at(20, 9, 5, 3), at(50, 12, 5, 3)]);
    assert_eq!((history.waited().as_secs(), history.still().as_secs()), (50, 30));
    // What waits is new, though nothing has moved for long.
    let history = after(&[at(0, 9, 9, 0), at(500, 9, 9, 0), at(510, 10, 9, 0)]);
    assert_eq!((history.still().as_secs(), history.quiet()), (0, Some(Duration::ZERO)));
    let history = after(&[at(0, 9, 8, 0), at(500, 9, 9, 0), at(540, 9, 9, 0)]);
    assert_eq!((history.waited(), history.still()), (Duration::ZERO, Duration::ZERO));
    assert_eq!(history.quiet(), Some(Duration::from_secs(40)));
    assert_eq!(after(&[at(0, 9, 9, 0), at(500, 9, 9, 0)]).quiet(), None);
}

#[test]
fn it_tells_how_often_the_oldest_entry_came_back() {
    let with = |seconds, id, deliveries| {
        let oldest =
            OldestPending { id: StreamId::new(id, 0), idle: Duration::ZERO, deliveries, is_deleted: None };
        Observation { oldest_pending: Some(Some(oldest)), ..at(seconds, 9, 9, 1) }
    };
    assert_eq!(after(&[with(0, 1, 7), with(1, 1, 7)]).redelivered(), 0);
    let history = after(&[with(0, 1, 7), with(10, 1, 9)]);
    assert_eq!((history.redelivered(), history.still()), (2, Duration::ZERO));
    assert_eq!(after(&[with(0, 1, 7), with(1, 2, 9)]).redelivered(), 0);
    // Set back by hand (XCLAIM … RETRYCOUNT).
    assert_eq!(after(&[with(0, 1, 7), with(1, 1, 1), with(2, 1, 3)]).redelivered(), 2);
}

#[test]
fn what_cannot_follow_begins_anew() {
    let before = at(100, 10, 8, 3);
    let stream = before.seen.stream;
    let longer = at(110, 11, 8, 3);
    let longer = with_stream(StreamFacts { length: 12, ..longer.seen.stream }, longer);
    let deleted = |ms| {
        let max_deleted = Some(StreamId::new(ms, 0));
        with_stream(StreamFacts { max_deleted, ..stream }, before)
    };
    let old = with_stream(StreamFacts { entries_added: None, ..stream }, before);
    let first = |ms| {
        let ends = Some((StreamId::new(ms, 0), StreamId::new(10, 0)));
        with_stream(StreamFacts { ends, ..stream }, before)
    };
    let empty = with_stream(StreamFacts { length: 0, ends: None, ..stream }, before);
    for (what, before, now, goes_on) in [
        ("nothing new", before, before, true),
        ("more of all", before, at(110, 12, 11, 0), true),
        ("a clock that goes back", before, at(99, 12, 11, 0), false),
        ("entries-added and IDs that go back", before, at(110, 9, 8, 3), false),
        ("a group that goes back", before, at(110, 10, 7, 3), false),
        ("a stream that grows by more than was added", before, longer, false),
        ("max-deleted-entry-id that goes back", deleted(5), deleted(4), false),
        ("another version", before, old, false),
        ("a trim", first(2), first(4), true),
        ("a first entry that goes back", first(4), first(2), false),
        ("a stream that is emptied", before, empty, true),
        ("entries from before it was emptied", empty, before, false),
    ] {
        assert_eq!(after(&[before, now]).points().len() == 2, goes_on, "{what}");
    }
}

proptest! {
    /// Bounded in number and in time, with the latest point always, and evenly, whatever the interval between polls.
    #[test]
    fn points_are_few_and_even(steps in prop::collection::vec(0u64..40_000_000, 1..600)) {
        let mut history = History::default();
        let mut now = 0;
        let spacing = micros(WINDOW) / u64::from(MOST_POINTS);
        for step in steps {
            now += step;
            let seen = Seen { at: UnixMicros(now), ..at(0, 1, 1, 0).seen };
            history.observe(&Observation { seen, ..at(0, 1, 1, 0) }, WINDOW);
            let times: Vec<_> = history.points().iter().map(|point| point.at).collect();
            prop_assert_eq!(times.last(), Some(&now));
            prop_assert!(times.len() <= MOST_POINTS as usize + 3, "{}", times.len());
            prop_assert!(history.points.room() <= 64 * 8, "{}", history.points.room());
            let [kept @ .., _] = &times[..] else { unreachable!() };
            prop_assert!(kept.windows(2).all(|pair| pair[1] - pair[0] >= spacing));
            // As far back as the window, but not by more than a point.
            prop_assert!(times.get(1).is_none_or(|second| second + micros(WINDOW) > now));
        }
    }
}
