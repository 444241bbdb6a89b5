//! Bytes of any kind, in pieces of any size, against the redis crate's own parser.

use proptest::prelude::*;
use redis::{Parser, Value};

use super::*;

#[path = "../../fuzz/written.rs"]
mod written;

/// What a decoder makes of a reply.
pub(in crate::collect) fn read<T>(value: &Value, decode: impl FnOnce(Reply<'_>) -> T) -> T {
    parsed(&written::written(value), decode)
}

/// The same of a reply that is written down.
pub(in crate::collect) fn parsed<T>(bytes: &[u8], decode: impl FnOnce(Reply<'_>) -> T) -> T {
    let mut replies = Replies::default();
    replies.buffer().extend(bytes);
    assert_eq!(replies.have(1), Ok(true));
    decode(replies.iter().next().unwrap())
}

/// Whether a reply says what the crate has read.
fn is_same(reply: Reply<'_>, value: &Value) -> bool {
    let all = |items: Option<Items<'_>>, values: &[&Value]| {
        items.is_some_and(|items| {
            items.len() == values.len() && items.zip(values).all(|(reply, value)| is_same(reply, value))
        })
    };
    match value {
        Value::Nil => reply.is_nil(),
        Value::Int(number) => reply.integer() == Some(*number),
        Value::BulkString(text) => reply.bytes() == Some(text),
        Value::SimpleString(text) => reply.bytes() == Some(text.as_bytes()),
        Value::VerbatimString { text, .. } => reply.bytes() == Some(text.as_bytes()),
        Value::Okay => reply.bytes() == Some(b"OK"),
        Value::Array(items) | Value::Set(items) | Value::Push { data: items, .. } => {
            all(reply.items(), &items.iter().collect::<Vec<_>>())
        }
        Value::Map(pairs) => {
            let flat: Vec<_> = pairs.iter().flat_map(|(name, value)| [name, value]).collect();
            reply.items().is_none() && all(reply.fields(), &flat)
        }
        Value::Attribute { data, .. } => is_same(reply, data),
        Value::ServerError(error) => reply
            .error()
            .is_some_and(|found| found.parts() == (error.code(), error.details().unwrap_or_default())),
        _ => matches!(reply.parts, [Part::Other]),
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        Just(Value::Okay),
        any::<i64>().prop_map(Value::Int),
        any::<bool>().prop_map(Value::Boolean),
        any::<Vec<u8>>().prop_map(Value::BulkString),
        "[a-z ]{0,9}".prop_map(Value::SimpleString),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let pairs = prop::collection::vec((inner.clone(), inner.clone()), 0..4);
        let list = prop::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            list.clone().prop_map(Value::Array),
            list.prop_map(Value::Set),
            pairs.clone().prop_map(Value::Map),
            (inner, pairs)
                .prop_map(|(data, attributes)| Value::Attribute { data: Box::new(data), attributes }),
        ]
    })
}

proptest! {
    #[test]
    fn pieces_of_any_size_make_the_same_replies(
        values in prop::collection::vec(any_value(), 1..6),
        size in 1_usize..40,
        together in 1_usize..4,
    ) {
        let bytes: Vec<_> = values.iter().flat_map(written::written).collect();
        let (mut replies, mut rest) = (Replies::default(), &values[..]);
        for piece in bytes.chunks(size) {
            replies.buffer().extend(piece);
            let count = together.min(rest.len());
            while count > 0 && rest.len() >= count && replies.have(count).unwrap() {
                let (now, later) = rest.split_at(count);
                prop_assert_eq!(replies.iter().len(), count);
                let all = replies.iter().zip(now).all(|(reply, value)| is_same(reply, value));
                prop_assert!(all, "{:?} {:?}", replies.iter().collect::<Vec<_>>(), now);
                replies.clear();
                rest = later;
            }
        }
        // Fewer than are asked for together are left.
        prop_assert!(replies.have(rest.len()).unwrap());
        prop_assert!(replies.iter().zip(rest).all(|(reply, value)| is_same(reply, value)));
    }

    /// What the crate understands is understood, and in the same way.
    #[test]
    fn any_bytes_are_read_as_the_crate_reads_them(
        bytes in prop::collection::vec(prop::sample::select(&b"*$:+-%~_#,=|(!>\r\n0123-9aOK txt:"[..]), 0..60),
    ) {
        let mut replies = Replies::default();
        replies.buffer().extend(&bytes);
        let whole = replies.have(1);
        if let Ok(value) = Parser::new().parse_value(&bytes[..])
            && !matches!(value, Value::Push { .. })
        {
            prop_assert_eq!(whole, Ok(true), "{:?}", value);
            let reply = replies.iter().next().unwrap();
            prop_assert!(is_same(reply, &value), "{:?} {:?}", reply, value);
        }
    }
}

proptest! {
    #[test]
    fn long_payloads_are_dropped_and_nothing_else(
        lengths in prop::collection::vec(0..3 * LONG_PAYLOAD, 1..6),
        size in 1..4 * LONG_PAYLOAD,
    ) {
        // What ends a value is nothing special within one.
        let text = |length: &usize| Value::BulkString(b"\r\n".iter().copied().cycle().take(*length).collect());
        let entry = vec![text(&3), Value::Array(lengths.iter().map(text).collect())];
        let last = text(&LONG_PAYLOAD);
        let page = Value::Array(vec![Value::Array(entry)]);
        let bytes = written::written(&Value::Array(vec![page, last.clone()])).repeat(2);
        let (mut replies, mut seen) = (Replies::default(), 0);
        for piece in bytes.chunks(size) {
            replies.buffer().extend(piece);
            while replies.have(1).unwrap() {
                let reply = replies.iter().next().unwrap();
                prop_assert_eq!(reply.size(), (3 + lengths.iter().sum::<usize>() + LONG_PAYLOAD) as u64);
                let [page, kept] = [0, 1].map(|item| reply.items().unwrap().nth(item).unwrap());
                prop_assert!(is_same(kept, &last));
                let entry = page.items().unwrap().next().unwrap();
                let fields = entry.items().unwrap().nth(1).unwrap().items().unwrap();
                prop_assert_eq!(fields.len(), lengths.len());
                for (field, length) in fields.zip(&lengths) {
                    prop_assert_eq!(field.size(), *length as u64);
                    prop_assert_eq!(is_same(field, &text(length)), *length < LONG_PAYLOAD);
                }
                replies.clear();
                seen += 1;
            }
        }
        prop_assert_eq!(seen, 2);
    }
}

