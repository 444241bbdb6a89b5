//! Entries that are read in order to count them, within a budget: what to ask for, and what the answers cover.
//!
//! The rules are run twice: once without any page, which leaves [`Wish`]es behind; and once more with the pages that
//! came back together with a newer snapshot, in one transaction.

use crate::model::stream_id::StreamId;

/// A range of entries that somebody would like to read: those above `from`, up to and including `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Exclusive lower end.
    pub from: StreamId,
    /// Inclusive upper end.
    pub to: StreamId,
    /// Whether to begin at the lower end (`XRANGE`) or at the upper (`XREVRANGE`).
    pub upwards: bool,
    /// Most entries to read.
    pub count: u64,
    /// How much of a group's budget that is.
    pub share: Share,
}

impl Wish {
    /// To know whether an entry exists.
    #[must_use]
    pub fn for_entry(entry: StreamId) -> Wish {
        Wish { from: entry.predecessor(), to: entry, upwards: true, count: 1, share: Share::One }
    }
}

/// What was read: `ids` are all the entries above `from`, up to and including `to`, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Page {
    from: StreamId,
    to: StreamId,
    ids: Vec<StreamId>,
}

/// The pages of one stream at one poll.
#[derive(Debug, Default)]
pub struct Pages {
    /// Most entries that may be asked for on behalf of one group; 0 asks for none.
    budget: u64,
    pages: Vec<Page>,
    wishes: Vec<Wish>,
}

/// How much of a group's budget one direction may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All of it.
    Whole,
    /// Half of it: the other direction is tried as well.
    Half,
    /// One entry, whatever the budget: to look whether it exists.
    One,
}

impl Share {
    /// The part of a budget.
    #[must_use]
    pub fn of(self, budget: u64, upwards: bool) -> u64 {
        match self {
            Share::Whole => budget,
            Share::Half if upwards => budget.div_ceil(2),
            Share::Half => budget / 2,
            Share::One => 1,
        }
    }
}

/// Entries of a range as far as they are known.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// The entries nearest to where the range begins, in the direction that was asked for.
    pub ids: Vec<StreamId>,
    /// Whether these are all.
    pub complete: bool,
}

impl Pages {
    /// No pages yet; the wishes on behalf of one group will be for at most `budget` entries.
    #[must_use]
    pub fn new(budget: u64) -> Self {
        Pages { budget, ..Pages::default() }
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// What could not be answered, each once.
    #[must_use]
    pub fn take_wishes(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.wishes)
    }

    /// The answer to a wish, in the order in which Redis gave it.
    pub fn put(&mut self, wish: Wish, mut ids: Vec<StreamId>) {
        let complete = (ids.len() as u64) < wish.count;
        let reached = ids.last().copied();
        let (mut from, mut to) = (wish.from, wish.to);
        match reached {
            Some(reached) if !complete && wish.upwards => to = reached,
            Some(reached) if !complete => from = reached.predecessor(),
            _ => {}
        }
        if !wish.upwards {
            ids.reverse();
        }
        self.pages.push(Page { from, to, ids });
    }

    /// The entries above `from` up to `to`, lowest first; wished for where they are not known.
    pub fn up(&mut self, from: StreamId, to: StreamId, share: Share) -> Option<Part> {
        let Some(page) = self.from(from) else {
            self.wish(Wish { from, to, upwards: true, count: share.of(self.budget, true), share });
            return None;
        };
        let ids = page.ids.iter().copied().filter(|id| from < *id && *id <= to).collect();
        Some(Part { ids, complete: page.to >= to })
    }

    /// The page that tells most of the entries above `from`.
    fn from(&self, from: StreamId) -> Option<&Page> {
        self.pages.iter().filter(|page| page.from <= from && from < page.to).max_by_key(|page| page.to)
    }

    /// The first entry above `from`, where that is known.
    #[must_use]
    pub fn first(&self, from: StreamId) -> Option<StreamId> {
        self.from(from)?.ids.iter().copied().find(|id| from < *id)
    }

    /// Whether a page is wished for that begins above `from`.
    #[must_use]
    pub fn will_tell_first(&self, from: StreamId) -> bool {
        self.wishes.iter().any(|wish| wish.upwards && wish.from == from)
    }

    /// Wishes for the first entry above `from`, up to `to`, and those that follow, `most` in all.
    pub fn wish_first(&mut self, from: StreamId, to: StreamId, most: u64) {
        let count = self.budget.min(most);
        self.wish(Wish { from, to, upwards: true, count, share: Share::Whole });
    }

    /// Whether an entry exists, where that is known.
    #[must_use]
    pub fn has(&self, entry: StreamId) -> Option<bool> {
        let page = self.from(entry.predecessor())?;
        Some(page.ids.contains(&entry))
    }

