//! The structural rules: what the ends of the stream prove, from one atomic snapshot and without memory.
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

use super::StreamFacts;
use crate::model::stream_id::StreamId;

/// What the ends of the stream prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structural {
    /// One of the rules applies.
    Exact(u64),
    /// Last-delivered lies between the first and the last entry, which stand here.
    Between(StreamId, StreamId),
}

/// Applies the rules to a group whose last-delivered ID is `x`.
#[must_use]
pub fn structural(stream: &StreamFacts, x: StreamId) -> Structural {
    match stream.ends {
        None => Structural::Exact(0),
        Some((_, last)) if x >= last => Structural::Exact(0),
        Some((first, _)) if x < first => Structural::Exact(stream.length),
        Some((first, _)) if x == first => Structural::Exact(stream.length.saturating_sub(1)),
        Some(_) if stream.length <= 2 => Structural::Exact(1),
        Some((first, last)) => Structural::Between(first, last),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a brute-force count: what is exact is right, and zero is never confused with not zero.
        #[test]
        fn never_wrong(
            entries in prop::collection::btree_set((0u64..30, 0u64..3), 0..12),
            x in (0u64..32, 0u64..3),
        ) {
            let entries: Vec<_> = entries.into_iter().map(|(ms, seq)| StreamId::new(ms, seq)).collect();
            let x = StreamId::new(x.0, x.1);
            let truth = entries.iter().filter(|id| **id > x).count() as u64;
            let stream = StreamFacts {
                length: entries.len() as u64,
                entries_added: None,
                max_deleted: None,
                last_generated: StreamId::default(),
                ends: entries.first().copied().zip(entries.last().copied()),
            };
            match structural(&stream, x) {
                Structural::Exact(lag) => prop_assert_eq!(lag, truth),
                Structural::Between(first, last) => {
                    prop_assert!(first < x && x < last);
                    prop_assert!(1 <= truth && truth < stream.length);
                }
            }
        }
    }
}
