//! How the budget of a poll is shared out: first to what lags are counted by, then to the ages of entries.

use super::{ENTRIES_AT_ONCE, Open};
use crate::model::lag::pages::{Share, Wish};

/// How large the entries of a stream are, as far as is known.
#[derive(Clone, Copy)]
pub struct Size {
    /// Bytes of an entry, at least 1.
    pub entry_bytes: u64,
    /// Entries that one group may read.
    pub fitting: u64,
}

/// What is left of the budget of a poll.
#[derive(Clone, Copy, Default)]
pub struct Left {
    /// Entries.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Which streams may ask, and who did not get all.
pub struct Allotted {
    /// How many of the first streams.
    pub streams: usize,
    /// The place of the first stream whose lags did not get what they wished for: none after it may ask.
    pub cut: Option<usize>,
    /// The place of the first stream whose ages did not.
    pub cut_ages: Option<usize>,
}

/// Cuts the wishes of the first streams to what is left, up to as many as are asked for at once. No age gets what a lag
/// wishes for, be it one of the streams that follow.
pub fn allot(open: &mut [Open], sizes: &[Size], polls: usize, mut left: Left) -> Allotted {
    let mut lags = Left::default();
    for (open, size) in open.iter().zip(sizes) {
        lags.add(size.wanted(open));
    }
    let (mut asked, mut cut_ages) = (0, None);
    for (place, (open, size)) in open.iter_mut().zip(sizes).enumerate() {
        if asked >= ENTRIES_AT_ONCE {
            return Allotted { streams: place, cut: None, cut_ages };
        }
        if open.wishes.of_lags.iter().map(|wish| wish.count).sum::<u64>() > ENTRIES_AT_ONCE {
            // Too many for one transaction: each gets its turn.
            let first = polls % open.wishes.of_lags.len();
            open.wishes.of_lags.rotate_left(first);
        }
        lags.take(size.wanted(open));
        let (counted, is_cut) = left.grant(&mut open.wishes.of_lags, *size, 0);
        let mut spare = left;
        spare.take(lags);
        let first = polls % open.wishes.of_ages.len().max(1);
        open.wishes.of_ages.rotate_left(first);
        let (of_ages, is_cut_of_ages) = spare.grant(&mut open.wishes.of_ages, *size, counted);
        left.take(size.of(of_ages));
        asked += counted + of_ages;
        if is_cut_of_ages {
            cut_ages = cut_ages.or(Some(open.place));
        }
        if is_cut {
            return Allotted { streams: place + 1, cut: Some(open.place), cut_ages };
        }
    }
    Allotted { streams: open.len(), cut: None, cut_ages }
}

impl Size {
    fn of(self, entries: u64) -> Left {
        Left { entries, bytes: entries.saturating_mul(self.entry_bytes) }
    }

    /// What a wish is worth.
    fn entries(self, wish: &Wish) -> u64 {
        wish.count.min(wish.share.of(self.fitting, wish.upwards))
    }

    /// What the lags of a stream wish for.
    fn wanted(self, open: &Open) -> Left {
        let budgeted = open.wishes.of_lags.iter().filter(|wish| wish.share != Share::One);
        self.of(budgeted.map(|wish| self.entries(wish)).sum())
    }
}

impl Left {
    fn add(&mut self, more: Left) {
        self.entries = self.entries.saturating_add(more.entries);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }

    /// So much was read, or may be.
    pub fn take(&mut self, taken: Left) {
        self.entries = self.entries.saturating_sub(taken.entries);
        self.bytes = self.bytes.saturating_sub(taken.bytes);
    }

    /// Cuts wishes to what is left, in a transaction that reads so many entries already. Returns how many entries these
    /// are, and whether there was not enough.
    fn grant(&mut self, wishes: &mut Vec<Wish>, size: Size, before: u64) -> (u64, bool) {
        let (mut granted, mut cut) = (0, false);
        wishes.retain_mut(|wish| {
            // Without it nothing remembered may be used: it is no part of the budget.
            if wish.share == Share::One {
                return true;
            }
            let (wanted, asked) = (size.entries(wish), before + granted);
            if asked > 0 && asked + wanted > ENTRIES_AT_ONCE {
                return false;
            }
            wish.count = wanted.min(self.entries).min(self.bytes / size.entry_bytes);
            cut |= wish.count < wanted;
            self.take(size.of(wish.count));
            granted += wish.count;
            wish.count > 0
        });
        (granted, cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        collect::lags::Wishes,
        model::{
            fault::{Fault, FaultKind},
            stream_id::StreamId,
        },
    };

    const SIZE: Size = Size { entry_bytes: 10, fitting: 100 };

    fn wish(from: u64, count: u64) -> Wish {
        let id = |ms| StreamId::new(ms, 0);
        Wish { from: id(from), to: id(99), upwards: true, count, share: Share::Whole }
    }

    fn open(place: usize, of_lags: u64, ages: u64) -> Open {
        let of_ages = (0..ages).map(|from| wish(from, 1)).collect();
        let wishes = Wishes { of_lags: vec![wish(0, of_lags)], of_ages };
        Open { place, measured: Err(Fault::new(FaultKind::Unexpected, "not asked")), wishes }
    }

    fn granted(open: &[Open]) -> Vec<(u64, usize)> {
        let granted = |open: &Open| {
            (open.wishes.of_lags.iter().map(|wish| wish.count).sum(), open.wishes.of_ages.len())
        };
        open.iter().map(granted).collect()
    }

    #[test]
    fn ages_get_what_all_lags_leave() {
        for left in [Left { entries: 11, bytes: 1000 }, Left { entries: 1000, bytes: 110 }] {
            let mut streams = [open(3, 4, 3), open(5, 5, 3)];
            let Allotted { streams: asked, cut, cut_ages } = allot(&mut streams, &[SIZE; 2], 0, left);
            assert_eq!((asked, cut, cut_ages), (2, None, Some(3)));
            assert_eq!(granted(&streams), [(4, 2), (5, 0)]);
        }
    }

    #[test]
    fn lags_that_are_cut_leave_nothing() {
        let mut streams = [open(3, 4, 1), open(5, 5, 1), open(7, 1, 1)];
        let left = Left { entries: 8, bytes: 1000 };
        let Allotted { streams: asked, cut, .. } = allot(&mut streams, &[SIZE; 3], 0, left);
        assert_eq!((asked, cut), (2, Some(5)));
        assert_eq!(granted(&streams[..asked]), [(4, 0), (4, 0)]);
    }

    /// Those that did not have their turn in one poll have it in another.
    #[test]
    fn ages_take_turns() {
        let turns = (0..3).map(|polls| {
            let mut streams = [open(0, 1, 3)];
            allot(&mut streams, &[SIZE], polls, Left { entries: 2, bytes: 1000 });
            streams[0].wishes.of_ages[0].from.ms
        });
        assert_eq!(turns.collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn no_transaction_is_asked_for_too_much() {
        let mut streams = [open(0, 600, 600), open(1, 1, 1)];
        let size = Size { fitting: 1000, ..SIZE };
        let left = Left { entries: 10_000, bytes: 1_000_000 };
        let Allotted { streams: asked, cut, cut_ages } = allot(&mut streams, &[size; 2], 0, left);
        assert_eq!((asked, cut, cut_ages), (1, None, None));
        assert_eq!(granted(&streams[..1]), [(600, 400)]);
    }
}
