//! The recent past of one group: what polls saw of it, bounded in time and in number, and since when things are as they
//! are. Time is Redis's own clock.
//!
//! A group has at most about [`MOST_POINTS`] points, which are packed (`points.rs`): with 20 of them it takes about 1 kB.
//! Points are kept evenly: between two of them lies at least a fixed part of the window, whatever the poll interval is, and
//! the latest is always one of them.
//!
//! Where an observation cannot follow from the one before (a clock, an ID or a counter that goes back: the stream or the
//! group was made anew, moved back by `XGROUP SETID`, or another Redis with older data answers), the history begins anew.

use std::time::Duration;

use super::{
    activity::Activity,
    flow::{self, Step},
    lag::StreamFacts,
    points::{Point, Points},
    quarters::Quarters,
    snapshot::{Group, OldestPending, Stream},
    stream_id::StreamId,
    time::UnixMicros,
};

/// Most points of one group, but for the two ends.
pub const MOST_POINTS: u32 = 48;

/// What one poll saw of a group.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// What those after it are held against.
    pub seen: Seen,
    /// The pending entry with the lowest ID, and `None` within where nothing is pending; `None` where it could not be read.
    pub oldest_pending: Option<Option<OldestPending>>,
    /// Consumers that the group has.
    pub consumers: u64,
    /// How active they are; `None` where they were not read.
    pub activity: Option<Activity>,
}

/// What of an observation those after it are held against.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Redis's clock.
    pub at: UnixMicros,
    /// The stream.
    pub stream: StreamFacts,
    /// Bounds of the lag, both included and proved; equal where it is known.
    pub lag: (u64, u64),
    /// Entries delivered and not acknowledged.
    pub pending: u64,
    /// Highest ID that was delivered.
    pub last_delivered: StreamId,
    /// The group's own counter of entries read; `None` where there is none, or it may not be relied on.
    pub entries_read: Option<i64>,
}

impl Seen {
    /// The lag where it is one number.
    #[must_use]
    pub fn exact_lag(&self) -> Option<u64> {
        (self.lag.0 == self.lag.1).then_some(self.lag.0)
    }

    /// Bounds of all that is not yet acknowledged.
    #[must_use]
    pub fn backlog(&self) -> (u64, u64) {
        (self.lag.0.saturating_add(self.pending), self.lag.1.saturating_add(self.pending))
    }

    /// Whether anything is not yet delivered or not yet acknowledged. That is known even where the lag is not.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.lag.0 > 0 || self.pending > 0
    }

    /// Whether this can be what became of the other.
    pub(super) fn follows(&self, before: &Seen) -> bool {
        let (now, then) = (&self.stream, &before.stream);
        let has_begun_anew = match (then.ends, now.ends) {
            (Some((then, _)), Some((now, _))) => now < then,
            (None, Some((now, _))) => now <= then.last_generated,
            (_, None) => false,
        };
        let has_grown_by_itself = match (then.entries_added, now.entries_added) {
            (Some(before), Some(after)) => {
                after < before || now.length.saturating_sub(then.length) > after - before
            }
            (before, after) => before != after,
        };
        self.at >= before.at
            && now.last_generated >= then.last_generated
            && now.max_deleted >= then.max_deleted
            && now.max_deleted.is_some() == then.max_deleted.is_some()
            && self.last_delivered >= before.last_delivered
            && !has_begun_anew
            && !has_grown_by_itself
    }
}

impl Observation {
    /// What a poll saw; `None` of a group that does not exist.
    #[must_use]
    pub fn of(stream: &Stream, group: &Group, activity: Option<Activity>) -> Option<Observation> {
        let seen = Seen {
            at: stream.redis_time,
            stream: stream.facts(),
            lag: group.lag.bounds()?,
            pending: group.pending,
            last_delivered: group.last_delivered_id?,
            entries_read: group.entries_read.filter(|_| stream.has_own_counters),
        };
        Some(Observation {
            seen,
            oldest_pending: group.oldest_pending.as_ref().ok().copied(),
            consumers: group.consumer_count,
            activity,
        })
    }

    /// The pending entry with the lowest ID, where there is one and it could be read.
    #[must_use]
    pub fn oldest(&self) -> Option<OldestPending> {
        self.oldest_pending.flatten()
    }

    /// Whether anything was delivered, again or for the first time, or acknowledged since the other, whose oldest pending
    /// entry was this.
    fn has_moved_since(&self, before: &Seen, oldest: Option<&Oldest>) -> bool {
        let was_redelivered = match (oldest, self.oldest()) {
            (Some(then), Some(now)) => then.id == now.id && now.deliveries > then.deliveries,
            _ => false,
        };
        let now = &self.seen;
        now.last_delivered != before.last_delivered || now.pending < before.pending || was_redelivered
    }
}

/// The past of one group.
#[derive(Clone, Debug, Default)]
pub struct History {
    points: Points,
    latest: Option<Seen>,
    /// The latest one whose lag is one number, where that is not the latest of all: the flow is counted from it on.
    base: Option<Box<Seen>>,
    work: Work,
    /// When anything was last seen to be delivered or acknowledged.
    moved_at: Option<UnixMicros>,
    /// The oldest pending entry of the latest observation.
    oldest: Option<Oldest>,
}

