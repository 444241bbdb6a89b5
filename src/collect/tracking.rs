//! Streams with large entries, and what is known of them as long as they do not change.
//!
//! `XINFO STREAM` returns the first and the last entry whole. With entries of 100 kB that costs Redis ten times as much as
//! all other questions about a stream, in each poll, and there is no other command for the rest of what it says. `FULL COUNT 1`
//! saves the last entry, but lists every consumer, and does not tell whether an entry has the last ID; a script that leaves the
//! entries out costs Redis three times as much. So Redis is asked to tell when such a stream changes
//! (`CLIENT TRACKING`, opted in to for these keys), and as long as it does not, only the groups are asked for. What it tells
//! comes in order with its replies: where nothing was told before a reply, nothing has changed before it.
//!
//! Whatever adds or removes entries is told of, `FLUSHALL` and a replica's new data too. `UNTOLD` is not: how often each of
//! it was run is asked for (`INFO commandstats`) after the replies that anything known is used with.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    commands,
    connect::Link,
    decode::{self, GroupInfo, StreamInfo},
    request::Requests,
};
use crate::model::{fault::Fault, name::Name};

/// Bytes of an entry from which on it is large: copying both ends takes Redis as long as all else that is asked of a stream.
pub const LARGE: u64 = 16 * 1024;

/// What takes part in it: no server before Redis 7.0 is asked for it.
pub const COMMANDS: [&str; 2] = ["CLIENT TRACKING", "CLIENT CACHING"];

/// Commands that change what is known, without a word of Redis; and the one that makes it forget how often they were run.
const UNTOLD: [&str; 3] = ["swapdb", "xsetid", "config|resetstat"];

/// The command that tells of them, which is counted as well.
const TELLS: &str = "info";

/// Time after which what is known is read anew, changed or not: a server that only resembles Redis may tell of less.
const LIFETIME: Duration = Duration::from_secs(300);

/// What Redis tells of, over one connection: another one begins anew.
#[derive(Debug, Default)]
pub struct Tracking {
    state: State,
    known: HashMap<Name, (StreamInfo, Instant)>,
    /// How often each of `UNTOLD` was run, and how long that took: what Redis says of it, if anything.
    untold: [Option<String>; UNTOLD.len()],
    /// How often `TELLS` was run: fewer times than before where that was forgotten meanwhile.
    told: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// It was not needed yet.
    #[default]
    Off,
    On,
    /// The user may not, or the server cannot.
    Refused,
}

/// Keys that have changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// These.
    pub keys: Vec<Box<[u8]>>,
    /// All.
    pub all: bool,
}

impl Tracking {
    /// Whether Redis tells of changes.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.state == State::On
    }

    /// Whether all of a stream but its groups is known.
    #[must_use]
    pub fn knows(&self, name: &Name) -> bool {
        self.known.get(name).is_some_and(|(_, since)| since.elapsed() < LIFETIME)
    }

    /// What is known of a stream that has these groups now.
    #[must_use]
    pub fn with_groups(&self, name: &Name, groups: &[GroupInfo]) -> Option<StreamInfo> {
        let (stream, _) = self.known.get(name)?;
        Some(StreamInfo { groups: groups.len() as u64, ..stream.clone() })
    }

    /// A stream was read, and Redis tells of changes from then on.
    pub fn learn(&mut self, name: &Name, stream: &StreamInfo) {
        self.known.insert(name.clone(), (stream.clone(), Instant::now()));
    }

    /// The user may not have this told: it is not asked for again.
    pub fn give_up(&mut self) {
        self.state = State::Refused;
        self.known.clear();
    }

    /// Forgets streams that are not asked for any more. The names come in order.
    pub fn keep(&mut self, names: &[&Name]) {
        self.known.retain(|name, _| names.binary_search(&name).is_ok());
    }

    /// A stream is gone, or nobody tells of its changes.
    pub fn forget(&mut self, name: &Name) {
        // To look for a name takes longer than to see that there is none.
        if !self.known.is_empty() {
            self.known.remove(name);
        }
    }
}

impl Link {
    /// Has Redis tell of changes, unless it would not before.
    ///
    /// # Errors
    /// No reply, or an error that concerns the whole server.
    pub async fn begin_tracking(&mut self) -> Result<(), Fault> {
        if self.tracking.state != State::Off {
            return Ok(());
        }
        // Only in RESP3 is it told over the same connection.
        let mut requests = Requests::one(&commands::HELLO, &["3".into()]);
        requests.add(&commands::CLIENT_TRACKING, &["ON".into(), "OPTIN".into()]);
        let is_on = self.request(&requests).await?.iter().all(|reply| reply.error().is_none());
        self.tracking.state = if is_on { State::On } else { State::Refused };
        if is_on { self.notice_untold().await } else { Ok(()) }
    }

    /// Forgets all that is known if anything has happened meanwhile that Redis does not tell of.
    ///
    /// # Errors
    /// No reply, or an error that concerns the whole server.
    pub async fn notice_untold(&mut self) -> Result<(), Fault> {
        let stats = self.request(&Requests::one(&commands::INFO, &["commandstats".into()])).await?[0];
        let of = |command: &str| decode::info_field(stats, &format!("cmdstat_{command}"));
        let calls = |stat: String| stat.strip_prefix("calls=")?.split(',').next()?.parse().ok();
        let (untold, told) = (UNTOLD.map(of), of(TELLS).and_then(calls));
        // Right after it was forgotten there is no count of it.
        let told = told.unwrap_or(0);
        if !stats.bytes().is_some_and(|text| text.windows(8).any(|word| word == b"cmdstat_")) {
            self.tracking.give_up();
        } else if untold != self.tracking.untold || told <= self.tracking.told {
            self.tracking.known.clear();
        }
        (self.tracking.untold, self.tracking.told) = (untold, told);
        Ok(())
    }

    /// Takes in what was told up to the latest reply.
    pub fn take_changes(&mut self) {
        let Changes { keys, all } = self.wire.take_changes();
        if all {
            self.tracking.known.clear();
        }
        for key in keys {
            self.tracking.known.remove(&Name::from(&key[..]));
        }
    }
}
