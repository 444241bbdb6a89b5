//! The lag of a group: the number of entries that exist in the stream with an ID above the group's last-delivered-id.
//!
//! Redis reports a lag of its own (`XINFO GROUPS`), which is nil or wrong in everyday cases. Here it is at most a hint,
//! or trusted once it was seen to agree. How a lag is found, from one atomic snapshot at a time:
//!
//! | file | what it knows | answers |
//! | --- | --- | --- |
//! | [`rules`] | the ends of the stream: needs no memory | [`Lag::Exact`], derived |
//! | [`ladder`] | points of the stream whose count is proved, carried from poll to poll as long as the [`witness`] exists | [`Lag::Exact`], derived |
//! | [`tracker`] | the group's own counter, once it agreed with an exact lag | [`Lag::Reported`] |
//! | [`pages`] | entries that were read, within a budget | [`Lag::Exact`], counted |
//! | [`tracker::oldest`] | which entry is the first of those above; it reads what the tracker trusts and changes nothing | [`undelivered::Undelivered`] |
//!
//! Where none of them decides, the lag is [`Lag::Bounded`]: at least 1, since zero is always decided by [`rules`]. A lag of
//! which nothing is known does not get here: the stream, or the whole poll, is a fault then.

use super::stream_id::StreamId;

pub mod estimate;
pub mod ladder;
pub mod pages;
pub mod rules;
pub mod tracker;
pub mod undelivered;
pub mod witness;

/// What is known about a group's lag. Counts are entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// Proved.
    Exact {
        /// The lag.
        entries: u64,
        /// Whether entries had to be read for it.
        counted: bool,
    },
    /// The group's own counter, after it was seen to agree with an exact lag: right unless somebody writes it by hand.
    Reported(u64),
    /// Proved to lie between two bounds, both included and at least 1, with an estimate between them.
    Bounded {
        /// At least so many.
        lower: u64,
        /// At most so many.
        upper: u64,
        /// The best guess between the bounds.
        estimate: u64,
    },
    /// The configured group does not exist yet; all entries of the stream wait for it, if it will be created at `0`.
    NoGroup {
        /// Entries in the stream.
        length: u64,
    },
    /// The configured stream does not exist: nothing waits.
    NoStream,
}

/// What is published where the lag is not one proved number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// For a bounded lag.
    pub bounded: BoundedPolicy,
    /// For a group that is expected and does not exist.
    pub missing_group: MissingGroupPolicy,
}

/// What is published for a bounded lag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoundedPolicy {
    /// The best guess.
    #[default]
    Estimate,
    /// The lower bound.
    Lower,
    /// The upper bound.
    Upper,
    /// Nothing.
    Absent,
}

/// What is published for a group that is expected and does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingGroupPolicy {
    /// The length of the stream: what waits for a group that will be created at `0`.
    #[default]
    Length,
    /// Zero: right for a group that will be created at `$`.
    Zero,
    /// Nothing.
    Absent,
}

impl Lag {
    /// An exact lag that needed no reading.
    #[must_use]
    pub fn derived(entries: u64) -> Self {
        Lag::Exact { entries, counted: false }
    }

    /// An exact lag that was counted.
    #[must_use]
    pub fn counted(entries: u64) -> Self {
        Lag::Exact { entries, counted: true }
    }

    /// The number to publish; `None` where there is none, or the policy says so.
    #[must_use]
    pub fn entries(self, policy: Policy) -> Option<u64> {
        match self {
            Lag::Exact { entries, .. } | Lag::Reported(entries) => Some(entries),
            Lag::Bounded { lower, upper, estimate } => match policy.bounded {
                BoundedPolicy::Estimate => Some(estimate),
                BoundedPolicy::Lower => Some(lower),
                BoundedPolicy::Upper => Some(upper),
                BoundedPolicy::Absent => None,
            },
            Lag::NoGroup { length } => match policy.missing_group {
                MissingGroupPolicy::Length => Some(length),
                MissingGroupPolicy::Zero => Some(0),
                MissingGroupPolicy::Absent => None,
            },
            Lag::NoStream => Some(0),
        }
    }

    /// The bounds that are proved, both included; `None` where nothing is.
    #[must_use]
    pub fn bounds(self) -> Option<(u64, u64)> {
        match self {
            Lag::Exact { entries, .. } | Lag::Reported(entries) => Some((entries, entries)),
            Lag::Bounded { lower, upper, .. } => Some((lower, upper)),
            Lag::NoStream => Some((0, 0)),
            Lag::NoGroup { .. } => None,
        }
    }

    /// How the number was found: the `source` label.
    #[must_use]
    pub fn source(self) -> &'static str {
        match self {
            Lag::Exact { counted: false, .. } => "derived",
            Lag::Exact { counted: true, .. } => "counted",
            Lag::Reported(_) => "reported",
            Lag::Bounded { .. } => "bounded",
            Lag::NoGroup { .. } => "no_group",
            Lag::NoStream => "no_stream",
        }
    }

    /// Whether the number that Redis reports contradicts what is proved. Nil contradicts nothing.
    #[must_use]
    pub fn contradicts(self, reported: Option<i64>) -> bool {
        match (self, reported) {
            (Lag::Exact { .. } | Lag::Bounded { .. }, Some(reported)) => {
                let inside =
                    |(lower, upper)| u64::try_from(reported).is_ok_and(|n| (lower..=upper).contains(&n));
                !self.bounds().is_some_and(inside)
            }
            _ => false,
        }
    }
}

/// What one atomic snapshot says about the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamFacts {
    /// Entries in the stream.
    pub length: u64,
    /// Entries ever added; `None` before Redis 7.0.
    pub entries_added: Option<u64>,
    /// Highest ID ever deleted by `XDEL`; `None` before Redis 7.0.
    pub max_deleted: Option<StreamId>,
    /// Highest ID ever used.
    pub last_generated: StreamId,
    /// First and last existing entry; `None` in an empty stream.
    pub ends: Option<(StreamId, StreamId)>,
}

/// What the same snapshot says about the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    /// Highest ID that was delivered.
    pub last_delivered: StreamId,
    /// The group's own counter; nil, and absent before Redis 7.0.
    pub entries_read: Option<i64>,
    /// The lag that Redis reports; nil, and absent before Redis 7.0.
    pub reported_lag: Option<i64>,
}
