//! Golden replies of every server line, in both protocols, and what becomes of replies that are wrong.

use redis::Value;

use super::*;
use crate::collect::resp::tests::read;
use replies::*;

#[path = "decode_tests/properties.rs"]
mod properties;
#[path = "decode_tests/replies.rs"]
mod replies;

fn groups(value: &Value) -> Result<Vec<GroupInfo>, Unexpected> {
    read(value, |reply| super::groups(reply, &mut Names::default()))
}

fn consumers(value: &Value) -> Result<Consumers, Unexpected> {
    read(value, |reply| super::consumers(reply, &mut Names::default()))
}

fn owners(value: &Value) -> Result<Consumers, Unexpected> {
    read(value, |reply| super::owners(reply, &mut Names::default()))
}

macro_rules! of_values {
    ($($decode:ident -> $found:ty;)+) => {
        $(fn $decode(value: &Value) -> $found {
            read(value, super::$decode)
        })+
    };
}

of_values! {
    stream -> Result<StreamInfo, Unexpected>;
    oldest_pending -> Result<Option<OldestPending>, Unexpected>;
    time -> Result<UnixMicros, Unexpected>;
}

fn scan(value: &Value) -> Result<(u64, Vec<Name>), Unexpected> {
    read(value, |reply| super::scan(reply, |key| key != b"known"))
}

fn info_field(value: &Value, field: &str) -> Option<String> {
    read(value, |reply| super::info_field(reply, field))
}

/// The pairs with one value replaced, or with one more.
fn with(mut pairs: Pairs, field: &'static str, value: Value) -> Pairs {
    pairs.retain(|(name, _)| *name != field);
    pairs.push((field, value));
    pairs
}

fn without(mut pairs: Pairs, field: &str) -> Pairs {
    pairs.retain(|(name, _)| *name != field);
    pairs
}

fn one_group(pairs: &Pairs) -> Result<GroupInfo, Unexpected> {
    groups(&list([object(Wire::Resp2, pairs)])).map(|mut groups| groups.remove(0))
}

fn one_consumer(pairs: &Pairs) -> Result<(Name, Told), Unexpected> {
    consumers(&list([object(Wire::Resp2, pairs)])).map(|consumers| {
        let one = consumers.iter().next().unwrap();
        (one.name.clone(), (one.pending, one.idle, one.inactive))
    })
}

fn one_stream(pairs: &Pairs) -> Result<StreamInfo, Unexpected> {
    stream(&object(Wire::Resp2, pairs))
}

#[test]
fn reads_every_server_line_in_both_protocols() {
    for line in LINES {
        for wire in WIRES {
            let of = |pairs: Pairs| object(wire, &pairs);
            assert_eq!(stream(&of(stream_pairs(line))), Ok(stream_info(line)), "{line:?} {wire:?}");
            assert_eq!(
                groups(&list([of(group_pairs(line))])),
                Ok(vec![group_info(line)]),
                "{line:?} {wire:?}"
            );
            assert_eq!(
                consumers(&list([of(consumer_pairs(line))])),
                Ok([consumer(line)].into_iter().collect()),
                "{line:?} {wire:?}"
            );
        }
    }
    assert_eq!(groups(&list([])), Ok(vec![]));
    assert_eq!(consumers(&list([])), Ok(Consumers::default()));
}

#[test]
fn an_empty_stream_has_no_ends() {
    for none in [Value::Nil, list([])] {
        for wire in WIRES {
            let pairs = with(stream_pairs(Line::V7_0), "length", Value::Int(0));
            let pairs = with(with(pairs, "first-entry", none.clone()), "last-entry", none.clone());
            let info = stream(&object(wire, &pairs)).unwrap();
            assert_eq!((info.length, info.ends), (0, None), "{none:?} {wire:?}");
        }
    }
}

#[test]
fn ids_reach_to_the_end_of_their_range() {
    let max = StreamId::new(u64::MAX, u64::MAX);
    let huge = text(max.to_string());
    let pairs = with(stream_pairs(Line::V7_0), "last-generated-id", huge.clone());
    let pairs = with(pairs, "last-entry", entry(&max.to_string()));
    let info = one_stream(&pairs).unwrap();
    assert_eq!((info.last_generated_id, info.ends.unwrap().1), (max, max));
    let pairs = with(group_pairs(Line::V7_0), "last-delivered-id", huge);
    assert_eq!(one_group(&pairs).unwrap().last_delivered_id, max);
    let beyond = with(group_pairs(Line::V7_0), "last-delivered-id", text("18446744073709551616-0"));
    let expected = Unexpected::Shape("last-delivered-id", "a stream entry ID");
    assert_eq!(one_group(&beyond), Err(expected));
}

#[test]
fn nil_and_negative_counters_stay_what_they_are() {
    let group = |field, value| one_group(&with(group_pairs(Line::V7_0), field, value)).unwrap();
    assert_eq!(group("lag", Value::Nil).lag, None);
    assert_eq!(group("lag", Value::Int(-5)).lag, Some(-5));
    assert_eq!(group("lag", Value::Int(0)).lag, Some(0));
    assert_eq!(group("entries-read", Value::Nil).entries_read, None);
    assert_eq!(group("entries-read", Value::Int(-1)).entries_read, Some(-1));
}

