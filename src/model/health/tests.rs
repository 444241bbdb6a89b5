//! A group that is worked on by numbers: every test says what happens, second by second, and what the verdicts are.

use proptest::prelude::*;

use super::*;
use crate::model::{
    history::Seen, lag::StreamFacts, snapshot::OldestPending, stream_id::StreamId, time::UnixMicros,
};

/// A group as it is at some second, with rates in entries per second.
#[derive(Clone, Copy)]
struct Group {
    added: f64,
    delivered: f64,
    acknowledged: f64,
    adds: f64,
    reads: f64,
    acks: f64,
    consumers: u64,
    /// Whether consumers are heard of.
    heard: bool,
    silent: u64,
    /// Of the oldest pending entry.
    deliveries: u64,
    idle: u64,
    /// How much the number of entries read jitters.
    noise: f64,
}

const STEADY: Group = Group {
    added: 1000.0,
    delivered: 1000.0,
    acknowledged: 1000.0,
    adds: 20.0,
    reads: 30.0,
    acks: 30.0,
    consumers: 2,
    heard: true,
    silent: 0,
    deliveries: 1,
    idle: 0,
    noise: 0.0,
};

impl Group {
    fn second(&mut self, random: &mut impl FnMut() -> f64) {
        self.added += self.adds;
        let reads = (self.reads + self.noise * (random() - 0.5)).max(0.0);
        self.delivered = self.added.min(self.delivered + reads);
        self.acknowledged = self.delivered.min(self.acknowledged + self.acks);
        self.silent = if self.heard { 0 } else { self.silent + 1 };
        self.idle = if self.acks > 0.0 { 0 } else { self.idle + 1 };
    }

    fn seen(&self, second: u64) -> Observation {
        let [added, delivered, acknowledged] =
            [self.added, self.delivered, self.acknowledged].map(|n| n as u64);
        let id = |number| StreamId::new(number, 0);
        let (lag, pending) = (added - delivered, delivered - acknowledged);
        let (silence, holders) =
            (Duration::from_secs(self.silent), u64::from(pending > 0).min(self.consumers));
        let mut activity = Activity { silence, ..Activity::default() };
        if silence < Rules::default().claim_time {
            activity.active = self.consumers as u32;
        } else {
            (activity.dead, activity.idle) = (holders as u32, (self.consumers - holders) as u32);
            activity.claimable = pending;
        }
        let (idle, deliveries) = (Duration::from_secs(self.idle), self.deliveries);
        let oldest = OldestPending { id: id(acknowledged + 1), idle, deliveries, is_deleted: None };
        let seen = Seen {
            at: UnixMicros(second * 1_000_000),
            stream: StreamFacts {
                length: added,
                entries_added: Some(added),
                max_deleted: Some(StreamId::default()),
                last_generated: id(added),
                ends: Some((id(1), id(added))),
            },
            lag: (lag, lag),
            pending,
            last_delivered: id(delivered),
            entries_read: None,
        };
        let oldest_pending = Some((pending > 0).then_some(oldest));
        Observation { seen, oldest_pending, consumers: self.consumers, activity: Some(activity) }
    }
}

/// What happens from some second on.
type Turn = (u64, fn(&mut Group));

/// The states in order, each with the second at which it began.
fn states(interval: u64, until: u64, turns: &[Turn], seed: u64) -> Vec<(u64, State)> {
    let (mut group, mut course, mut states) = (STEADY, Course::default(), Vec::new());
    let mut random = numbers(seed);
    for second in 0..=until {
        turns.iter().filter(|(at, _)| *at == second).for_each(|(_, turn)| turn(&mut group));
        group.second(&mut random);
        if second % interval == 0 {
            let health = course.follow(&group.seen(second), &Rules::default());
            assert_ne!(health.reason, Reason::Unjudged);
            if states.last().is_none_or(|(_, state)| *state != health.state) {
                states.push((second, health.state));
            }
        }
    }
    states
}

