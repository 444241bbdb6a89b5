//! The ladder: points of the stream above which the number of entries is proved, carried from poll to poll.
//!
//! A rung says: for every ID from `low` to `high`, the entries above it number `A - base`, where A is entries-added.
//! `base` stays the same as entries are added, for each adds one to both. A deletion above the rung breaks it; one at or
//! below it does not. Whether there were deletions shows in A - N (N the length), and where, in the highest deleted ID.
//!
//! The first and the last entry are rungs of every poll for free; each exact lag adds one at the group's last-delivered
//! ID. The ladder needs entries-added, and so Redis 7.0. It forgets everything as soon as anything contradicts it.

use super::StreamFacts;
use crate::model::stream_id::StreamId;

/// Most rungs of one stream.
const MAX_RUNGS: usize = 64;

/// So many entries are counted as soon as they are wished for: a rung between two that are no farther apart is not worth
/// its room. Fewer in unit tests, whose streams are short.
const NEAR: i64 = if cfg!(test) { 3 } else { 16 };

/// Rungs that room is made for at a time.
const ROOM: usize = 2;

/// One proved point, or range of points, of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rung {
    /// Lowest ID for which it holds.
    pub low: StreamId,
    /// Highest ID for which it holds.
    pub high: StreamId,
    /// Entries above it are A - base.
    pub base: i64,
    /// A - N when it was last proved.
    pub deletions: i64,
    /// Whether it was carried over a deletion that, as far as is known, was below it.
    pub carried: bool,
}

/// The numbers of one snapshot that the ladder works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Entries in the stream.
    pub length: i64,
    /// Entries ever added: A.
    pub added: i64,
    /// Highest ID ever deleted.
    pub max_deleted: StreamId,
    /// Highest ID ever used.
    pub last_generated: StreamId,
    /// First and last entry.
    pub ends: Option<(StreamId, StreamId)>,
}

impl View {
    /// `None` where the server does not count what was added (before Redis 7.0).
    #[must_use]
    pub fn of(stream: &StreamFacts) -> Option<View> {
        Some(View {
            length: i64::try_from(stream.length).ok()?,
            added: i64::try_from(stream.entries_added?).ok()?,
            max_deleted: stream.max_deleted?,
            last_generated: stream.last_generated,
            ends: stream.ends,
        })
    }

    /// Entries that were added and exist no more: A - N.
    #[must_use]
    pub fn deletions(&self) -> i64 {
        self.added.saturating_sub(self.length)
    }

    /// Whether this can be the stream that `before` was, later: no counter went back, and each moved only with those
    /// that it moves with. A key that was deleted and made anew, restored or set by hand is another stream.
    fn continues(&self, before: &View) -> bool {
        let added = self.added.saturating_sub(before.added);
        let deleted = self.deletions().saturating_sub(before.deletions());
        let counters_fit = added >= 0
            && deleted >= 0
            && deleted <= before.length.saturating_add(added)
            && self.last_generated >= before.last_generated
            && self.max_deleted >= before.max_deleted
            // An ID is generated exactly when an entry is added.
            && (added == 0) == (self.last_generated == before.last_generated)
            // The highest deleted ID moves only with a deletion, and not beyond what existed.
            && !(self.max_deleted != before.max_deleted && deleted == 0)
            && !(self.max_deleted > before.last_generated && added == 0);
        counters_fit
            && match (before.ends, self.ends) {
                (_, None) => true,
                // Into an empty stream, entries come above all that was generated; and only if some were added.
                (None, Some((first, _))) => first > before.last_generated && added > 0,
                (Some((old_first, old_last)), Some((first, last))) => {
                    first >= old_first
                        && !(deleted == 0 && first != old_first)
                        // Nothing existed between the old last entry and the old last-generated ID.
                        && !(first != old_first && first <= before.last_generated && first > old_last)
                        && !(added == 0 && last > old_last)
                        && !(added == 0 && deleted == 0 && last != old_last)
                        && !(added > 0 && last > old_last && last <= before.last_generated)
                }
            }
    }
}

/// The rungs of one stream, from low to high; they do not overlap.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    rungs: Vec<Rung>,
    /// Whether the rungs belong to the snapshot before.
    has_begun: bool,
}

/// What happened to the memory of a stream at a new snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It still holds.
    Kept,
    /// It holds no more: walks and anchors must go as well.
    Forgotten,
}

impl Ladder {
    /// Takes in a new snapshot after the one `before`: carries the rungs over, or forgets them, and adds the free ones.
    ///
    /// `floor` is the ID below which deletions may hide from the highest deleted ID (trims that remove acknowledged
    /// entries from the middle, Redis 8.2 and later); rungs below it are not carried over deletions.
    pub fn observe(&mut self, before: Option<&View>, now: &View, floor: Option<StreamId>) -> Memory {
        let mut memory = Memory::Kept;
        if !before.is_some_and(|before| self.has_begun && now.continues(before)) {
            memory = Memory::Forgotten;
            self.rungs.clear();
        }
        self.has_begun = true;
        let Some((first, last)) = now.ends else {
            self.rungs.clear();
            return memory;
        };
        let deletions = now.deletions();
        // Below the first entry the structural rules know better.
        self.rungs.retain(|rung| rung.high >= first);
        for rung in &mut self.rungs {
            let below = now.max_deleted <= rung.high && first <= rung.high;
            if rung.deletions != deletions && below && floor.is_none_or(|floor| rung.high >= floor) {
                rung.deletions = deletions;
                rung.carried = true;
            }
        }
        if !self.is_possible(now, first, last) {
            memory = Memory::Forgotten;
            self.rungs.clear();
        }
        let free = [(last, now.last_generated, now.added), (first, first, deletions.saturating_add(1))];
        for (low, high, base) in free {
            if self.put(now, low, high, base) == Memory::Forgotten {
                memory = Memory::Forgotten;
            }
        }
        memory
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        *self = Ladder::default();
    }

