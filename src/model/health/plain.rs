//! The same history as plain as can be: all points as they are, and a walk over them for each question. What is packed and
//! read in one pass must answer the same, bit by bit, whatever happens to stream, group and clock.

use proptest::prelude::*;

use super::*;
use crate::model::{
    flow::{Step, step},
    history::{MOST_POINTS, Seen, micros},
    lag::StreamFacts,
    points::Point,
    stream_id::StreamId,
};

#[derive(Clone, Default)]
struct Plain {
    points: Vec<Point>,
    latest: Option<Seen>,
    base: Option<Seen>,
    trend: Trend,
    loses: bool,
}

/// Bounds of the lowest and of the highest backlog.
#[derive(Clone, Copy)]
struct Marks {
    low: (f64, f64),
    high: (f64, f64),
}

impl Plain {
    fn follow(&mut self, now: &Seen, rules: &Rules) {
        if self.latest.is_some_and(|before| !now.follows(&before)) {
            (self.points, self.base) = (Vec::new(), None);
        }
        let step = self.base.map_or_else(Step::default, |base| step(&base, now));
        let flowed = step.flowed.unwrap_or_default();
        let total = |of: fn(&Point) -> u64, more: u64| self.points.last().map_or(0, of).saturating_add(more);
        self.points.push(Point {
            at: now.at.0,
            backlog: now.backlog(),
            low: now.backlog(),
            added: now.stream.entries_added.unwrap_or(0),
            delivered: total(|point| point.delivered, flowed.delivered),
            acknowledged: total(|point| point.acknowledged, flowed.acknowledged),
            known: total(|point| point.known, flowed.micros),
            lost: total(|point| point.lost, step.lost),
        });
        self.base = if now.exact_lag().is_some() { Some(*now) } else { self.base };
        self.latest = Some(*now);
        self.thin(micros(rules.window));
        let span = Duration::from_micros(self.points[self.points.len() - 1].at - self.points[0].at);
        let is_long = span >= rules.claim_time.min(rules.window);
        self.trend = if is_long { self.next_trend(rules.floor) } else { Trend::Unknown };
        self.loses = is_long && self.keeps_losing(now, rules);
    }

    fn thin(&mut self, window: u64) {
        if let [.., third, second, last] = &mut self.points[..]
            && second.at - third.at < window / u64::from(MOST_POINTS)
        {
            last.low = (last.low.0.min(second.low.0), last.low.1.min(second.low.1));
            self.points.remove(self.points.len() - 2);
        }
        let end = self.points[self.points.len() - 1].at;
        while self.points.get(1).is_some_and(|second| second.at <= end.saturating_sub(window)) {
            self.points.remove(0);
        }
    }

    fn ends(&self) -> (Point, Point) {
        (self.points[0], self.points[self.points.len() - 1])
    }

    fn next_trend(&self, floor: u64) -> Trend {
        let part = |from: u32, to: u32| self.marks(f64::from(from) / 4.0, f64::from(to) / 4.0);
        let (Some(all), Some(early), Some(late)) = (part(0, 4), part(0, 2), part(2, 4)) else {
            return Trend::Unknown;
        };
        let (Some(third), Some(last), Some(before_last)) = (part(2, 3), part(3, 4), part(0, 3)) else {
            return Trend::Unknown;
        };
        let ends = self.ends();
        let added =
            if ends.1.added > ends.0.added { (ends.1.added - ends.0.added) as f64 } else { f64::INFINITY };
        let margin = (all.high.1.min(added) / 10.0).max(floor as f64).max(1.0);
        let floor = floor as f64;
        let rises = late.low.0 >= 2.0 * floor
            && late.low.0 - early.low.1 >= margin
            && last.low.0 - third.low.1 >= margin / 4.0;
        let may_rise = late.low.1 >= 2.0 * floor
            && late.low.1 - early.low.0 >= margin
            && last.low.1 - third.low.0 >= margin / 4.0;
        let dips = third.low.0 - last.low.1 >= margin;
        let may_still_rise = late.low.1 > early.low.0 && !dips;
        let falls = before_last.high.0 - last.high.1 >= margin;
        let may_still_fall =
            before_last.high.1 - last.high.0 >= margin / 2.0 || third.low.1 - last.low.0 >= margin / 4.0;
        let may_fall = before_last.high.1 - last.high.0 >= margin;
        match self.trend {
            Trend::Falling if may_still_fall => Trend::Falling,
            Trend::Rising if may_still_rise && !falls => Trend::Rising,
            Trend::Rising if dips => Trend::Falling,
            _ if falls => Trend::Falling,
            _ if rises => Trend::Rising,
            _ if !may_rise && !may_fall => Trend::Level,
            _ => Trend::Unknown,
        }
    }

