//! The tracker against a stream in memory, over random histories: what is exact is right, and bounds hold.

use proptest::prelude::*;

use super::{super::undelivered::Undelivered, oldest::Oldest, *};

const TRUST: Trust = Trust { memory: true, counter: CounterTrust::NothingDeleted, hidden_deletions: false };

#[path = "tracker_tests/model.rs"]
mod model;

use model::{Event, Model, event};

fn name(group: u8) -> Name {
    Name::from(&[group][..])
}

/// What looks at a stream: a tracker, the memory of the oldest entries, and a tracker that knows nothing of these.
struct Watch {
    tracker: Tracker,
    oldest: Oldest,
    alone: Tracker,
}

/// The pages of each of these.
struct Read {
    counted: Pages,
    own: Pages,
    alone: Pages,
}

impl Watch {
    fn new(trust: Trust) -> Watch {
        Watch { tracker: Tracker::new(trust), oldest: Oldest::default(), alone: Tracker::new(trust) }
    }
}

impl Read {
    fn new(budget: u64) -> Read {
        Read { counted: Pages::new(budget), own: Pages::new(budget), alone: Pages::new(budget) }
    }
}

/// Looks as a poll does: once without pages, then, after what may happen meanwhile, with them.
fn look(watch: &mut Watch, model: &mut Model, budget: u64, meanwhile: &[Event]) -> Result<(), TestCaseError> {
    let mut pages = Read::new(budget);
    check(watch, model, &mut pages)?;
    let (wishes, own) = (pages.counted.take_wishes(), pages.own.take_wishes());
    prop_assert_eq!(&wishes, &pages.alone.take_wishes(), "the oldest entry has changed what is counted");
    prop_assert!(own.iter().all(|wish| wish.count <= budget && wish.share != Share::One), "{:?}", own);
    let read: u64 = wishes.iter().filter(|wish| wish.share != Share::One).map(|wish| wish.count).sum();
    prop_assert!(
        read <= budget * model.groups.len() as u64,
        "more than the budget of {}: {:?}",
        budget,
        wishes
    );
    if !wishes.is_empty() || !own.is_empty() {
        meanwhile.iter().for_each(|event| model.happen(event));
        let mut pages = Read::new(0);
        for wish in &wishes {
            pages.counted.put(*wish, model.read(wish));
            pages.alone.put(*wish, model.read(wish));
        }
        own.iter().for_each(|wish| pages.own.put(*wish, model.read(wish)));
        check(watch, model, &mut pages)?;
    }
    Ok(())
}

