use std::ops::RangeInclusive;

use proptest::prelude::*;

use super::*;

/// Numbers of every size, up to the largest.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..3, 0u64..1000, any::<u64>(), Just(u64::MAX), Just(1 << 63)]
}

fn point() -> impl Strategy<Value = Point> {
    let pair = || prop_oneof![number().prop_map(|n| (n, n)), (number(), number())];
    let pairs = (pair(), pair(), any::<bool>());
    (pairs, number(), number(), number(), number(), number()).prop_map(
        |((backlog, low, is_plain), added, delivered, acknowledged, known, lost)| Point {
            at: 0,
            backlog,
            low: if is_plain { backlog } else { low },
            added,
            delivered,
            acknowledged,
            known,
            lost,
        },
    )
}

/// The same on whole points: what must come out.
#[derive(Default)]
struct Plain(Vec<Point>);

impl Plain {
    fn push(&mut self, mut point: Point, spacing: u64) {
        if let [.., before, latest] = &self.0[..]
            && latest.at - before.at < spacing
        {
            point.low = (point.low.0.min(latest.low.0), point.low.1.min(latest.low.1));
            self.0.pop();
        }
        self.0.push(point);
    }

    fn forget(&mut self, until: u64) {
        while self.0.get(1).is_some_and(|second| second.at <= until) {
            self.0.remove(0);
        }
    }

    fn is_level(&self) -> bool {
        let backlog = self.0[0].backlog;
        self.0.iter().all(|point| is_plain(point) && point.backlog == backlog)
    }
}

/// Microseconds from one point to the next: none, few, or a long pause.
const STEPS: [RangeInclusive<u64>; 4] = [0..=0, 1..=100, 100..=10_000_000, 0..=1 << 58];

proptest! {
    /// Whatever the numbers and the times are, what was packed comes back.
    #[test]
    fn nothing_is_lost(
        course in prop::collection::vec((point(), 0usize..4, any::<u64>(), any::<bool>()), 1..60),
        spacing in prop_oneof![Just(0u64), 1u64..200, 1u64..20_000_000],
        window in prop_oneof![1u64..1000, 1u64..1 << 60],
    ) {
        let (mut points, mut plain, mut now) = (Points::default(), Plain::default(), 0u64);
        let mut latest = None;
        for (point, step, share, repeats) in course {
            let step = STEPS[step].clone();
            now += step.start() + share % (step.end() - step.start() + 1);
            let point = Point { at: now, ..latest.filter(|_| repeats).unwrap_or(point) };
            latest = Some(point);
            points.push(point, spacing);
            plain.push(point, spacing);
            points.forget(now.saturating_sub(window));
            plain.forget(now.saturating_sub(window));
            prop_assert_eq!(points.iter().collect::<Vec<_>>(), &plain.0[..]);
            let outlines = points.outlines().map(|point| (point.at, point.backlog, point.low, point.lost));
            let expected = plain.0.iter().map(|point| (point.at, point.backlog, point.low, point.lost));
            prop_assert!(outlines.eq(expected));
            prop_assert_eq!(points.len(), plain.0.len());
            prop_assert_eq!((points.first(), points.latest()), (plain.0.first(), plain.0.last()));
            prop_assert_eq!(points.span(), now - plain.0[0].at);
            prop_assert!(!points.is_level() || plain.is_level());
        }
    }
}

#[test]
fn a_level_backlog_is_known_to_be_level() {
    let mut points = Points::default();
    let mut see = |second: u64, backlog: u64| {
        let backlog = (backlog, backlog);
        points.push(Point { at: second, backlog, low: backlog, added: second, ..Point::default() }, 6);
        points.forget(second.saturating_sub(300));
        points.is_level()
    };
    assert!((0..100).all(|step| see(step * 5, 7)));
    assert!(!see(500, 8));
    let levels: Vec<_> = (101..200).map(|step| see(step * 5, 7)).collect();
    assert!(levels[..59].iter().all(|is_level| !is_level), "{levels:?}");
    assert!(levels[65..].iter().all(|is_level| *is_level), "{levels:?}");
}

#[test]
fn a_point_takes_few_bytes() {
    let mut points = Points::default();
    for second in (0..300).step_by(15) {
        points.push(Point { at: second * 1_000_000, known: second * 1_000_000, ..Point::default() }, 0);
    }
    assert_eq!((points.len(), points.packed.len()), (20, 19 * 6));
    assert!(points.room() <= 19 * 6 + ROOM, "{}", points.room());
}
