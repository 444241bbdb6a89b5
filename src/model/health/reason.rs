//! Why a group is how it is: kept as data, and put into words only where somebody reads them.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use crate::model::stream_id::StreamId;

/// Why a group is how it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reason {
    /// It was not judged yet. There are no words for it.
    #[default]
    Unjudged,
    /// The stream does not exist.
    NoStream,
    /// The stream exists, the group does not.
    NoGroup,
    /// Nothing waits, and has not for some time.
    NothingToDo,
    /// Nothing waits.
    NothingWaits,
    /// The oldest pending entry comes back and back.
    ComesBack {
        /// Its ID.
        id: StreamId,
        /// How often it was delivered.
        deliveries: u64,
    },
    /// Nobody is there to do what waits.
    Deserted {
        /// Bounds of what waits.
        backlog: (u64, u64),
        /// How many consumers there are all the same.
        consumers: u64,
        /// Time since any of them was heard of.
        silence: Duration,
    },
    /// Nothing moves.
    Still {
        /// Bounds of what waits.
        backlog: (u64, u64),
        /// How many consumers are active, where that is known.
        active: Option<u64>,
        /// How many there are.
        consumers: u64,
        /// For how long.
        still: Duration,
    },
    /// The backlog grows.
    Rises {
        /// Bounds of the backlog when the history began.
        from: (u64, u64),
        /// The same now.
        to: (u64, u64),
        /// How long the history is.
        over: Duration,
    },
    /// Entries keep being removed before they are delivered.
    Loses {
        /// How many, at least.
        lost: u64,
        /// In which time.
        over: Duration,
    },
    /// Nobody claims the oldest pending entry.
    Unclaimed {
        /// Its ID.
        id: StreamId,
        /// Time since it was last delivered.
        idle: Duration,
        /// Entries that the dead hold; 0 where that is not known.
        claimable: u64,
    },
    /// The oldest pending entry could not be read.
    Unread,
    /// The backlog was lately done, but for no more than the floor.
    Touched {
        /// The floor.
        floor: u64,
    },
    /// The backlog shrinks.
    Shrinks {
        /// Its bounds.
        backlog: (u64, u64),
    },
    /// The backlog neither grows nor shrinks.
    Trendless {
        /// Its bounds.
        backlog: (u64, u64),
    },
    /// The history is too short.
    TooNew,
    /// Bounds of the lag prove no trend.
    Unproved {
        /// Bounds of the backlog.
        backlog: (u64, u64),
    },
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Reason::Unjudged => Ok(()),
            Reason::NoStream => f.write_str("the stream does not exist, so nothing waits"),
            Reason::NoGroup => f.write_str("the group does not exist"),
            Reason::NothingToDo => f.write_str("there is nothing to do"),
            Reason::NothingWaits => f.write_str("nothing waits"),
            Reason::ComesBack { id, deliveries } => {
                write!(
                    f,
                    "the oldest pending entry, {id}, was delivered {deliveries} times and is never acknowledged"
                )
            }
            Reason::Deserted { backlog, consumers, silence } => {
                let verb = if backlog == (1, 1) { "waits" } else { "wait" };
                write!(f, "{} {verb}, and ", Entries(backlog))?;
                let since = Words(silence);
                match consumers {
                    0 => f.write_str("the group has no consumers"),
                    1 => write!(f, "the only consumer has been silent for {since}"),
                    count => write!(f, "none of the {count} consumers was heard of for {since}"),
                }
            }
            Reason::Still { backlog, active, consumers, still } => {
                write!(f, "{} waiting, ", Entries(backlog))?;
                match active {
                    Some(active) => write!(f, "{active} of {consumers} consumers active")?,
                    None => write!(f, "{consumers} consumers")?,
                }
                write!(f, ", and nothing was delivered or acknowledged for {}", Words(still))
            }
            Reason::Rises { from, to, over } => {
                write!(f, "the backlog went from {} to {} in {}", Entries(from), Entries(to), Words(over))
            }
            Reason::Loses { lost, over } => {
                let over = Words(over);
                write!(
                    f,
                    "at least {lost} entries were removed in {over} before they were delivered, and it goes on"
                )
            }
            Reason::Unclaimed { id, idle, claimable } => {
                let idle = Words(idle);
                write!(
                    f,
                    "the oldest pending entry, {id}, was not delivered again for {idle}: nobody claims it"
                )?;
                match claimable {
                    0 => Ok(()),
                    count => write!(f, " ({} held by consumers that are dead)", Entries((count, count))),
                }
            }
            Reason::Unread => f.write_str("the oldest pending entry could not be read: it may be stuck"),
            Reason::Touched { floor } => {
                write!(f, "the backlog was lately at most {}", Entries((floor, floor)))
            }
            Reason::Shrinks { backlog } => {
                write!(f, "{} wait, and the backlog shrinks", Entries(backlog))
            }
            Reason::Trendless { backlog } => {
                write!(f, "{} wait, and the backlog has no lasting trend", Entries(backlog))
            }
            Reason::TooNew => f.write_str("the group was not watched for long enough yet"),
            Reason::Unproved { backlog } => {
                write!(f, "{} wait, and bounds of the lag prove no trend", Entries(backlog))
            }
        }
    }
}

