//! From Redis's replies to plain data: pure, for RESP2 and RESP3, Redis 6.0 to 8.x and Valkey.
//!
//! Fields may come in any order, be missing (older servers), nil, negative, or unknown (newer servers). A field that is
//! needed and missing, or of another shape, fails this one reply with a message that names it. Typed
//! replies of the redis crate would turn a negative lag into 1.8e19 and fail a whole reply on one name that is not UTF-8.

use std::{collections::BTreeMap, time::Duration};

use super::resp::Reply;
use crate::model::{
    consumers::{Consumers, Told},
    decimal,
    lag::{GroupFacts, StreamFacts},
    name::{Name, Names},
    snapshot::OldestPending,
    stream_id::StreamId,
    time::UnixMicros,
};

pub mod sentinel;
mod shape;

use shape::{all, entry_id, id};
pub(super) use shape::{all_of, fields, first_of, integer, items};

/// A reply of a shape that no known server sends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexpected {
    /// A field that every server sends is not there.
    #[error("the reply has no field \"{0}\"")]
    Missing(&'static str),
    /// A field, or the whole reply, has another type or range.
    #[error("unexpected value of {0}: expected {1}")]
    Shape(&'static str, &'static str),
}

/// `XINFO STREAM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// `length`
    pub length: u64,
    /// `radix-tree-keys`
    pub radix_tree_keys: Option<u64>,
    /// `radix-tree-nodes`
    pub radix_tree_nodes: Option<u64>,
    /// `groups`
    pub groups: u64,
    /// `last-generated-id`
    pub last_generated_id: StreamId,
    /// `max-deleted-entry-id`, 7.0 and later
    pub max_deleted_entry_id: Option<StreamId>,
    /// `entries-added`, 7.0 and later
    pub entries_added: Option<u64>,
    /// `first-entry` and `last-entry`: their IDs
    pub ends: Option<(StreamId, StreamId)>,
    /// `first-entry` and `last-entry`: bytes of the larger one
    pub ends_bytes: u64,
}

/// One group of `XINFO GROUPS`.
#[derive(Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// `name`
    pub name: Name,
    /// `consumers`
    pub consumers: u64,
    /// `pending`
    pub pending: u64,
    /// `last-delivered-id`
    pub last_delivered_id: StreamId,
    /// `entries-read`, 7.0 and later, may be nil
    pub entries_read: Option<i64>,
    /// `lag`, 7.0 and later, may be nil and even negative
    pub lag: Option<i64>,
}

