//! The verdict on a group: how it is, and why, without a threshold that somebody has to choose. In the manner of Burrow,
//! but for Redis: a pure function of what polls saw, in order.
//!
//! *Work waits* where the lag or the number of pending entries is not 0; together they are the backlog. The first rule
//! that holds decides:
//!
//! | | state | holds when |
//! | --- | --- | --- |
//! | 1 | `unknown` | the group does not exist, but its stream does |
//! | 2 | `idle` | nothing waits, and for 30 seconds nothing has waited or moved, as far as was seen |
//! | 3 | `ok` | nothing waits, and entries do not keep being removed before they are delivered |
//! | 4 | `stuck` | the oldest pending entry was delivered more than three times, and comes back while it is watched, or has been idle for the claim time |
//! | 5 | `no_consumers` | the group has no consumer, and the backlog is above the floor, or has waited for the claim time |
//! | 6 | `no_consumers` | work has waited for the claim time, and no consumer was heard of within it; where all that waits is pending, consumers that hold nothing may be waiting too, and so do not count as gone before they are ghosts |
//! | 7 | `stalled` | for the claim time work has waited without a pause, and nothing was delivered or acknowledged |
//! | 8 | `falling_behind` | the backlog rises (by its low marks: `trend.rs`), or entries keep being removed before they are delivered: in each of the last two quarters of the window, with a backlog above the floor, and from then on in its later half |
//! | 9 | `stalled` | the oldest pending entry has been idle for twice the claim time: nobody claims it |
//! | 10 | `unknown` | the oldest pending entry could not be read: it may be stuck |
//! | 11 | `ok` | in the last quarter of the window the backlog was at most the floor at some time |
//! | 12 | `unknown` | the history is shorter than the claim time (or than the window, if that is less), or the lag is only known between bounds that prove no trend |
//! | 13 | `catching_up` | the backlog falls |
//! | 14 | `ok` | the backlog neither rises nor falls |
//!
//! Against flapping: rules 2 to 7 and 9 speak of events and of times that have to pass again before they hold again.
//! Rules 8 and 13 need a margin to be entered and a smaller one to be left, and a backlog that rose counts as rising for 30
//! seconds more unless it is done. Rule 11 looks at low marks, which noise around the floor does not move.

use std::time::Duration;

use super::{
    activity::Activity,
    flow::Flow,
    history::{History, Observation},
    lag::Lag,
    quarters::Quarters,
    snapshot::{Group, OldestPending, Stream},
    time::UnixMicros,
};

mod reason;
mod trend;

pub use reason::Reason;
use trend::Trend;

/// Time without work or movement after which a group is idle.
const QUIET: Duration = Duration::from_secs(30);

/// An entry that was delivered more often than this keeps coming back.
const MOST_DELIVERIES: u64 = 3;

/// What the configuration says about verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How far back the history reaches.
    pub window: Duration,
    /// Time after which a silent consumer's entries are anybody's.
    pub claim_time: Duration,
    /// Time after which a silent consumer without entries will hardly come back.
    pub ghost_after: Duration,
    /// A backlog up to this is no sign of anything while it is fresh.
    pub floor: u64,
}

impl Default for Rules {
    fn default() -> Self {
        let [window, claim_time, ghost_after] = [300, 60, 3600].map(Duration::from_secs);
        Rules { window, claim_time, ghost_after, floor: 10 }
    }
}

/// How a group is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// What it would take to tell is not known.
    #[default]
    Unknown,
    /// There is nothing to do.
    Idle,
    /// It keeps up.
    Ok,
    /// Its backlog shrinks.
    CatchingUp,
    /// Its backlog grows, or entries are removed before they are delivered.
    FallingBehind,
    /// Work waits, there are consumers, and nothing moves.
    Stalled,
    /// Work waits, and nobody is there to do it.
    NoConsumers,
    /// The oldest pending entry keeps coming back.
    Stuck,
}

impl State {
    /// The word for labels and JSON.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Idle => "idle",
            State::Ok => "ok",
            State::CatchingUp => "catching_up",
            State::FallingBehind => "falling_behind",
            State::Stalled => "stalled",
            State::NoConsumers => "no_consumers",
            State::Stuck => "stuck",
        }
    }

    /// Whether somebody should look.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(self, State::FallingBehind | State::Stalled | State::NoConsumers | State::Stuck)
    }
}

