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

use crate::model::{points::Points, quarters::Quarters};

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

impl Trend {
    /// The trend by these points and what was read of them, after the one before.
    #[must_use]
    pub fn next(self, points: &Points, quarters: Option<&Quarters>, floor: u64) -> Trend {
        if points.span() == 0 {
            return Trend::Unknown;
        }
        // A backlog that is the same throughout proves it, whatever the margin is.
        let Some(quarters) = quarters else { return Trend::Level };
        let (all, early, late) = (quarters.marks(0, 4), quarters.marks(0, 2), quarters.marks(2, 4));
        let (third, last, before_last) = (quarters.marks(2, 3), quarters.marks(3, 4), quarters.marks(0, 3));
        let added = match (points.first(), points.latest()) {
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
pub fn has_touched(points: &Points, quarters: Option<&Quarters>, floor: u64) -> bool {
    let low = quarters.map(|quarters| quarters.marks(3, 4).low.1);
    let low = low.or_else(|| points.latest().map(|point| point.backlog.1 as f64));
    low.is_some_and(|low| low <= floor as f64)
}