/// The states of a scene, at several intervals between polls; the seconds are those of the shortest one.
#[track_caller]
fn check(until: u64, turns: &[Turn], expected: &[(std::ops::RangeInclusive<u64>, State)]) {
    for interval in [1, 5, 15, 30] {
        let states = states(interval, until, turns, 1);
        let fits = states.len() == expected.len()
            && states.iter().zip(expected).all(|((at, state), (when, expected))| {
                state == expected && (*when.start()..=when.end() + 2 * interval).contains(at)
            });
        assert!(fits, "every {interval} s: {states:?}\nexpected {expected:?}");
    }
}

use State::{CatchingUp, FallingBehind, Idle, NoConsumers, Ok, Stalled, Stuck, Unknown};

fn quiet(group: &mut Group) {
    group.adds = 0.0;
}

fn gone(group: &mut Group) {
    (group.reads, group.acks, group.heard) = (0.0, 0.0, false);
}

fn back(group: &mut Group) {
    (group.reads, group.acks, group.heard) = (80.0, 80.0, true);
}

#[test]
fn healthy_and_then_idle() {
    check(1000, &[(600, quiet)], &[(0..=0, Idle), (1..=1, Ok), (628..=632, Idle)]);
}

#[test]
fn slow_and_then_scaled_up() {
    let slow: Turn = (300, |group| (group.reads, group.acks) = (10.0, 10.0));
    // Seen once the later half of the window has grown; what stands above the floor is no reason before.
    let behind = (460..=470, FallingBehind);
    check(900, &[slow], &[(0..=0, Idle), (1..=1, Ok), behind.clone()]);
    // The backlog is 6000, and shrinks by 60 a second.
    let expected = [(0..=0, Idle), (1..=1, Ok), behind, (930..=958, CatchingUp), (995..=1005, Ok)];
    check(1100, &[slow, (900, back)], &expected);
}

#[test]
fn slow_from_the_first_look_on() {
    let slow: Turn = (0, |group| (group.reads, group.acks) = (10.0, 10.0));
    check(600, &[slow], &[(0..=0, Ok), (1..=1, Unknown), (60..=62, FallingBehind)]);
}

#[test]
fn crashed_and_restarted() {
    // 8000 wait then, and 60 a second are done besides those that come.
    let (gone_at, back_at) = ((360..=362, NoConsumers), (700..=700, FallingBehind));
    let expected = [(0..=0, Idle), (1..=1, Ok), gone_at, back_at, (750..=775, CatchingUp), (830..=835, Ok)];
    check(900, &[(300, gone), (700, back)], &expected);
}

#[test]
fn paused() {
    // They are heard of, and neither read nor acknowledge.
    let paused: Turn = (300, |group| (group.reads, group.acks) = (0.0, 0.0));
    check(600, &[paused], &[(0..=0, Idle), (1..=1, Ok), (359..=361, Stalled)]);
}

#[test]
fn no_consumer_at_all() {
    let none: Turn = (0, |group| (group.reads, group.consumers) = (0.0, 0));
    check(300, &[none], &[(0..=0, NoConsumers)]);
    // A handful of fresh entries is no sign of anything, until they are not fresh any more.
    let few: Turn =
        (0, |group| (group.reads, group.consumers, group.adds, group.added) = (0.0, 0, 0.0, 1003.0));
    check(300, &[few], &[(0..=0, Ok), (60..=60, NoConsumers)]);
}

#[test]
fn poison() {
    let held: Turn = (300, |group| (group.acks, group.adds) = (0.0, 1.0));
    let again: Turn = (340, |group| (group.deliveries, group.idle) = (2, 0));
    let third: Turn = (400, |group| (group.deliveries, group.idle) = (4, 0));
    let done: Turn = (500, |group| (group.acks, group.deliveries) = (1e9, 1));
    let expected = [(0..=0, Idle), (1..=1, Ok), (400..=400, Stuck), (500..=500, Ok)];
    check(520, &[held, again, third, done], &expected);
}

