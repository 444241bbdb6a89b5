//! How fast entries come and go: exact, or absent.
//!
//! Between two observations with a known lag, the position of the group *passed* lag + added - lag entries: each was
//! delivered, or removed from the stream before that. They were all delivered where no entry was removed that was not
//! delivered before:
//!
//! | proof | because |
//! | --- | --- |
//! | the group passed nothing | then nothing was delivered either |
//! | no entry was removed at all | added and length grew alike |
//! | no more were removed than stood up to the earlier last-delivered ID, and no higher ID was ever deleted | a trim begins with those, and `XDEL` leaves the highest ID behind |
//!
//! Otherwise nobody knows how many were delivered in that step: workers that delete what they have done, and trims that
//! overtake the group, look alike. What leaves the pending entries without an acknowledgement (`XGROUP DELCONSUMER`, entries
//! that are claimed and no longer exist) counts as acknowledged, and what a group is moved over by hand
//! (`XGROUP SETID`) as delivered and acknowledged: Redis tells no difference. Entries that become pending without a delivery
//! (`XCLAIM … FORCE`) show as a negative number of acknowledgements, and then the step is not known.
//!
//! Entries are *lost* when they are removed before they were delivered. At least these were:
//!
//! | proof | lost, at least |
//! | --- | --- |
//! | the last-delivered ID is the same | all that were passed |
//! | the group's own counter of entries read was not ahead before | what was passed and the counter did not count, but no more than were removed |
//! | the entry that was the first or the last of the stream is gone, and the last-delivered ID has not reached it | 1 |

use std::{fmt, time::Duration};

use super::{
    history::{History, MOST_POINTS, Seen, micros},
    quarters::Quarters,
    stream_id::StreamId,
};

/// What happened between two observations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What was delivered and acknowledged, where it is known.
    pub flowed: Option<Flowed>,
    /// Entries that were removed before they were delivered, at least.
    pub lost: u64,
}

/// What was delivered and acknowledged between two observations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flowed {
    /// Entries delivered for the first time.
    pub delivered: u64,
    /// Entries acknowledged, or dropped from those pending.
    pub acknowledged: u64,
    /// In how many microseconds.
    pub micros: u64,
}

/// What happened from one observation, with a known lag, to a later one.
#[must_use]
pub fn step(before: &Seen, now: &Seen) -> Step {
    let Some(lag) = now.exact_lag() else { return Step::default() };
    let added = now.stream.entries_added.zip(before.stream.entries_added);
    let added = added.and_then(|(now, before)| now.checked_sub(before));
    let grown = |from: u64, to: u64| added.and_then(|added| from.checked_add(added)?.checked_sub(to));
    let removed = grown(before.stream.length, now.stream.length);
    let passed = before.exact_lag().and_then(|before| grown(before, lag));
    let Some(((added, passed), removed)) = added.zip(passed).zip(removed) else {
        return Step { flowed: None, lost: u64::from(has_overtaken(before, now)) };
    };
    if passed == 0 || removed == 0 || spared_undelivered(before, now, removed) {
        let acknowledged = before.pending.checked_add(passed).and_then(|sum| sum.checked_sub(now.pending));
        let micros = now.at.0.saturating_sub(before.at.0);
        let flowed = acknowledged.map(|acknowledged| Flowed { delivered: passed, acknowledged, micros });
        return Step { flowed, lost: 0 };
    }
    let lost = if now.last_delivered == before.last_delivered {
        passed.min(removed)
    } else {
        let read = read_at_most(before, now, added);
        let uncounted = read.map_or(0, |read| passed.saturating_sub(read)).min(removed);
        uncounted.max(u64::from(has_overtaken(before, now)))
    };
    Step { flowed: None, lost }
}

/// Whether all that was removed had been delivered already at the first observation.
fn spared_undelivered(before: &Seen, now: &Seen, removed: u64) -> bool {
    let delivered = before.exact_lag().and_then(|lag| before.stream.length.checked_sub(lag));
    let deleted = now.stream.max_deleted;
    delivered.is_some_and(|delivered| removed <= delivered)
        && deleted.is_some_and(|deleted| deleted <= before.last_delivered)
}