/// What follows from the polls of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// How it is.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// How fast entries come and go.
    pub flow: Flow,
    /// Entries that were removed before they were delivered, at least, since the start of the process; `None` of a group
    /// that does not exist.
    pub lost: Option<u64>,
    /// Its consumers; `None` where they were not read.
    pub activity: Option<Activity>,
}

impl Health {
    /// Of a group that is expected and does not exist.
    #[must_use]
    pub fn of_missing(lag: Lag) -> Health {
        let (state, reason) = match lag {
            Lag::NoStream => (State::Idle, Reason::NoStream),
            _ => (State::Unknown, Reason::NoGroup),
        };
        Health { state, reason, ..Health::default() }
    }
}

/// One group from poll to poll.
#[derive(Clone, Debug, Default)]
pub struct Course {
    history: History,
    trend: Trend,
    /// When the backlog was last rising.
    rose_at: Option<UnixMicros>,
    /// Whether entries keep being removed before they are delivered.
    loses: bool,
    lost: u64,
}

/// A state and its reason.
type Verdict = (State, Reason);

impl Course {
    /// Takes in what the latest poll saw of the group, and says how it is.
    pub fn observe(&mut self, stream: &Stream, group: &Group, rules: &Rules) -> Health {
        let activity = Activity::of(group, rules.claim_time, rules.ghost_after);
        match Observation::of(stream, group, activity) {
            Some(now) => self.follow(&now, rules),
            None => Health::of_missing(group.lag),
        }
    }

    fn follow(&mut self, now: &Observation, rules: &Rules) -> Health {
        self.lost = self.lost.saturating_add(self.history.observe(now, rules.window));
        let quarters = self.history.quarters();
        self.trend = match self.is_long(rules) {
            true => self.trend.next(self.history.points(), quarters.as_ref(), rules.floor),
            false => Trend::Unknown,
        };
        if self.trend == Trend::Rising {
            self.rose_at = Some(now.seen.at);
        }
        self.loses = self.keeps_losing(now, quarters.as_ref(), rules);
        let (state, reason) = self.judge(now, quarters.as_ref(), rules);
        let flow = Flow::of(&self.history, quarters.as_ref(), rules.window);
        Health { state, reason, flow, lost: Some(self.lost), activity: now.activity }
    }

    /// Whether the history tells a trend.
    fn is_long(&self, rules: &Rules) -> bool {
        self.history.span() >= rules.claim_time.min(rules.window)
    }

    fn judge(&self, now: &Observation, quarters: Option<&Quarters>, rules: &Rules) -> Verdict {
        let has_touched = || trend::has_touched(self.history.points(), quarters, rules.floor);
        if !now.seen.waits() {
            return match self.history.quiet() {
                Some(quiet) if quiet < QUIET => self.losing().unwrap_or((State::Ok, Reason::NothingWaits)),
                _ => (State::Idle, Reason::NothingToDo),
            };
        }
        let otherwise = || {
            if now.seen.pending > 0 && now.oldest_pending.is_none() {
                return (State::Unknown, Reason::Unread);
            }
            if has_touched() {
                return (State::Ok, Reason::Touched { floor: rules.floor });
            }
            self.by_trend(now, rules)
        };
        self.stuck(now, rules)
            .or_else(|| self.deserted(now, rules))
            .or_else(|| self.stalled(now, rules))
            .or_else(|| self.behind(now, has_touched, rules))
            .or_else(|| unclaimed(now, rules))
            .unwrap_or_else(otherwise)
    }

    /// Rule 4.
    fn stuck(&self, now: &Observation, rules: &Rules) -> Option<Verdict> {
        let OldestPending { id, idle, deliveries, .. } = now.oldest()?;
        let comes_back = self.history.redelivered() > 0 || idle >= rules.claim_time;
        let is_stuck = deliveries > MOST_DELIVERIES && comes_back;
        is_stuck.then_some((State::Stuck, Reason::ComesBack { id, deliveries }))
    }

