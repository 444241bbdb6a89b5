//! What a poll of a database brought, from all of its nodes.

use std::collections::BTreeSet;

use crate::{
    collect::measure::Answer,
    model::{fault::Fault, limits::Cut, snapshot::StreamEntry},
};

/// What a poll of a database brought.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Number of the database.
    pub database: u32,
    /// Every stream, in order.
    pub streams: Vec<StreamEntry>,
    /// Versions that the nodes state.
    pub versions: BTreeSet<String>,
    /// Why there may be streams that are not among them.
    pub incomplete: Option<Fault>,
    /// What the limit on streams leaves out.
    pub cut: Option<Cut>,
    /// Whether no node could be measured.
    pub is_down: bool,
    /// Groups that were deleted between two commands.
    pub vanished: u64,
    /// Entries read in order to count them.
    pub entries_read: u64,
    /// Commands sent.
    pub commands: u64,
}

impl Gathered {
    /// What a node said, but for the streams.
    pub fn take_in(&mut self, answer: &Answer) {
        self.versions.insert(answer.version.clone());
        self.vanished += answer.vanished;
        self.entries_read += answer.entries_read;
    }
}
