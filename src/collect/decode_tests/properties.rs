//! What holds for every order of fields, and for every reply whatever.

use proptest::prelude::*;

use super::{replies::*, *};

/// Any reply that the redis crate can hand over, with names of real fields in it more often than chance would put them.
fn any_value() -> impl Strategy<Value = Value> {
    let names: Vec<_> = [stream_pairs, group_pairs, consumer_pairs]
        .iter()
        .flat_map(|pairs| pairs(Line::V8))
        .map(|(name, _)| text(name))
        .collect();
    let leaf = prop_oneof![
        Just(Value::Nil),
        Just(Value::Okay),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        any::<Vec<u8>>().prop_map(Value::BulkString),
        any::<Vec<u8>>().prop_map(Value::BigNumber),
        ".*".prop_map(Value::SimpleString),
        "[0-9]{0,21}-?[0-9]{0,21}".prop_map(text),
        prop::sample::select(names),
    ];
    leaf.prop_recursive(4, 48, 8, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Set),
            prop::collection::vec(pair, 0..8).prop_map(Value::Map),
            inner.prop_map(|data| Value::Attribute { data: Box::new(data), attributes: vec![] }),
        ]
    })
}

/// A reply with all its fields, of which one has any value at all.
fn nearly_right(pairs: fn(Line) -> Pairs) -> impl Strategy<Value = Value> {
    let count = pairs(Line::V8).len();
    (0..count, any_value(), prop::sample::select(WIRES.to_vec())).prop_map(move |(index, value, wire)| {
        let mut pairs = pairs(Line::V8);
        pairs[index].1 = value;
        object(wire, &pairs)
    })
}

/// The pairs of a line in any order, with fields in between that no server sends yet.
fn shuffled(pairs: fn(Line) -> Pairs) -> impl Strategy<Value = (Line, Wire, Pairs)> {
    let more = prop::collection::vec(any_value(), 0..4);
    (prop::sample::select(LINES.to_vec()), prop::sample::select(WIRES.to_vec()), more).prop_flat_map(
        move |(line, wire, more)| {
            let mut pairs = pairs(line);
            pairs.extend(more.into_iter().map(|value| ("of-the-future", value)));
            (Just(line), Just(wire), Just(pairs).prop_shuffle())
        },
    )
}

proptest! {
    #[test]
    fn the_order_of_fields_is_nothing((line, wire, pairs) in shuffled(stream_pairs)) {
        prop_assert_eq!(stream(&object(wire, &pairs)), Ok(stream_info(line)));
    }

    #[test]
    fn the_order_of_fields_of_a_group_is_nothing((line, wire, pairs) in shuffled(group_pairs)) {
        prop_assert_eq!(groups(&list([object(wire, &pairs)])), Ok(vec![group_info(line)]));
    }

    #[test]
    fn the_order_of_fields_of_a_consumer_is_nothing((line, wire, pairs) in shuffled(consumer_pairs)) {
        prop_assert_eq!(consumers(&list([object(wire, &pairs)])), Ok([consumer(line)].into_iter().collect()));
    }

    #[test]
    fn no_reply_makes_a_decoder_panic(
        reply in prop_oneof![
            any_value(),
            nearly_right(stream_pairs),
            nearly_right(group_pairs).prop_map(|group| list([group])),
            nearly_right(consumer_pairs).prop_map(|consumer| list([consumer])),
            prop::collection::vec(any_value(), 2).prop_map(list),
            prop::collection::vec(any_value(), 4).prop_map(|entry| list([list(entry)])),
        ]
    ) {
        let _ = stream(&reply);
        let _ = groups(&reply);
        let _ = consumers(&reply);
        let _ = oldest_pending(&reply);
        let _ = time(&reply);
        let _ = scan(&reply);
        let _ = info_field(&reply, "redis_version");
    }
}
