//! One small snapshot with everything in it that the surfaces have to show: for their golden tests.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    catalogue::exporter::{AdapterRequests, AdapterStats, Distribution, Exporter, Loads, Process},
    model::{
        activity::Activity,
        consumers::Consumers,
        counters::Counters,
        fault::{Fault, FaultKind},
        flow::Flow,
        health::{Health, Reason, State},
        lag::{Lag, Policy, undelivered::Undelivered},
        name::Name,
        share::Share,
        snapshot::{Group, OldestPending, Poll, Server, Snapshot, Stream, StreamEntry},
        stream_id::StreamId,
        time::UnixMicros,
    },
};

/// A name that breaks what is written carelessly: markup, quotes, a forged line of the exposition, a backslash, a byte
/// that is not UTF-8.
pub const HOSTILE: &[u8] = b"<script>'\"} 7\n# TYPE forged\\\xff";

/// Redis's clock in the snapshot, in milliseconds.
pub const NOW_MS: u64 = 1_732_320_000_000;

/// Compares with a golden file in `src/serve/snapshots/`.
macro_rules! assert_golden {
    ($name:literal, $text:expr) => {
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!($name, $text)
        })
    };
}
pub(super) use assert_golden;

/// The snapshot, and the moment at which it is read.
pub fn everything() -> (Arc<Snapshot>, Instant) {
    let started = Instant::now();
    let now = started + Duration::from_secs(60);
    let servers = [main(now), down(started), unpolled()].map(Arc::new);
    (Arc::new(Snapshot { servers: servers.into(), ..Snapshot::default() }), now)
}

/// A process as /proc might show it.
pub fn exporter() -> Exporter {
    Exporter {
        version: "1.2.3",
        process: Some(Process {
            cpu_seconds: 1.25,
            resident_bytes: 8_388_608,
            virtual_bytes: 67_108_864,
            open_fds: Some(12),
            max_fds: Some(1024),
            threads: 3,
            start_time_seconds: Some(1_732_310_000.5),
        }),
        config: Some(Loads { latest_succeeded: true, succeeded_at: UnixMicros(1_732_310_000_250_000) }),
        share: Some(Share { shard: 1, total: 3 }),
        adapters: AdapterStats {
            requests: vec![AdapterRequests { api: "external", code: "200".into(), count: 7 }],
            freshness: vec![(
                "external",
                Distribution { buckets: vec![(0.5, 4), (5.0, 3), (f64::INFINITY, 0)], sum: 9.25 },
            )],
        },
    }
}

/// A fresh snapshot of one server with these streams.
pub fn of_streams(now: Instant, mut streams: Vec<StreamEntry>) -> Snapshot {
    streams.sort_by(|a, b| (a.db, &a.name).cmp(&(b.db, &b.name)));
    let server = Server {
        latest: Some(Ok(())),
        poll: Some(Arc::new(poll(now, streams))),
        ..Server::new("main".into(), Duration::from_secs(15))
    };
    Snapshot { servers: vec![Arc::new(server)], ..Snapshot::default() }
}

/// A stream that exists, with these groups.
pub fn stream_of(name: impl Into<Name>, groups: Vec<Group>) -> StreamEntry {
    let stream = Stream {
        redis_time: UnixMicros(NOW_MS * 1000),
        length: 42,
        radix_tree_keys: Some(1),
        radix_tree_nodes: Some(2),
        last_generated_id: StreamId::new(NOW_MS - 500, 3),
        max_deleted_entry_id: Some(StreamId::new(NOW_MS - 50_000, 0)),
        entries_added: Some(100),
        has_own_counters: true,
        group_count: groups.len() as u64,
        ends: Some((StreamId::new(NOW_MS - 60_000, 0), StreamId::new(NOW_MS - 1500, 2))),
        counting: Ok(()),
        groups,
        cut: None,
    };
    StreamEntry { db: 0, name: name.into(), state: Ok(Some(stream)), missing_groups: vec![] }
}

/// A group that has read everything but for its lag, and has nothing pending.
pub fn group_of(name: impl Into<Name>, lag: Lag) -> Group {
    Group {
        name: name.into(),
        consumer_count: 0,
        pending: 0,
        last_delivered_id: Some(StreamId::new(NOW_MS - 1500, 2)),
        entries_read: Some(100),
        reported_lag: Some(0),
        oldest_undelivered: Ok(match lag {
            Lag::Exact { entries: 0, .. } => Undelivered::Nothing,
            _ => Undelivered::Unknown,
        }),
        lag,
        oldest_pending: Ok(None),
        consumers: Some(Ok(Consumers::default())),
        cut: None,
        health: health(State::Ok, Reason::NothingWaits),
    }
}

fn health(state: State, reason: Reason) -> Health {
    let activity = Some(Activity::default());
    Health { state, reason, lost: Some(0), activity, ..Health::default() }
}

fn poll(started: Instant, streams: Vec<StreamEntry>) -> Poll {
    Poll {
        started,
        duration: Duration::from_micros(2500),
        ended_at: UnixMicros((NOW_MS + 2) * 1000 + 500),
        policy: Policy::default(),
        incomplete: vec![],
        cuts: vec![],
        share: None,
        orders: 0,
        version: "7.0.15".into(),
        streams,
    }
}

