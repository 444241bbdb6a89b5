//! The lag of a group: the number of entries that exist in the stream with an ID above the group's last-delivered-id.
//!
//! Redis reports a lag of its own (`XINFO GROUPS`), which is nil or wrong in everyday cases. Here it is at most a hint.
//! This file holds the structural rules, which follow from one atomic snapshot and need no memory:
//!
//! | rule | holds when | lag |
//! | --- | --- | --- |
//! | E0 | the stream is empty | 0 |
//! | E1 | last-delivered is at or above the last entry | 0 |
//! | E2 | last-delivered is below the first entry | the length |
//! | E3 | last-delivered is the first entry | the length - 1 |
//! | E4 | the stream has two entries and last-delivered lies between | 1 |
//!
//! Where none applies, at least one entry is delivered and at least one is not: the lag lies in `1..=length-1`.
//! Zero is therefore always decided, never guessed.

use super::stream_id::StreamId;

/// What is known about a group's lag. Counts are entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// Proved from the snapshot.
    Exact(u64),
    /// Proved to lie between two bounds, both included and at least 1, with an estimate between them.
    Bounded {
        /// At least so many.
        lower: u64,
        /// At most so many.
        upper: u64,
        /// The best guess between the bounds.
        estimate: u64,
    },
}

impl Lag {
    /// The number to show: exact, or the estimate.
    #[must_use]
    pub fn entries(self) -> u64 {
        match self {
            Lag::Exact(entries) => entries,
            Lag::Bounded { estimate, .. } => estimate,
        }
    }

    /// At least so many entries wait.
    #[must_use]
    pub fn lower(self) -> u64 {
        match self {
            Lag::Exact(entries) => entries,
            Lag::Bounded { lower, .. } => lower,
        }
    }

    /// At most so many entries wait.
    #[must_use]
    pub fn upper(self) -> u64 {
        match self {
            Lag::Exact(entries) => entries,
            Lag::Bounded { upper, .. } => upper,
        }
    }

    /// How the number was found: the `source` label.
    #[must_use]
    pub fn source(self) -> &'static str {
        match self {
            Lag::Exact(_) => "derived",
            Lag::Bounded { .. } => "bounded",
        }
    }
}

/// What one atomic snapshot says about the stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamFacts {
    /// Entries in the stream.
    pub length: u64,
    /// Entries ever added; `None` before Redis 7.0.
    pub entries_added: Option<u64>,
    /// First and last existing entry; `None` in an empty stream.
    pub ends: Option<(StreamId, StreamId)>,
}

/// What the same snapshot says about the group.
#[derive(Clone, Copy, Debug)]
pub struct GroupFacts {
    /// Highest ID that was delivered.
    pub last_delivered: StreamId,
    /// The group's own counter; nil, and absent before Redis 7.0.
    pub entries_read: Option<i64>,
    /// The lag that Redis reports; nil, and absent before Redis 7.0.
    pub reported_lag: Option<i64>,
}

/// The lag by the structural rules alone.
#[must_use]
pub fn structural(stream: &StreamFacts, group: &GroupFacts) -> Lag {
    let delivered = group.last_delivered;
    match stream.ends {
        None => Lag::Exact(0),
        Some((_, last)) if delivered >= last => Lag::Exact(0),
        Some((first, _)) if delivered < first => Lag::Exact(stream.length),
        Some((first, _)) if delivered == first => Lag::Exact(stream.length.saturating_sub(1)),
        // Between first and last there are entries on both sides: 1 <= lag <= length - 1.
        Some(_) if stream.length <= 2 => Lag::Exact(1),
        Some((first, last)) => {
            let (lower, upper) = (1, stream.length - 1);
            let estimate = estimate(stream, group, first, last, lower, upper);
            Lag::Bounded { lower, upper, estimate }
        }
    }
}

/// The best guess between the bounds: Redis's own lag, else entries-added less entries-read, else the place of the
/// last-delivered ID in time between the first and the last entry.
fn estimate(
    stream: &StreamFacts,
    group: &GroupFacts,
    first: StreamId,
    last: StreamId,
    lower: u64,
    upper: u64,
) -> u64 {
    let counters =
        || -> Option<i64> { i64::try_from(stream.entries_added?).ok()?.checked_sub(group.entries_read?) };
    let inside = |hint: i64| u64::try_from(hint).ok().filter(|hint| (lower..=upper).contains(hint));
    group.reported_lag.and_then(inside).or_else(|| counters().and_then(inside)).unwrap_or_else(|| {
        let span = last.ms.saturating_sub(first.ms);
        let ahead = last.ms.saturating_sub(group.last_delivered.ms);
        let share = if span == 0 { 0.5 } else { ahead as f64 / span as f64 };
        ((upper as f64 * share).round() as u64).clamp(lower, upper)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(last_delivered: StreamId) -> GroupFacts {
        GroupFacts { last_delivered, entries_read: None, reported_lag: None }
    }

    fn facts(entries: &[StreamId]) -> StreamFacts {
        StreamFacts {
            length: entries.len() as u64,
            entries_added: None,
            ends: entries.first().copied().zip(entries.last().copied()),
        }
    }

    #[test]
    fn hints_count_only_inside_the_bounds() {
        let stream = StreamFacts {
            entries_added: Some(20),
            ..facts(&(1..=10).map(|ms| StreamId::new(ms, 0)).collect::<Vec<_>>())
        };
        for (reported_lag, entries_read, expected) in [
            (Some(4), Some(19), 4),  // Redis's own number first
            (Some(-5), Some(13), 7), // a negative lag is no number
            (Some(40), Some(13), 7), // nor one that exceeds the stream
            (None, Some(20), 5),     // zero is not in the bounds: by time
            (None, Some(i64::MIN), 5),
            (None, None, 5),
        ] {
            let group = GroupFacts { last_delivered: StreamId::new(5, 0), entries_read, reported_lag };
            assert_eq!(structural(&stream, &group), Lag::Bounded { lower: 1, upper: 9, estimate: expected });
        }
    }

    proptest! {
        /// Against a brute-force count: exact is right, bounds hold, and zero is never confused with not zero.
        #[test]
        fn never_wrong(
            entries in prop::collection::btree_set((0u64..30, 0u64..3), 0..12),
            delivered in (0u64..32, 0u64..3),
            reported_lag in prop::option::of(-3i64..20),
            entries_read in prop::option::of(any::<i64>()),
            entries_added in prop::option::of(any::<u64>()),
        ) {
            let entries: Vec<_> = entries.into_iter().map(|(ms, seq)| StreamId::new(ms, seq)).collect();
            let delivered = StreamId::new(delivered.0, delivered.1);
            let truth = entries.iter().filter(|id| **id > delivered).count() as u64;
            let stream = StreamFacts { entries_added, ..facts(&entries) };
            let lag = structural(&stream, &GroupFacts { reported_lag, entries_read, ..group(delivered) });
            match lag {
                Lag::Exact(entries) => prop_assert_eq!(entries, truth),
                Lag::Bounded { lower, upper, estimate } => {
                    prop_assert!(1 <= lower && lower <= truth && truth <= upper);
                    prop_assert!(lower <= estimate && estimate <= upper);
                }
            }
            prop_assert_eq!(lag.entries() == 0, truth == 0);
        }
    }
}