fn check(watch: &mut Watch, model: &Model, pages: &mut Read) -> Result<(), TestCaseError> {
    let groups: Vec<_> = model.groups.iter().map(|(number, group)| (name(*number), *group)).collect();
    for tracker in [&mut watch.tracker, &mut watch.alone] {
        tracker.observe(&model.facts(), groups.iter().map(|(name, group)| (name, group.last_delivered)));
    }
    let mut waiting = Vec::new();
    for (name, group) in &groups {
        let facts = GroupFacts {
            last_delivered: group.last_delivered,
            entries_read: group.entries_read,
            reported_lag: None,
        };
        let truth = model.above(group.last_delivered).count() as u64;
        let lag = watch.tracker.lag(name, &facts, &mut pages.counted);
        let alone = watch.alone.lag(name, &facts, &mut pages.alone);
        prop_assert_eq!(lag, alone, "the oldest entry has changed the lag, which is {}", truth);
        match lag {
            Lag::Exact { entries, .. } | Lag::Reported(entries) => prop_assert_eq!(entries, truth),
            Lag::Bounded { lower, upper, estimate } => {
                prop_assert!(1 <= lower && lower <= truth && truth <= upper, "{:?}, truth {}", lag, truth);
                prop_assert!(lower <= estimate && estimate <= upper, "{:?}", lag);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        waiting.push((name, group.last_delivered, lag));
    }
    let found = watch.oldest.find(&watch.tracker, &waiting, &pages.counted, &mut pages.own);
    prop_assert_eq!(found.len(), waiting.len());
    for ((_, x, _), found) in waiting.into_iter().zip(found) {
        let oldest = model.above(x).next();
        match found {
            Undelivered::Nothing => prop_assert_eq!(oldest, None),
            Undelivered::Oldest(id) => prop_assert_eq!(oldest, Some(id)),
            Undelivered::Unknown => prop_assert!(oldest.is_some()),
        }
    }
    Ok(())
}

fn history(trust: Trust, events: &[Event], meanwhile: &[Event]) -> Result<(), TestCaseError> {
    let (mut watch, mut model) = (Watch::new(trust), Model::default());
    model.counts_right = trust.counter == CounterTrust::Always;
    model.happen(&Event::Create(0, false));
    for event in events {
        model.happen(event);
        match event {
            Event::Look(budget) => look(&mut watch, &mut model, *budget, meanwhile)?,
            Event::Reconnect => [&mut watch.tracker, &mut watch.alone].into_iter().for_each(Tracker::forget),
            // A stream that is made anew between two looks can be made to look like the old one.
            Event::Recreate(_) => look(&mut watch, &mut model, 0, &[])?,
            _ => {}
        }
    }
    look(&mut watch, &mut model, 1000, &[])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn never_wrong(
        events in prop::collection::vec(event(false), 1..80),
        meanwhile in prop::collection::vec(event(false), 0..3),
    ) {
        history(TRUST, &events, &meanwhile)?;
    }

    /// Where the server's own counter is right or nil.
    #[test]
    fn never_wrong_with_a_right_counter(
        events in prop::collection::vec(event(false), 1..80),
        meanwhile in prop::collection::vec(event(false), 0..3),
    ) {
        history(Trust { counter: CounterTrust::Always, ..TRUST }, &events, &meanwhile)?;
    }

    /// Deletions that max-deleted-entry-id does not tell of, below every group.
    #[test]
    fn never_wrong_where_deletions_hide(
        events in prop::collection::vec(event(true), 1..80),
        meanwhile in prop::collection::vec(event(true), 0..3),
    ) {
        history(Trust { hidden_deletions: true, ..TRUST }, &events, &meanwhile)?;
    }

    #[test]
    fn never_wrong_without_memory(events in prop::collection::vec(event(true), 1..80)) {
        history(Trust { memory: false, ..TRUST }, &events, &[])?;
    }
}

/// A snapshot of a stream, with its IDs as milliseconds.
fn view(length: i64, added: i64, max_deleted: u64, last_generated: u64, ends: Option<(u64, u64)>) -> View {
    let id = |ms| StreamId::new(ms, 0);
    View {
        length,
        added,
        max_deleted: id(max_deleted),
        last_generated: id(last_generated),
        ends: ends.map(|(first, last)| (id(first), id(last))),
    }
}

fn later(before: View, now: View) -> Memory {
    let mut ladder = Ladder::default();
    ladder.observe(None, &before, None);
    ladder.observe(Some(&before), &now, None)
}

const BEFORE: (i64, i64, u64, u64, Option<(u64, u64)>) = (10, 20, 8, 30, Some((11, 29)));

#[test]
fn what_a_stream_can_become_is_remembered() {
    let (length, added, max_deleted, last_generated, ends) = BEFORE;
    let before = view(length, added, max_deleted, last_generated, ends);
    for (what, now) in [
        ("nothing", before),
        ("added", view(11, 21, 8, 31, Some((11, 31)))),
        ("trimmed", view(9, 20, 8, 30, Some((12, 29)))),
        ("the last deleted", view(9, 20, 29, 30, Some((11, 28)))),
        ("added and deleted again", view(10, 21, 31, 31, Some((11, 29)))),
        ("replaced by new entries", view(2, 22, 29, 32, Some((31, 32)))),
        ("emptied", view(0, 20, 29, 30, None)),
    ] {
        assert_eq!(later(before, now), Memory::Kept, "{what}");
    }
    let emptied = view(0, 20, 29, 30, None);
    assert_eq!(later(emptied, view(1, 21, 29, 31, Some((31, 31)))), Memory::Kept);
}

/// Each contradicts in one point only: the key was made anew, restored, or its counters were set by hand.
#[test]
fn what_a_stream_cannot_become_is_forgotten() {
    let (length, added, max_deleted, last_generated, ends) = BEFORE;
    let before = view(length, added, max_deleted, last_generated, ends);
    for (what, now) in [
        ("fewer added", view(9, 19, 8, 31, Some((11, 29)))),
        ("fewer deleted", view(13, 22, 8, 31, Some((11, 31)))),
        ("lower last ID", view(11, 21, 8, 28, Some((11, 28)))),
        ("lower highest deleted ID", view(10, 20, 7, 30, Some((11, 29)))),
        ("added without an ID", view(11, 21, 8, 30, Some((11, 29)))),
        ("an ID without an entry", view(10, 20, 8, 31, Some((11, 29)))),
        ("a deleted ID without a deletion", view(10, 20, 9, 30, Some((11, 29)))),
        ("deleted what never was", view(9, 20, 31, 30, Some((11, 29)))),
        ("an earlier first entry", view(10, 20, 8, 30, Some((10, 29)))),
        ("another first entry without a deletion", view(10, 20, 8, 30, Some((12, 29)))),
        ("a first entry where none was", view(2, 21, 29, 31, Some((30, 31)))),
        ("a later last entry and none added", view(9, 20, 8, 30, Some((12, 30)))),
        ("an earlier last entry without a deletion", view(10, 20, 8, 30, Some((11, 28)))),
        ("a new last entry with an ID that was passed", view(11, 21, 8, 31, Some((11, 30)))),
    ] {
        assert_eq!(later(before, now), Memory::Forgotten, "{what}");
    }
    let emptied = view(0, 20, 29, 30, None);
    let refilled = view(1, 21, 29, 31, Some((30, 30)));
    assert_eq!(later(emptied, refilled), Memory::Forgotten, "refilled below what was generated");
}

/// Counters that were raised by hand can look like many entries, added and deleted.
#[test]
fn rungs_that_have_become_impossible_are_forgotten() {
    let (length, added, max_deleted, last_generated, ends) = BEFORE;
    let before = view(length, added, max_deleted, last_generated, ends);
    let x = StreamId::new(20, 0);
    let mut ladder = Ladder::default();
    ladder.observe(None, &before, None);
    ladder.put(&before, x, x, 14);
    assert_eq!(ladder.at(&before, x), Some(6));
    let raised = view(11, 71, 8, 31, Some((12, 31)));
    assert_eq!(ladder.observe(Some(&before), &raised, None), Memory::Forgotten);
    assert_eq!(ladder.at(&raised, x), None);
}

#[test]
fn two_proofs_that_disagree_are_forgotten() {
    let (length, added, max_deleted, last_generated, ends) = BEFORE;
    let before = view(length, added, max_deleted, last_generated, ends);
    let x = StreamId::new(20, 0);
    let mut ladder = Ladder::default();
    ladder.observe(None, &before, None);
    assert_eq!(ladder.put(&before, x, x, 14), Memory::Kept);
    assert_eq!(ladder.put(&before, x, x, 15), Memory::Forgotten);
    assert_eq!(ladder.at(&before, x), None);
}

/// Rungs of a stream of 40 entries, whose IDs are 1 to 40, after one between two others was dropped where it may be.
#[test]
fn a_rung_between_near_ones_stays_only_for_a_group() {
    let now = view(40, 40, 0, 40, Some((1, 40)));
    for (middle, group, left) in [
        (&[20][..], 0, &[1, 20, 40][..]),
        (&[20, 21, 23], 0, &[1, 20, 23, 40]),
        (&[20, 21, 23], 21, &[1, 20, 21, 23, 40]),
        (&[20, 21, 24], 0, &[1, 20, 21, 24, 40]),
        (&[2, 3, 4], 0, &[1, 4, 40]),
        (&[20, 21, 22, 23, 24], 0, &[1, 20, 23, 24, 40]),
        (&[20, 21, 22, 23, 24], 22, &[1, 20, 22, 24, 40]),
    ] {
        let mut ladder = Ladder::default();
        ladder.observe(None, &now, None);
        for ms in middle {
            let x = StreamId::new(*ms, 0);
            assert_eq!(ladder.put(&now, x, x, *ms as i64), Memory::Kept);
        }
        let group = StreamId::new(group, 0);
        ladder.drop_near(|rung| (rung.low..=rung.high).contains(&group));
        let kept: Vec<_> = ladder.points(&now).map(|(id, _)| id.ms).collect();
        assert_eq!(kept, left, "{middle:?}, {group:?}");
    }
}

/// A group that is set back to where it was, after acknowledged entries above were trimmed unseen.
#[test]
fn no_rung_is_carried_over_deletions_that_may_hide_above_it() {
    let events = [
        Event::Add(30, 1),
        Event::Read(0, 10),
        Event::Look(1000),
        Event::Read(0, 10),
        Event::Look(0),
        // The first entry goes too: its rung would give the others away.
        Event::Trim(29),
        Event::TrimAcknowledged(12),
        Event::Look(0),
        Event::SetId(0, 10),
        Event::Look(0),
    ];
    history(Trust { hidden_deletions: true, ..TRUST }, &events, &[]).unwrap();
}

/// Whether it is a lag that tells so (that of a group in the middle), or nothing does.
#[test]
fn no_oldest_entry_is_remembered_of_another_stream() {
    let id = |ms| StreamId::new(ms, 0);
    let stream = |ms: &[u64], groups: &[u64]| Model {
        entries: ms.iter().map(|ms| id(*ms)).collect(),
        added: ms.len() as u64,
        last_generated: id(*ms.last().unwrap()),
        groups: (0..).zip(groups.iter().map(|ms| model::Group::at(id(*ms)))).collect(),
        ..Model::default()
    };
    for groups in [&[10, 30][..], &[10]] {
        let mut watch = Watch::new(TRUST);
        look(&mut watch, &mut stream(&[10, 20, 30, 40], groups), 100, &[]).unwrap();
        assert_eq!(watch.oldest.len(), groups.len());
        // As if one entry had been added.
        let mut other = stream(&[10, 25, 35, 45, 50], groups);
        look(&mut watch, &mut other, 0, &[]).unwrap();
        look(&mut watch, &mut other, 0, &[]).unwrap();
        look(&mut watch, &mut other, 100, &[]).unwrap();
    }
}

/// Each asks for itself where no lag tells whether the stream is the same, and what a lag asks for is waited for.
#[test]
fn an_oldest_entry_is_asked_for_once() {
    let (mut watch, mut model) = (Watch::new(TRUST), Model::default());
    for event in [Event::Add(30, 1), Event::Create(0, false), Event::Create(1, false)] {
        model.happen(&event);
    }
    let wishes = |watch: &mut Watch, model: &Model| {
        let mut pages = Read::new(100);
        check(watch, model, &mut pages).unwrap();
        (pages.counted.take_wishes().len(), pages.own.take_wishes().len())
    };
    // Below the first entry; at it; both at it; one in the middle, whose lag is reported.
    assert_eq!(wishes(&mut watch, &model), (0, 0));
    model.happen(&Event::Read(0, 1));
    assert_eq!(wishes(&mut watch, &model), (0, 1));
    model.happen(&Event::Read(1, 1));
    assert_eq!(wishes(&mut watch, &model), (0, 1));
    model.happen(&Event::Read(0, 9));
    assert_eq!(wishes(&mut watch, &model), (0, 2));
    look(&mut watch, &mut model, 100, &[]).unwrap();
    assert_eq!(wishes(&mut watch, &model), (0, 0));
    // Now there is a witness to look for, which tells of both.
    model.happen(&Event::Add(1, 1));
    assert_eq!(wishes(&mut watch, &model), (1, 0));
    model.happen(&Event::Destroy(0));
    assert_eq!(wishes(&mut watch, &model), (0, 1));
}

#[test]
fn nothing_is_remembered_of_a_group_that_is_gone() {
    let (mut watch, mut model) = (Watch::new(TRUST), Model::default());
    for event in [Event::Add(30, 1), Event::Create(0, false), Event::Create(1, false), Event::Read(0, 10)] {
        model.happen(&event);
    }
    look(&mut watch, &mut model, 100, &[]).unwrap();
    assert_eq!((watch.tracker.groups.names().len(), watch.oldest.len()), (2, 2));
    model.happen(&Event::Destroy(0));
    look(&mut watch, &mut model, 100, &[]).unwrap();
    assert_eq!(watch.tracker.groups.names().collect::<Vec<_>>(), [&name(1)]);
    assert_eq!(watch.oldest.len(), 1);
}