/// Up, with a stream of every sort.
fn main(now: Instant) -> Server {
    let mut counters =
        Counters { commands: 1234, lag_disagreements: 2, lag_entries_read: 55, ..Counters::default() };
    for _ in 0..3 {
        counters.count(FaultKind::NoPerm);
    }
    let entry =
        |name: &[u8], state| StreamEntry { db: 0, name: Name::from(name), state, missing_groups: vec![] };
    let no_perm = Fault::new(FaultKind::NoPerm, "XINFO STREAM: NOPERM no permissions to access a key");
    let streams = vec![
        entry(b"missing", Ok(None)),
        entry(b"empty", Ok(Some(empty()))),
        entry(b"forbidden", Err(no_perm)),
        StreamEntry {
            missing_groups: vec![Group::missing("workers".into(), Lag::NoStream)],
            ..entry(b"awaited", Ok(None))
        },
        StreamEntry {
            missing_groups: vec![Group::missing("yet-to-come".into(), Lag::NoGroup { length: 42 })],
            ..stream_of("orders", vec![shipping(), billing(), unreadable()])
        },
        stream_of(
            "sources",
            vec![group_of("counted", Lag::counted(3)), group_of("reported", Lag::Reported(4))],
        ),
        StreamEntry { db: 3, ..stream_of(HOSTILE, vec![hostile()]) },
    ];
    Server {
        latest: Some(Ok(())),
        poll: Some(Arc::new(poll(now, streams))),
        counters,
        ..Server::new("main".into(), Duration::from_secs(15))
    }
}

/// Down for so long that what it said last is stale.
fn down(started: Instant) -> Server {
    let mut counters = Counters::default();
    counters.count(FaultKind::Connect);
    Server {
        latest: Some(Err(Fault::new(FaultKind::Connect, "connection refused"))),
        poll: Some(Arc::new(poll(started, vec![stream_of("of-yesterday", vec![])]))),
        counters,
        ..Server::new("down".into(), Duration::from_secs(15))
    }
}

fn unpolled() -> Server {
    Server::new("unpolled".into(), Duration::from_secs(15))
}

/// As Redis 6.0 describes a stream without entries and groups.
fn empty() -> Stream {
    Stream {
        redis_time: UnixMicros(NOW_MS * 1000),
        length: 0,
        radix_tree_keys: None,
        radix_tree_nodes: None,
        last_generated_id: StreamId::default(),
        max_deleted_entry_id: None,
        entries_added: None,
        has_own_counters: true,
        group_count: 0,
        ends: None,
        counting: Ok(()),
        groups: vec![],
        cut: None,
    }
}

/// Exact lag, entries pending, a consumer of each sort.
fn shipping() -> Group {
    let consumer = |name: &str, pending, inactive| {
        (Name::from(name), (pending, Some(Duration::from_millis(250)), inactive))
    };
    Group {
        consumer_count: 2,
        pending: 5,
        entries_read: Some(93),
        reported_lag: Some(7),
        oldest_undelivered: Ok(Undelivered::Oldest(StreamId::new(NOW_MS - 900, 0))),
        oldest_pending: Ok(Some(OldestPending {
            id: StreamId::new(NOW_MS - 30_000, 0),
            idle: Duration::from_millis(12_500),
            deliveries: 4,
            is_deleted: Some(true),
        })),
        consumers: Some(Ok([
            consumer("busy", 5, Some(Duration::from_millis(1500))),
            consumer("never-got-any", 0, None),
        ]
        .into_iter()
        .collect())),
        health: Health {
            flow: Flow::new([Some(12.5), Some(10.0), Some(9.5)], Some(Duration::from_millis(1500))),
            lost: Some(3),
            activity: Some(Activity { active: 1, dead: 1, claimable: 2, ..Activity::default() }),
            ..health(State::CatchingUp, Reason::Shrinks { backlog: (12, 12) })
        },
        ..group_of("shipping", Lag::derived(7))
    }
}

/// Bounded lag, where Redis reports nil; consumers are not measured; the oldest pending entry has an ID of its own.
fn billing() -> Group {
    let lag = Lag::Bounded { lower: 1, upper: 41, estimate: 20 };
    Group {
        consumer_count: 1,
        pending: 1,
        entries_read: None,
        reported_lag: None,
        oldest_pending: Ok(Some(OldestPending {
            id: StreamId::new(1, 1),
            idle: Duration::from_secs(7200),
            deliveries: 1,
            is_deleted: None,
        })),
        consumers: None,
        health: Health {
            activity: None,
            ..health(
                State::NoConsumers,
                Reason::Deserted { backlog: (21, 21), consumers: 1, silence: Duration::from_secs(75) },
            )
        },
        ..group_of("billing", lag)
    }
}

/// A group of which a part could not be read.
fn unreadable() -> Group {
    let vanished = || Fault::new(FaultKind::Vanished, "XPENDING: NOGROUP no such consumer group");
    Group {
        pending: 9,
        oldest_pending: Err(vanished()),
        consumers: Some(Err(vanished())),
        health: Health { activity: None, ..health(State::Unknown, Reason::Unread) },
        ..group_of("unreadable", Lag::derived(0))
    }
}

fn hostile() -> Group {
    let consumers = [(HOSTILE.into(), (0, Some(Duration::ZERO), None))].into_iter().collect();
    Group { consumer_count: 1, consumers: Some(Ok(consumers)), ..group_of(HOSTILE, Lag::derived(1)) }
}