    fn has_touched(&self, floor: u64) -> bool {
        let low = self.marks(0.75, 1.0).map(|last| last.low.1);
        low.unwrap_or(self.ends().1.backlog.1 as f64) <= floor as f64
    }

    fn marks(&self, from: f64, to: f64) -> Option<Marks> {
        let (start, end) = (self.ends().0.at, self.ends().1.at);
        let span = (end - start) as f64;
        if span <= 0.0 {
            return None;
        }
        let (from, to) = (span * from, span * to);
        let within = self.points.iter().filter(|point| (from..=to).contains(&((point.at - start) as f64)));
        let of = |(lower, upper): (u64, u64)| (lower as f64, upper as f64);
        let values = within.map(|point| (of(point.low), of(point.backlog)));
        let ends = [self.at(from), self.at(to)].map(|value| (value, value));
        let marks = ends.into_iter().chain(values).map(|(low, high)| Marks { low, high });
        marks.reduce(|one, other| Marks {
            low: (one.low.0.min(other.low.0), one.low.1.min(other.low.1)),
            high: (one.high.0.max(other.high.0), one.high.1.max(other.high.1)),
        })
    }

    fn at(&self, time: f64) -> (f64, f64) {
        let since = |point: &Point| (point.at - self.points[0].at) as f64;
        let last = self.points.len() - 1;
        let after = self.points.iter().position(|point| since(point) >= time).unwrap_or(last);
        let (before, after) = (&self.points[after.saturating_sub(1)], &self.points[after]);
        let span = since(after) - since(before);
        let share = if span > 0.0 { ((time - since(before)) / span).clamp(0.0, 1.0) } else { 1.0 };
        let between = |from: u64, to: u64| from as f64 + (to as f64 - from as f64) * share;
        (between(before.backlog.0, after.backlog.0), between(before.backlog.1, after.backlog.1))
    }

    fn latest_by(&self, at: u64) -> Point {
        *self.points.iter().rfind(|point| point.at <= at).unwrap_or(&self.points[0])
    }

    fn keeps_losing(&self, now: &Seen, rules: &Rules) -> bool {
        let (first, last) = self.ends();
        let lost_by = |share: u64| self.latest_by(last.at - (last.at - first.at) / share).lost;
        let (middle, late) = (lost_by(2), lost_by(4));
        let begins = now.backlog().0 > rules.floor && middle < late && late < last.lost;
        begins || self.loses && middle < last.lost
    }

    fn flow(&self, window: Duration) -> Flow {
        let (first, last) = self.ends();
        let span = last.at - first.at;
        if span == 0 || span < micros(window) / u64::from(MOST_POINTS) {
            return Flow::default();
        }
        let rate = |count: u64, micros: u64| count as f64 * 1e6 / micros as f64;
        let known = last.known - first.known;
        let of_known = |count: u64| (known as f64 >= span as f64 * 0.8).then(|| rate(count, known));
        let before = self.latest_by(last.at - span / 4);
        let shrunk = before.backlog.0.checked_sub(last.backlog.0).filter(|shrunk| *shrunk > 0);
        let is_exact = [before, last].iter().all(|point| point.backlog.0 == point.backlog.1);
        let is_done = is_exact && before.lost == last.lost;
        let drain = shrunk.filter(|_| is_done && last.backlog.0 > 0).map(|shrunk| {
            let seconds = last.backlog.0 as f64 / rate(shrunk, last.at - before.at);
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
        });
        let added = self.latest.and_then(|latest| latest.stream.entries_added);
        let added = added.map(|_| rate(last.added - first.added, span));
        let delivered = of_known(last.delivered - first.delivered);
        Flow::new([added, delivered, of_known(last.acknowledged - first.acknowledged)], drain)
    }
}