#[test]
fn what_a_server_tells_besides_is_no_reply() {
    let mut replies = Replies::default();
    replies
        .buffer()
        .extend(b">2\r\n+invalidate\r\n*0\r\n:1\r\n>0\r\n|1\r\n+a\r\n*1\r\n:9\r\n:2\r\n>1\r\n:3\r\n");
    assert_eq!(replies.have(2), Ok(true));
    assert_eq!(replies.iter().map(Reply::integer).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(replies.have(3), Ok(false));
}

#[test]
fn what_is_no_reply_is_refused() {
    let deep = "*1\r\n".repeat(DEEPEST + 1);
    let long = "+".to_owned() + &"a".repeat(LONGEST_LINE + 1);
    let payload =
        "*1\r\n".repeat(AROUND_PAYLOAD) + &format!("${LONG_PAYLOAD}\r\n{}", "a".repeat(LONG_PAYLOAD + 2));
    for (bytes, why) in [
        ("HTTP/1.1 400 Bad Request\r\n", "a value has an unknown type"),
        ("\x15\x03\x01\r\n", "a value has an unknown type"),
        (":1\rx\r\n", "a number is none"),
        (":x\r\n", "a number is none"),
        ("$-2\r\n", "a length is none"),
        ("*4294967296\r\n", "a length is none"),
        ("%4294967295\r\n", "a list is too long"),
        ("$2\r\nabc\r\n", "a string does not end where it should"),
        (&payload, "a string does not end where it should"),
        ("$2000000000\r\n", "there is more than 1 GiB of replies"),
        (&deep, "lists are nested too deeply"),
        (&long, "a line does not end"),
    ] {
        let mut replies = Replies::default();
        replies.buffer().extend(bytes.as_bytes());
        assert_eq!(replies.have(1), Err(Malformed(why)), "{bytes:.20}");
    }
}

#[test]
fn a_line_ends_where_it_first_can() {
    let mut replies = Replies::default();
    replies.buffer().extend(b"+\r\n\r\n");
    assert_eq!(replies.have(1), Ok(true));
    assert_eq!(replies.iter().next().unwrap().bytes(), Some(&b""[..]));
}

#[test]
fn errors_come_in_two_parts() {
    for (bytes, code, rest) in [
        ("-ERR no such key\r\n", "ERR", "no such key"),
        ("-LOADING\r\n", "LOADING", ""),
        ("!8\r\nBUSY a b\r\n", "BUSY", "a b"),
    ] {
        parsed(bytes.as_bytes(), |reply| assert_eq!(reply.error().unwrap().parts(), (code, rest)));
    }
}

#[test]
fn a_flood_of_values_ends() {
    let mut replies = Replies::default();
    replies.buffer().extend(b"*4294967295\r\n");
    let mut values = 0;
    while replies.have(1).is_ok() {
        replies.buffer().extend(b":1\r\n:1\r\n:1\r\n:1\r\n");
        values += 4;
        assert!(values <= MOST_PARTS);
    }
    assert!(values >= MOST_PARTS / 2);
}

#[test]
fn a_payload_takes_no_room() {
    const PIECE: usize = 64 * 1024;
    let mut replies = Replies::default();
    let pieces = 1000;
    replies.buffer().extend("*1\r\n".repeat(AROUND_PAYLOAD).as_bytes());
    replies.buffer().extend(format!("${}\r\n", pieces * PIECE).as_bytes());
    for _ in 0..pieces {
        assert_eq!(replies.have(1), Ok(false));
        replies.buffer().extend([b'x'; PIECE]);
        assert!(replies.buffer().capacity() <= KEPT, "{}", replies.buffer().capacity());
    }
    replies.buffer().extend(b"\r\n+PONG\r\n");
    assert_eq!(replies.have(2), Ok(true));
    let sizes: Vec<_> = replies.iter().map(Reply::size).collect();
    assert_eq!(sizes, [(pieces * PIECE) as u64, 4]);
}

#[test]
fn a_flood_of_what_is_told_takes_no_room() {
    let mut replies = Replies::default();
    for number in 0..200_000 {
        let key = format!("stream-{number:06}");
        replies.buffer().extend(format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n$13\r\n{key}\r\n").as_bytes());
        assert_eq!(replies.have(1), Ok(false));
        assert!(replies.buffer().capacity() <= 4 * KEPT, "{}", replies.buffer().capacity());
    }
    let Changes { all, keys } = replies.take_changes();
    assert!(all && keys.len() <= MOST_CHANGES, "{}", keys.len());
    replies.buffer().extend(b"+PONG\r\n");
    assert_eq!(replies.have(1), Ok(true));
    assert_eq!(
        replies.iter().next().and_then(|reply| reply.bytes().map(<[u8]>::to_vec)),
        Some(b"PONG".to_vec())
    );
}
