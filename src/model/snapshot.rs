//! The snapshot: everything that was measured, immutable, shared by all who answer.
//!
//! One [`Server`] per configured Redis. A server keeps the last poll that succeeded, and what went wrong since.
//! Failure is data: a stream, or a part of a group, that could not be read holds the [`Fault`] in the place of the number.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    consumers::Consumers,
    counters::Counters,
    fault::Fault,
    guests::{Guests, Heard, Wish},
    health::Health,
    lag::{Lag, Policy, StreamFacts, undelivered::Undelivered},
    limits::Cut,
    name::Name,
    share::{Part, Share},
    stream_id::StreamId,
    time::UnixMicros,
};

/// All servers, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// One per configured server.
    pub servers: Vec<Arc<Server>>,
    /// Whether every server had been polled before the configuration changed: those that are new since hold up nobody.
    pub was_complete: bool,
    /// What of their streams is measured here.
    pub part: Part,
}

impl Snapshot {
    /// The server of this name.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&Arc<Server>> {
        self.servers.iter().find(|server| *server.name == *name)
    }

    /// The servers whose first poll has not ended.
    pub fn waiting(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().map(|server| &**server).filter(|server| server.latest.is_none())
    }
}

/// What is known about one configured Redis server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name in the configuration: the `redis` label.
    pub name: Arc<str>,
    /// Age at which a poll no longer counts.
    pub stale_after: Duration,
    /// How the latest poll ended: with some measurement, or with none; `None` until the first one has.
    pub latest: Option<Result<(), Fault>>,
    /// The latest poll that succeeded, however old.
    pub poll: Option<Arc<Poll>>,
    /// Streams of other shards that autoscalers ask for; `None` while nobody does.
    pub guests: Option<Arc<Guests>>,
    /// Counters since the start of the process.
    pub counters: Counters,
}

impl Server {
    /// A server that was never polled.
    #[must_use]
    pub fn new(name: Arc<str>, stale_after: Duration) -> Self {
        Server { name, stale_after, latest: None, poll: None, guests: None, counters: Counters::default() }
    }

    /// The latest successful poll, unless it is too old to be shown at `now`.
    #[must_use]
    pub fn fresh(&self, now: Instant) -> Option<&Poll> {
        self.poll.as_deref().filter(|poll| now.saturating_duration_since(poll.started) <= self.stale_after)
    }

    /// What came of a wish for streams of other shards; `None` where that is not known, or not of the shards by which the
    /// latest poll was shared out, or not by the same orders: then streams would be missing, or there twice.
    #[must_use]
    pub fn guests_for(&self, wish: &Wish, now: Instant) -> Option<&Heard> {
        let own = self.poll.as_deref()?;
        let guests = self.guests.as_deref().filter(|guests| own.share == Some(guests.share))?;
        if guests.poll.as_ref().is_ok_and(|poll| poll.orders != own.orders) {
            return None;
        }
        guests.answer(wish, self.stale_after, now)
    }

    /// Whether the latest poll succeeded and is fresh. One that limits cut short, or that has not searched all keys yet,
    /// did succeed: nothing is wrong with the server.
    #[must_use]
    pub fn is_up(&self, now: Instant) -> bool {
        self.why_down(now).is_none()
    }

    /// Why the server is not up at `now`, in words.
    #[must_use]
    pub fn why_down(&self, now: Instant) -> Option<String> {
        let failed = || self.poll.as_ref()?.incomplete.iter().find(|part| part.fault.kind.is_failure());
        self.why_unknown(now).or_else(|| Some(failed()?.fault.message.clone()))
    }

    /// Why there may be streams on it at `now` that are not known, in words.
    #[must_use]
    pub fn why_incomplete(&self, now: Instant) -> Option<String> {
        let incomplete = || Some(self.poll.as_ref()?.incomplete.first()?.fault.message.clone());
        self.why_down(now).or_else(incomplete)
    }

    /// Why nothing is known of it at `now`, in words.
    #[must_use]
    pub fn why_unknown(&self, now: Instant) -> Option<String> {
        match &self.latest {
            None => Some("the first poll has not ended yet".into()),
            Some(Err(fault)) => Some(fault.message.clone()),
            Some(Ok(())) if self.fresh(now).is_none() => {
                Some("the latest poll is stale: polls take too long".into())
            }
            Some(Ok(())) => None,
        }
    }
}

