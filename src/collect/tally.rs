//! What one walk over a poll finds that was judged: what is counted of it, and what the journal may have to tell of it.

use crate::model::{
    counters::Counters,
    limits::{Cut, Limit},
    snapshot::Poll,
};

/// What was found in a poll.
#[derive(Debug, Default)]
pub struct Tally {
    /// Whether anything of its streams could not be read.
    pub has_faults: bool,
    /// Whether an oldest undelivered entry may not be read.
    pub lacks_ages: bool,
    /// Whether limits leave something out.
    pub is_cut: bool,
    /// What they leave out, in the order of [`Limit::ALL`].
    pub left_out: [u64; Limit::ALL.len()],
    /// Whether somebody should look at any group.
    pub has_ailing: bool,
    /// Groups whose lag Redis reports wrongly.
    pub disagreements: u64,
}

impl Tally {
    /// Walks over a poll, and counts its faults and what limits leave out of it.
    #[must_use]
    pub fn of(poll: &Poll, counters: &mut Counters) -> Tally {
        let mut tally = Tally::default();
        poll.cuts.iter().for_each(|cut| tally.count(cut));
        for entry in &poll.streams {
            for fault in entry.faults() {
                tally.has_faults = true;
                counters.count(fault.kind);
            }
            for group in entry.groups() {
                tally.lacks_ages |= group.oldest_undelivered.is_err();
                tally.has_ailing |= group.health.state.is_bad();
                tally.disagreements += u64::from(group.lag.contradicts(group.reported_lag));
            }
            entry.cuts().for_each(|cut| tally.count(cut));
        }
        counters.left_out.iter_mut().zip(tally.left_out).for_each(|(count, more)| *count += more);
        tally
    }

    fn count(&mut self, cut: &Cut) {
        self.is_cut = true;
        self.left_out[cut.limit as usize] += cut.left_out;
    }
}
