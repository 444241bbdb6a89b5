//! The witness: an entry that must still exist if the stream is the one that is remembered.
//!
//! Counters and ends can fit by chance after a rename, a swap of databases or a restore: two streams that are trimmed to
//! the same length look alike. An entry of the one hardly ever exists in the other. So before memory decides anything,
//! the last entry of the snapshot that was confirmed last is looked up, at the price of one entry.

use super::{ladder::View, pages::Pages};
use crate::model::stream_id::StreamId;

/// What is known of the stream's identity.
#[derive(Clone, Copy, Debug, Default)]
pub struct Witness {
    /// The last entry of the snapshot that was confirmed last.
    entry: Option<StreamId>,
    /// Whether the present snapshot is confirmed.
    confirmed: bool,
    /// Whether it took the entry to do so, or would.
    was_needed: bool,
}

/// Whether the stream is the one that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It is, or that cannot be told by an entry.
    Same,
    /// It is another one, or nothing that was confirmed is left of it.
    Other,
    /// This entry, the witness, would tell.
    Open(StreamId),
}

impl Witness {
    /// A new snapshot whose last entry is `last`; `continues` unless nothing is remembered from before it.
    pub fn observe(&mut self, continues: bool, last: Option<StreamId>) {
        *self = match continues {
            true => Witness { confirmed: false, was_needed: false, ..*self },
            false => Witness { entry: last, confirmed: true, was_needed: false },
        };
    }

    /// Whether the stream is the one that is remembered, as far as `pages` tell.
    #[must_use]
    pub fn identity(&self, now: &View, pages: &Pages) -> Identity {
        let (Some(entry), Some((first, _))) = (self.entry, now.ends) else { return Identity::Same };
        if !self.confirmed && entry < first {
            return Identity::Other;
        }
        let Some(entry) = self.asked(now) else { return Identity::Same };
        match pages.has(entry) {
            None => Identity::Open(entry),
            Some(false) => Identity::Other,
            Some(true) => Identity::Same,
        }
    }

    /// The entry that it takes to tell. One that may have been deleted does not: its absence tells nothing.
    fn asked(&self, now: &View) -> Option<StreamId> {
        let (_, last) = now.ends.filter(|_| !self.confirmed)?;
        self.entry.filter(|entry| *entry != last && now.max_deleted < *entry)
    }

    /// The present snapshot is to be confirmed.
    pub fn need(&mut self, now: &View) {
        self.was_needed |= self.asked(now).is_some();
    }

    /// Whether it took an entry to confirm the present snapshot.
    #[must_use]
    pub fn was_needed(&self) -> bool {
        self.was_needed
    }

    /// The entry that the next snapshot would be confirmed by.
    #[must_use]
    pub fn next(&self) -> Option<StreamId> {
        self.entry
    }

    /// The present snapshot is of the stream that is remembered.
    pub fn confirm(&mut self, now: &View) {
        if let (Some(_), Some((_, last))) = (self.entry, now.ends) {
            *self = Witness { entry: Some(last), confirmed: true, ..*self };
        }
    }
}