#[test]
fn a_burst_and_its_recovery() {
    // 5000 at once, done in 200 seconds; and a long one, done in 400.
    let burst: Turn =
        (300, |group| (group.added, group.reads, group.acks) = (group.added + 5000.0, 45.0, 45.0));
    check(900, &[burst], &[(0..=0, Idle), (1..=1, Ok), (380..=400, CatchingUp), (498..=502, Ok)]);
    let long: Turn =
        (300, |group| (group.added, group.reads, group.acks) = (group.added + 5000.0, 32.5, 32.5));
    let states = states(5, 1200, &[long], 1);
    let only: Vec<_> = states.iter().map(|(_, state)| *state).collect();
    assert_eq!(only, [Idle, Ok, CatchingUp, Ok], "{states:?}");
}

#[test]
fn entries_that_nobody_claims() {
    // One consumer holds what it has, the other one goes on with what comes: the oldest entry stays.
    let mut course = Course::default();
    let mut verdict = |second: u64| {
        let mut now = Group { added: 1000.0 + second as f64, ..STEADY }.seen(second);
        let id = StreamId::new(900, 0);
        let idle = Duration::from_secs(second);
        now.oldest_pending = Some(Some(OldestPending { id, idle, deliveries: 1, is_deleted: None }));
        now.seen.pending = 5;
        now.seen.lag = (0, 0);
        now.seen.last_delivered = StreamId::new(1000 + second, 0);
        now.activity = Some(Activity { active: 1, dead: 1, claimable: 5, ..Activity::default() });
        course.follow(&now, &Rules::default())
    };
    let states: Vec<_> = (0..30).map(|step| verdict(step * 5).state).collect();
    assert!(states[..24].iter().all(|state| *state == Ok), "{states:?}");
    assert!(states[24..].iter().all(|state| *state == Stalled), "{states:?}");
    let reason = verdict(200).reason.to_string();
    assert_eq!(
        reason,
        "the oldest pending entry, 900-0, was not delivered again for 3 min: nobody claims it (5 entries held by consumers that are dead)"
    );
}

#[test]
fn what_is_not_known_is_not_ok() {
    let behind = Group { delivered: 500.0, acknowledged: 490.0, added: 1000.0, ..STEADY };
    let run = |see: fn(Observation) -> Observation| {
        let (mut group, mut course) = (behind, Course::default());
        (0..80)
            .map(|step| {
                (0..5).for_each(|_| group.second(&mut || 0.5));
                course.follow(&see(group.seen(step * 5)), &Rules::default()).state
            })
            .collect::<Vec<_>>()
    };
    let unread = run(|now| Observation { oldest_pending: None, ..now });
    assert!(unread.iter().zip(run(|now| now)).all(|(unread, read)| match read {
        State::Idle => *unread == Idle,
        read if read.is_bad() => *unread == read,
        _ => [Unknown, Ok].contains(unread),
    }));
    assert_eq!(unread[0], Unknown);
    // A lag that is only bounded proves that something waits, and mostly no trend.
    let bounded = run(|mut now| {
        now.seen.lag = (now.seen.lag.0.min(1), now.seen.lag.1 * 9);
        now
    });
    assert!(bounded.iter().all(|state| [Unknown, Ok, Idle].contains(state)), "{bounded:?}");
    assert!(bounded[..9].iter().all(|state| *state == Unknown), "{bounded:?}");
    // But what needs no lag is told.
    let deserted = run(|mut now| {
        (now.seen.lag, now.consumers) = ((1, 900), 0);
        now
    });
    assert!(deserted[12..].iter().all(|state| *state == NoConsumers), "{deserted:?}");
}

#[test]
fn trimmed_before_delivery() {
    // Capped at 300 entries; 20 come in a second, 2 are read: the lag cannot grow, and the rest is lost.
    let (mut group, mut course, mut states) = (STEADY, Course::default(), Vec::new());
    (group.reads, group.acks) = (2.0, 2.0);
    let mut read = 1000.0;
    for second in 0..400u64 {
        group.added += 20.0;
        read += 2.0;
        let mut now = group.seen(second);
        let first = group.added as u64 - 299;
        group.delivered = (group.delivered + 2.0).max(first as f64);
        group.acknowledged = group.delivered;
        now.seen.stream.length = 300;
        now.seen.stream.ends = now.seen.stream.ends.map(|(_, last)| (StreamId::new(first, 0), last));
        now.seen.last_delivered = StreamId::new(group.delivered as u64, 0);
        now.seen.lag =
            (group.added as u64 - group.delivered as u64, group.added as u64 - group.delivered as u64);
        (now.seen.pending, now.oldest_pending) = (0, Some(None));
        now.seen.entries_read = Some(read as i64);
        let health = course.follow(&now, &Rules::default());
        states.push(health.state);
        assert!(health.lost.unwrap() <= second * 18);
    }
    assert!(states[61..].iter().all(|state| *state == FallingBehind), "{states:?}");
    assert!(course.lost > 300 * 17, "{}", course.lost);
}

