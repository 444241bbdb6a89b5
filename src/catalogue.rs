//! THE table of metrics. /metrics, the adapters, the docs and the checks of dashboards and alerts all read it.
//!
//! To add a metric, add a row to [`CATALOGUE`]: nothing else lists them. `docs/metrics.md` is generated from it.
//! Names and labels follow redis_exporter's stream series wherever the meaning is the same.

use std::time::Instant;

use crate::model::{
    consumers::Consumer,
    snapshot::{Group, OldestPending, Server, Stream, StreamEntry, View},
};

mod absent;
pub mod exporter;
pub mod samples;

use absent::{
    never_active, not_draining, nothing_pending, nothing_undelivered, pending_unjudged, unmeasured, unproved,
};
use exporter::{AdapterRequests, AdapterStats, Distribution, Exporter};

/// One metric: a row of the table.
#[derive(Debug)]
pub struct Metric {
    /// Full name, as users write it in a query: with unit and `_total`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Unit of the value; the name carries it.
    pub unit: Option<Unit>,
    /// What it means and where it comes from: one line.
    pub help: &'static str,
    /// How several matched series become one answer for an autoscaler.
    pub combine: Combine,
    /// What an autoscaler is told of a group without a sample.
    pub absent: Absent,
    /// How to read it from the snapshot; this also fixes its labels.
    pub read: Read,
}

/// What an autoscaler is told of a group that has no sample of a metric: a number that is as true (nothing is pending,
/// so its age is 0), or why the number is not known.
pub type Absent = for<'a> fn(&'a Group) -> Result<f64, &'a str>;

/// Counts of one group, each with its word.
pub type Counts = [(&'static str, u64); 4];

/// The metric of this name that an autoscaler may read.
#[must_use]
pub fn for_autoscalers(name: &str) -> Option<&'static Metric> {
    CATALOGUE.iter().find(|metric| metric.name == name && metric.combine != Combine::Never)
}

/// Type of a metric, by Prometheus's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, until a restart; the name ends in `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// A distribution: how many observations were at most so large.
    Histogram,
}

impl Kind {
    /// The word in the exposition and the docs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Unit of a metric's value: base units only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds; a point in time is seconds since the Unix epoch.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// The word in names, in the exposition and the docs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
        }
    }
}

/// The well-known guide's name for the pending entries of a pod over all groups.
pub const PENDING_OF_POD: &str = "redis_stream_pending_messages";

/// The metric of this name that a pod has: that of the consumers which are named like it.
#[must_use]
pub fn for_pods(name: &str) -> Option<&'static Metric> {
    let name = if name == PENDING_OF_POD { "redis_stream_group_consumer_messages_pending" } else { name };
    for_autoscalers(name).filter(|metric| matches!(metric.read, Read::Consumer(_)))
}

/// How several matched series become one answer for an autoscaler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Counts add up.
    Sum,
    /// Ages and states: the largest.
    Max,
    /// Not a measure of work: autoscalers may not read it.
    Never,
}

impl Combine {
    /// Two values as one.
    #[must_use]
    pub fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Combine::Sum => a + b,
            Combine::Max | Combine::Never => a.max(b),
        }
    }

    /// The word in the docs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Combine::Sum => "sum",
            Combine::Max => "max",
            Combine::Never => "-",
        }
    }
}

