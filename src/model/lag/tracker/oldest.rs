//! The oldest entry that each group has not been given, by memory and pages.
//!
//! It reads what the tracker trusts and changes nothing of it: the tracker is lent, the memory and the wishes are its own.
//! So no lag can depend on whether an age is asked for.

use super::{ByName, Tracker};
use crate::model::{
    lag::{
        Lag,
        pages::Pages,
        undelivered::{Remembered, Undelivered},
        witness::Identity,
    },
    name::Name,
    stream_id::StreamId,
};

/// What is remembered of the oldest undelivered entries of one stream.
#[derive(Debug, Default)]
pub struct Oldest {
    groups: ByName<Remembered>,
    /// The era of the tracker that it belongs to.
    era: u64,
}

impl Oldest {
    /// The oldest undelivered entry of each group, which stands at such an ID and has such a lag, in the snapshot that the
    /// tracker observed last. `counted` are the pages that lags were counted by; what else would tell is wished for in
    /// `own`.
    pub fn find(
        &mut self,
        tracker: &Tracker,
        groups: &[(&Name, StreamId, Lag)],
        counted: &Pages,
        own: &mut Pages,
    ) -> Vec<Undelivered> {
        let identity = tracker.view().map(|view| tracker.witness.identity(&view, counted));
        let belongs = self.era == tracker.era && identity.is_some_and(|identity| identity != Identity::Other);
        if !belongs {
            self.groups.clear();
        }
        self.era = tracker.era;
        tracker.standing.keep(&mut self.groups);
        let found = groups.iter().map(|(name, x, lag)| {
            let mut forgotten = Remembered::default();
            let remembered = match tracker.view() {
                Some(_) => self.groups.entry(name),
                None => &mut forgotten,
            };
            tracker.oldest(remembered, *x, *lag, identity, counted, own)
        });
        found.collect()
    }

    /// Groups that something is remembered of.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.groups.names().len()
    }
}

impl Tracker {
    fn oldest(
        &self,
        remembered: &mut Remembered,
        x: StreamId,
        lag: Lag,
        identity: Option<Identity>,
        counted: &Pages,
        own: &mut Pages,
    ) -> Undelivered {
        let structural = Undelivered::structural(&self.stream, x, lag);
        let Some((_, last)) = self.stream.ends.filter(|_| structural != Undelivered::Nothing) else {
            return structural;
        };
        let deletions = self.view().map(|view| view.deletions());
        let read = structural.id().or_else(|| counted.first(x)).or_else(|| own.first(x));
        let known = || remembered.at(&self.stream, deletions?, self.trust.hidden_deletions, x).zip(identity);
        let (found, awaits_witness) = match (read, read.is_none().then(known).flatten()) {
            (None, Some((id, Identity::Same))) => (Some(id), false),
            // A lag asks for the witness, so that it will be known whether this still holds.
            (None, Some((_, Identity::Open(witness)))) => {
                (None, counted.will_tell_first(witness.predecessor()))
            }
            (read, _) => (read, false),
        };
        if let Some(id) = found {
            remembered.put(x, id, deletions.unwrap_or(0));
            return Undelivered::Oldest(id);
        }
        if !awaits_witness {
            let most = remembered.ask(x);
            if !counted.will_tell_first(x) {
                own.wish_first(x, last, most);
            }
        }
        Undelivered::Unknown
    }
}