#[test]
fn another_clock_or_stream_begins_anew() {
    let mut course = Course::default();
    let slow = |second: u64| {
        let mut now = STEADY;
        now.added += 20.0 * second as f64;
        now.delivered += 10.0 * second as f64;
        now.acknowledged = now.delivered;
        now.seen(second)
    };
    let mut see = |now: &Observation| course.follow(now, &Rules::default());
    for second in 1..400 {
        see(&slow(second));
    }
    assert_eq!(see(&slow(400)).state, FallingBehind);
    // A failover to older data.
    let mut older = slow(300);
    older.seen.at = slow(405).seen.at;
    let health = see(&older);
    assert_eq!((health.state, health.flow), (Unknown, Flow::default()));
}

/// A reproducible stream of numbers from 0 to 1.
fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut bits = seed | 1;
    move || {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// An hour of workers whose pace is about that of the producers, and jitters; every verdict with its second.
fn hour(pace: f64, noise: f64, standing: f64, interval: u64, seed: u64) -> Vec<(u64, State)> {
    let (mut group, mut course, mut random) = (STEADY, Course::default(), numbers(seed));
    group.added += standing;
    (group.reads, group.acks, group.noise) = (20.0 * pace, 1e9, noise);
    let mut states: Vec<(u64, State)> = Vec::new();
    for second in 0..3600 {
        group.second(&mut random);
        if second % interval == 0 {
            let state = course.follow(&group.seen(second), &Rules::default()).state;
            if states.last().is_none_or(|(_, before)| *before != state) {
                states.push((second, state));
            }
        }
    }
    states
}

/// Around every threshold, noise makes no verdict flap: not around the pace of the producers, nor around the floor. A queue
/// whose pace is that of its producers does swing, in minutes: then every spell is a long one, or it ends when all is done.
#[test]
fn noise_does_not_make_it_flap() {
    let mut scenes = 0;
    for (pace, noise) in
        [0.9, 0.97, 0.99, 1.0, 1.01, 1.03, 1.1].into_iter().flat_map(|p| [2.0, 8.0, 18.0].map(|n| (p, n)))
    {
        for (standing, interval) in
            [0.0, 10.0, 1000.0, 1e5].into_iter().flat_map(|s| [1, 5, 15].map(|i| (s, i)))
        {
            scenes += 1;
            let states = hour(pace, noise, standing, interval, scenes * 7919);
            let bad: Vec<_> = states.windows(2).filter(|pair| pair[0].1.is_bad()).collect();
            let is_right = states.iter().all(|(_, state)| !state.is_bad() || *state == FallingBehind)
                && bad.iter().all(|pair| pair[1].0 - pair[0].0 >= 30 || pair[1].1 == Ok)
                && bad.len() <= 12;
            assert!(is_right, "{pace} {noise} {standing} {interval}: {states:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Only differences in time matter.
    #[test]
    fn no_verdict_depends_on_the_time(start in 0u64..1 << 62, seed: u64) {
        let run = |start: u64| {
            let (mut group, mut course) = (STEADY, Course::default());
            group.noise = 30.0;
            let mut random = numbers(seed);
            (0..120u64).map(|step| {
                group.reads = random() * 40.0;
                (0..5).for_each(|_| group.second(&mut || 0.5));
                let mut now = group.seen(0);
                now.seen.at = UnixMicros(start + step * 5_000_000);
                course.follow(&now, &Rules::default())
            }).collect::<Vec<_>>()
        };
        let (one, other) = (run(start), run(0));
        prop_assert!(one == other);
    }
}