/// A number of entries in words, by its bounds.
struct Entries((u64, u64));

impl Display for Entries {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            (1, 1) => f.write_str("1 entry"),
            (lower, upper) if lower == upper => write!(f, "{lower} entries"),
            (lower, upper) => write!(f, "between {lower} and {upper} entries"),
        }
    }
}

/// A time in words, as roughly as people tell it.
struct Words(Duration);

impl Display for Words {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds @ ..120 => write!(f, "{seconds} s"),
            seconds @ ..7200 => write!(f, "{} min", seconds / 60),
            seconds @ ..172_800 => write!(f, "{} h", seconds / 3600),
            seconds => write!(f, "{} days", seconds / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_in_words() {
        let id = StreamId::new(900, 1);
        let [short, long] = [75, 7200].map(Duration::from_secs);
        let still = |active| Reason::Still { backlog: (3, 9), active, consumers: 4, still: long };
        let deserted = |backlog, consumers| Reason::Deserted { backlog, consumers, silence: short };
        let unclaimed = |claimable| Reason::Unclaimed { id, idle: Duration::from_secs(180), claimable };
        for (reason, words) in [
            (Reason::Unjudged, ""),
            (Reason::NoStream, "the stream does not exist, so nothing waits"),
            (Reason::NoGroup, "the group does not exist"),
            (Reason::NothingToDo, "there is nothing to do"),
            (Reason::NothingWaits, "nothing waits"),
            (
                Reason::ComesBack { id, deliveries: 7 },
                "the oldest pending entry, 900-1, was delivered 7 times and is never acknowledged",
            ),
            (deserted((1, 1), 0), "1 entry waits, and the group has no consumers"),
            (deserted((2, 2), 1), "2 entries wait, and the only consumer has been silent for 75 s"),
            (
                deserted((1, 2), 3),
                "between 1 and 2 entries wait, and none of the 3 consumers was heard of for 75 s",
            ),
            (
                still(Some(2)),
                "between 3 and 9 entries waiting, 2 of 4 consumers active, and nothing was delivered or acknowledged for 2 h",
            ),
            (
                still(None),
                "between 3 and 9 entries waiting, 4 consumers, and nothing was delivered or acknowledged for 2 h",
            ),
            (
                Reason::Rises { from: (1, 1), to: (5, 8), over: short },
                "the backlog went from 1 entry to between 5 and 8 entries in 75 s",
            ),
            (
                Reason::Loses { lost: 5, over: Duration::from_secs(300_000) },
                "at least 5 entries were removed in 3 days before they were delivered, and it goes on",
            ),
            (
                unclaimed(0),
                "the oldest pending entry, 900-1, was not delivered again for 3 min: nobody claims it",
            ),
            (
                unclaimed(1),
                "the oldest pending entry, 900-1, was not delivered again for 3 min: nobody claims it (1 entry held by consumers that are dead)",
            ),
            (Reason::Unread, "the oldest pending entry could not be read: it may be stuck"),
            (Reason::Touched { floor: 10 }, "the backlog was lately at most 10 entries"),
            (Reason::Shrinks { backlog: (12, 12) }, "12 entries wait, and the backlog shrinks"),
            (
                Reason::Trendless { backlog: (12, 12) },
                "12 entries wait, and the backlog has no lasting trend",
            ),
            (Reason::TooNew, "the group was not watched for long enough yet"),
            (
                Reason::Unproved { backlog: (1, 12) },
                "between 1 and 12 entries wait, and bounds of the lag prove no trend",
            ),
        ] {
            assert_eq!(reason.to_string(), words);
        }
    }
}