/// Whether an entry that had not been delivered is gone, with all before it.
fn has_overtaken(before: &Seen, now: &Seen) -> bool {
    let is_lost =
        |id: StreamId| id > now.last_delivered && now.stream.ends.is_none_or(|(first, _)| id < first);
    before.stream.ends.is_some_and(|(first, last)| is_lost(first) || is_lost(last))
}

/// Most entries that can have been delivered, by the group's own counter. It counts each delivery, or is set to the place
/// in the stream, which is ahead of that: so it never counts too few, unless it was ahead before.
fn read_at_most(before: &Seen, now: &Seen, added: u64) -> Option<u64> {
    let place = i64::try_from(before.stream.entries_added?.checked_sub(before.exact_lag()?)?).ok()?;
    let (then, now) = (before.entries_read?, now.entries_read?);
    let read = u64::try_from(now.checked_sub(then)?).ok()?;
    (then <= place && read > 0 && read <= added.saturating_add(before.lag.0)).then_some(read)
}

/// How fast entries come and go, over the window or since the history began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    added: Known,
    delivered: Known,
    acknowledged: Known,
    /// In seconds.
    drain: Known,
}

/// A number that is known or not, in the room of a number: each group of a snapshot has four.
#[derive(Clone, Copy)]
struct Known(f64);

/// What share of the time must be known for a rate to be told.
const KNOWN_SHARE: f64 = 0.8;

impl Known {
    fn of(number: Option<f64>) -> Known {
        Known(number.unwrap_or(f64::NAN))
    }

    fn get(self) -> Option<f64> {
        Some(self.0).filter(|number| !number.is_nan())
    }
}

impl Default for Known {
    fn default() -> Self {
        Known::of(None)
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl Flow {
    /// Of these numbers, as they are read again.
    #[must_use]
    pub fn new(rates: [Option<f64>; 3], drain: Option<Duration>) -> Flow {
        let [added, delivered, acknowledged] = rates.map(Known::of);
        Flow { added, delivered, acknowledged, drain: Known::of(drain.map(|drain| drain.as_secs_f64())) }
    }

    /// Entries added to the stream per second; `None` is not known.
    #[must_use]
    pub fn added(&self) -> Option<f64> {
        self.added.get()
    }

    /// Entries delivered per second; `None` is not known.
    #[must_use]
    pub fn delivered(&self) -> Option<f64> {
        self.delivered.get()
    }

    /// Entries acknowledged, or dropped from those pending, per second; `None` is not known.
    #[must_use]
    pub fn acknowledged(&self) -> Option<f64> {
        self.acknowledged.get()
    }

    /// Seconds until the backlog is empty at the pace of the last quarter of the window; `None` where it does not shrink,
    /// is empty, or lost entries before they were delivered: that is no work that was done.
    #[must_use]
    pub fn drain(&self) -> Option<f64> {
        self.drain.get()
    }

    /// By the history and what was read of it ([`History::quarters`]); nothing yet where it is too short for a pace to mean
    /// anything.
    #[must_use]
    pub fn of(history: &History, quarters: Option<&Quarters>, window: Duration) -> Flow {
        let points = history.points();
        let (Some(first), Some(last), Some(latest)) = (points.first(), points.latest(), history.latest())
        else {
            return Flow::default();
        };
        let span = points.span();
        if span == 0 || span < micros(window) / u64::from(MOST_POINTS) {
            return Flow::default();
        }
        let rate = |count: u64, micros: u64| count as f64 * 1e6 / micros as f64;
        let known = last.known - first.known;
        let is_known = known as f64 >= span as f64 * KNOWN_SHARE;
        let of_known = |count: u64| is_known.then(|| rate(count, known));
        let drain = quarters.and_then(|quarters| {
            let before = &quarters.late;
            let shrunk = before.backlog.0.checked_sub(last.backlog.0).filter(|shrunk| *shrunk > 0)?;
            let is_exact = [before.backlog, last.backlog].iter().all(|(lower, upper)| lower == upper);
            let is_done = is_exact && before.lost == last.lost && last.backlog.0 > 0;
            let seconds = last.backlog.0 as f64 / rate(shrunk, last.at - before.at);
            is_done.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
        });
        let added = latest.stream.entries_added.map(|_| rate(last.added - first.added, span));
        let delivered = of_known(last.delivered - first.delivered);
        let acknowledged = of_known(last.acknowledged - first.acknowledged);
        Flow::new([added, delivered, acknowledged], drain)
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
