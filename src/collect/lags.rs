//! The lags of one server: a tracker for each stream, and the reading that they wish for, within the budget.
//!
//! Each poll asks about all streams first. Streams with a group whose lag or oldest undelivered entry is still open are
//! asked once more, with the entries to read in the same transaction as a newer snapshot: what is counted is never older
//! than what it is held against. What is read for an age comes out of what the counts leave of the budget. The one entry
//! that most of them would be asked for once more is foreseen, and asked for at first.

use super::{
    align::align,
    ask::{self, Ask, StreamAnswer},
    connect::Link,
    tracking::{LARGE, Tracking},
    trust::{Identity, ServerInfo},
};
use crate::{
    config::Budget,
    model::{
        fault::{Fault, FaultKind},
        lag::{
            Lag,
            pages::{Pages, Wish},
            tracker::Trust,
            undelivered::Undelivered,
        },
        name::{Name, Names},
        time::UnixMicros,
    },
};

mod allot;
mod watched;

use allot::{Allotted, Left, Size, allot};
use watched::{FORESIGHT, Watched};

/// Most entries of the first page of a stream, from which the size of its entries is learned.
const FIRST_PAGE: u64 = 16;

/// Most entries that are asked for at once: then what they took is known before more are.
const ENTRIES_AT_ONCE: u64 = 1000;

/// What waits for a group: how many entries, and which of them the longest, or why that could not be read.
pub type Waiting = (Lag, Result<Undelivered, Fault>);

/// One stream as it was measured: the snapshot, and what waits for each of its groups.
#[derive(Debug)]
pub struct Measured {
    /// The snapshot.
    pub answer: StreamAnswer,
    /// In the order of the groups in it.
    pub waiting: Vec<Waiting>,
    /// Why entries that should have been counted could not be read.
    pub counting: Result<(), Fault>,
}

/// One stream after the first question about it.
#[derive(Debug)]
pub struct First {
    /// The stream by that.
    pub measured: Result<Measured, Fault>,
    /// Entries that it wishes to read.
    pub wishes: Wishes,
    /// Entries that were read already.
    pub read: u64,
}

/// Entries that a stream wishes to read.
#[derive(Debug, Default)]
pub struct Wishes {
    of_lags: Vec<Wish>,
    /// Those that concern no lag.
    of_ages: Vec<Wish>,
}

/// The lags of one server, kept between polls.
pub struct Lags {
    budget: Budget,
    /// The server at the latest poll; `None` before the first one. Another connection may lead to another server.
    server: Option<Option<Identity>>,
    trust: Trust,
    /// Redis's clock at the latest poll.
    now: UnixMicros,
    /// The streams of the latest poll, in the order of their names, which gives each its place. Of one that was not read yet
    /// nothing is remembered.
    streams: Vec<(Name, Option<Box<Watched>>)>,
    /// What is left of the budget of the latest poll.
    left: Left,
    /// Where in the list of streams that wish to read the next poll begins, so that each gets its turn.
    turn: usize,
    /// Polls so far, as a changing number.
    polls: usize,
    /// Names of groups and consumers.
    pub names: Names,
}

/// A stream that wishes to read something.
#[derive(Debug)]
pub struct Open {
    /// Its place in the list of streams.
    pub place: usize,
    /// The stream by what is known so far.
    pub measured: Result<Measured, Fault>,
    /// What it wishes to read.
    pub wishes: Wishes,
}

impl Wishes {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of_lags.is_empty() && self.of_ages.is_empty()
    }
}

impl Measured {
    /// Entries could not be read. A missing permission costs no more than what needed it: where no lag did, the ages.
    fn unread(&mut self, fault: Fault, of_lags: bool) {
        if fault.kind == FaultKind::NoPerm {
            let unknown = self.waiting.iter_mut().filter(|(_, oldest)| *oldest == Ok(Undelivered::Unknown));
            unknown.for_each(|(_, oldest)| *oldest = Err(fault.clone()));
        }
        if of_lags || fault.kind != FaultKind::NoPerm {
            self.counting = Err(fault);
        }
    }
}

