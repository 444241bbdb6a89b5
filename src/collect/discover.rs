//! Which streams there are: exact names as configured, and what `SCAN … TYPE stream` finds for globs.

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

/// The streams of one database, kept between polls.
#[derive(Debug)]
pub struct Discovery {
    exact: BTreeSet<Name>,
    globs: Vec<Glob>,
    /// What the last full round found, and what was found since.
    known: BTreeSet<Name>,
    /// What the round under way has found, and where it stands; `None` between rounds.
    round: Option<(u64, BTreeSet<Name>)>,
    complete: bool,
}

impl Discovery {
    /// Nothing found yet.
    #[must_use]
    pub fn new(server: &RedisServer) -> Self {
        let mut discovery = Discovery {
            exact: BTreeSet::new(),
            globs: Vec::new(),
            known: BTreeSet::new(),
            round: None,
            complete: false,
        };
        for pattern in &server.streams {
            match pattern {
                Pattern::Exact(name) => _ = discovery.exact.insert(name.clone()),
                Pattern::Glob(glob) => discovery.globs.push(glob.clone()),
            }
        }
        discovery.exact.extend(server.expected.iter().map(|expected| expected.stream.clone()));
        discovery
    }

    /// A cursor means nothing to another connection, which may lead to another server.
    pub fn restart(&mut self) {
        self.round = None;
        // And it may have streams that are not known: the next search goes through all of its keys.
        self.complete = false;
    }

    /// The names to measure: true for those that are configured by their name, which are shown even if they do not exist.
    pub fn streams(&self) -> Vec<(Name, bool)> {
        let names: BTreeSet<_> = self.exact.union(&self.known).collect();
        names.into_iter().map(|name| (name.clone(), self.exact.contains(name))).collect()
    }

    /// A stream that was found is gone.
    pub fn forget(&mut self, name: &Name) {
        self.known.remove(name);
    }

    /// Looks for streams. The first round of a connection goes through all keys; later ones are bounded: in a large key
    /// space, a stream that is new is found some polls later, and one that is gone is noticed when it is asked for.
    ///
    /// # Errors
    /// No reply, or SCAN is refused. What was known stays known.
    pub async fn refresh(&mut self, link: &mut Link) -> Result<(), Fault> {
        if self.globs.is_empty() {
            return Ok(());
        }
        let mut scans = 0;
        while !self.complete || scans < SCANS_PER_POLL {
            scans += 1;
            if self.scan(link).await? {
                self.complete = true;
                break;
            }
        }
        Ok(())
    }

    /// One SCAN; true at the end of the round.
    async fn scan(&mut self, link: &mut Link) -> Result<bool, Fault> {
        let (cursor, mut found) = self.round.take().unwrap_or_default();
        let mut pipeline = redis::pipe();
        let command = commands::SCAN.push(&mut pipeline).arg(cursor);
        // One glob is matched by Redis, several by us: one pass over the keys is enough for all.
        if let [glob] = &self.globs[..] {
            command.arg("MATCH").arg(glob.text());
        }
        command.arg("COUNT").arg(KEYS_PER_SCAN).arg("TYPE").arg("stream");
        let (cursor, keys) = link.single(&pipeline, &commands::SCAN, decode::scan).await?;
        for key in keys {
            if self.globs.iter().any(|glob| glob.matches(&key)) {
                self.known.insert(key.clone());
                found.insert(key);
            }
        }
        if cursor == 0 {
            self.known = found;
            return Ok(true);
        }
        self.round = Some((cursor, found));
        Ok(false)
    }
}
