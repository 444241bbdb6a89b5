//! Which streams there are: names as configured, and what `SCAN … TYPE stream` finds for globs, as many as the limit lets
//! in. A search is done in pieces, a bounded one at each poll. As long as it finds nothing new, it goes on beside other
//! questions: where a page of keys begins, the one before tells, so that each costs a way back and forth.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

use super::{
    ask::{self, Ask},
    connect::Link,
    resp::Reply,
    roll::Roll,
};
use crate::{
    config::RedisServer,
    model::{
        fault::Fault,
        name::Name,
        pattern::{Glob, Pattern},
        share::Share,
    },
};

/// `COUNT` of one SCAN: keys that Redis looks at. Where all of them are streams, it takes 0.6 ms for so many.
const KEYS_PER_SCAN: u64 = 400;

/// The same beside other questions: it goes out in a batch with them.
const KEYS_BESIDE: u64 = 150;

/// Most keys in one poll as long as not all have been seen.
const KEYS_AT_FIRST: u64 = 1_000_000;

/// The same once they have: a larger key space takes several polls to go round.
const KEYS_PER_POLL: u64 = 200_000;

/// The names of one database, kept between polls.
#[derive(Debug, Default)]
pub struct Known {
    exact: BTreeSet<Name>,
    globs: Vec<Glob>,
    /// What was found. Only the answer that a stream does not exist ends that: a key on its way from one node of a
    /// cluster to another may be missed by a search.
    found: BTreeSet<Name>,
    /// Most names that are found: what the limit leaves room for, besides the exact ones.
    most: usize,
    /// The server's name and the share; `None` is everything.
    share: Option<(Arc<str>, Share)>,
}

impl Known {
    /// What the configuration names, as far as it belongs to a share; nothing is found yet.
    #[must_use]
    pub fn new(server: &RedisServer, share: Option<Share>) -> Self {
        let share = share.map(|share| (server.name.clone(), share));
        let mut known = Known { exact: server.exact_streams(), share, ..Known::default() };
        known.globs.extend(server.streams.iter().filter_map(Pattern::glob).cloned());
        known.exact = std::mem::take(&mut known.exact).into_iter().filter(|name| known.has(name)).collect();
        known.most = server.limits.streams.saturating_sub(known.exact.len());
        known
    }

    /// Whether a stream belongs to the share.
    fn has(&self, name: &Name) -> bool {
        self.share.as_ref().is_none_or(|(redis, share)| share.has(redis, name))
    }

    /// What to look for.
    #[must_use]
    pub fn globs(&self) -> &[Glob] {
        &self.globs
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<Name> {
        self.exact.union(&self.found).cloned().collect()
    }

    /// Whether a name is configured: then its stream is shown even if it does not exist.
    #[must_use]
    pub fn is_configured(&self, name: &Name) -> bool {
        self.exact.contains(name)
    }

    /// Streams were found. Of the share's, the first ones by name are kept; returns how many are not. A kept one that a new
    /// one pushes out counts, and once more when the search meets it again in the same round.
    pub fn extend(&mut self, found: impl IntoIterator<Item = Name>) -> u64 {
        let mut left_out = 0;
        for name in found {
            let is_new = self.has(&name) && !self.exact.contains(&name) && self.found.insert(name);
            if is_new && self.found.len() > self.most {
                self.found.pop_last();
                left_out += 1;
            }
        }
        left_out
    }

    /// Whether a name was found before.
    #[must_use]
    pub fn has_found(&self, name: &[u8]) -> bool {
        self.found.contains(name)
    }

    /// What was found.
    pub fn take_found(&mut self) -> Vec<Name> {
        std::mem::take(&mut self.found).into_iter().collect()
    }

    /// A stream that was found is gone.
    pub fn forget(&mut self, name: &Name) {
        self.found.remove(name);
    }
}

/// Where the search of one process stands.
#[derive(Debug, Default)]
pub struct Scan {
    /// Of the round under way; `None` between rounds.
    cursor: Option<u64>,
    /// Whether all keys have been seen once.
    is_complete: bool,
    /// Keys that were seen in the round under way, or in the latest one, more or less.
    keys: u64,
    /// The same of this poll.
    keys_of_poll: u64,
    /// Whether a round has ended in this poll: there is not to be a second one.
    is_over: bool,
    /// What is new, and not taken away yet: a search that fails half way has found it all the same.
    found: BTreeSet<Name>,
    /// Streams of the round under way that the limit leaves out.
    left_out: u64,
    /// The same of the latest whole round.
    left_out_before: u64,
    /// Whether a round has ended since that was last counted.
    has_ended: bool,
}

/// A search that goes on beside other questions.
pub struct Beside<'a> {
    scan: &'a mut Scan,
    roll: &'a Roll,
    until: Instant,
}