    /// Rules 5 and 6.
    fn deserted(&self, now: &Observation, rules: &Rules) -> Option<Verdict> {
        let untouched = now.oldest().map_or(Duration::ZERO, |oldest| oldest.idle);
        let has_waited = self.history.waited().max(untouched) >= rules.claim_time;
        let (backlog, consumers) = (now.seen.backlog(), now.consumers);
        let silence = now.activity.map_or(Duration::ZERO, |activity| activity.silence);
        let verdict = (State::NoConsumers, Reason::Deserted { backlog, consumers, silence });
        if consumers == 0 {
            return (backlog.0 > rules.floor || has_waited).then_some(verdict);
        }
        let activity = now.activity?;
        let may_be_waiting = now.seen.lag.0 == 0 && activity.idle > 0;
        let has_some = activity.counts().iter().any(|(_, count)| *count > 0);
        (has_waited && has_some && activity.active == 0 && !may_be_waiting).then_some(verdict)
    }

    /// Rule 7.
    fn stalled(&self, now: &Observation, rules: &Rules) -> Option<Verdict> {
        let still = self.history.still();
        (still >= rules.claim_time).then(|| {
            let active = now.activity.map(|activity| activity.active.into());
            let (backlog, consumers) = (now.seen.backlog(), now.consumers);
            (State::Stalled, Reason::Still { backlog, active, consumers, still })
        })
    }

    /// Rule 8.
    fn behind(&self, now: &Observation, has_touched: impl Fn() -> bool, rules: &Rules) -> Option<Verdict> {
        let points = self.history.points();
        let (first, last) = (points.first()?, points.latest()?);
        if self.rises(now, has_touched, rules) {
            let over = self.history.span();
            let reason = Reason::Rises { from: first.backlog, to: last.backlog, over };
            return Some((State::FallingBehind, reason));
        }
        self.losing()
    }

    /// The second half of rule 8.
    fn losing(&self) -> Option<Verdict> {
        let points = self.history.points();
        let (first, last) = (points.first()?, points.latest()?);
        self.loses.then(|| {
            let reason = Reason::Loses { lost: last.lost - first.lost, over: self.history.span() };
            (State::FallingBehind, reason)
        })
    }

    /// Whether entries were lost in each of the last two quarters of the window; from then on, in its later half.
    fn keeps_losing(&self, now: &Observation, quarters: Option<&Quarters>, rules: &Rules) -> bool {
        let (Some(quarters), Some(last)) = (quarters, self.history.points().latest()) else { return false };
        let (middle, late) = (quarters.lost_by_middle, quarters.late.lost);
        let begins = now.seen.backlog().0 > rules.floor && middle < late && late < last.lost;
        self.is_long(rules) && (begins || self.loses && middle < last.lost)
    }

    /// Whether the backlog rises, or did a moment ago and is not done yet.
    fn rises(&self, now: &Observation, has_touched: impl Fn() -> bool, rules: &Rules) -> bool {
        let passed = self.rose_at.and_then(|at| now.seen.at.0.checked_sub(at.0)).map(Duration::from_micros);
        self.trend == Trend::Rising
            || self.is_long(rules) && passed.is_some_and(|passed| passed < QUIET) && !has_touched()
    }

    /// Rules 12 to 14.
    fn by_trend(&self, now: &Observation, rules: &Rules) -> Verdict {
        let backlog = now.seen.backlog();
        match self.trend {
            Trend::Falling => (State::CatchingUp, Reason::Shrinks { backlog }),
            Trend::Level | Trend::Rising => (State::Ok, Reason::Trendless { backlog }),
            Trend::Unknown if !self.is_long(rules) => (State::Unknown, Reason::TooNew),
            Trend::Unknown => (State::Unknown, Reason::Unproved { backlog }),
        }
    }
}

/// Rule 9.
fn unclaimed(now: &Observation, rules: &Rules) -> Option<Verdict> {
    let oldest = now.oldest().filter(|oldest| oldest.idle >= rules.claim_time.saturating_mul(2))?;
    let claimable = now.activity.map_or(0, |activity| activity.claimable);
    Some((State::Stalled, Reason::Unclaimed { id: oldest.id, idle: oldest.idle, claimable }))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

#[cfg(test)]
mod plain;
