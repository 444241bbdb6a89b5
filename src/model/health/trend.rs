//! Whether a backlog grows or shrinks, over the window of its history.
//!
//! Bursts are not growth: what counts is whether the *low marks* rise. The window is cut into quarters. The backlog
//!
//! - **rises** where the low mark of the later half lies above that of the earlier half by at least the margin, and that of
//!   the last quarter above that of the one before by a quarter of the margin; from then on until the former does not rise
//!   at all, or the latter *dips*: falls by the margin;
//! - **falls** where the high mark of the last quarter lies below all before by at least the margin, or where it rose and
//!   now dips; from then on as long as the high mark lies below by half the margin, or the low mark by a quarter.
//!
//! What rises stands at twice the floor at least: what is at the floor has just been done.
//!
//! The margin is a tenth of the backlog or of what was added, whichever is less, and never below the floor. Between
//! entering and leaving lies half of it, so that noise of that size does not make the trend flap. Where lags
//! are only known between bounds, a trend needs a proof by the bounds, to be entered and to be left.

use std::collections::VecDeque;

use crate::model::history::Point;

/// Where the backlog goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trend {
    /// Nothing is proved.
    #[default]
    Unknown,
    /// Neither up nor down.
    Level,
    /// Up.
    Rising,
    /// Down.
    Falling,
}

/// Bounds of the lowest and of the highest backlog of a part of the window.
#[derive(Clone, Copy, Debug)]
struct Marks {
    low: (f64, f64),
    high: (f64, f64),
}

impl Trend {
    /// The trend by these points, after the one before.
    #[must_use]
    pub fn next(self, points: &VecDeque<Point>, floor: u64) -> Trend {
        let part = |from: u32, to: u32| Marks::of(points, f64::from(from) / 4.0, f64::from(to) / 4.0);
        let (Some(all), Some(early), Some(late)) = (part(0, 4), part(0, 2), part(2, 4)) else {
            return Trend::Unknown;
        };
        let (Some(third), Some(last), Some(before_last)) = (part(2, 3), part(3, 4), part(0, 3)) else {
            return Trend::Unknown;
        };
        let added = match (points.front(), points.back()) {
            (Some(first), Some(last)) if last.added > first.added => (last.added - first.added) as f64,
            _ => f64::INFINITY,
        };
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
        match self {
            Trend::Falling if may_still_fall => Trend::Falling,
            Trend::Rising if may_still_rise && !falls => Trend::Rising,
            Trend::Rising if dips => Trend::Falling,
            _ if falls => Trend::Falling,
            _ if rises => Trend::Rising,
            _ if !may_rise && !may_fall => Trend::Level,
            _ => Trend::Unknown,
        }
    }
}

/// Whether the backlog was surely no higher than this at some time in the last quarter of the window.
#[must_use]
pub fn has_touched(points: &VecDeque<Point>, floor: u64) -> bool {
    let low = Marks::of(points, 0.75, 1.0).map(|last| last.low.1);
    let low = low.or_else(|| points.back().map(|point| point.backlog.1 as f64));
    low.is_some_and(|low| low <= floor as f64)
}

impl Marks {
    /// Of the part between two shares of the time. At its ends the backlog is what lies on a straight line between the
    /// nearest points, so that parts without a point of their own have marks too. `None` where no time has passed.
    fn of(points: &VecDeque<Point>, from: f64, to: f64) -> Option<Marks> {
        let (start, end) = (points.front()?.at, points.back()?.at);
        let span = (end - start) as f64;
        if span <= 0.0 {
            return None;
        }
        let (from, to) = (span * from, span * to);
        let within = points.iter().filter(|point| (from..=to).contains(&((point.at - start) as f64)));
        let of = |(lower, upper): (u64, u64)| (lower as f64, upper as f64);
        let values = within.map(|point| (of(point.low), of(point.backlog)));
        let mut marks: Option<Marks> = None;
        let ends = [at(points, from)?, at(points, to)?].map(|value| (value, value));
        for (low, high) in ends.into_iter().chain(values) {
            let so_far = marks.unwrap_or(Marks { low, high });
            marks = Some(Marks {
                low: (so_far.low.0.min(low.0), so_far.low.1.min(low.1)),
                high: (so_far.high.0.max(high.0), so_far.high.1.max(high.1)),
            });
        }
        marks
    }
}

/// Bounds of the backlog at a time between two points, in microseconds since the first.
fn at(points: &VecDeque<Point>, time: f64) -> Option<(f64, f64)> {
    let start = points.front()?.at;
    let since = |point: &Point| (point.at - start) as f64;
    let after = points.iter().position(|point| since(point) >= time).unwrap_or(points.len() - 1);
    let (before, after) = (points.get(after.saturating_sub(1))?, points.get(after)?);
    let span = since(after) - since(before);
    let share = if span > 0.0 { ((time - since(before)) / span).clamp(0.0, 1.0) } else { 1.0 };
    let between = |from: u64, to: u64| from as f64 + (to as f64 - from as f64) * share;
    Some((between(before.backlog.0, after.backlog.0), between(before.backlog.1, after.backlog.1)))
}
