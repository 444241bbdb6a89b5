//! What the next snapshot will be held against: known beforehand, so that it can be asked for together with it.

use super::Tracker;
use crate::model::lag::pages::Wish;

impl Tracker {
    /// What would tell whether the next snapshot is of the same stream: it can as well be asked for together with that.
    #[must_use]
    pub fn foreseen(&self) -> Option<Wish> {
        self.witness.next().map(Wish::for_entry)
    }

    /// Whether the snapshot that was observed last took, or would take, what was foreseen.
    #[must_use]
    pub fn needs_witness(&self) -> bool {
        self.witness.was_needed()
    }
}
