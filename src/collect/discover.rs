//! Which streams there are: names as configured, and what `SCAN … TYPE stream` finds for globs, as many as the limit lets
//! in. A search is done in pieces, a bounded one at each poll.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    commands,
    connect::Link,
    decode,
    request::{Arg, Requests},
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
const KEYS_PER_SCAN: u32 = 400;

/// Most SCANs in one poll as long as not all keys have been seen: a million keys.
const SCANS_AT_FIRST: u64 = 2500;

/// The same once they have, 200,000 keys: a larger key space takes several polls to go round.
const SCANS_PER_POLL: u64 = 500;

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
    /// SCANs of the round under way, or of the latest one.
    scans: u64,
    /// What is new, and not taken away yet: a search that fails half way has found it all the same.
    found: Vec<Name>,
    /// Streams of the round under way that the limit leaves out.
    left_out: u64,
    /// The same of the latest whole round.
    left_out_before: u64,
    /// Whether a round has ended since that was last counted.
    has_ended: bool,
}

impl Scan {
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
        self.scans * u64::from(KEYS_PER_SCAN)
    }

    /// What was found since it was last asked.
    pub fn take_found(&mut self) -> Vec<Name> {
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
    /// polls to see all keys, and later on a stream that is new is found some polls later. A slow server ends the search of
    /// a poll after `time`.
    ///
    /// # Errors
    /// No reply, or SCAN is refused.
    pub async fn search(&mut self, link: &mut Link, roll: &Roll, time: Duration) -> Result<(), Fault> {
        let globs = roll.globs();
        if globs.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let most = if self.is_complete { SCANS_PER_POLL } else { SCANS_AT_FIRST };
        link.send(&scan(self.cursor.unwrap_or(0), globs)).await;
        for left in (0..most).rev() {
            link.receive_one().await?;
            let cursor = link.read(&commands::SCAN, decode::scan_cursor)?;
            let goes_on = cursor != 0 && left > 0 && started.elapsed() < time;
            if goes_on {
                // Redis looks at the next keys while these are looked at.
                link.send(&scan(cursor, globs)).await;
            }
            let new = |reply: Reply<'_>| decode::scan_keys(reply, |key| !roll.has_found(key));
            let new = link.read(&commands::SCAN, new)?.into_iter();
            self.found.extend(new.filter(|key| globs.iter().any(|glob| glob.matches(key))));
            self.pass(cursor);
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// The keys before this cursor were searched.
    fn pass(&mut self, cursor: u64) {
        self.scans = if self.cursor.is_some() { self.scans + 1 } else { 1 };
        self.cursor = Some(cursor).filter(|cursor| *cursor != 0);
        if self.cursor.is_none() {
            (self.is_complete, self.has_ended) = (true, true);
        }
    }
}

/// A SCAN from this cursor on.
fn scan(cursor: u64, globs: &[Glob]) -> Requests {
    let mut args = vec![Arg::from(cursor)];
    // One glob is matched by Redis, several by us: one pass over the keys is enough for all.
    if let [glob] = globs {
        args.extend(["MATCH", glob.text()].map(Arg::from));
    }
    args.extend([Arg::from("COUNT"), u64::from(KEYS_PER_SCAN).into(), "TYPE".into(), "stream".into()]);
    Requests::one(&commands::SCAN, &args)
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;