#[test]
fn times_of_consumers_are_never_negative() {
    let consumer = |field, value| one_consumer(&with(consumer_pairs(Line::V8), field, value)).unwrap().1;
    let idle = |value| consumer("idle", Value::Int(value)).1;
    let inactive = |value| consumer("inactive", Value::Int(value)).2;
    assert_eq!(idle(-3), Some(Duration::ZERO));
    assert_eq!((inactive(-1), inactive(0)), (None, Some(Duration::ZERO)));
    assert_eq!(idle(i64::MAX), Some(Duration::from_millis(i64::MAX as u64)));
}

#[test]
fn names_are_bytes() {
    for name in [&b"\xff\xfe\0\n\"\\"[..], b"", b"orders"] {
        let group = one_group(&with(group_pairs(Line::V8), "name", text(name))).unwrap();
        assert_eq!(group.name.as_bytes(), name);
        let (consumer, _) = one_consumer(&with(consumer_pairs(Line::V8), "name", text(name))).unwrap();
        assert_eq!(consumer.as_bytes(), name);
    }
}

#[test]
fn one_bad_group_fails_the_reply() {
    let bad = object(Wire::Resp3, &without(group_pairs(Line::V8), "pending"));
    let good = object(Wire::Resp3, &group_pairs(Line::V8));
    assert_eq!(groups(&list([good, bad])), Err(Unexpected::Missing("pending")));
}