/// One poll of one server that succeeded.
#[derive(Clone, Debug)]
pub struct Poll {
    /// When it began, by the exporter's monotonic clock: for its age.
    pub started: Instant,
    /// How long it took.
    pub duration: Duration,
    /// When it ended, by the exporter's wall clock: for people.
    pub ended_at: UnixMicros,
    /// Version that the server states (`INFO server`).
    pub version: Arc<str>,
    /// What is published where a lag is not one proved number, unless a reader says otherwise.
    pub policy: Policy,
    /// Databases that may have streams besides those that are known.
    pub incomplete: Vec<Incomplete>,
    /// What the limit on streams leaves out, in each database where it does.
    pub cuts: Vec<Cut>,
    /// The share whose streams it measured, or whose streams it left to this one; `None` is no sharding.
    pub share: Option<Share>,
    /// Number of the orders by which it measured: those of one server are numbered as they come.
    pub orders: u64,
    /// Every stream that is known, ordered by database and name.
    pub streams: Vec<StreamEntry>,
}

/// A database that could not be searched, or not all of it, or of which not all is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// Its number.
    pub db: u32,
    /// Why.
    pub fault: Fault,
}

impl Poll {
    /// When its numbers were true, by the exporter's wall clock: at its beginning.
    #[must_use]
    pub fn measured_at(&self) -> UnixMicros {
        let took = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX);
        UnixMicros(self.ended_at.0.saturating_sub(took))
    }

    /// Everything that limits leave out.
    pub fn cuts(&self) -> impl Iterator<Item = &Cut> {
        self.cuts.iter().chain(self.streams.iter().flat_map(StreamEntry::cuts))
    }
}

/// What it takes to read a number of a stream, besides the stream.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Redis's own clock when the stream was measured; 0 for one that does not exist.
    pub redis_time: UnixMicros,
    /// What is published where a lag is not one proved number.
    pub policy: Policy,
}

/// One stream that was found or configured.
#[derive(Clone, Debug)]
pub struct StreamEntry {
    /// Number of its database.
    pub db: u32,
    /// Its key.
    pub name: Name,
    /// What was measured: a stream, `None` for a configured stream that does not exist, or why it is not known.
    pub state: Result<Option<Stream>, Fault>,
    /// Groups that are expected of it by configuration and do not exist, whether the stream does or not.
    pub missing_groups: Vec<Group>,
}

impl StreamEntry {
    /// How its numbers are read.
    #[must_use]
    pub fn view(&self, policy: Policy) -> View {
        View { redis_time: self.stream().map_or(UnixMicros(0), |stream| stream.redis_time), policy }
    }

    /// The stream, where it exists and could be read.
    #[must_use]
    pub fn stream(&self) -> Option<&Stream> {
        self.state.as_ref().ok()?.as_ref()
    }

    /// Its groups, and those that are expected and do not exist.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.stream().map(|stream| &stream.groups[..]).unwrap_or_default().iter().chain(&self.missing_groups)
    }

    /// Everything about this stream that could not be read.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        let counting = self.stream().and_then(|stream| stream.counting.as_ref().err());
        self.state.as_ref().err().into_iter().chain(counting).chain(self.groups().flat_map(Group::faults))
    }

    /// Both in words: all that is not here.
    pub fn gaps(&self) -> impl Iterator<Item = &Fault> {
        self.faults().chain(self.unread_ages()).chain(self.cuts().map(|cut| &cut.fault))
    }

    /// Why the oldest undelivered entries of groups may not be read. That costs their ages and nothing else: it is no fault
    /// of the stream.
    pub fn unread_ages(&self) -> impl Iterator<Item = &Fault> {
        self.groups().filter_map(|group| group.oldest_undelivered.as_ref().err())
    }

    /// Everything about this stream that limits leave out.
    pub fn cuts(&self) -> impl Iterator<Item = &Cut> {
        let own = self.stream().and_then(|stream| stream.cut.as_deref());
        own.into_iter().chain(self.groups().filter_map(|group| group.cut.as_deref()))
    }
}

