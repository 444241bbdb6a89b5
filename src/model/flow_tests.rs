use proptest::prelude::*;

use super::*;
use crate::model::{history::Observation, lag::StreamFacts, time::UnixMicros};

/// A stream and one group with all that ever happened to them: the truth that a step is held against.
#[derive(Clone, Default)]
struct Truth {
    /// Whether each entry ever added, `1-0` and so on, still exists.
    exists: Vec<bool>,
    last_delivered: usize,
    pending: u64,
    delivered: u64,
    acknowledged: u64,
    lost: u64,
    max_deleted: usize,
    entries_read: Option<i64>,
}

/// What a test does to it.
#[derive(Clone, Copy, Debug)]
enum Act {
    Add(usize),
    Read(usize),
    NoAck(usize),
    Ack(u64),
    Delete(usize),
    Trim(usize),
}

impl Truth {
    fn act(&mut self, act: Act) {
        match act {
            Act::Add(count) => self.exists.resize(self.exists.len() + count, true),
            Act::Read(count) => self.pending += self.deliver(count),
            Act::NoAck(count) => self.acknowledged += self.deliver(count),
            Act::Ack(count) => {
                self.acknowledged += count.min(self.pending);
                self.pending -= count.min(self.pending);
            }
            Act::Delete(place) => {
                let index = self.existing().nth(place);
                if let Some(index) = index {
                    self.remove(index);
                    self.max_deleted = self.max_deleted.max(index + 1);
                }
            }
            Act::Trim(count) => {
                let gone: Vec<_> = self.existing().take(count).collect();
                gone.into_iter().for_each(|index| self.remove(index));
            }
        }
    }

    fn deliver(&mut self, count: usize) -> u64 {
        let position = self.last_delivered;
        let read: Vec<_> = self.existing().skip_while(|index| *index < position).take(count).collect();
        if let Some(last) = read.last() {
            self.last_delivered = last + 1;
        }
        self.delivered += read.len() as u64;
        self.entries_read = self.entries_read.map(|before| before + read.len() as i64);
        read.len() as u64
    }

    fn remove(&mut self, index: usize) {
        self.exists[index] = false;
        self.lost += u64::from(index >= self.last_delivered);
    }

    fn existing(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.exists.len()).filter(|index| self.exists[*index])
    }

    fn seen(&self, seconds: u64) -> Seen {
        let id = |number: usize| StreamId::new(number as u64, 0);
        let lag = self.existing().filter(|index| *index >= self.last_delivered).count() as u64;
        let first = self.existing().next();
        Seen {
            at: UnixMicros(seconds * 1_000_000),
            stream: StreamFacts {
                length: self.existing().count() as u64,
                entries_added: Some(self.exists.len() as u64),
                max_deleted: Some(id(self.max_deleted)),
                last_generated: id(self.exists.len()),
                ends: first.zip(self.existing().last()).map(|(first, last)| (id(first + 1), id(last + 1))),
            },
            lag: (lag, lag),
            pending: self.pending,
            last_delivered: id(self.last_delivered),
            entries_read: self.entries_read,
        }
    }
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0usize..20).prop_map(Act::Add),
        (0usize..20).prop_map(Act::Read),
        (0usize..5).prop_map(Act::NoAck),
        (0u64..20).prop_map(Act::Ack),
        (0usize..20).prop_map(Act::Delete),
        (0usize..20).prop_map(Act::Trim),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever happens: what is told is true, and no more is said to be lost than was.
    #[test]
    fn exact_or_absent(
        polls in prop::collection::vec(prop::collection::vec(acts(), 0..6), 1..20),
        has_counter: bool,
    ) {
        let mut truth = Truth { entries_read: has_counter.then_some(0), ..Truth::default() };
        for acts in polls {
            let before = truth.clone();
            acts.into_iter().for_each(|act| truth.act(act));
            let step = step(&before.seen(10), &truth.seen(20));
            let (delivered, acknowledged) =
                (truth.delivered - before.delivered, truth.acknowledged - before.acknowledged);
            if let Some(flowed) = step.flowed {
                prop_assert_eq!(flowed, Flowed { delivered, acknowledged, micros: 10_000_000 });
            }
            prop_assert!(step.lost <= truth.lost - before.lost);
            if !has_counter && truth.last_delivered == before.last_delivered {
                prop_assert_eq!(step.lost, truth.lost - before.lost);
            }
        }
    }
}