#[test]
fn consumers_come_ordered_by_name() {
    let named = |name: &str| object(Wire::Resp2, &with(consumer_pairs(Line::V8), "name", text(name)));
    let consumers = consumers(&list(["b", "c", "a"].map(named))).unwrap();
    let names: Vec<_> = consumers.iter().map(|consumer| consumer.name.text()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn a_missing_field_is_named() {
    let required = ["length", "groups", "last-generated-id", "first-entry", "last-entry"];
    for field in required {
        let found = one_stream(&without(stream_pairs(Line::V8), field));
        assert_eq!(found, Err(Unexpected::Missing(field)));
        // Nil is the same as not there.
        let found = one_stream(&with(stream_pairs(Line::V8), field, Value::Nil));
        assert_eq!(found, Err(Unexpected::Missing(field)));
    }
    for field in ["name", "consumers", "pending", "last-delivered-id"] {
        let found = one_group(&without(group_pairs(Line::V8), field));
        assert_eq!(found, Err(Unexpected::Missing(field)));
    }
    for field in ["name", "pending", "idle"] {
        let found = one_consumer(&without(consumer_pairs(Line::V8), field));
        assert_eq!(found, Err(Unexpected::Missing(field)));
    }
    assert_eq!(Unexpected::Missing("pending").to_string(), "the reply has no field \"pending\"");
    for field in ["radix-tree-keys", "radix-tree-nodes", "max-deleted-entry-id", "entries-added"] {
        assert!(one_stream(&without(stream_pairs(Line::V8), field)).is_ok(), "{field}");
    }
}

#[test]
fn a_wrong_type_is_named() {
    const INTEGER: &str = "an integer";
    const COUNT: &str = "a number of at least 0";
    const ID: &str = "a stream entry ID";
    for (field, value, expected) in [
        ("length", text("many"), INTEGER),
        ("length", Value::Int(-1), COUNT),
        ("groups", Value::Boolean(true), INTEGER),
        ("entries-added", list([]), INTEGER),
        ("radix-tree-keys", Value::Double(1.0), INTEGER),
        ("last-generated-id", Value::Int(1), ID),
        ("last-generated-id", text("1"), ID),
        ("max-deleted-entry-id", text(b"\xff-1"), ID),
        ("first-entry", text("1-1"), "[id, fields]"),
        ("first-entry", list([]), "[id, fields]"),
        ("last-entry", list([Value::Int(1)]), ID),
    ] {
        let found = one_stream(&with(stream_pairs(Line::V8), field, value));
        assert_eq!(found, Err(Unexpected::Shape(field, expected)));
    }
    for (field, value, expected) in [
        ("name", Value::Int(1), "a string"),
        ("consumers", Value::Int(-1), COUNT),
        ("pending", text(""), INTEGER),
        ("entries-read", text("x"), INTEGER),
        ("lag", Value::Double(0.5), INTEGER),
    ] {
        let found = one_group(&with(group_pairs(Line::V8), field, value));
        assert_eq!(found, Err(Unexpected::Shape(field, expected)));
    }
    for (field, value, expected) in [
        ("name", list([]), "a string"),
        ("pending", Value::Int(-1), COUNT),
        ("idle", text("x"), INTEGER),
        ("inactive", list([]), INTEGER),
    ] {
        let found = one_consumer(&with(consumer_pairs(Line::V8), field, value));
        assert_eq!(found, Err(Unexpected::Shape(field, expected)));
    }
    assert_eq!(Unexpected::Shape("lag", INTEGER).to_string(), "unexpected value of lag: expected an integer");
}

#[test]
fn a_reply_that_is_no_object_is_refused() {
    let shape = Unexpected::Shape("the reply", "field names and values");
    let mut odd = vec![text("length")];
    for reply in [list(odd.clone()), Value::Nil, Value::Okay, text("x"), Value::Int(1)] {
        assert_eq!(stream(&reply).unwrap_err(), shape, "{reply:?}");
        assert_eq!(groups(&list([reply.clone()])).unwrap_err(), shape, "{reply:?}");
        assert_eq!(consumers(&list([reply])).unwrap_err(), shape);
    }
    odd.extend([Value::Int(3), text("groups")]);
    assert_eq!(stream(&list(odd)).unwrap_err(), shape);
    let reply = Value::Int(1);
    assert_eq!(groups(&reply), Err(Unexpected::Shape("XINFO GROUPS", "a list")));
    assert_eq!(consumers(&reply), Err(Unexpected::Shape("XINFO CONSUMERS", "a list")));
}

#[test]
fn oldest_pending_entry() {
    let reply = |id: &str, idle, deliveries| {
        list([list([text(id), text("worker"), Value::Int(idle), Value::Int(deliveries)])])
    };
    let found = |id, idle, deliveries| OldestPending {
        id,
        idle: Duration::from_millis(idle),
        deliveries,
        is_deleted: None,
    };
    assert_eq!(oldest_pending(&list([])), Ok(None));
    assert_eq!(oldest_pending(&reply("5-1", 250, 3)), Ok(Some(found(StreamId::new(5, 1), 250, 3))));
    assert_eq!(oldest_pending(&reply("5-1", -250, 1)), Ok(Some(found(StreamId::new(5, 1), 0, 1))));
    for bad in [
        Value::Nil,
        list([Value::Nil]),
        list([list([])]),
        list([list([text("5-1"), text("worker"), Value::Int(1)])]),
        reply("5", 1, 1),
        reply("5-1", 1, -1),
    ] {
        assert!(matches!(oldest_pending(&bad), Err(Unexpected::Shape("XPENDING", _))), "{bad:?}");
    }
}

#[test]
fn owners_of_pending_entries() {
    let entry = |id: &str, owner: &[u8]| list([text(id), text(owner), Value::Int(1), Value::Int(1)]);
    let found = owners(&list([entry("1-0", b"b"), entry("2-0", b"\xff"), entry("3-0", b"b")])).unwrap();
    let owner = |name: &[u8], pending| (Name::from(name), (pending, None, None));
    assert_eq!(found, [owner(b"b", 2), owner(b"\xff", 1)].into_iter().collect());
    assert_eq!(owners(&list([])), Ok(Consumers::default()));
    for bad in [
        Value::Nil,
        list([Value::Nil]),
        list([list([text("5-1")])]),
        list([list([text("5-1"), Value::Int(1)])]),
    ] {
        assert!(matches!(owners(&bad), Err(Unexpected::Shape("XPENDING", _))), "{bad:?}");
    }
}

#[test]
fn server_time() {
    let of = |seconds: &str, micros: &str| time(&list([text(seconds), text(micros)]));
    assert_eq!(of("1732320000", "250000"), Ok(UnixMicros(1_732_320_000_250_000)));
    for (seconds, micros) in [("-1", "0"), ("1", "-1"), ("x", "0"), ("9223372036854775807", "0")] {
        assert!(of(seconds, micros).is_err(), "{seconds} {micros}");
    }
    assert!(time(&list([text("1")])).is_err());
    assert!(time(&Value::Nil).is_err());
}

#[test]
fn pages_of_a_scan() {
    let of = |cursor: Value, keys: Value| scan(&list([cursor, keys]));
    let keys = list([text("orders"), text("known"), text(b"\xff")]);
    assert_eq!(
        of(text("18446744073709551615"), keys),
        Ok((u64::MAX, vec!["orders".into(), Name::from(&b"\xff"[..])]))
    );
    assert_eq!(of(text("0"), list([])), Ok((0, vec![])));
    for (cursor, keys) in [
        (text("x"), list([])),
        (text("-1"), list([])),
        (text("0"), Value::Nil),
        (text("0"), list([Value::Int(1)])),
    ] {
        assert!(of(cursor, keys).is_err());
    }
}

#[test]
fn fields_of_info() {
    let info = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n";
    let verbatim = Value::VerbatimString { format: redis::VerbatimFormat::Text, text: info.into() };
    for reply in [text(info), verbatim] {
        assert_eq!(info_field(&reply, "redis_version").as_deref(), Some("7.0.15"));
        // The whole name, not its beginning.
        assert_eq!(info_field(&reply, "redis"), None);
    }
    assert_eq!(info_field(&Value::Nil, "redis_version"), None);
}