/// A stream as `XINFO STREAM` describes it, with its groups.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Redis's own clock (`TIME`) just before it was measured: for the ages of entries.
    pub redis_time: UnixMicros,
    /// Entries in the stream.
    pub length: u64,
    /// Keys of the radix tree that holds them.
    pub radix_tree_keys: Option<u64>,
    /// Nodes of that tree.
    pub radix_tree_nodes: Option<u64>,
    /// Highest ID ever used.
    pub last_generated_id: StreamId,
    /// Highest ID ever deleted; `None` before Redis 7.0.
    pub max_deleted_entry_id: Option<StreamId>,
    /// Entries ever added; `None` before Redis 7.0.
    pub entries_added: Option<u64>,
    /// Whether the groups' counters of entries read are their own: a replica may have lost them.
    pub has_own_counters: bool,
    /// Groups of the stream, whether shown, filtered out or left out by a limit.
    pub group_count: u64,
    /// First and last existing entry; `None` in an empty stream.
    pub ends: Option<(StreamId, StreamId)>,
    /// Why entries that should have been counted could not be read: then more lags are bounded.
    pub counting: Result<(), Fault>,
    /// The groups that the configuration includes, ordered by name.
    pub groups: Vec<Group>,
    /// What a limit leaves out of them.
    pub cut: Option<Box<Cut>>,
}

impl Stream {
    /// What its entries are judged by.
    #[must_use]
    pub fn facts(&self) -> StreamFacts {
        StreamFacts {
            length: self.length,
            entries_added: self.entries_added,
            max_deleted: self.max_deleted_entry_id,
            last_generated: self.last_generated_id,
            ends: self.ends,
        }
    }
}

/// A consumer group as `XINFO GROUPS` describes it, with its lag and what was asked of it apart.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: Name,
    /// Consumers that it has.
    pub consumer_count: u64,
    /// Entries delivered and not yet acknowledged.
    pub pending: u64,
    /// Highest ID that was delivered; `None` for a group that is expected and does not exist.
    pub last_delivered_id: Option<StreamId>,
    /// The group's own counter of entries read; nil and absent before 7.0 give `None`.
    pub entries_read: Option<i64>,
    /// The lag that Redis reports, kept for comparison; nil and absent before 7.0 give `None`.
    pub reported_lag: Option<i64>,
    /// The true lag, as far as it is known.
    pub lag: Lag,
    /// The first entry above the last-delivered ID, of the same moment as the lag; or why it may not be read.
    pub oldest_undelivered: Result<Undelivered, Fault>,
    /// The pending entry with the lowest ID (`XPENDING … - + 1`); `None` where nothing is pending.
    pub oldest_pending: Result<Option<OldestPending>, Fault>,
    /// The consumers (`XINFO CONSUMERS`), ordered by name; `None` where the configuration does not ask for them, or a
    /// limit leaves them out.
    pub consumers: Option<Result<Consumers, Fault>>,
    /// What a limit leaves out of them. Those that are there are then all who own pending entries (`XPENDING`).
    pub cut: Option<Box<Cut>>,
    /// What follows from this poll and those before.
    pub health: Health,
}

impl Group {
    /// A group that is expected and does not exist.
    #[must_use]
    pub fn missing(name: Name, lag: Lag) -> Self {
        Group {
            name,
            consumer_count: 0,
            pending: 0,
            last_delivered_id: None,
            entries_read: None,
            reported_lag: None,
            lag,
            oldest_undelivered: Ok(match lag {
                Lag::NoStream => Undelivered::Nothing,
                _ => Undelivered::Unknown,
            }),
            oldest_pending: Ok(None),
            consumers: None,
            cut: None,
            health: Health::of_missing(lag),
        }
    }

    /// All that is not yet acknowledged: lag and pending. `None` where the lag is not published.
    #[must_use]
    pub fn backlog(&self, policy: Policy) -> Option<u64> {
        self.lag.entries(policy)?.checked_add(self.pending)
    }

    /// Everything about this group that could not be read.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        let consumers = self.consumers.as_ref().and_then(|consumers| consumers.as_ref().err());
        self.oldest_pending.as_ref().err().into_iter().chain(consumers)
    }

    /// The same, and what a limit leaves out.
    pub fn gaps(&self) -> impl Iterator<Item = &Fault> {
        let age = self.oldest_undelivered.as_ref().err();
        self.faults().chain(age).chain(self.cut.as_ref().map(|cut| &cut.fault))
    }

    /// The first entry above the last-delivered ID, where there is one and it is known.
    #[must_use]
    pub fn oldest_undelivered_id(&self) -> Option<StreamId> {
        self.oldest_undelivered.as_ref().ok()?.id()
    }
}

/// The pending entry with the lowest ID of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldestPending {
    /// Its ID.
    pub id: StreamId,
    /// Time since it was last delivered.
    pub idle: Duration,
    /// How often it was delivered.
    pub deliveries: u64,
    /// Whether the stream has lost it, trimmed or deleted: whoever reads it again gets nil. `None` where that is not known.
    pub is_deleted: Option<bool>,
}
