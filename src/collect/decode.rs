//! From Redis's replies to plain data: pure, for RESP2 and RESP3, Redis 6.0 to 8.x and Valkey.
//!
//! Fields may come in any order, be missing (older servers), nil, negative, or unknown (newer servers). A field that is
//! needed and missing, or of another shape, fails this one reply with a message that names it. Typed
//! replies of the redis crate would turn a negative lag into 1.8e19 and fail a whole reply on one name that is not UTF-8.

use std::{collections::BTreeMap, time::Duration};

use super::resp::{Items, Reply};
use crate::model::{
    lag::{GroupFacts, StreamFacts},
    name::{Name, Names},
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
pub fn consumers(reply: Reply<'_>, known: &mut Names) -> Result<Vec<Consumer>, Unexpected> {
    let consumer = |item| {
        let [name, pending, idle, inactive] = fields(item, ["name", "pending", "idle", "inactive"])?;
        Ok(Consumer {
            name: name.known(known)?,
            pending: pending.count()?,
            // A clock that steps back makes idle negative for a moment: that is 0.
            idle: Some(Duration::from_millis(idle.integer()?.try_into().unwrap_or(0))),
            // -1 is never.
            inactive: inactive
                .optional_integer()?
                .and_then(|ms| u64::try_from(ms).ok())
                .map(Duration::from_millis),
        })
    };
    let mut consumers = all(items("XINFO CONSUMERS", reply)?, consumer)?;
    // Redis sends them so, mostly.
    if !consumers.is_sorted_by(|a, b| a.name <= b.name) {
        consumers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    }
    Ok(consumers)
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
pub fn owners(reply: Reply<'_>) -> Result<Vec<Consumer>, Unexpected> {
    let mut owned = BTreeMap::<&[u8], u64>::new();
    for entry in items("XPENDING", reply)? {
        let [_id, consumer] = first_of("XPENDING", entry)?.ok_or(PENDING)?;
        *owned.entry(consumer.bytes().ok_or(PENDING)?).or_default() += 1;
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

/// Reads `SCAN`: the next cursor (0 at the end) and the keys of this page.
///
/// # Errors
/// Another shape than `[cursor, [key …]]`.
pub fn scan(reply: Reply<'_>) -> Result<(u64, Vec<Name>), Unexpected> {
    const SHAPE: Unexpected = Unexpected::Shape("SCAN", "[cursor, [key …]]");
    let [cursor, keys] = all_of("SCAN", reply)?.ok_or(SHAPE)?;
    // A cursor is an unsigned 64-bit number: it may exceed i64.
    let cursor = cursor.bytes().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()).ok_or(SHAPE)?;
    let keys = items("SCAN", keys)?.map(|key| key.bytes().map(Name::from).ok_or(SHAPE));
    let keys = keys.collect::<Result<_, _>>()?;
    Ok((cursor, keys))
}

/// One field of the text that `INFO` gives.
#[must_use]
pub fn info_field(reply: Reply<'_>, field: &str) -> Option<String> {
    String::from_utf8_lossy(reply.bytes()?)
        .lines()
        .find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
}

/// A field of an object, which may not be there. Nil is the same as not there.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    name: &'static str,
    value: Option<Reply<'a>>,
}

/// Fields of one object, a map in RESP3, a list of names and values in RESP2; of two with the same name, the first.
pub(super) fn fields<'a, const N: usize>(
    reply: Reply<'a>,
    names: [&'static str; N],
) -> Result<[Field<'a>; N], Unexpected> {
    let mut fields = names.map(|name| Field { name, value: None });
    let mut pairs = reply.fields().ok_or(Unexpected::Shape("the reply", "field names and values"))?;
    // They mostly come in this order.
    let mut next = 0;
    while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
        let Some(name) = name.bytes() else { continue };
        let is_it = |place: &usize| fields[*place].name.as_bytes() == name;
        let Some(place) = (next..N).chain(0..next).find(is_it) else { continue };
        fields[place].value.get_or_insert(value);
        next = place + 1;
    }
    fields.iter_mut().for_each(|field| field.value = field.value.filter(|value| !value.is_nil()));
    Ok(fields)
}

impl<'a> Field<'a> {
    fn required(self) -> Result<Reply<'a>, Unexpected> {
        self.value.ok_or(Unexpected::Missing(self.name))
    }

    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        self.value?.bytes()
    }

    pub(super) fn integer(self) -> Result<i64, Unexpected> {
        integer(self.required()?).ok_or(Unexpected::Shape(self.name, "an integer"))
    }

    fn optional_integer(self) -> Result<Option<i64>, Unexpected> {
        self.value.map(|_| self.integer()).transpose()
    }

    fn count(self) -> Result<u64, Unexpected> {
        u64::try_from(self.integer()?).map_err(|_| Unexpected::Shape(self.name, "a number of at least 0"))
    }

    fn optional_count(self) -> Result<Option<u64>, Unexpected> {
        self.value.map(|_| self.count()).transpose()
    }

    fn id(self) -> Result<StreamId, Unexpected> {
        id(self.name, self.required()?)
    }

    fn optional_id(self) -> Result<Option<StreamId>, Unexpected> {
        self.value.map(|_| self.id()).transpose()
    }

    fn entry_id(self) -> Result<StreamId, Unexpected> {
        entry_id(self.name, self.required()?)
    }

    fn size(self) -> u64 {
        self.value.map_or(0, Reply::size)
    }

    fn text(self) -> Result<&'a [u8], Unexpected> {
        self.required()?.bytes().ok_or(Unexpected::Shape(self.name, "a string"))
    }

    pub(super) fn name(self) -> Result<Name, Unexpected> {
        self.text().map(Name::from)
    }

    fn known(self, names: &mut Names) -> Result<Name, Unexpected> {
        self.text().map(|bytes| names.get(bytes))
    }
}

