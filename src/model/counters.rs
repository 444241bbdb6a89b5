//! What is counted about one server: it only rises.

use super::{fault::FaultKind, limits::Limit};

/// Counters of one server since the start of the process, or since a moment.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Commands sent to Redis.
    pub commands: u64,
    /// Times that the lag which Redis reports contradicted the truth: one for each group and poll.
    pub lag_disagreements: u64,
    /// Entries read in order to count them.
    pub lag_entries_read: u64,
    /// Faults met, by kind, in the order of [`FaultKind::ALL`].
    pub faults: [u64; FaultKind::ALL.len()],
    /// Things that limits left out: one for each and poll, in the order of [`Limit::ALL`].
    pub left_out: [u64; Limit::ALL.len()],
}

impl Counters {
    /// Adds what was counted elsewhere since.
    pub fn add(&mut self, more: &Counters) {
        self.commands += more.commands;
        self.lag_disagreements += more.lag_disagreements;
        self.lag_entries_read += more.lag_entries_read;
        self.faults.iter_mut().zip(more.faults).for_each(|(count, more)| *count += more);
        self.left_out.iter_mut().zip(more.left_out).for_each(|(count, more)| *count += more);
    }

    /// Counts one fault, where it is a failure.
    pub fn count(&mut self, kind: FaultKind) {
        self.faults[kind as usize] += u64::from(kind.is_failure());
    }

    /// Failures, by kind.
    #[must_use]
    pub fn failures(&self) -> Vec<(&'static str, u64)> {
        let kinds = FaultKind::ALL.iter().filter(|kind| kind.is_failure());
        kinds.map(|kind| (kind.label(), self.faults[*kind as usize])).collect()
    }

    /// What limits left out, by limit.
    #[must_use]
    pub fn limited(&self) -> Vec<(&'static str, u64)> {
        Limit::ALL.iter().map(|limit| (limit.label(), self.left_out[*limit as usize])).collect()
    }
}