impl Lags {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        let (streams, left, names) = Default::default();
        let (trust, now) = (Trust::NONE, UnixMicros(0));
        Lags { budget, server: None, trust, now, streams, left, turn: 0, polls: 0, names }
    }

    /// From the next poll on, within this budget.
    pub fn limit(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// A poll of these streams begins, or measures them `again`. Their names come in order: from now on each is told by its
    /// place among them.
    pub fn begin(&mut self, info: &ServerInfo, now: UnixMicros, names: &[&Name], again: bool) {
        let mut trust = info.trust;
        // Where no byte may be read, not even the witness can be looked up: then nothing is remembered.
        trust.memory &= self.budget.bytes_per_poll > 0;
        if self.server.as_ref() != Some(&info.identity) || self.trust != trust {
            self.streams.clear();
        }
        if !again {
            self.left = Left { entries: self.budget.entries_per_poll, bytes: self.budget.bytes_per_poll };
        }
        (self.server, self.trust, self.now) = (Some(info.identity.clone()), trust, now);
        align(&mut self.streams, names, |(known, _), name| known.cmp(name), |name| ((*name).clone(), None));
        for (_, watched) in &mut self.streams {
            watched.take_if(|watched| !watched.lifetime.contains(&now));
        }
    }

    fn watched(&self, place: usize) -> Option<&Watched> {
        self.streams[place].1.as_deref()
    }

    /// How a stream is asked for over a connection, by what is known of it, and what is foreseen for it.
    #[must_use]
    pub fn ask(&self, place: usize, tracking: &Tracking) -> Ask {
        let (name, Some(watched)) = &self.streams[place] else {
            return Ask::Stream(self.streams[place].0.clone(), Vec::new(), 0);
        };
        let is_tracked = tracking.is_on() && watched.ends_bytes >= LARGE;
        if is_tracked && tracking.knows(name) {
            return Ask::Groups(name.clone(), watched.groups);
        }
        let foreseen = watched.foreseen();
        let entry = foreseen.map_or(0, |_| watched.ends_bytes);
        let (wishes, bytes) = (Vec::from_iter(foreseen), watched.bytes().saturating_add(entry));
        if is_tracked {
            Ask::Tracked(name.clone(), wishes, bytes)
        } else {
            Ask::Stream(name.clone(), wishes, bytes)
        }
    }

    /// Entries of a stream may not be read: none is foreseen before one was read.
    pub fn foresee_nothing(&mut self, place: usize) {
        if let Some(watched) = &mut self.streams[place].1 {
            watched.foresight = 0;
        }
    }

    /// Whether any stream has large entries.
    #[must_use]
    pub fn has_large(&self) -> bool {
        self.streams
            .iter()
            .filter_map(|(_, watched)| watched.as_ref())
            .any(|watched| watched.ends_bytes >= LARGE)
    }

    /// Takes in what the first question about a stream brought, while others are on their way.
    pub fn take_first(&mut self, place: usize, answer: Result<StreamAnswer, Fault>) -> First {
        let of_group = match self.budget.bytes_per_poll {
            0 => 0,
            _ => self.budget.entries_per_group,
        };
        let (mut pages, mut of_ages, mut read) = (Pages::new(of_group), Pages::new(of_group), 0);
        let measured = match answer {
            Ok(mut answer) => {
                for (wish, page) in answer.pages.drain(..) {
                    // As where it is wished for, it is no part of the budget.
                    read += page.ids.len() as u64;
                    pages.put(wish, page.ids);
                }
                Ok(self.take_in(place, answer, &mut pages, &mut of_ages))
            }
            Err(fault) => {
                // It may have gone to another node of a cluster, and come back.
                self.streams[place].1 = None;
                Err(fault)
            }
        };
        let wishes = Wishes { of_lags: pages.take_wishes(), of_ages: of_ages.take_wishes() };
        First { measured, wishes, read }
    }

    /// Takes in one atomic snapshot of a stream and tells its lags, as far as memory and `pages` go; then, by these and
    /// pages of their own, the oldest undelivered entries.
    fn take_in(
        &mut self,
        place: usize,
        answer: StreamAnswer,
        pages: &mut Pages,
        of_ages: &mut Pages,
    ) -> Measured {
        let (now, trust) = (self.now, self.trust);
        let (name, watched) = &mut self.streams[place];
        let watched = watched.get_or_insert_with(|| Box::new(Watched::new(name, trust, now)));
        watched.ends_bytes = answer.stream.ends_bytes;
        watched.groups = answer.stream.groups;
        let stream = answer.stream.facts();
        watched
            .tracker
            .observe(&stream, answer.groups.iter().map(|group| (&group.name, group.last_delivered_id)));
        let has_read = !pages.is_empty();
        let Watched { tracker, oldest, foresight, .. } = &mut **watched;
        let groups = answer.groups.iter();
        let lags: Vec<_> = groups
            .map(|group| {
                let lag = tracker.lag(&group.name, &group.facts(), pages);
                (&group.name, group.last_delivered_id, lag)
            })
            .collect();
        match tracker.needs_witness() {
            // Where entries may not be read, none is foreseen either.
            true if !has_read => {}
            true => *foresight = FORESIGHT,
            false => *foresight = foresight.saturating_sub(1),
        }
        let found = oldest.find(tracker, &lags, pages, of_ages);
        let waiting = lags.iter().zip(found).map(|((.., lag), found)| (*lag, Ok(found))).collect();
        Measured { answer, waiting, counting: Ok(()) }
    }

    /// Reads what the streams wish for, as far as the budget goes, and measures those streams anew; says how many entries
    /// it read. The streams come in the order of their places, and leave in another one.
    ///
    /// # Errors
    /// A fault that concerns the whole server. A stream that fails at the second question gets its fault.
    pub async fn count(&mut self, link: &mut Link, open: &mut [Open]) -> Result<u64, Fault> {
        let start = open.partition_point(|open| open.place < self.turn);
        open.rotate_left(start);
        self.polls = self.polls.wrapping_add(1);
        let (mut read, mut turn, mut starved) = (0, None, None);
        let mut rest = open;
        while !rest.is_empty() {
            let sizes: Vec<_> = rest.iter().map(|open| self.size(open.place)).collect();
            let Allotted { streams, cut, cut_ages } = allot(rest, &sizes, self.polls, self.left);
            starved = starved.or(cut_ages);
            // The next poll begins where this one ends; a stream that had the whole budget lets the others go first.
            turn = cut.map(|cut| cut + usize::from(read == 0 && cut == rest[0].place));
            let (batch, later) = std::mem::take(&mut rest).split_at_mut(streams);
            rest = if turn.is_some() { &mut [] } else { later };
            for (place, ids, of_page) in self.count_batch(link, batch).await? {
                read += ids;
                self.left.take(Left { entries: ids, bytes: of_page });
                self.learn_size(place, ids, of_page);
            }
        }
        self.turn = turn.or(starved).unwrap_or(0);
        Ok(read)
    }

    /// How large the entries of a stream are.
    fn size(&self, place: usize) -> Size {
        let watched = self.watched(place);
        let learned = watched.and_then(|watched| watched.entry_bytes);
        let entry_bytes = learned.or(watched.map(|watched| watched.ends_bytes)).unwrap_or(0).max(1);
        // One entry is always worth its bytes: without it nothing could ever be counted.
        let fitting = (self.budget.bytes_per_group / entry_bytes).max(1);
        Size { entry_bytes, fitting: if learned.is_some() { fitting } else { fitting.min(FIRST_PAGE) } }
    }

    /// Asks for the pages of some streams and measures these anew. Returns, for the place of each stream, the entries and bytes read.
    async fn count_batch(
        &mut self,
        link: &mut Link,
        batch: &mut [Open],
    ) -> Result<Vec<(usize, u64, u64)>, Fault> {
        let mut batch: Vec<_> = batch.iter_mut().filter(|open| !open.wishes.is_empty()).collect();
        let asks = batch.iter().map(|open| {
            let (name, wishes) = (&self.streams[open.place].0, &open.wishes);
            let bytes = self.watched(open.place).map_or(0, Watched::bytes);
            Ask::Stream(name.clone(), [&wishes.of_lags[..], &wishes.of_ages].concat(), bytes)
        });
        let (asks, known) = (asks.collect(), &mut self.names);
        let mut answers = Vec::with_capacity(batch.len());
        link.ask(asks, |ask, replies, _| answers.push(ask::stream_answer(ask, replies, known))).await?;
        let mut sizes = Vec::with_capacity(batch.len());
        for (open, answer) in batch.iter_mut().zip(answers) {
            match answer {
                Ok(mut answer) => {
                    let (mut pages, mut of_ages) = (Pages::new(0), Pages::new(0));
                    let (mut ids, mut bytes) = (0, 0);
                    for (place, (wish, page)) in answer.pages.drain(..).enumerate() {
                        (ids, bytes) = (ids + page.ids.len() as u64, bytes + page.bytes);
                        let of_lags = place < open.wishes.of_lags.len();
                        if of_lags { &mut pages } else { &mut of_ages }.put(wish, page.ids);
                    }
                    sizes.push((open.place, ids, bytes));
                    open.measured = Ok(self.take_in(open.place, answer, &mut pages, &mut of_ages));
                }
                Err(fault) if fault.kind == FaultKind::Vanished => open.measured = Err(fault),
                // What the first question brought is true all the same.
                Err(fault) => {
                    if let Ok(measured) = &mut open.measured {
                        measured.unread(fault, !open.wishes.of_lags.is_empty());
                    }
                }
            }
        }
        Ok(sizes)
    }

    /// Larger entries count at once, smaller ones by and by: the next page may be of the larger sort again.
    fn learn_size(&mut self, place: usize, ids: u64, bytes: u64) {
        if let (Some(watched), Some(average)) = (&mut self.streams[place].1, bytes.checked_div(ids)) {
            let before = watched.entry_bytes.unwrap_or(0);
            watched.entry_bytes = Some(average.max(before / 4 * 3).max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;
    use crate::collect::{resp::tests::read, trust::server_info};

    #[test]
    fn a_poll_that_measures_again_has_the_rest_of_its_budget() {
        let budget =
            Budget { entries_per_group: 5, bytes_per_group: 5, entries_per_poll: 9, bytes_per_poll: 90 };
        let info = read(&Value::Nil, |refused| server_info(refused, refused));
        let mut lags = Lags::new(budget);
        let mut left = |again| {
            lags.begin(&info, UnixMicros(1), &[&"orders".into()], again);
            lags.left.take(Left { entries: 2, bytes: 20 });
            (lags.left.entries, lags.left.bytes)
        };
        assert_eq!([left(false), left(true), left(false)], [(7, 70), (5, 50), (7, 70)]);
    }
}