impl Scan {
    /// A poll begins.
    pub fn begin(&mut self) {
        (self.keys_of_poll, self.is_over) = (0, false);
    }

    /// Another process may have other streams: all of its keys have to be searched.
    pub fn restart(&mut self) {
        *self = Scan { found: std::mem::take(&mut self.found), ..Scan::default() };
    }

    /// Whether a restart would lose anything.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.is_complete || self.cursor.is_some()
    }

    /// Whether all keys of the process have been seen once.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Keys that were seen in this round, more or less.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// What was found since it was last asked.
    pub fn take_found(&mut self) -> BTreeSet<Name> {
        std::mem::take(&mut self.found)
    }

    /// So many of what was found are left out. Returns how many are, all in all.
    pub fn leave_out(&mut self, count: u64) -> u64 {
        self.left_out += count;
        if std::mem::take(&mut self.has_ended) {
            self.left_out_before = std::mem::take(&mut self.left_out);
        }
        self.left_out.max(self.left_out_before)
    }

    /// Looks for streams that were not found before, from where the search stands. In a large key space it takes several
    /// polls to see all keys, and later on a stream that is new is found some polls later. A slow server does not
    /// have it go on after `until`.
    ///
    /// # Errors
    /// No reply, or SCAN is refused.
    pub async fn search(&mut self, link: &mut Link, roll: &Roll, until: Instant) -> Result<(), Fault> {
        while let Some(page) = self.page(roll, KEYS_PER_SCAN) {
            let replies = link.request(&page.requests()).await?;
            self.hear(&page, &replies, roll)?;
            if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    /// The search from where it stands, beside other questions, `until` then.
    pub fn beside<'a>(&'a mut self, roll: &'a Roll, until: Instant) -> Beside<'a> {
        Beside { scan: self, roll, until }
    }

    /// The next page, of so many keys at most; `None` if the poll has seen enough.
    fn page(&self, roll: &Roll, most: u64) -> Option<Ask> {
        let of_poll = if self.is_complete { KEYS_PER_POLL } else { KEYS_AT_FIRST };
        let keys = most.min(of_poll.saturating_sub(self.keys_of_poll));
        // One glob is matched by Redis, several by us: one pass over the keys is enough for all.
        let glob = match roll.globs() {
            [] => return None,
            [glob] => Some(glob.clone()),
            _ => None,
        };
        (keys > 0 && !self.is_over).then(|| Ask::Keys(self.cursor.unwrap_or(0), glob, keys))
    }

    /// Takes in a page. One that cannot be read is looked for again.
    fn hear(&mut self, page: &Ask, replies: &[Reply<'_>], roll: &Roll) -> Result<(), Fault> {
        let Ask::Keys(.., keys) = page else { return Ok(()) };
        let (cursor, new) = ask::keys_answer(replies, |key| !roll.has_found(key))?;
        self.found.extend(new.into_iter().filter(|key| roll.globs().iter().any(|glob| glob.matches(key))));
        self.keys = if self.cursor.is_some() { self.keys + keys } else { *keys };
        self.keys_of_poll += keys;
        self.cursor = Some(cursor).filter(|cursor| *cursor != 0);
        if self.cursor.is_none() {
            (self.is_complete, self.has_ended, self.is_over) = (true, true, true);
        }
        Ok(())
    }
}

impl Beside<'_> {
    /// What to ask for.
    #[must_use]
    pub fn page(&self) -> Option<Ask> {
        self.scan.page(self.roll, KEYS_BESIDE).filter(|_| Instant::now() < self.until)
    }

    /// Takes in a page, and asks for the next one before all else: it takes as many ways back and forth as there are pages.
    /// Where no other question waits, the rest is for the search as such. So it is after an error, which is met there again.
    pub fn hear(&mut self, page: &Ask, replies: &[Reply<'_>], further: &mut VecDeque<Ask>) {
        let heard = self.scan.hear(page, replies, self.roll);
        if heard.is_ok() && !further.is_empty() {
            self.page().into_iter().for_each(|next| further.push_front(next));
        }
    }
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;