/// What happens between two polls.
#[derive(Clone, Debug)]
enum Act {
    /// Microseconds pass.
    Pass(u64),
    /// Entries are added, delivered, acknowledged, and trimmed.
    Work(u64, u64, u64, u64),
    /// Redis's clock is set back.
    SetBack(u64),
    /// `XGROUP SETID`: so much of the stream is delivered then, in 256ths.
    SetId(u64),
    /// From now on the lag is only known so far down and up; 0 and 0 is exact.
    Bound(u64, u64),
    /// Counters jump to what they can hold at most, but for so much.
    Jump(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let pass = || prop_oneof![Just(15_000_000u64), Just(5_000_000), 0u64..40_000_000, 0u64..10_000_000_000];
    let few = || prop_oneof![3 => Just(0u64), 3 => 0u64..50, 1 => 0u64..5000];
    let act = prop_oneof![
        6 => pass().prop_map(Act::Pass),
        8 => (few(), few(), few(), few()).prop_map(|(add, read, ack, trim)| Act::Work(add, read, ack, trim)),
        1 => (0u64..30_000_000).prop_map(Act::SetBack),
        1 => (0u64..=256).prop_map(Act::SetId),
        1 => prop_oneof![2 => Just((0, 0)), 1 => (0u64..500, 0u64..500), 1 => (any::<u64>(), any::<u64>())]
            .prop_map(|(down, up)| Act::Bound(down, up)),
        1 => (0u64..100_000).prop_map(Act::Jump),
    ];
    // Rare acts end a history: so most courses have few of them.
    let calm = prop_oneof![
        2 => pass().prop_map(Act::Pass),
        3 => (few(), few(), few(), Just(0)).prop_map(|(add, read, ack, trim)| Act::Work(add, read, ack, trim)),
    ];
    prop_oneof![prop::collection::vec(act, 1..150), prop::collection::vec(calm, 1..250)]
}

/// A stream and one of its groups, in numbers: entries are trimmed from its beginning only.
struct World {
    now: u64,
    added: u64,
    removed: u64,
    read: u64,
    acknowledged: u64,
    bounds: (u64, u64),
    has_counter: bool,
}

impl World {
    fn act(&mut self, act: &Act) {
        match *act {
            Act::Pass(micros) => self.now = self.now.saturating_add(micros),
            Act::Work(add, read, ack, trim) => {
                self.added = self.added.saturating_add(add);
                self.read = self.added.min(self.read.max(self.removed).saturating_add(read));
                self.acknowledged = self.read.min(self.acknowledged.saturating_add(ack));
                self.removed = self.added.min(self.removed.saturating_add(trim));
            }
            Act::SetBack(micros) => self.now = self.now.saturating_sub(micros),
            Act::SetId(share) => {
                self.read = self.removed.max(self.added / 256 * share);
                self.acknowledged = self.acknowledged.min(self.read);
            }
            Act::Bound(down, up) => self.bounds = (down, up),
            Act::Jump(less) => self.added = self.added.max(u64::MAX - less),
        }
    }

    fn seen(&self) -> Observation {
        let id = |number| StreamId::new(number, 0);
        let lag = self.added - self.read.max(self.removed);
        let pending = self.read - self.acknowledged;
        let seen = Seen {
            at: UnixMicros(self.now),
            stream: StreamFacts {
                length: self.added - self.removed,
                entries_added: self.has_counter.then_some(self.added),
                max_deleted: self.has_counter.then(StreamId::default),
                last_generated: id(self.added),
                ends: (self.added > self.removed)
                    .then(|| (id(self.removed.saturating_add(1)), id(self.added))),
            },
            lag: (lag.saturating_sub(self.bounds.0), lag.saturating_add(self.bounds.1)),
            pending,
            last_delivered: id(self.read),
            entries_read: i64::try_from(self.read).ok().filter(|_| self.has_counter),
        };
        Observation { seen, oldest_pending: Some(None), consumers: 1, activity: None }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn packed_and_read_once_it_says_the_same(
        acts in acts(),
        start in prop_oneof![3 => Just(0u64), 1 => 0u64..1 << 62],
        has_counter in prop::bool::weighted(0.9),
        windows in prop::collection::vec(prop_oneof![Just(300u64), Just(60), Just(3600)], 1..3),
        floor in prop_oneof![Just(10u64), Just(0), Just(500)],
    ) {
        let (mut course, mut plain) = (Course::default(), Plain::default());
        let mut world =
            World { now: start, added: 0, removed: 0, read: 0, acknowledged: 0, bounds: (0, 0), has_counter };
        let rules = |window: u64| Rules { window: Duration::from_secs(window), floor, ..Rules::default() };
        for (place, act) in acts.iter().enumerate() {
            world.act(act);
            // The configuration may change meanwhile.
            let rules = rules(windows[place * windows.len() / acts.len()]);
            let now = world.seen();
            let health = course.follow(&now, &rules);
            plain.follow(&now.seen, &rules);
            prop_assert_eq!(course.history.points().iter().collect::<Vec<_>>(), &plain.points[..]);
            prop_assert_eq!((course.trend, course.loses), (plain.trend, plain.loses));
            let quarters = course.history.quarters();
            let touched = trend::has_touched(course.history.points(), quarters.as_ref(), floor);
            prop_assert_eq!(touched, plain.has_touched(floor));
            prop_assert_eq!(health.flow, plain.flow(rules.window));
        }
    }
}