pub(super) fn items<'a>(what: &'static str, reply: Reply<'a>) -> Result<Items<'a>, Unexpected> {
    reply.items().ok_or(Unexpected::Shape(what, "a list"))
}

/// What becomes of all items, in just as much room as they take: `collect` would not know how many there are.
fn all<'a, T>(
    items: Items<'a>,
    mut read: impl FnMut(Reply<'a>) -> Result<T, Unexpected>,
) -> Result<Vec<T>, Unexpected> {
    let mut all = Vec::with_capacity(items.room());
    for item in items {
        all.push(read(item)?);
    }
    Ok(all)
}

/// The first items of a list; `None` where there are fewer.
pub(super) fn first_of<'a, const N: usize>(
    what: &'static str,
    reply: Reply<'a>,
) -> Result<Option<[Reply<'a>; N]>, Unexpected> {
    let mut items = items(what, reply)?;
    let mut is_whole = true;
    let first = std::array::from_fn(|_| {
        let item = items.next();
        is_whole &= item.is_some();
        item.unwrap_or(reply)
    });
    Ok(is_whole.then_some(first))
}

/// The items of a list; `None` where there are fewer or more.
pub(super) fn all_of<'a, const N: usize>(
    what: &'static str,
    reply: Reply<'a>,
) -> Result<Option<[Reply<'a>; N]>, Unexpected> {
    if items(what, reply)?.len() == N { first_of(what, reply) } else { Ok(None) }
}

/// An integer, also as a string: Redis sends some counts so.
pub(super) fn integer(reply: Reply<'_>) -> Option<i64> {
    reply.integer().or_else(|| std::str::from_utf8(reply.bytes()?).ok()?.parse().ok())
}

fn id(field: &'static str, reply: Reply<'_>) -> Result<StreamId, Unexpected> {
    let text = reply.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok()).ok_or(Unexpected::Shape(field, "a stream entry ID"))
}

/// The ID of an entry, `[id, fields]`.
fn entry_id(field: &'static str, reply: Reply<'_>) -> Result<StreamId, Unexpected> {
    match reply.items().and_then(|mut parts| parts.next()) {
        Some(entry) => id(field, entry),
        None => Err(Unexpected::Shape(field, "[id, fields]")),
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