/// How a metric is read, and of what: the scope fixes the labels. `None` emits nothing.
#[derive(Debug)]
pub enum Read {
    /// One series for the process; no labels.
    Exporter(fn(&Exporter) -> Option<f64>),
    /// One series for the process, 1, with a label of its own.
    ExporterInfo(&'static str, fn(&Exporter) -> &'static str),
    /// One series for each API of the adapters and status code: `api,code`.
    AdapterRequests(fn(&AdapterStats) -> &[AdapterRequests]),
    /// One distribution for each API of the adapters: `api`.
    AdapterDistribution(fn(&AdapterStats) -> &[(&'static str, Distribution)]),
    /// One series for each server: `redis`.
    Server(fn(&Server, Instant) -> Option<f64>),
    /// One series for each server and word of a list, with the word in a label of its own.
    ServerCounts(&'static str, fn(&Server) -> Vec<(&'static str, u64)>),
    /// One series for each stream, found or configured: `redis,db,stream`.
    Entry(fn(&StreamEntry) -> Option<f64>),
    /// One series for each stream that exists and could be read: `redis,db,stream`.
    Stream(fn(&Stream, &View) -> Option<f64>),
    /// One series for each group: `redis,db,stream,group`.
    Group(fn(&Group, &View) -> Option<f64>),
    /// One series for each group and word of a list, with the word in a label of its own.
    GroupCounts(&'static str, fn(&Group) -> Option<Counts>),
    /// One series for each group, 1, with the one that holds in a label of its own: a state costs one series.
    GroupState(&'static str, fn(&Group) -> &'static str),
    /// One series for each consumer: `redis,db,stream,group,consumer`.
    Consumer(fn(&Consumer<'_>) -> Option<f64>),
}

impl Read {
    /// The labels of every series of the metric, in order.
    #[must_use]
    pub fn labels(&self) -> Vec<&'static str> {
        const NAMES: [&str; 5] = ["redis", "db", "stream", "group", "consumer"];
        let (depth, extra): (_, &[_]) = match self {
            Read::Exporter(_) => (0, &[]),
            Read::ExporterInfo(label, _) => (0, &[*label]),
            Read::AdapterRequests(_) => (0, &["api", "code"]),
            Read::AdapterDistribution(_) => (0, &["api"]),
            Read::Server(_) => (1, &[]),
            Read::ServerCounts(label, _) => (1, &[*label]),
            Read::Entry(_) | Read::Stream(_) => (3, &[]),
            Read::Group(_) => (4, &[]),
            Read::GroupCounts(label, _) | Read::GroupState(label, _) => (4, &[*label]),
            Read::Consumer(_) => (5, &[]),
        };
        NAMES[..depth].iter().chain(extra).copied().collect()
    }
}

macro_rules! metric {
    ($name:literal, $kind:ident, $unit:expr, Never, $help:literal, $read:expr) => {
        metric!($name, $kind, $unit, Never(unmeasured), $help, $read)
    };
    ($name:literal, $kind:ident, $unit:expr, $combine:ident($absent:ident), $help:literal, $read:expr) => {
        Metric {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            help: $help,
            combine: Combine::$combine,
            absent: $absent,
            read: $read,
        }
    };
}

const SECONDS: Option<Unit> = Some(Unit::Seconds);
const BYTES: Option<Unit> = Some(Unit::Bytes);

/// Every metric there is, in the order in which it is shown.
#[rustfmt::skip]
pub static CATALOGUE: &[Metric] = &[
    // One Redis server.
    metric!("redis_up", Gauge, None, Never, "1 if the latest poll of this Redis server succeeded and is fresh, else 0. Whether all of its streams are known, streamgauge_poll_complete says.",
        Read::Server(|server, now| flag(server.is_up(now)))),
    metric!("streamgauge_poll_duration_seconds", Gauge, SECONDS, Never, "Time that the latest successful poll took, until its last reply was read.",
        Read::Server(|server, _| Some(server.poll.as_ref()?.duration.as_secs_f64()))),
    metric!("streamgauge_poll_last_success_timestamp_seconds", Gauge, SECONDS, Never, "When the latest successful poll ended, by the exporter's clock, since the Unix epoch.",
        Read::Server(|server, _| Some(server.poll.as_ref()?.ended_at.seconds()))),
    metric!("streamgauge_poll_complete", Gauge, None, Never, "1 if the latest successful poll knew all streams that the configuration means, 0 if there may be more: the keys are still being searched or cannot be, a part of the server is down, or a limit leaves streams out.",
        Read::Server(|server, now| flag(server.fresh(now)?.incomplete.is_empty()))),
    metric!("streamgauge_poll_errors_total", Counter, None, Never, "Errors met while polling, by kind; one for each stream and poll, or one for a poll that failed whole.",
        Read::ServerCounts("kind", |server| server.counters.failures())),
    metric!("streamgauge_limit_dropped_total", Counter, None, Never, "Streams, groups of streams and consumers of groups that the limit of this name left out: one for each and poll. They have no series, and autoscalers get no sum without them.",
        Read::ServerCounts("limit", |server| server.counters.limited())),
    metric!("streamgauge_lag_disagreements_total", Counter, None, Never, "Times that the lag which Redis reports contradicted the truth: one for each group and poll. Nil contradicts nothing.",
        Read::Server(|server, _| count(server.counters.lag_disagreements))),
    metric!("streamgauge_lag_entries_read_total", Counter, None, Never, "Entries read from streams in order to count them and to find the oldest undelivered ones, within the budget of the lag settings.",
        Read::Server(|server, _| count(server.counters.lag_entries_read))),
    metric!("streamgauge_redis_commands_total", Counter, None, Never, "Commands sent to this Redis server.",
        Read::Server(|server, _| count(server.counters.commands))),

    // One stream.
    metric!("redis_stream_up", Gauge, None, Never, "1 if every command about this stream succeeded in the latest poll, else 0. What limits leave out is no failure: streamgauge_limit_dropped_total counts it. Nor is an oldest undelivered entry that may not be read.",
        Read::Entry(|entry| flag(entry.faults().next().is_none()))),
    metric!("redis_stream_exists", Gauge, None, Never, "1 if the stream exists, 0 if it is configured but does not; absent when that could not be read.",
        Read::Entry(|entry| flag(entry.state.as_ref().ok()?.is_some()))),
    metric!("redis_stream_length", Gauge, None, Sum(unmeasured), "Entries in the stream (XINFO STREAM length).",
        Read::Stream(|stream, _| count(stream.length))),
    metric!("redis_stream_groups", Gauge, None, Never, "Consumer groups of the stream, also those that are filtered out or above the limit (XINFO STREAM groups).",
        Read::Stream(|stream, _| count(stream.group_count))),
    metric!("redis_stream_entries_added_total", Counter, None, Never, "Entries ever added to the stream (XINFO STREAM entries-added, Redis 7.0 and later).",
        Read::Stream(|stream, _| count(stream.entries_added?))),
    metric!("redis_stream_radix_tree_keys", Gauge, None, Never, "Keys of the radix tree that holds the stream (XINFO STREAM radix-tree-keys).",
        Read::Stream(|stream, _| count(stream.radix_tree_keys?))),
    metric!("redis_stream_radix_tree_nodes", Gauge, None, Never, "Nodes of the radix tree that holds the stream (XINFO STREAM radix-tree-nodes).",
        Read::Stream(|stream, _| count(stream.radix_tree_nodes?))),
    metric!("redis_stream_first_entry_id", Gauge, None, Never, "Millisecond part of the ID of the first entry; absent in an empty stream (XINFO STREAM first-entry).",
        Read::Stream(|stream, _| count(stream.ends?.0.ms))),
    metric!("redis_stream_last_entry_id", Gauge, None, Never, "Millisecond part of the ID of the last entry; absent in an empty stream (XINFO STREAM last-entry).",
        Read::Stream(|stream, _| count(stream.ends?.1.ms))),
    metric!("redis_stream_last_generated_id", Gauge, None, Never, "Millisecond part of the highest ID ever used (XINFO STREAM last-generated-id).",
        Read::Stream(|stream, _| count(stream.last_generated_id.ms))),
    metric!("redis_stream_max_deleted_entry_id", Gauge, None, Never, "Millisecond part of the highest ID ever deleted (XINFO STREAM max-deleted-entry-id, Redis 7.0 and later).",
        Read::Stream(|stream, _| count(stream.max_deleted_entry_id?.ms))),
    metric!("redis_stream_first_entry_timestamp_seconds", Gauge, SECONDS, Never, "When the first entry was added, since the Unix epoch; absent where IDs are not times (XINFO STREAM first-entry).",
        Read::Stream(|stream, view| stream.ends?.0.unix_seconds(view.redis_time))),
    metric!("redis_stream_last_entry_timestamp_seconds", Gauge, SECONDS, Never, "When the last entry was added, since the Unix epoch; absent where IDs are not times (XINFO STREAM last-entry).",
        Read::Stream(|stream, view| stream.ends?.1.unix_seconds(view.redis_time))),

    // One consumer group.
    metric!("redis_stream_group_lag", Gauge, None, Sum(unproved), "Entries in the stream above the group's last-delivered-id. How sure it is, redis_stream_group_lag_source says.",
        Read::Group(|group, view| count(group.lag.entries(view.policy)?))),
    metric!("redis_stream_group_lag_lower_bound", Gauge, None, Sum(unproved), "At least so many entries are above the group's last-delivered-id.",
        Read::Group(|group, _| count(group.lag.bounds()?.0))),
    metric!("redis_stream_group_lag_upper_bound", Gauge, None, Sum(unproved), "At most so many entries are above the group's last-delivered-id.",
        Read::Group(|group, _| count(group.lag.bounds()?.1))),
    metric!("redis_stream_group_lag_source", Gauge, None, Never, "1 on how the lag was found: derived or counted (exact), reported (the group's own counter, seen to agree), bounded (between two bounds), no_group or no_stream (configured, does not exist).",
        Read::GroupState("source", |group| group.lag.source())),
    metric!("redis_stream_group_messages_pending", Gauge, None, Sum(unmeasured), "Entries delivered to consumers of the group and not yet acknowledged (XINFO GROUPS pending).",
        Read::Group(|group, _| count(group.pending))),
    metric!("redis_stream_group_backlog", Gauge, None, Sum(unproved), "Lag and pending together: all that the group has not yet acknowledged.",
        Read::Group(|group, view| count(group.backlog(view.policy)?))),
    metric!("redis_stream_group_consumers", Gauge, None, Never, "Consumers of the group (XINFO GROUPS consumers).",
        Read::Group(|group, _| count(group.consumer_count))),
    metric!("redis_stream_group_last_delivered_id", Gauge, None, Never, "Millisecond part of the highest ID delivered to the group (XINFO GROUPS last-delivered-id).",
        Read::Group(|group, _| count(group.last_delivered_id?.ms))),
    metric!("redis_stream_group_entries_read", Gauge, None, Never, "The group's own counter of entries read; absent where Redis has lost it (XINFO GROUPS entries-read, Redis 7.0 and later).",
        Read::Group(|group, _| Some(group.entries_read? as f64))),
    metric!("redis_stream_group_oldest_undelivered_age_seconds", Gauge, SECONDS, Max(nothing_undelivered), "Time since the first entry above the group's last-delivered-id was added; absent where there is none, IDs are not times, it may not be read, or the budget of the lag settings did not suffice to find it (XINFO STREAM, XRANGE).",
        Read::Group(|group, view| group.oldest_undelivered_id()?.age_seconds(view.redis_time))),
    metric!("redis_stream_group_oldest_pending_age_seconds", Gauge, SECONDS, Max(nothing_pending), "Time since the pending entry with the lowest ID was added; absent where nothing is pending or IDs are not times (XPENDING).",
        Read::Group(|group, view| oldest_pending(group)?.id.age_seconds(view.redis_time))),
    metric!("redis_stream_group_oldest_pending_idle_seconds", Gauge, SECONDS, Max(nothing_pending), "Time since the pending entry with the lowest ID was last delivered; absent where nothing is pending (XPENDING).",
        Read::Group(|group, _| Some(oldest_pending(group)?.idle.as_secs_f64()))),
    metric!("redis_stream_group_oldest_pending_deliveries", Gauge, None, Max(nothing_pending), "How often the pending entry with the lowest ID was delivered; absent where nothing is pending (XPENDING).",
        Read::Group(|group, _| count(oldest_pending(group)?.deliveries))),
    metric!("redis_stream_group_oldest_pending_deleted", Gauge, None, Max(pending_unjudged), "1 if the stream has lost the pending entry with the lowest ID, trimmed or deleted, so that whoever reads it again gets nil; 0 if it is still there; absent where nothing is pending, or where that does not follow from the ends of the stream and its highest deleted ID (XPENDING, XINFO STREAM).",
        Read::Group(|group, _| flag(oldest_pending(group)?.is_deleted?))),

    metric!("redis_stream_group_state", Gauge, None, Never, "1 on how the group is: idle, ok, catching_up, falling_behind, stalled, no_consumers, stuck or unknown (docs/health.md). The reason in words is in the JSON.",
        Read::GroupState("state", |group| group.health.state.label())),
    metric!("redis_stream_group_added_per_second", Gauge, None, Never, "Entries added to the stream per second, over health.window; absent before Redis 7.0.",
        Read::Group(|group, _| group.health.flow.added())),
    metric!("redis_stream_group_delivered_per_second", Gauge, None, Never, "Entries delivered to the group per second, over health.window; absent where it cannot be told from entries that were removed before.",
        Read::Group(|group, _| group.health.flow.delivered())),
    metric!("redis_stream_group_acknowledged_per_second", Gauge, None, Never, "Entries acknowledged, or dropped from those pending, per second, over health.window; absent where the deliveries are.",
        Read::Group(|group, _| group.health.flow.acknowledged())),
    metric!("redis_stream_group_drain_seconds", Gauge, SECONDS, Max(not_draining), "Time until the backlog is empty, at the pace of the last quarter of health.window; absent where it does not shrink, is empty, or lost entries before they were delivered.",
        Read::Group(|group, _| group.health.flow.drain())),
    metric!("redis_stream_group_entries_lost_total", Counter, None, Never, "Entries that were removed from the stream before they were delivered to the group, at least: only what is proved is counted.",
        Read::Group(|group, _| count(group.health.lost?))),
    metric!("redis_stream_group_consumers_by_activity", Gauge, None, Never, "Consumers that were heard of within health.claim_time (active), or not, and hold entries (dead), hold none (idle), and that since health.ghost_after (ghost). Absent where they were not read (XINFO CONSUMERS).",
        Read::GroupCounts("activity", |group| Some(group.health.activity?.counts()))),
    metric!("redis_stream_group_messages_claimable", Gauge, None, Never, "Pending entries of dead consumers, which others may claim: by the silence of the consumer, not by that of each entry (XINFO CONSUMERS).",
        Read::Group(|group, _| count(group.health.activity?.claimable))),

    // One consumer.
    metric!("redis_stream_group_consumer_messages_pending", Gauge, None, Sum(unmeasured), "Entries delivered to the consumer and not yet acknowledged (XINFO CONSUMERS pending). In a group with more consumers than the limit only those that own any have it, if the entries are fewer than the limit (XPENDING).",
        Read::Consumer(|consumer| count(consumer.pending))),
    metric!("redis_stream_group_consumer_idle_seconds", Gauge, SECONDS, Max(unmeasured), "Time since the consumer last tried to read, claim or acknowledge; before Redis 7.2, since it last succeeded (XINFO CONSUMERS idle).",
        Read::Consumer(|consumer| Some(consumer.idle?.as_secs_f64()))),
    metric!("redis_stream_group_consumer_inactive_seconds", Gauge, SECONDS, Max(never_active), "Time since the consumer last got an entry; absent if it never did (XINFO CONSUMERS inactive, Redis 7.2 and later).",
        Read::Consumer(|consumer| Some(consumer.inactive?.as_secs_f64()))),

    // streamgauge itself.
    metric!("streamgauge_build_info", Gauge, None, Never, "1, with the version of streamgauge.",
        Read::ExporterInfo("version", |exporter| exporter.version)),
    metric!("streamgauge_shard_ordinal", Gauge, None, Never, "Number of this process, from 0, among those that share the streams; absent where it measures all of them.",
        Read::Exporter(|exporter| Some(f64::from(exporter.share?.shard)))),
    metric!("streamgauge_total_shards", Gauge, None, Never, "Number of processes that share the streams, as this one has heard; absent where it measures all of them.",
        Read::Exporter(|exporter| Some(f64::from(exporter.share?.total)))),
    metric!("streamgauge_config_last_reload_successful", Gauge, None, Never, "1 if the latest attempt to load the configuration succeeded, else 0: then the one before is in use.",
        Read::Exporter(|exporter| flag(exporter.config?.latest_succeeded))),
    metric!("streamgauge_config_last_reload_success_timestamp_seconds", Gauge, SECONDS, Never, "When the configuration was last loaded with success, since the Unix epoch.",
        Read::Exporter(|exporter| Some(exporter.config?.succeeded_at.seconds()))),
    metric!("streamgauge_adapter_requests_total", Counter, None, Never, "Requests to the adapter ports, by API (external and custom: metrics; discovery: documents about them; health; other) and status code.",
        Read::AdapterRequests(|adapters| &adapters.requests)),
    metric!("streamgauge_adapter_metric_freshness_seconds", Histogram, SECONDS, Never, "Age of the oldest measurement in each answer to an autoscaler, by API.",
        Read::AdapterDistribution(|adapters| &adapters.freshness)),
    metric!("process_cpu_seconds_total", Counter, SECONDS, Never, "CPU time used by streamgauge, user and system.",
        Read::Exporter(|exporter| Some(exporter.process.as_ref()?.cpu_seconds))),
    metric!("process_resident_memory_bytes", Gauge, BYTES, Never, "Memory of streamgauge in RAM.",
        Read::Exporter(|exporter| count(exporter.process.as_ref()?.resident_bytes))),
    metric!("process_virtual_memory_bytes", Gauge, BYTES, Never, "Address space of streamgauge.",
        Read::Exporter(|exporter| count(exporter.process.as_ref()?.virtual_bytes))),
    metric!("process_open_fds", Gauge, None, Never, "Open file descriptors of streamgauge.",
        Read::Exporter(|exporter| count(exporter.process.as_ref()?.open_fds?))),
    metric!("process_max_fds", Gauge, None, Never, "Most file descriptors that streamgauge may open; absent without a limit.",
        Read::Exporter(|exporter| count(exporter.process.as_ref()?.max_fds?))),
    metric!("process_threads", Gauge, None, Never, "Threads of streamgauge.",
        Read::Exporter(|exporter| count(exporter.process.as_ref()?.threads))),
    metric!("process_start_time_seconds", Gauge, SECONDS, Never, "When streamgauge started, since the Unix epoch.",
        Read::Exporter(|exporter| exporter.process.as_ref()?.start_time_seconds)),
];

/// A count as Prometheus takes it: exact up to 2^53.
#[allow(clippy::unnecessary_wraps, reason = "a row's reader returns an Option")]
fn count(value: u64) -> Option<f64> {
    Some(value as f64)
}

#[allow(clippy::unnecessary_wraps, reason = "a row's reader returns an Option")]
fn flag(value: bool) -> Option<f64> {
    Some(f64::from(u8::from(value)))
}

fn oldest_pending(group: &Group) -> Option<OldestPending> {
    *group.oldest_pending.as_ref().ok()?
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_keeps_the_rules() {
        let mut names = HashSet::new();
        for metric in CATALOGUE {
            let name = metric.name;
            assert!(names.insert(name), "{name} stands twice");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{name}: _total is for counters"
            );
            if let Some(unit) = metric.unit {
                let base = name.strip_suffix("_total").unwrap_or(name);
                assert!(base.ends_with(unit.label()), "{name} does not carry its unit");
            }
            assert!(metric.help.ends_with('.') && !metric.help.contains(['\n', '\\']), "{name}: help");
        }
    }
}
