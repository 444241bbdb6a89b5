//! The oldest entry that a group has not been given: the first one that exists above its last-delivered ID.
//!
//! It is the first entry of the stream for a group that is below it, and the last one where one entry waits. Else it is
//! read. Once it is known, it stays the oldest one as long as it exists and the group has not passed it: nothing is ever
//! added below an entry.

use super::{Lag, StreamFacts};
use crate::model::stream_id::StreamId;

/// Entries that are asked for of a group that was past the one that was asked for before, when the reply came.
const ENTRIES_AHEAD: u64 = 16;

/// What waits for a group the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// No entry: its lag is 0.
    Nothing,
    /// The entry with this ID.
    Oldest(StreamId),
    /// There is one, or there may be, and it is not known which.
    Unknown,
}

impl Undelivered {
    /// The ID, where there is one and it is known.
    #[must_use]
    pub fn id(self) -> Option<StreamId> {
        match self {
            Undelivered::Oldest(id) => Some(id),
            Undelivered::Nothing | Undelivered::Unknown => None,
        }
    }

    /// What follows from the ends of the stream for a group at `x` with this lag.
    #[must_use]
    pub fn structural(stream: &StreamFacts, x: StreamId, lag: Lag) -> Self {
        match (stream.ends, lag) {
            (None, _) => Undelivered::Nothing,
            (Some((_, last)), _) if x >= last => Undelivered::Nothing,
            (Some((first, _)), _) if x < first => Undelivered::Oldest(first),
            (Some((_, last)), Lag::Exact { entries: 1, .. }) => Undelivered::Oldest(last),
            _ => Undelivered::Unknown,
        }
    }
}

/// What is remembered of a group: an entry that was the oldest one, and how it was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remembered {
    /// The entry.
    found: Option<Found>,
    /// Where the group stood when it was asked for in vain.
    missed_at: Option<StreamId>,
    /// Whether the group moves on while it is asked for.
    hurries: bool,
}

/// No entry existed above `x` and below `id`.
#[derive(Clone, Copy, Debug)]
struct Found {
    x: StreamId,
    id: StreamId,
    /// A - N when `id` was last known to exist.
    deletions: i64,
}

impl Remembered {
    /// The oldest entry for a group at `x`, if it is the one that is remembered.
    #[must_use]
    pub fn at(&self, stream: &StreamFacts, deletions: i64, hidden: bool, x: StreamId) -> Option<StreamId> {
        let found = self.found.filter(|found| found.x <= x && x < found.id)?;
        let exists = found.deletions == deletions || stream.still_has(found.id, hidden) == Some(true);
        exists.then_some(found.id)
    }

    /// It is known for a group at `x`.
    pub fn put(&mut self, x: StreamId, id: StreamId, deletions: i64) {
        let hurries = self.hurries && self.missed_at.is_some_and(|at| at != x);
        *self = Remembered { found: Some(Found { x, id, deletions }), missed_at: None, hurries };
    }

    /// It is to be asked for, for a group at `x`: so many entries from there on.
    pub fn ask(&mut self, x: StreamId) -> u64 {
        self.hurries |= self.missed_at.is_some_and(|at| at != x);
        self.missed_at = Some(x);
        if self.hurries { ENTRIES_AHEAD } else { 1 }
    }
}

impl StreamFacts {
    /// Whether an entry that has existed still does; `None` where that does not follow. With `hidden`, deletions may not
    /// show in the highest deleted ID.
    #[must_use]
    pub fn still_has(&self, id: StreamId, hidden: bool) -> Option<bool> {
        // Added since.
        if id > self.last_generated {
            return None;
        }
        match self.ends {
            Some((first, last)) if id == first || id == last => Some(true),
            Some((first, last)) if first < id && id < last => {
                (!hidden && self.max_deleted? < id).then_some(true)
            }
            _ => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64) -> StreamId {
        StreamId::new(ms, 0)
    }

    /// Entries from 10 to 20, the highest deleted ID 14, the highest one ever 25.
    fn stream() -> StreamFacts {
        StreamFacts {
            length: 5,
            entries_added: Some(9),
            max_deleted: Some(id(14)),
            last_generated: id(25),
            ends: Some((id(10), id(20))),
        }
    }

    #[test]
    fn the_ends_of_the_stream_tell() {
        let bounded = Lag::Bounded { lower: 1, upper: 4, estimate: 1 };
        for (x, lag, expected) in [
            (9, Lag::derived(5), Undelivered::Oldest(id(10))),
            (10, Lag::derived(4), Undelivered::Unknown),
            (12, bounded, Undelivered::Unknown),
            (12, Lag::Reported(1), Undelivered::Unknown),
            (12, Lag::counted(1), Undelivered::Oldest(id(20))),
            (20, Lag::derived(0), Undelivered::Nothing),
            (24, Lag::derived(0), Undelivered::Nothing),
        ] {
            assert_eq!(Undelivered::structural(&stream(), id(x), lag), expected, "{x} {lag:?}");
        }
        let emptied = StreamFacts { length: 0, ends: None, ..stream() };
        assert_eq!(Undelivered::structural(&emptied, id(12), Lag::derived(0)), Undelivered::Nothing);
    }

    #[test]
    fn an_entry_is_there_or_gone_or_neither_follows() {
        let emptied = StreamFacts { length: 0, ends: None, ..stream() };
        let before_7 = StreamFacts { max_deleted: None, ..stream() };
        for (stream, ms, hidden, expected) in [
            (stream(), 9, false, Some(false)),
            (stream(), 10, true, Some(true)),
            (stream(), 14, false, None),
            (stream(), 15, false, Some(true)),
            (stream(), 15, true, None),
            (stream(), 20, true, Some(true)),
            (stream(), 21, false, Some(false)),
            (stream(), 26, false, None),
            (emptied, 12, false, Some(false)),
            (emptied, 26, false, None),
            (before_7, 15, false, None),
            (before_7, 10, false, Some(true)),
        ] {
            assert_eq!(stream.still_has(id(ms), hidden), expected, "{ms} in {stream:?}");
        }
    }

    #[test]
    fn what_is_remembered_holds_while_it_exists_and_is_ahead() {
        let mut remembered = Remembered::default();
        remembered.put(id(11), id(13), 4);
        assert_eq!(remembered.at(&stream(), 4, false, id(11)), Some(id(13)));
        assert_eq!(remembered.at(&stream(), 4, true, id(12)), Some(id(13)));
        assert_eq!(remembered.at(&stream(), 4, false, id(13)), None, "passed");
        assert_eq!(remembered.at(&stream(), 4, false, id(10)), None, "set back");
        // It may be what was deleted.
        assert_eq!(remembered.at(&stream(), 5, false, id(11)), None);
        remembered.put(id(11), id(15), 4);
        assert_eq!(remembered.at(&stream(), 5, false, id(11)), Some(id(15)));
        assert_eq!(remembered.at(&stream(), 5, true, id(11)), None);
    }

    /// Only of a group that was gone when the reply came is more than one entry asked for, and no longer than it hurries.
    #[test]
    fn a_few_more_are_asked_for_of_a_group_that_hurries() {
        let mut remembered = Remembered::default();
        assert_eq!((remembered.ask(id(11)), remembered.ask(id(11))), (1, 1), "the budget was spent");
        assert_eq!(remembered.ask(id(12)), ENTRIES_AHEAD);
        remembered.put(id(13), id(14), 4);
        assert_eq!(remembered.ask(id(14)), ENTRIES_AHEAD);
        remembered.put(id(14), id(15), 4);
        assert_eq!(remembered.ask(id(15)), 1);
    }
}
