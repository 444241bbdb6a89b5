//! Which streams there are: names as configured, and what `SCAN … TYPE stream` finds for globs.

use std::collections::BTreeSet;

use super::{commands, connect::Link, decode};
use crate::{
    config::RedisServer,
    model::{
        fault::Fault,
        name::Name,
        pattern::{Glob, Pattern},
    },
};

/// `COUNT` of one SCAN: keys that Redis looks at, some 0.2 ms of its time.
const KEYS_PER_SCAN: u32 = 1000;

/// Most SCANs in one poll once all keys have been seen: a larger key space takes several polls to go round.
const SCANS_PER_POLL: usize = 200;

/// The names of one database, kept between polls.
#[derive(Debug)]
pub struct Known {
    exact: BTreeSet<Name>,
    globs: Vec<Glob>,
    /// What was found. Only the answer that a stream does not exist ends that: a key on its way from one node of a
    /// cluster to another may be missed by a search.
    found: BTreeSet<Name>,
}

impl Known {
    /// What the configuration names; nothing is found yet.
    #[must_use]
    pub fn new(server: &RedisServer) -> Self {
        let mut known = Known { exact: BTreeSet::new(), globs: Vec::new(), found: BTreeSet::new() };
        for pattern in &server.streams {
            match pattern {
                Pattern::Exact(name) => _ = known.exact.insert(name.clone()),
                Pattern::Glob(glob) => known.globs.push(glob.clone()),
            }
        }
        known.exact.extend(server.expected.iter().map(|expected| expected.stream.clone()));
        known
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

    /// Streams were found.
    pub fn extend(&mut self, found: impl IntoIterator<Item = Name>) {
        self.found.extend(found);
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
    complete: bool,
}

impl Scan {
    /// A cursor means nothing to another connection, which may lead to another server.
    pub fn restart(&mut self) {
        // And it may have streams that are not known: the next search goes through all of its keys.
        *self = Scan::default();
    }

    /// Looks for streams. The first round of a connection goes through all keys; later ones are bounded: in a large key
    /// space, a stream that is new is found some polls later.
    ///
    /// # Errors
    /// No reply, or SCAN is refused.
    pub async fn search(&mut self, link: &mut Link, globs: &[Glob]) -> Result<Vec<Name>, Fault> {
        let mut found = Vec::new();
        if globs.is_empty() {
            return Ok(found);
        }
        let mut scans = 0;
        while !self.complete || scans < SCANS_PER_POLL {
            scans += 1;
            if self.step(link, globs, &mut found).await? {
                self.complete = true;
                break;
            }
        }
        Ok(found)
    }

    /// One SCAN; true at the end of the round.
    async fn step(&mut self, link: &mut Link, globs: &[Glob], found: &mut Vec<Name>) -> Result<bool, Fault> {
        let mut pipeline = redis::pipe();
        let command = commands::SCAN.push(&mut pipeline).arg(self.cursor.take().unwrap_or(0));
        // One glob is matched by Redis, several by us: one pass over the keys is enough for all.
        if let [glob] = globs {
            command.arg("MATCH").arg(glob.text());
        }
        command.arg("COUNT").arg(KEYS_PER_SCAN).arg("TYPE").arg("stream");
        let (cursor, keys) = link.single(&pipeline, &commands::SCAN, decode::scan).await?;
        found.extend(keys.into_iter().filter(|key| globs.iter().any(|glob| glob.matches(key))));
        self.cursor = Some(cursor).filter(|cursor| *cursor != 0);
        Ok(cursor == 0)
    }
}