impl StreamInfo {
    /// What the lags of its groups follow from.
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

impl GroupInfo {
    /// What its lag follows from, besides its stream.
    #[must_use]
    pub fn facts(&self) -> GroupFacts {
        GroupFacts {
            last_delivered: self.last_delivered_id,
            entries_read: self.entries_read,
            reported_lag: self.lag,
        }
    }
}

/// Reads `XINFO STREAM`.
///
/// # Errors
/// A field that is needed is missing or has another shape.
pub fn stream(reply: Reply<'_>) -> Result<StreamInfo, Unexpected> {
    let [length, keys, nodes, groups, last_generated, max_deleted, added, first, last] = fields(
        reply,
        [
            "length",
            "radix-tree-keys",
            "radix-tree-nodes",
            "groups",
            "last-generated-id",
            "max-deleted-entry-id",
            "entries-added",
            "first-entry",
            "last-entry",
        ],
    )?;
    let length = length.count()?;
    // What stands for the entries of an empty stream differs between servers.
    let ends = if length == 0 { None } else { Some((first.entry_id()?, last.entry_id()?)) };
    Ok(StreamInfo {
        length,
        radix_tree_keys: keys.optional_count()?,
        radix_tree_nodes: nodes.optional_count()?,
        groups: groups.count()?,
        last_generated_id: last_generated.id()?,
        max_deleted_entry_id: max_deleted.optional_id()?,
        // Set by hand beyond 2^63 it comes back negative: then it is as good as absent.
        entries_added: added.optional_integer()?.and_then(|n| u64::try_from(n).ok()),
        ends,
        ends_bytes: first.size().max(last.size()),
    })
}

/// Reads `XINFO GROUPS`.
///
/// # Errors
/// A field that is needed is missing or has another shape, in any group.
pub fn groups(reply: Reply<'_>, known: &mut Names) -> Result<Vec<GroupInfo>, Unexpected> {
    let group = |item| {
        let names = ["name", "consumers", "pending", "last-delivered-id", "entries-read", "lag"];
        let [name, consumers, pending, last_delivered, entries_read, lag] = fields(item, names)?;
        Ok(GroupInfo {
            name: name.known(known)?,
            consumers: consumers.count()?,
            pending: pending.count()?,
            last_delivered_id: last_delivered.id()?,
            entries_read: entries_read.optional_integer()?,
            lag: lag.optional_integer()?,
        })
    };
    all(items("XINFO GROUPS", reply)?, group)
}

/// Reads `XINFO CONSUMERS`, ordered by name.
///
/// # Errors
/// A field that is needed is missing or has another shape, in any consumer.
pub fn consumers(reply: Reply<'_>, known: &mut Names) -> Result<Consumers, Unexpected> {
    let consumer = |item| {
        let [name, pending, idle, inactive] = fields(item, ["name", "pending", "idle", "inactive"])?;
        // A clock that steps back makes idle negative for a moment: that is 0.
        let idle = Duration::from_millis(idle.integer()?.try_into().unwrap_or(0));
        // -1 is never.
        let inactive = inactive.optional_integer()?.and_then(|ms| u64::try_from(ms).ok());
        Ok((name.text()?, (pending.count()?, Some(idle), inactive.map(Duration::from_millis))))
    };
    let mut consumers: Vec<(&[u8], Told)> = all(items("XINFO CONSUMERS", reply)?, consumer)?;
    // Redis sends them so, mostly.
    if !consumers.is_sorted_by_key(|(name, _)| *name) {
        consumers.sort_unstable_by_key(|(name, _)| *name);
    }
    let names = known.list(consumers.iter().map(|(name, _)| *name));
    Ok(Consumers::new(names, consumers.iter().map(|(_, told)| *told)))
}

/// What a list of pending entries is.
const PENDING: Unexpected = Unexpected::Shape("XPENDING", "a list of [id, consumer, idle, deliveries]");

/// Reads `XPENDING key group - + 1`, or more of them: the pending entry with the lowest ID.
///
/// # Errors
/// Another shape than a list of `[id, consumer, idle, deliveries]`.
pub fn oldest_pending(reply: Reply<'_>) -> Result<Option<OldestPending>, Unexpected> {
    let Some(entry) = items("XPENDING", reply)?.next() else { return Ok(None) };
    let [entry_id, _consumer, idle, deliveries] = first_of("XPENDING", entry)?.ok_or(PENDING)?;
    Ok(Some(OldestPending {
        id: id("XPENDING", entry_id)?,
        idle: Duration::from_millis(integer(idle).ok_or(PENDING)?.try_into().unwrap_or(0)),
        deliveries: integer(deliveries).and_then(|n| u64::try_from(n).ok()).ok_or(PENDING)?,
        is_deleted: None,
    }))
}

/// Reads the same: who owns the entries, ordered by name, each with how many of them.
///
/// # Errors
/// Another shape than a list of `[id, consumer, idle, deliveries]`.
pub fn owners(reply: Reply<'_>, known: &mut Names) -> Result<Consumers, Unexpected> {
    let mut owned = BTreeMap::<&[u8], u64>::new();
    for entry in items("XPENDING", reply)? {
        let [_id, consumer] = first_of("XPENDING", entry)?.ok_or(PENDING)?;
        *owned.entry(consumer.bytes().ok_or(PENDING)?).or_default() += 1;
    }
    let names = known.list(owned.keys().copied());
    Ok(Consumers::new(names, owned.values().map(|pending| (*pending, None, None))))
}

/// Entries of `XRANGE` or `XREVRANGE`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Their IDs, in the order of the reply.
    pub ids: Vec<StreamId>,
    /// Bytes of all of them, IDs and payload.
    pub bytes: u64,
}

/// Reads `XRANGE` and `XREVRANGE`.
///
/// # Errors
/// Another shape than a list of `[id, fields]`.
pub fn page(reply: Reply<'_>) -> Result<Page, Unexpected> {
    let ids = items("XRANGE", reply)?.map(|entry| entry_id("XRANGE", entry)).collect::<Result<_, _>>()?;
    Ok(Page { ids, bytes: reply.size() })
}

/// Reads `TIME`: seconds and microseconds.
///
/// # Errors
/// Another shape than two numbers.
pub fn time(reply: Reply<'_>) -> Result<UnixMicros, Unexpected> {
    const SHAPE: Unexpected = Unexpected::Shape("TIME", "[seconds, microseconds]");
    let [seconds, micros] = all_of("TIME", reply)?.ok_or(SHAPE)?;
    let part = |value| integer(value).and_then(|n| u64::try_from(n).ok()).ok_or(SHAPE);
    let micros = part(seconds)?.checked_mul(1_000_000).and_then(|s| s.checked_add(part(micros).ok()?));
    micros.map(UnixMicros).ok_or(SHAPE)
}

/// What `SCAN` answers.
const SCAN: Unexpected = Unexpected::Shape("SCAN", "[cursor, [key …]]");

/// Reads `SCAN`: the next cursor, 0 at the end, and the keys of this page that are wanted.
///
/// # Errors
/// Another shape than `[cursor, [key …]]`.
pub fn scan(reply: Reply<'_>, is_wanted: impl Fn(&[u8]) -> bool) -> Result<(u64, Vec<Name>), Unexpected> {
    let [cursor, keys] = all_of("SCAN", reply)?.ok_or(SCAN)?;
    // An unsigned 64-bit number: it may exceed i64.
    let cursor = cursor.bytes().and_then(decimal::unsigned).ok_or(SCAN)?;
    let mut wanted = Vec::new();
    for key in items("SCAN", keys)? {
        let key = key.bytes().ok_or(SCAN)?;
        if is_wanted(key) {
            wanted.push(Name::from(key));
        }
    }
    Ok((cursor, wanted))
}

/// One field of the text that `INFO` gives.
#[must_use]
pub fn info_field(reply: Reply<'_>, field: &str) -> Option<String> {
    String::from_utf8_lossy(reply.bytes()?)
        .lines()
        .find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
