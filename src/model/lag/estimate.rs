//! The best guess where a lag is only known to lie between two bounds.

use super::{GroupFacts, Lag, StreamFacts};
use crate::model::stream_id::StreamId;

/// A lag between two bounds, both raised to at least 1; exact where they meet.
///
/// The guess is Redis's own lag, else entries-added less entries-read, if it lies between them; else it follows from the
/// time between the nearest `points`, IDs for which the number of entries above is known or was.
#[must_use]
pub fn between(
    stream: &StreamFacts,
    ends: (StreamId, StreamId),
    group: &GroupFacts,
    points: impl Iterator<Item = (StreamId, i64)>,
    lower: i64,
    upper: i64,
) -> Lag {
    let (lower, upper) = (lower.max(1), upper.max(1));
    if lower == upper {
        return Lag::derived(lower.unsigned_abs());
    }
    let counters = || i64::try_from(stream.entries_added?).ok()?.checked_sub(group.entries_read?);
    let inside = |hint: &i64| (lower..=upper).contains(hint);
    let hint = group.reported_lag.filter(inside).or_else(|| counters().filter(inside));
    let length = i64::try_from(stream.length).unwrap_or(i64::MAX);
    let guess =
        hint.unwrap_or_else(|| by_time(length, ends, group.last_delivered, points).clamp(lower, upper));
    Lag::Bounded { lower: lower.unsigned_abs(), upper: upper.unsigned_abs(), estimate: guess.unsigned_abs() }
}

fn by_time(
    length: i64,
    (first, last): (StreamId, StreamId),
    x: StreamId,
    points: impl Iterator<Item = (StreamId, i64)>,
) -> i64 {
    let (mut below, mut above) = ((first, length.saturating_sub(1)), (last, 0));
    for point in points {
        if point.0 <= x && point.0 >= below.0 {
            below = point;
        } else if point.0 > x && point.0 < above.0 {
            above = point;
        }
    }
    let span = above.0.ms.saturating_sub(below.0.ms);
    let share = if span == 0 { 0.5 } else { x.ms.saturating_sub(below.0.ms) as f64 / span as f64 };
    let (from, to) = (below.1 as f64, above.1 as f64);
    (from + (to - from) * share).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_count_only_inside_the_bounds() {
        let id = |ms| StreamId::new(ms, 0);
        let stream = StreamFacts {
            length: 10,
            entries_added: Some(20),
            max_deleted: None,
            last_generated: id(10),
            ends: Some((id(1), id(10))),
        };
        for (reported_lag, entries_read, estimate) in [
            (Some(4), Some(19), 4),    // Redis's own number first
            (Some(-5), Some(13), 7),   // a negative lag is no number
            (Some(40), Some(13), 7),   // nor one that exceeds the stream
            (Some(0), Some(20), 5),    // zero is not in the bounds: by time
            (None, Some(i64::MIN), 5), // nor does a counter that was set by hand overflow
            (None, None, 5),
        ] {
            let group = GroupFacts { last_delivered: id(5), entries_read, reported_lag };
            let lag = between(&stream, (id(1), id(10)), &group, std::iter::empty(), 1, 9);
            assert_eq!(lag, Lag::Bounded { lower: 1, upper: 9, estimate });
        }
    }
}
