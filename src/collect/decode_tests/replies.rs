//! Replies as each server line sends them, and what they mean.

use super::*;

pub(super) type Pairs = Vec<(&'static str, Value)>;

/// How an object is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire {
    Resp2,
    Resp3,
}

pub(super) const WIRES: [Wire; 2] = [Wire::Resp2, Wire::Resp3];

/// A server line: which fields it sends.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) enum Line {
    V6_0,
    V7_0,
    V7_2,
    V8,
}

pub(super) const LINES: [Line; 4] = [Line::V6_0, Line::V7_0, Line::V7_2, Line::V8];

pub(super) fn text(text: impl AsRef<[u8]>) -> Value {
    Value::BulkString(text.as_ref().to_vec())
}

pub(super) fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(items.into_iter().collect())
}

pub(super) fn object(wire: Wire, pairs: &[(&str, Value)]) -> Value {
    match wire {
        Wire::Resp2 => list(pairs.iter().flat_map(|(name, value)| [text(name), value.clone()])),
        Wire::Resp3 => Value::Map(pairs.iter().map(|(name, value)| (text(name), value.clone())).collect()),
    }
}

pub(super) fn entry(id: &str) -> Value {
    list([text(id), list([text("field"), text("value")])])
}

/// `XINFO STREAM` as the server line sends it, in its order.
pub(super) fn stream_pairs(line: Line) -> Pairs {
    let mut pairs = vec![
        ("length", Value::Int(3)),
        ("radix-tree-keys", Value::Int(1)),
        ("radix-tree-nodes", Value::Int(2)),
        ("last-generated-id", text("1732320000000-9")),
    ];
    if line >= Line::V7_0 {
        pairs.extend([
            ("max-deleted-entry-id", text("1732320000000-2")),
            ("entries-added", Value::Int(5)),
            ("recorded-first-entry-id", text("1732310000000-0")),
        ]);
    }
    if line >= Line::V8 {
        // Redis 8.6: what it remembers for idempotent producers.
        pairs.extend([("idmp-duration", Value::Int(100)), ("pids-tracked", Value::Int(0))]);
    }
    pairs.extend([
        ("groups", Value::Int(2)),
        ("first-entry", entry("1732310000000-0")),
        ("last-entry", entry("1732320000000-5")),
    ]);
    pairs
}

pub(super) fn stream_info(line: Line) -> StreamInfo {
    let counters = line >= Line::V7_0;
    StreamInfo {
        length: 3,
        radix_tree_keys: Some(1),
        radix_tree_nodes: Some(2),
        groups: 2,
        last_generated_id: StreamId::new(1_732_320_000_000, 9),
        max_deleted_entry_id: counters.then_some(StreamId::new(1_732_320_000_000, 2)),
        entries_added: counters.then_some(5),
        ends: Some((StreamId::new(1_732_310_000_000, 0), StreamId::new(1_732_320_000_000, 5))),
        ends_bytes: "1732320000000-5fieldvalue".len() as u64,
    }
}

pub(super) fn group_pairs(line: Line) -> Pairs {
    let mut pairs = vec![
        ("name", text("shipping")),
        ("consumers", Value::Int(4)),
        ("pending", Value::Int(7)),
        ("last-delivered-id", text("1732320000000-3")),
    ];
    if line >= Line::V7_0 {
        pairs.extend([("entries-read", Value::Int(40)), ("lag", Value::Int(2))]);
    }
    pairs
}

pub(super) fn group_info(line: Line) -> GroupInfo {
    let counters = line >= Line::V7_0;
    GroupInfo {
        name: "shipping".into(),
        consumers: 4,
        pending: 7,
        last_delivered_id: StreamId::new(1_732_320_000_000, 3),
        entries_read: counters.then_some(40),
        lag: counters.then_some(2),
    }
}

pub(super) fn consumer_pairs(line: Line) -> Pairs {
    let mut pairs = vec![("name", text("worker-1")), ("pending", Value::Int(7)), ("idle", Value::Int(1500))];
    if line >= Line::V7_2 {
        pairs.push(("inactive", Value::Int(2500)));
    }
    pairs
}

pub(super) fn consumer(line: Line) -> (Name, Told) {
    let inactive = (line >= Line::V7_2).then_some(Duration::from_millis(2500));
    ("worker-1".into(), (7, Some(Duration::from_millis(1500)), inactive))
}