    /// Wishes to know whether an entry exists.
    pub fn wish_entry(&mut self, entry: StreamId) {
        self.wish(Wish::for_entry(entry));
    }

    /// The entries up to `to` and above `from`, highest first; wished for where they are not known.
    pub fn down(&mut self, to: StreamId, from: StreamId, share: Share) -> Option<Part> {
        let page =
            self.pages.iter().filter(|page| page.from < to && to <= page.to).min_by_key(|page| page.from);
        let Some(page) = page else {
            self.wish(Wish { from, to, upwards: false, count: share.of(self.budget, false), share });
            return None;
        };
        let ids = page.ids.iter().rev().copied().filter(|id| from < *id && *id <= to).collect();
        Some(Part { ids, complete: page.from <= from })
    }

    fn wish(&mut self, wish: Wish) {
        if wish.count > 0 && !self.wishes.contains(&wish) {
            self.wishes.push(wish);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ms: &[u64]) -> Vec<StreamId> {
        ms.iter().map(|ms| StreamId::new(*ms, 0)).collect()
    }

    fn id(ms: u64) -> StreamId {
        StreamId::new(ms, 0)
    }

    #[test]
    fn a_full_page_covers_no_more_than_it_holds() {
        let mut pages = Pages::new(3);
        assert_eq!(pages.up(id(2), id(9), Share::Whole), None);
        let wish = pages.take_wishes()[0];
        assert_eq!(wish, Wish { from: id(2), to: id(9), upwards: true, count: 3, share: Share::Whole });
        pages.put(wish, ids(&[3, 5, 6]));
        assert_eq!(
            pages.up(id(2), id(9), Share::Whole),
            Some(Part { ids: ids(&[3, 5, 6]), complete: false })
        );
        // A group that has moved on meanwhile.
        assert_eq!(pages.up(id(4), id(9), Share::Whole), Some(Part { ids: ids(&[5, 6]), complete: false }));
        assert_eq!(pages.up(id(3), id(6), Share::Whole), Some(Part { ids: ids(&[5, 6]), complete: true }));
        // One that has moved beyond the page.
        assert_eq!(pages.up(id(6), id(9), Share::Whole), None);
    }

    #[test]
    fn a_short_page_covers_its_range() {
        let mut pages = Pages::new(3);
        pages
            .put(Wish { from: id(2), to: id(9), upwards: true, count: 3, share: Share::Whole }, ids(&[3, 5]));
        assert_eq!(pages.up(id(3), id(9), Share::Whole), Some(Part { ids: ids(&[5]), complete: true }));
        assert_eq!(pages.down(id(9), id(3), Share::Whole), Some(Part { ids: ids(&[5]), complete: true }));
        assert_eq!(pages.down(id(9), id(1), Share::Whole), Some(Part { ids: ids(&[5, 3]), complete: false }));
    }

    #[test]
    fn downwards_from_the_top() {
        let mut pages = Pages::new(2);
        pages.put(
            Wish { from: id(0), to: id(9), upwards: false, count: 2, share: Share::Whole },
            ids(&[8, 6]),
        );
        assert_eq!(pages.down(id(9), id(0), Share::Whole), Some(Part { ids: ids(&[8, 6]), complete: false }));
        assert_eq!(pages.down(id(7), id(5), Share::Whole), Some(Part { ids: ids(&[6]), complete: false }));
        assert_eq!(pages.down(id(5), id(0), Share::Whole), None);
    }

    #[test]
    fn the_first_entry_is_told_by_any_page_that_has_it() {
        let mut pages = Pages::new(4);
        assert_eq!(pages.up(id(2), id(9), Share::Half), None);
        assert_eq!([2, 3].map(|ms| pages.will_tell_first(id(ms))), [true, false]);
        pages.wish_first(id(5), id(9), 16);
        pages.wish_first(id(6), id(9), 1);
        let wishes = pages.take_wishes();
        let asked: Vec<_> = wishes.iter().map(|wish| (wish.from, wish.count)).collect();
        assert_eq!(asked, [(id(2), 2), (id(5), 4), (id(6), 1)]);
        pages.put(wishes[0], ids(&[3, 4]));
        pages.put(wishes[2], ids(&[7]));
        let first = [2, 3, 4, 6].map(|ms| pages.first(id(ms)));
        // What lies between the pages is not known.
        assert_eq!(first, [Some(id(3)), Some(id(4)), None, Some(id(7))]);
    }

    #[test]
    fn nothing_is_wished_for_without_a_budget() {
        let mut pages = Pages::new(0);
        assert_eq!(pages.up(id(1), id(9), Share::Whole), None);
        pages.wish_first(id(1), id(9), 1);
        assert!(pages.take_wishes().is_empty());
    }
}
