//! One poll of one server: find the streams, ask about all of them, then about all of their groups.
//!
//! The number of round trips depends on the number of questions only through the size of a pipeline. Whatever cannot be
//! read about one stream becomes a fault in its place; only a fault that concerns the whole server ends the poll.

use std::time::{Instant, SystemTime};

use super::{
    ask::{self, Ask, StreamAnswer},
    connect::Link,
    decode::GroupInfo,
    discover::Discovery,
};
use crate::{
    config::RedisServer,
    model::{
        fault::{Fault, FaultKind},
        lag::{self, GroupFacts, StreamFacts},
        name::Name,
        snapshot::{Group, Poll, Stream, StreamEntry},
        time::UnixMicros,
    },
};

/// What a poll brought.
#[derive(Debug)]
pub struct Outcome {
    /// The measurement.
    pub poll: Poll,
    /// Whether streams could be looked for. If not, those known from before were measured all the same.
    pub discovery: Result<(), Fault>,
    /// Groups that were deleted between two commands of the poll.
    pub vanished: u64,
}

/// Polls a server once.
///
/// # Errors
/// A fault that concerns the whole server: nothing was measured.
pub async fn poll(
    link: &mut Link,
    discovery: &mut Discovery,
    server: &RedisServer,
) -> Result<Outcome, Fault> {
    let started = Instant::now();
    let redis_time = link.time().await?;
    let discovered = match discovery.refresh(link).await {
        Err(fault) if fault.kind.is_server_wide() => return Err(fault),
        discovered => discovered,
    };
    let mut streams = ask_streams(link, discovery, server).await?;
    let vanished = ask_groups(link, &mut streams, server).await?;
    let poll = Poll {
        started,
        duration: started.elapsed(),
        ended_at: wall_clock(),
        redis_time,
        version: link.version.clone(),
        streams,
    };
    Ok(Outcome { poll, discovery: discovered, vanished })
}

async fn ask_streams(
    link: &mut Link,
    discovery: &mut Discovery,
    server: &RedisServer,
) -> Result<Vec<StreamEntry>, Fault> {
    let names = discovery.streams();
    let asks: Vec<_> = names.iter().map(|(name, _)| Ask::Stream(name)).collect();
    let answers = link.ask(&asks).await?;
    let mut streams = Vec::with_capacity(names.len());
    for ((name, configured), replies) in names.iter().zip(answers) {
        let state = match ask::stream_answer(replies) {
            Ok(answer) => Ok(Some(stream(answer, server))),
            Err(fault) if fault.kind == FaultKind::Vanished && *configured => Ok(None),
            Err(fault) if fault.kind == FaultKind::Vanished => {
                discovery.forget(name);
                continue;
            }
            Err(fault) => Err(fault),
        };
        streams.push(StreamEntry { db: server.database, name: name.clone(), state });
    }
    Ok(streams)
}

fn stream(answer: StreamAnswer, server: &RedisServer) -> Stream {
    let info = answer.stream;
    let facts = StreamFacts { length: info.length, entries_added: info.entries_added, ends: info.ends };
    let mut groups: Vec<_> = answer
        .groups
        .into_iter()
        .filter(|info| server.groups.includes(&info.name))
        .map(|info| group(info, &facts, server))
        .collect();
    groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Stream {
        length: info.length,
        radix_tree_keys: info.radix_tree_keys,
        radix_tree_nodes: info.radix_tree_nodes,
        last_generated_id: info.last_generated_id,
        max_deleted_entry_id: info.max_deleted_entry_id,
        entries_added: info.entries_added,
        group_count: info.groups,
        ends: info.ends,
        groups,
    }
}

fn group(info: GroupInfo, stream: &StreamFacts, server: &RedisServer) -> Group {
    let facts = GroupFacts {
        last_delivered: info.last_delivered_id,
        entries_read: info.entries_read,
        reported_lag: info.lag,
    };
    Group {
        lag: lag::structural(stream, &facts),
        name: info.name,
        consumer_count: info.consumers,
        pending: info.pending,
        last_delivered_id: info.last_delivered_id,
        entries_read: info.entries_read,
        reported_lag: info.lag,
        oldest_pending: Ok(None),
        consumers: server.consumers.then(|| Ok(Vec::new())),
    }
}

/// Asks for the oldest pending entry and the consumers of every group that has any; returns how many groups are gone.
async fn ask_groups(
    link: &mut Link,
    streams: &mut [StreamEntry],
    server: &RedisServer,
) -> Result<u64, Fault> {
    let pending: Vec<_> = groups(streams)
        .filter(|(_, group)| group.pending > 0)
        .map(|(key, group)| Ask::OldestPending(key, &group.name))
        .collect();
    let consumers: Vec<_> = groups(streams)
        .filter(|(_, group)| server.consumers && group.consumer_count > 0)
        .map(|(key, group)| Ask::Consumers(key, &group.name))
        .collect();
    let mut pending = link.ask(&pending).await?.into_iter();
    let mut consumers = link.ask(&consumers).await?.into_iter();

    // The answers come in the order of the questions, and those in the order of the groups.
    let mut vanished = 0;
    for entry in streams {
        let Ok(Some(stream)) = &mut entry.state else {
            continue;
        };
        stream.groups.retain_mut(|group| {
            if group.pending > 0
                && let Some(replies) = pending.next()
            {
                group.oldest_pending = ask::oldest_pending_answer(&replies);
            }
            if server.consumers
                && group.consumer_count > 0
                && let Some(replies) = consumers.next()
            {
                group.consumers = Some(ask::consumers_answer(&replies));
            }
            let gone = group.faults().any(|fault| fault.kind == FaultKind::Vanished);
            vanished += u64::from(gone);
            !gone
        });
    }
    Ok(vanished)
}

fn groups(streams: &[StreamEntry]) -> impl Iterator<Item = (&Name, &Group)> {
    streams
        .iter()
        .filter_map(|entry| Some((&entry.name, entry.stream()?)))
        .flat_map(|(key, stream)| stream.groups.iter().map(move |group| (key, group)))
}

fn wall_clock() -> UnixMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMicros(since.as_micros().try_into().unwrap_or(u64::MAX))
}
