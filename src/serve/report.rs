//! The groups as plain records: the JSON of `/api/v1/groups` and of `groups --output json`, and what page and table show.

use std::{collections::BTreeMap, time::Instant};

use serde::{Serialize, Serializer};

use crate::model::{
    health::Reason,
    lag::Policy,
    name::Name,
    share::Share,
    snapshot::{Group, Poll, Server, Snapshot, StreamEntry, View},
};

/// Everything that was measured, server by server.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// The share of the streams that is here; absent where it is all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareReport>,
    /// In the order of the configuration.
    pub servers: Vec<ServerReport<'a>>,
}

/// One of several shares of the streams.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ShareReport {
    /// Its number, from 0.
    pub shard: u32,
    /// How many there are.
    pub total_shards: u32,
}

/// One server.
#[derive(Debug, Serialize)]
pub struct ServerReport<'a> {
    /// Its name in the configuration.
    pub redis: &'a str,
    /// Whether the latest poll succeeded and is fresh.
    pub up: bool,
    /// Why not, or why there may be streams that are not here.
    pub error: Option<String>,
    /// Version that the server states.
    pub version: Option<&'a str>,
    /// When the poll ended that is shown here, in seconds since the Unix epoch.
    pub polled_at: Option<f64>,
    /// How long that poll took, in seconds.
    pub poll_duration_seconds: Option<f64>,
    /// Time since the latest poll that succeeded began, whether it is shown here or too old for that. Who reads the JSON
    /// has the moment.
    #[serde(skip)]
    pub poll_age_seconds: Option<f64>,
    /// Its streams; none where there is no fresh poll.
    pub streams: Vec<StreamReport<'a>>,
}

/// One stream.
#[derive(Debug, Serialize)]
pub struct StreamReport<'a> {
    /// Number of the database.
    pub db: u32,
    /// Key of the stream.
    pub stream: &'a str,
    /// The same for a terminal.
    #[serde(skip)]
    pub name: &'a Name,
    /// Whether it exists; null where that could not be read.
    pub exists: Option<bool>,
    /// What could not be read of the stream or of one of its groups, or is left out by a limit, and why.
    pub error: Option<&'a str>,
    /// Entries in the stream.
    pub length: Option<u64>,
    /// Its groups.
    pub groups: Vec<GroupReport<'a>>,
}

/// One group.
#[derive(Debug, Serialize)]
pub struct GroupReport<'a> {
    /// Its name.
    pub group: &'a str,
    /// The same for a terminal.
    #[serde(skip)]
    pub name: &'a Name,
    /// How it is.
    pub state: &'static str,
    /// Whether somebody should look.
    #[serde(skip)]
    pub is_bad: bool,
    /// Why it is that, in words.
    #[serde(serialize_with = "in_words")]
    pub state_reason: Reason,
    /// Entries above the last-delivered ID, as sure as the source says; null where it is not known.
    pub lag: Option<u64>,
    /// How the lag was found.
    pub lag_source: &'static str,
    /// At least so many.
    pub lag_lower_bound: Option<u64>,
    /// At most so many.
    pub lag_upper_bound: Option<u64>,
    /// The lag that Redis reports; null is nil.
    pub redis_lag: Option<i64>,
    /// Entries delivered and not acknowledged.
    pub pending: u64,
    /// Lag and pending.
    pub backlog: Option<u64>,
    /// Number of consumers.
    pub consumers: u64,
    /// The same by activity; null where they were not read.
    pub consumers_by_activity: Option<BTreeMap<&'static str, u64>>,
    /// Pending entries of dead consumers.
    pub messages_claimable: Option<u64>,
    /// Entries added to the stream per second.
    pub added_per_second: Option<f64>,
    /// Entries delivered per second; null where that is not sure.
    pub delivered_per_second: Option<f64>,
    /// Entries acknowledged per second; null where that is not sure.
    pub acknowledged_per_second: Option<f64>,
    /// Time until the backlog is empty; null where it does not shrink.
    pub drain_seconds: Option<f64>,
    /// Entries that were removed before they were delivered, at least.
    pub entries_lost: Option<u64>,
    /// Highest ID delivered; null for a group that is expected and does not exist.
    pub last_delivered_id: Option<String>,
    /// Time since the first entry above the last-delivered ID was added, in seconds; null where there is none, or it is not
    /// known.
    pub oldest_undelivered_age_seconds: Option<f64>,
    /// Time since the pending entry with the lowest ID was last delivered, in seconds.
    pub oldest_pending_idle_seconds: Option<f64>,
    /// What could not be read of this group, or is left out by a limit, and why.
    pub error: Option<&'a str>,
}

impl GroupReport<'_> {
    /// The bounds, where the lag is not one proved number.
    #[must_use]
    pub fn uncertain(&self) -> Option<(u64, u64)> {
        self.lag_lower_bound.zip(self.lag_upper_bound).filter(|(lower, upper)| lower != upper)
    }
}

