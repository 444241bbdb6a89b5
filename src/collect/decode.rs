//! From Redis's replies to plain data: pure, for RESP2 and RESP3, Redis 6.0 to 8.x and Valkey.
//!
//! Fields may come in any order, be missing (older servers), nil, negative, or unknown (newer servers). A field that is
//! needed and missing, or of another shape, fails this one reply with a message that names it. The redis crate's own
//! typed replies would turn a negative lag into 1.8e19 and fail a whole reply on one name that is not UTF-8.

use std::{collections::BTreeMap, time::Duration};

use redis::Value;

use crate::model::{
    lag::{GroupFacts, StreamFacts},
    name::Name,
    snapshot::{Consumer, OldestPending},
    stream_id::StreamId,
    time::UnixMicros,
};

pub mod sentinel;

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
#[derive(Debug, PartialEq, Eq)]
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
pub fn stream(reply: &Value) -> Result<StreamInfo, Unexpected> {
    let fields = Fields::of(reply)?;
    let length = fields.count("length")?;
    // What stands for the entries of an empty stream differs between servers.
    let ends = if length == 0 {
        None
    } else {
        let end = |field| entry_id(field, fields.required(field)?);
        Some((end("first-entry")?, end("last-entry")?))
    };
    Ok(StreamInfo {
        length,
        radix_tree_keys: fields.optional_count("radix-tree-keys")?,
        radix_tree_nodes: fields.optional_count("radix-tree-nodes")?,
        groups: fields.count("groups")?,
        last_generated_id: fields.id("last-generated-id")?,
        max_deleted_entry_id: fields
            .get("max-deleted-entry-id")
            .map(|value| id("max-deleted-entry-id", value))
            .transpose()?,
        // Set by hand beyond 2^63 it comes back negative: then it is as good as absent.
        entries_added: fields.optional_integer("entries-added")?.and_then(|n| u64::try_from(n).ok()),
        ends,
        ends_bytes: ["first-entry", "last-entry"]
            .into_iter()
            .filter_map(|end| fields.get(end))
            .map(size)
            .max()
            .unwrap_or(0),
    })
}

/// Reads `XINFO GROUPS`.
///
/// # Errors
/// A field that is needed is missing or has another shape, in any group.
pub fn groups(reply: &Value) -> Result<Vec<GroupInfo>, Unexpected> {
    items("XINFO GROUPS", reply)?
        .iter()
        .map(|item| {
            let fields = Fields::of(item)?;
            Ok(GroupInfo {
                name: fields.name("name")?,
                consumers: fields.count("consumers")?,
                pending: fields.count("pending")?,
                last_delivered_id: fields.id("last-delivered-id")?,
                entries_read: fields.optional_integer("entries-read")?,
                lag: fields.optional_integer("lag")?,
            })
        })
        .collect()
}