fn between(before: &[Act], then: &[Act]) -> Step {
    let mut truth = Truth { entries_read: Some(0), ..Truth::default() };
    before.iter().for_each(|act| truth.act(*act));
    let first = truth.seen(10);
    then.iter().for_each(|act| truth.act(*act));
    step(&first, &truth.seen(20))
}

#[test]
fn what_everyday_steps_tell() {
    use Act::{Ack, Add, Delete, Read, Trim};
    let flowed = |delivered, acknowledged| Step {
        flowed: Some(Flowed { delivered, acknowledged, micros: 10_000_000 }),
        lost: 0,
    };
    let lost = |lost| Step { flowed: None, lost };
    let start = [Add(20), Read(10)];
    for (what, then, expected) in [
        ("nothing happens", &[][..], flowed(0, 0)),
        ("entries are added, read and acknowledged", &[Add(5), Read(8), Ack(12)], flowed(8, 12)),
        ("what was delivered before is trimmed", &[Add(5), Read(8), Ack(12), Trim(10)], flowed(8, 12)),
        ("what was delivered before is deleted", &[Delete(0), Delete(3), Read(4), Ack(4)], flowed(4, 4)),
        ("what was delivered since is deleted", &[Read(4), Delete(12)], lost(0)),
        ("a trim overtakes a group that stands still", &[Trim(15)], lost(5)),
        ("a trim overtakes a group that reads on", &[Trim(15), Read(2)], lost(5)),
        ("the stream is emptied", &[Trim(20)], lost(10)),
        ("an entry is deleted that waits", &[Delete(15)], lost(1)),
    ] {
        assert_eq!(between(&start, then), expected, "{what}");
    }
}

#[test]
fn what_is_not_sure_is_not_told() {
    let mut truth = Truth::default();
    truth.act(Act::Add(20));
    let before = truth.seen(10);
    truth.act(Act::Read(5));
    let now = truth.seen(20);
    assert!(step(&before, &now).flowed.is_some());
    for (what, before, now) in [
        ("a lag between bounds", before, Seen { lag: (10, 15), ..now }),
        ("Redis 6", before, Seen { stream: StreamFacts { entries_added: None, ..now.stream }, ..now }),
        ("more pending than were delivered", before, Seen { pending: 6, ..now }),
        ("a lag that grew by itself", Seen { lag: (3, 3), ..before }, now),
    ] {
        assert_eq!(step(&before, &now), Step::default(), "{what}");
    }
}

#[test]
fn rates_are_of_the_time_in_which_they_are_known() {
    let window = Duration::from_secs(300);
    let (mut truth, mut history) = (Truth::default(), History::default());
    let mut observe = |truth: &Truth, seconds, sure| {
        let seen = truth.seen(seconds);
        let lag = if sure { seen.lag } else { (1, 900) };
        let seen = Seen { lag, ..seen };
        let now = Observation { seen, oldest_pending: Some(None), consumers: 1, activity: None };
        history.observe(&now, window);
        Flow::of(&history, history.quarters().as_ref(), window)
    };
    assert_eq!(observe(&truth, 0, true), Flow::default());
    truth.act(Act::Add(100));
    truth.act(Act::Read(40));
    truth.act(Act::Ack(20));
    // Too short for a pace.
    assert_eq!(observe(&truth, 1, true), Flow::default());
    let flow = observe(&truth, 10, true);
    assert_eq!((flow.added(), flow.delivered(), flow.acknowledged()), (Some(10.0), Some(4.0), Some(2.0)));
    assert_eq!(flow.drain(), None);
    // Not known for too long; and then for the whole time after all.
    truth.act(Act::Read(20));
    let flow = observe(&truth, 15, false);
    assert!(flow.added().is_some());
    assert_eq!((flow.delivered(), flow.acknowledged(), flow.drain()), (None, None, None));
    let flow = observe(&truth, 20, true);
    assert_eq!((flow.delivered(), flow.acknowledged()), (Some(3.0), Some(1.0)));
    // 80 wait; 40 of them are done in the ten seconds to which the last quarter belongs.
    truth.act(Act::Ack(40));
    let flow = observe(&truth, 30, true);
    assert_eq!(flow.drain(), Some(10.0));
    // What is trimmed away unread leaves less to do, and no pace.
    truth.act(Act::Trim(70));
    assert_eq!(observe(&truth, 40, true).drain(), None);
}