impl Report<'_> {
    /// What could not be read, a line each: servers, and streams of those that answer.
    pub fn errors(&self) -> impl Iterator<Item = String> {
        self.servers.iter().flat_map(|server| {
            let redis = server.redis;
            let own = server.error.iter().map(move |error| match names(error, redis) {
                true => error.clone(),
                false => format!("{redis}: {error}"),
            });
            let streams = server.streams.iter();
            own.chain(
                streams
                    .filter_map(move |stream| Some(format!("{redis}: {}: {}", stream.name, stream.error?))),
            )
        })
    }
}

/// Whether a text names an address, as a server that was given no name has it for one. Another name may be any word.
fn names(text: &str, address: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    address.contains([':', '/'])
        && text.match_indices(address).any(|(start, _)| {
            !text[..start].ends_with(is_part) && !text[start + address.len()..].starts_with(is_part)
        })
}

/// What the snapshot says at `now`, in its order.
#[must_use]
pub fn report(snapshot: &Snapshot, now: Instant) -> Report<'_> {
    let share = snapshot.part.share();
    let share = share.map(|Share { shard, total }| ShareReport { shard, total_shards: total });
    Report { share, servers: snapshot.servers.iter().map(|server| server_report(server, now)).collect() }
}

fn server_report(server: &Server, now: Instant) -> ServerReport<'_> {
    let poll: Option<&Poll> = server.fresh(now);
    ServerReport {
        redis: &server.name,
        up: server.is_up(now),
        error: server.why_incomplete(now),
        version: poll.map(|poll| &*poll.version),
        polled_at: poll.map(|poll| poll.ended_at.seconds()),
        poll_duration_seconds: poll.map(|poll| poll.duration.as_secs_f64()),
        poll_age_seconds: server
            .poll
            .as_ref()
            .map(|poll| now.saturating_duration_since(poll.started).as_secs_f64()),
        streams: poll
            .map(|poll| poll.streams.iter().map(|entry| stream_report(entry, poll.policy)).collect())
            .unwrap_or_default(),
    }
}

fn stream_report(entry: &StreamEntry, policy: Policy) -> StreamReport<'_> {
    let stream = entry.stream();
    StreamReport {
        db: entry.db,
        stream: entry.name.text(),
        name: &entry.name,
        exists: entry.state.as_ref().ok().map(Option::is_some),
        error: entry.gaps().next().map(|fault| fault.message.as_str()),
        length: stream.map(|stream| stream.length),
        groups: entry.groups().map(|group| group_report(group, &entry.view(policy))).collect(),
    }
}

fn group_report<'a>(group: &'a Group, view: &View) -> GroupReport<'a> {
    let oldest_pending = group.oldest_pending.as_ref().ok().copied().flatten();
    let health = &group.health;
    GroupReport {
        group: group.name.text(),
        name: &group.name,
        state: health.state.label(),
        is_bad: health.state.is_bad(),
        state_reason: health.reason,
        lag: group.lag.entries(view.policy),
        lag_source: group.lag.source(),
        lag_lower_bound: group.lag.bounds().map(|(lower, _)| lower),
        lag_upper_bound: group.lag.bounds().map(|(_, upper)| upper),
        redis_lag: group.reported_lag,
        pending: group.pending,
        backlog: group.backlog(view.policy),
        consumers: group.consumer_count,
        consumers_by_activity: health.activity.map(|activity| activity.counts().into()),
        messages_claimable: health.activity.map(|activity| activity.claimable),
        added_per_second: health.flow.added(),
        delivered_per_second: health.flow.delivered(),
        acknowledged_per_second: health.flow.acknowledged(),
        drain_seconds: health.flow.drain(),
        entries_lost: health.lost,
        last_delivered_id: group.last_delivered_id.map(|id| id.to_string()),
        oldest_undelivered_age_seconds: group
            .oldest_undelivered_id()
            .and_then(|id| id.age_seconds(view.redis_time)),
        oldest_pending_idle_seconds: oldest_pending.map(|oldest| oldest.idle.as_secs_f64()),
        error: group.gaps().next().map(|fault| fault.message.as_str()),
    }
}

fn in_words<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_as_a_whole_is_named() {
        for (text, address, expected) in [
            ("cannot connect to 10.0.0.1:7000: refused", "10.0.0.1:7000", true),
            ("10.0.0.1:7000: this is a Sentinel", "10.0.0.1:7000", true),
            ("cannot connect to 10.0.0.1:7000: refused", "0.0.0.1:7000", false),
            ("cannot connect to 10.0.0.1:7000: refused", "10.0.0.1:700", false),
            ("cannot connect to /run/redis.sock: refused", "/run/redis.sock", true),
            ("the connection was closed", "10.0.0.1:7000", false),
            ("cannot connect to main: refused", "main", false),
        ] {
            assert_eq!(names(text, address), expected, "{text:?} {address:?}");
        }
    }
}
