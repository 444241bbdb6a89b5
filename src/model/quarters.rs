//! What the points of a history say of its quarters, read in one pass: the lowest and the highest backlog of each part of
//! the time, and where things stood when the later half and the last quarter began.

use super::points::{Outline, Points};

/// Bounds of the lowest and of the highest backlog of a part of the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marks {
    /// Of the lowest.
    pub low: (f64, f64),
    /// Of the highest.
    pub high: (f64, f64),
}

/// A history cut into quarters. The first two are only ever looked at together.
#[derive(Clone, Copy, Debug)]
pub struct Quarters {
    /// How many entries were lost by the latest point of the earlier half.
    pub lost_by_middle: u64,
    /// The latest point before the last quarter.
    pub late: Outline,
    /// Bounds of the backlog at the beginning, after two and three quarters, and at the end.
    seams: [(f64, f64); 4],
    /// Of the points of the earlier half, of the third quarter and of the last one, each with its ends.
    parts: [Range; 3],
}

/// Bounds of the lowest and of the highest backlog of some points; of none, every number is lower and higher.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: (u64, u64),
    high: (u64, u64),
}

impl Quarters {
    /// Of these points; `None` where no time has passed.
    ///
    /// Between two points the backlog is what lies on a straight line, so that parts without a point of their own have marks
    /// too.
    #[must_use]
    pub fn of(points: &Points) -> Option<Quarters> {
        let (first, last) = (points.first()?, points.latest()?);
        let micros = last.at - first.at;
        let span = micros as f64;
        if span <= 0.0 {
            return None;
        }
        let times = [0.5, 0.75, 1.0].map(|share| span * share);
        let (middle_at, late_at) = (last.at - micros / 2, last.at - micros / 4);
        let mut quarters = Quarters {
            lost_by_middle: first.lost,
            late: Outline { at: first.at, backlog: first.backlog, low: first.low, lost: first.lost },
            seams: [bounds(first.backlog); 4],
            parts: [Range { low: (u64::MAX, u64::MAX), high: (0, 0) }; 3],
        };
        let (mut before, mut seam) = ((0.0, first.backlog), 0);
        for point in points.outlines() {
            let time = (point.at - first.at) as f64;
            while let Some(of_seam) = times.get(seam).filter(|of_seam| time >= **of_seam) {
                seam += 1;
                quarters.seams[seam] = between(before, (time, point.backlog), *of_seam);
            }
            let part = seam.min(2);
            quarters.parts[part].take_in(&point);
            // A point on a seam belongs to either side.
            if part > 0 && time == times[part - 1] {
                quarters.parts[part - 1].take_in(&point);
            }
            if point.at <= middle_at {
                quarters.lost_by_middle = point.lost;
            }
            if point.at <= late_at {
                quarters.late = point;
            }
            before = (time, point.backlog);
        }
        Some(quarters)
    }

    /// Of the part from one quarter's beginning to another's, counted from 0; none begins at 1.
    #[must_use]
    pub fn marks(&self, from: usize, to: usize) -> Marks {
        let [from, to] = [from, to].map(|quarter| quarter.saturating_sub(1));
        let seams = [self.seams[from], self.seams[to]];
        let [one, other] = seams;
        let ends = Marks {
            low: (one.0.min(other.0), one.1.min(other.1)),
            high: (one.0.max(other.0), one.1.max(other.1)),
        };
        self.parts[from..to].iter().fold(ends, |marks, part| {
            let (low, high) = (bounds(part.low), bounds(part.high));
            Marks {
                low: (marks.low.0.min(low.0), marks.low.1.min(low.1)),
                high: (marks.high.0.max(high.0), marks.high.1.max(high.1)),
            }
        })
    }
}

impl Range {
    fn take_in(&mut self, point: &Outline) {
        self.low = (self.low.0.min(point.low.0), self.low.1.min(point.low.1));
        self.high = (self.high.0.max(point.backlog.0), self.high.1.max(point.backlog.1));
    }
}

fn bounds((lower, upper): (u64, u64)) -> (f64, f64) {
    (lower as f64, upper as f64)
}

/// Bounds of the backlog at a time between two points, each a time and the bounds.
fn between(before: (f64, (u64, u64)), after: (f64, (u64, u64)), time: f64) -> (f64, f64) {
    let span = after.0 - before.0;
    let share = if span > 0.0 { ((time - before.0) / span).clamp(0.0, 1.0) } else { 1.0 };
    let on_line = |from: u64, to: u64| from as f64 + (to as f64 - from as f64) * share;
    (on_line(before.1.0, after.1.0), on_line(before.1.1, after.1.1))
}