/// Reads `XINFO CONSUMERS`, ordered by name.
///
/// # Errors
/// A field that is needed is missing or has another shape, in any consumer.
pub fn consumers(reply: &Value) -> Result<Vec<Consumer>, Unexpected> {
    let mut consumers = items("XINFO CONSUMERS", reply)?
        .iter()
        .map(|item| {
            let fields = Fields::of(item)?;
            Ok(Consumer {
                name: fields.name("name")?,
                pending: fields.count("pending")?,
                // A clock that steps back makes idle negative for a moment: that is 0.
                idle: Some(Duration::from_millis(fields.integer("idle")?.try_into().unwrap_or(0))),
                // -1 is never.
                inactive: fields
                    .optional_integer("inactive")?
                    .and_then(|ms| u64::try_from(ms).ok())
                    .map(Duration::from_millis),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    consumers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(consumers)
}

/// What a list of pending entries is.
const PENDING: Unexpected = Unexpected::Shape("XPENDING", "a list of [id, consumer, idle, deliveries]");

/// Reads `XPENDING key group - + 1`, or more of them: the pending entry with the lowest ID.
///
/// # Errors
/// Another shape than a list of `[id, consumer, idle, deliveries]`.
pub fn oldest_pending(reply: &Value) -> Result<Option<OldestPending>, Unexpected> {
    let Some(entry) = items("XPENDING", reply)?.first() else {
        return Ok(None);
    };
    let [entry_id, _consumer, idle, deliveries, ..] = items("XPENDING", entry)? else {
        return Err(PENDING);
    };
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
pub fn owners(reply: &Value) -> Result<Vec<Consumer>, Unexpected> {
    let mut owned = BTreeMap::<&[u8], u64>::new();
    for entry in items("XPENDING", reply)? {
        let [_id, consumer, ..] = items("XPENDING", entry)? else {
            return Err(PENDING);
        };
        *owned.entry(bytes(consumer).ok_or(PENDING)?).or_default() += 1;
    }
    let owner = |(name, pending)| Consumer { name: Name::from(name), pending, idle: None, inactive: None };
    Ok(owned.into_iter().map(owner).collect())
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
pub fn page(reply: &Value) -> Result<Page, Unexpected> {
    let ids =
        items("XRANGE", reply)?.iter().map(|entry| entry_id("XRANGE", entry)).collect::<Result<_, _>>()?;
    Ok(Page { ids, bytes: size(reply) })
}

/// Reads `TIME`: seconds and microseconds.
///
/// # Errors
/// Another shape than two numbers.
pub fn time(reply: &Value) -> Result<UnixMicros, Unexpected> {
    const SHAPE: Unexpected = Unexpected::Shape("TIME", "[seconds, microseconds]");
    let [seconds, micros] = items("TIME", reply)? else {
        return Err(SHAPE);
    };
    let part = |value| integer(value).and_then(|n| u64::try_from(n).ok()).ok_or(SHAPE);
    let micros = part(seconds)?.checked_mul(1_000_000).and_then(|s| s.checked_add(part(micros).ok()?));
    micros.map(UnixMicros).ok_or(SHAPE)
}

/// Reads `SCAN`: the next cursor (0 at the end) and the keys of this page.
///
/// # Errors
/// Another shape than `[cursor, [key …]]`.
pub fn scan(reply: &Value) -> Result<(u64, Vec<Name>), Unexpected> {
    const SHAPE: Unexpected = Unexpected::Shape("SCAN", "[cursor, [key …]]");
    let [cursor, keys] = items("SCAN", reply)? else {
        return Err(SHAPE);
    };
    // A cursor is an unsigned 64-bit number: it may exceed i64.
    let cursor = bytes(cursor).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()).ok_or(SHAPE)?;
    let keys = items("SCAN", keys)?
        .iter()
        .map(|key| bytes(key).map(Name::from).ok_or(SHAPE))
        .collect::<Result<_, _>>()?;
    Ok((cursor, keys))
}

/// One field of the text that `INFO` gives.
#[must_use]
pub fn info_field(reply: &Value, field: &str) -> Option<String> {
    let text = match reply {
        Value::VerbatimString { text, .. } => text.as_bytes(),
        reply => bytes(reply)?,
    };
    String::from_utf8_lossy(text)
        .lines()
        .find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
}

/// The fields of one object: a map in RESP3, a list of names and values in RESP2. Nil is the same as not there.
pub(super) enum Fields<'a> {
    Map(&'a [(Value, Value)]),
    Flat(&'a [Value]),
}

impl<'a> Fields<'a> {
    pub(super) fn of(reply: &'a Value) -> Result<Self, Unexpected> {
        match reply {
            Value::Map(pairs) => Ok(Fields::Map(pairs)),
            Value::Array(items) if items.len() % 2 == 0 => Ok(Fields::Flat(items)),
            _ => Err(Unexpected::Shape("the reply", "field names and values")),
        }
    }

    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        let is_field = |name: &Value| bytes(name) == Some(field.as_bytes());
        let value = match self {
            Fields::Map(pairs) => pairs.iter().find(|(name, _)| is_field(name)).map(|(_, value)| value),
            Fields::Flat(items) => items.chunks_exact(2).find(|pair| is_field(&pair[0])).map(|pair| &pair[1]),
        };
        value.filter(|value| !matches!(value, Value::Nil))
    }

    fn required(&self, field: &'static str) -> Result<&'a Value, Unexpected> {
        self.get(field).ok_or(Unexpected::Missing(field))
    }

    fn integer(&self, field: &'static str) -> Result<i64, Unexpected> {
        integer(self.required(field)?).ok_or(Unexpected::Shape(field, "an integer"))
    }

    fn optional_integer(&self, field: &'static str) -> Result<Option<i64>, Unexpected> {
        let read = |value| integer(value).ok_or(Unexpected::Shape(field, "an integer"));
        self.get(field).map(read).transpose()
    }

    fn count(&self, field: &'static str) -> Result<u64, Unexpected> {
        u64::try_from(self.integer(field)?).map_err(|_| Unexpected::Shape(field, "a number of at least 0"))
    }

    fn optional_count(&self, field: &'static str) -> Result<Option<u64>, Unexpected> {
        self.get(field).map(|_| self.count(field)).transpose()
    }

    fn id(&self, field: &'static str) -> Result<StreamId, Unexpected> {
        id(field, self.required(field)?)
    }

    fn name(&self, field: &'static str) -> Result<Name, Unexpected> {
        bytes(self.required(field)?).map(Name::from).ok_or(Unexpected::Shape(field, "a string"))
    }
}

pub(super) fn items<'a>(what: &'static str, value: &'a Value) -> Result<&'a [Value], Unexpected> {
    match value {
        Value::Array(items) | Value::Set(items) => Ok(items),
        _ => Err(Unexpected::Shape(what, "a list")),
    }
}

pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// An integer, also as a string: Redis sends some counts so.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(n) => Some(*n),
        value => std::str::from_utf8(bytes(value)?).ok()?.parse().ok(),
    }
}

fn id(field: &'static str, value: &Value) -> Result<StreamId, Unexpected> {
    bytes(value)
        .and_then(|text| std::str::from_utf8(text).ok()?.parse().ok())
        .ok_or(Unexpected::Shape(field, "a stream entry ID"))
}

/// Bytes of the strings in a value.
fn size(value: &Value) -> u64 {
    match value {
        Value::Array(items) => items.iter().map(size).sum(),
        value => bytes(value).map_or(0, |bytes| bytes.len() as u64),
    }
}

/// The ID of an entry, `[id, fields]`.
fn entry_id(field: &'static str, value: &Value) -> Result<StreamId, Unexpected> {
    match value {
        Value::Array(parts) if !parts.is_empty() => id(field, &parts[0]),
        _ => Err(Unexpected::Shape(field, "[id, fields]")),
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