    /// What valid rungs claim must be possible: not below the ends, not above the length, not rising with the ID.
    fn is_possible(&self, now: &View, first: StreamId, last: StreamId) -> bool {
        let mut most = now.length;
        self.valid(now).all(|rung| {
            let above = now.added.saturating_sub(rung.base);
            let least = i64::from(rung.low < last);
            let top = if rung.high >= first { now.length - 1 } else { now.length };
            let possible = least <= above && above <= top && above <= most;
            most = above;
            possible
        })
    }

    /// Adds what was just proved, in place of whatever it overlaps.
    pub fn put(&mut self, now: &View, low: StreamId, high: StreamId, base: i64) -> Memory {
        let mut rung = Rung { low, high, base, deletions: now.deletions(), carried: false };
        let start = self.rungs.partition_point(|old| old.high < low);
        let end = self.rungs.partition_point(|old| old.low <= high);
        for old in self.rungs[start..end].iter().filter(|old| old.deletions == rung.deletions) {
            if old.base != rung.base {
                // Two proofs disagree: somebody has set the counters by hand.
                self.rungs.clear();
                self.has_begun = false;
                return Memory::Forgotten;
            }
            rung.low = rung.low.min(old.low);
            rung.high = rung.high.max(old.high);
        }
        if self.rungs.len() == self.rungs.capacity() {
            self.rungs.reserve_exact(ROOM);
        }
        self.rungs.splice(start..end, [rung]);
        self.thin();
        Memory::Kept
    }

    /// Drops the rungs between two that are near, but for those where a group `stands`: its lag is told by them.
    pub fn drop_near(&mut self, stands: impl Fn(&Rung) -> bool) {
        let mut place = 1;
        while let Some([below, rung, above]) = self.rungs.get(place - 1..=place + 1) {
            let are_near = above.base.saturating_sub(below.base) <= NEAR;
            let are_alike = [below, above].iter().all(|other| other.deletions == rung.deletions);
            if are_near && are_alike && !stands(rung) {
                self.rungs.remove(place);
            } else {
                place += 1;
            }
        }
    }

    /// Drops the rung whose neighbours are closest, so that what is left is spread over the stream.
    fn thin(&mut self) {
        while self.rungs.len() > MAX_RUNGS {
            let gap = |i: &usize| self.rungs[i + 1].base.saturating_sub(self.rungs[i - 1].base);
            match (1..self.rungs.len() - 1).min_by_key(gap) {
                Some(least) => _ = self.rungs.remove(least),
                None => return,
            }
        }
    }

    /// All rungs as points, from low to high, with the entries above each; those that hold no more are guesses.
    pub fn points(&self, now: &View) -> impl Iterator<Item = (StreamId, i64)> {
        let added = now.added;
        self.rungs.iter().map(move |rung| (rung.low, added.saturating_sub(rung.base)))
    }

    /// The rungs that hold at `now`.
    pub fn valid(&self, now: &View) -> impl DoubleEndedIterator<Item = &Rung> {
        let deletions = now.deletions();
        self.rungs.iter().filter(move |rung| rung.deletions == deletions)
    }

    /// The entries above `x`, where a valid rung holds for it.
    #[must_use]
    pub fn at(&self, now: &View, x: StreamId) -> Option<i64> {
        let rung = self.valid(now).find(|rung| rung.low <= x && x <= rung.high)?;
        Some(now.added.saturating_sub(rung.base))
    }

    /// Proved bounds of the entries above `x`, which lies between the first and the last entry.
    #[must_use]
    pub fn bounds(&self, now: &View, x: StreamId) -> (i64, i64) {
        let (mut lower, mut upper) = (1, now.length - 1);
        let exists = |id| now.ends.is_some_and(|(first, last)| id == first || id == last);
        for rung in &self.rungs {
            let above = now.added.saturating_sub(rung.base);
            // Deletions since the rung was proved; they may all have been above it.
            let since = now.deletions().saturating_sub(rung.deletions);
            if rung.low <= x {
                upper = upper.min(above);
            }
            if rung.high >= x {
                // An entry at the rung itself is above x as well.
                let itself = i64::from(rung.low > x && since == 0 && exists(rung.low));
                lower = lower.max(above.saturating_sub(since).saturating_add(itself));
            }
        }
        (lower.max(1), upper.max(1))
    }

    /// A proved lower bound of the entries above `x`.
    #[must_use]
    pub fn at_least(&self, now: &View, x: StreamId) -> i64 {
        let least = |rung: &Rung| {
            let since = now.deletions().saturating_sub(rung.deletions);
            now.added.saturating_sub(rung.base).saturating_sub(since)
        };
        self.rungs.iter().filter(|rung| rung.high >= x).map(least).max().unwrap_or(0).max(0)
    }
}