/// Whether something waits, and since when it does or does not.
#[derive(Clone, Copy, Debug, Default)]
enum Work {
    /// Nothing was ever seen to wait or to move.
    #[default]
    None,
    /// Something has waited at every observation since.
    Waits(UnixMicros),
    /// Nothing waits, and nothing has waited or moved since.
    Done(UnixMicros),
}

/// A pending entry with the lowest ID.
#[derive(Clone, Copy, Debug)]
struct Oldest {
    id: StreamId,
    /// How often it had been delivered when it was first seen to be that.
    first: u64,
    /// How often it has been by now.
    deliveries: u64,
}

impl History {
    /// Takes in what the latest poll saw. Returns how many more entries were surely lost.
    pub fn observe(&mut self, now: &Observation, window: Duration) -> u64 {
        if self.latest.as_ref().is_some_and(|before| !now.seen.follows(before)) {
            *self = History::default();
        }
        let oldest = self.oldest.as_ref();
        let has_moved = self.latest.as_ref().is_some_and(|before| now.has_moved_since(before, oldest));
        if has_moved {
            self.moved_at = Some(now.seen.at);
        }
        self.work = match (self.work, self.latest) {
            (Work::Waits(since), _) if now.seen.waits() => Work::Waits(since),
            _ if now.seen.waits() => Work::Waits(now.seen.at),
            _ if has_moved => Work::Done(now.seen.at),
            (Work::Waits(_), Some(before)) => Work::Done(before.at),
            (work, _) => work,
        };
        self.oldest = now.oldest().map(|OldestPending { id, deliveries, .. }| {
            let before = self.oldest.filter(|before| before.id == id);
            let first = before.map_or(deliveries, |before| before.first.min(deliveries));
            Oldest { id, first, deliveries }
        });
        let lost = self.count(&now.seen, micros(window));
        self.remember(now.seen);
        lost
    }

    /// Adds a point, and drops what the window does not need. The flow is counted from one known lag to the next, over those
    /// that are not.
    fn count(&mut self, now: &Seen, window: u64) -> u64 {
        let base =
            self.latest.as_ref().filter(|latest| latest.exact_lag().is_some()).or(self.base.as_deref());
        let step = base.map_or_else(Step::default, |base| flow::step(base, now));
        let flowed = step.flowed.unwrap_or_default();
        let before = self.points.latest().copied().unwrap_or_default();
        let point = Point {
            at: now.at.0,
            backlog: now.backlog(),
            low: now.backlog(),
            added: now.stream.entries_added.unwrap_or(0),
            delivered: before.delivered.saturating_add(flowed.delivered),
            acknowledged: before.acknowledged.saturating_add(flowed.acknowledged),
            known: before.known.saturating_add(flowed.micros),
            lost: before.lost.saturating_add(step.lost),
        };
        self.points.push(point, window / u64::from(MOST_POINTS));
        // One point before the window belongs to it: what became of it happened within.
        self.points.forget(point.at.saturating_sub(window));
        step.lost
    }

    fn remember(&mut self, now: Seen) {
        let before = self.latest.replace(now).filter(|before| before.exact_lag().is_some());
        if now.exact_lag().is_some() {
            self.base = None;
        } else if let Some(before) = before {
            self.base = Some(Box::new(before));
        }
    }

    /// The points, oldest first.
    #[must_use]
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// What the points say of the parts of the time; `None` where no time has passed, or where it needs no look: the backlog
    /// was the same throughout, and nothing was lost.
    #[must_use]
    pub fn quarters(&self) -> Option<Quarters> {
        let lost_nothing =
            self.points.first().map(|first| first.lost) == self.points.latest().map(|last| last.lost);
        if self.points.is_level() && lost_nothing { None } else { Quarters::of(&self.points) }
    }

    /// What the latest poll saw.
    #[must_use]
    pub fn latest(&self) -> Option<&Seen> {
        self.latest.as_ref()
    }

    /// How long the points reach back.
    #[must_use]
    pub fn span(&self) -> Duration {
        Duration::from_micros(self.points.span())
    }

    /// How long something has waited without a pause, as far as was seen.
    #[must_use]
    pub fn waited(&self) -> Duration {
        match self.work {
            Work::Waits(since) => self.since(since),
            Work::None | Work::Done(_) => Duration::ZERO,
        }
    }

    /// How long something has waited and nothing was delivered or acknowledged.
    #[must_use]
    pub fn still(&self) -> Duration {
        self.moved_at.map_or(self.waited(), |at| self.waited().min(self.since(at)))
    }

    /// Time since something waited or moved; `None` if neither was ever seen.
    #[must_use]
    pub fn quiet(&self) -> Option<Duration> {
        match self.work {
            Work::None => None,
            Work::Waits(_) => Some(Duration::ZERO),
            Work::Done(at) => Some(self.since(at)),
        }
    }

    /// How often the oldest pending entry was delivered while it was seen to be that.
    #[must_use]
    pub fn redelivered(&self) -> u64 {
        self.oldest.map_or(0, |oldest| oldest.deliveries.saturating_sub(oldest.first))
    }

    fn since(&self, at: UnixMicros) -> Duration {
        let now = self.latest.map_or(at, |latest| latest.at);
        Duration::from_micros(now.0.saturating_sub(at.0))
    }
}

/// A duration in the unit of Redis's clock.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
