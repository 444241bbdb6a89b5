//! What must hold for every reply, whatever is in it. Shared by the fuzzer and the test suite.

use redis::Value;
use streamgauge::{
    collect::{
        ask::{self, Ask},
        commands,
        decode::{self, Unexpected},
        resp::{Replies, Reply},
        trust,
    },
    model::{
        fault::{Fault, FaultKind},
        lag::pages::{Share, Wish},
        name::{Name, Names},
        stream_id::StreamId,
    },
};

#[path = "written.rs"]
mod written;

/// Reads bytes as replies, one after the other, and checks each; returns how many there were.
pub fn wire(bytes: &[u8]) -> usize {
    let (mut replies, mut count) = (Replies::default(), 0);
    replies.buffer().extend(bytes);
    while replies.have(1) == Ok(true) {
        replies.iter().for_each(check);
        replies.clear();
        count += 1;
    }
    count
}

/// Checks what every decoder makes of a reply.
pub fn value(value: &Value) {
    read(value, check);
}

/// What is made of a reply, once a server has written it.
pub fn read<T>(value: &Value, decode: impl FnOnce(Reply<'_>) -> T) -> T {
    let mut replies = Replies::default();
    replies.buffer().extend(written::written(value));
    assert_eq!(replies.have(1), Ok(true), "{value:?}");
    decode(replies.iter().next().unwrap())
}

fn check(reply: Reply<'_>) {
    if let Some(info) = sound(decode::stream(reply)) {
        let counts = [Some(info.length), Some(info.groups), info.radix_tree_keys, info.radix_tree_nodes];
        counts.into_iter().chain([info.entries_added]).flatten().for_each(not_negative);
        assert_eq!(info.ends.is_some(), info.length > 0);
        let _ = info.facts();
    }
    if let Some(groups) = sound(decode::groups(reply, &mut Names::default())) {
        assert_eq!(groups.len(), items(reply).len());
        for (group, item) in groups.iter().zip(items(reply)) {
            [group.consumers, group.pending].into_iter().for_each(not_negative);
            for (field, found) in [("lag", group.lag), ("entries-read", group.entries_read)] {
                assert_eq!(found, field_as_sent(item, field), "{field}");
            }
            let _ = group.facts();
        }
    }
    if let Some(consumers) = sound(decode::consumers(reply, &mut Names::default())) {
        assert_eq!(consumers.len(), items(reply).len());
        for consumer in consumers.iter() {
            not_negative(consumer.pending);
            let times = [consumer.idle, consumer.inactive].into_iter().flatten();
            times.for_each(|time| not_negative(time.as_millis().try_into().unwrap_or(u64::MAX)));
        }
    }
    if let Some(Some(oldest)) = sound(decode::oldest_pending(reply)) {
        not_negative(oldest.deliveries);
        not_negative(oldest.idle.as_millis().try_into().unwrap_or(u64::MAX));
    }
    if let Some(owners) = sound(decode::owners(reply, &mut Names::default())) {
        assert_eq!(owners.iter().map(|owner| owner.pending).sum::<u64>(), items(reply).len() as u64);
    }
    if let Some(page) = sound(decode::page(reply)) {
        assert_eq!(page.ids.len(), items(reply).len());
    }
    if let Some((_, keys)) = sound(decode::scan(reply, |_| true)) {
        assert!(keys.iter().all(|key| !key.to_string().contains(char::is_control)));
    }
    sound(decode::time(reply));
    let _ = decode::info_field(reply, "redis_version");
    let _ = trust::server_info(reply, reply);
    answers(reply);
}

/// The same through what the collector calls: a fault says of which command.
fn answers(reply: Reply<'_>) {
    let (key, group) = (|| Name::from("orders"), Name::from("workers"));
    let names = &mut Names::default();
    let wish = |upwards| Wish {
        from: StreamId::default(),
        to: StreamId::new(9, 0),
        upwards,
        count: 1,
        share: Share::Whole,
    };
    let wishes = [wish(true), wish(false)];
    let one = &[reply][..];
    told(ask::consumers_answer(&Ask::Consumers(key(), group.clone(), 1), one, names), "XINFO CONSUMERS");
    told(ask::pending_answer(&Ask::Pending(key(), group, 1), one, names), "XPENDING");
    let mut transaction = |replies: &[Reply<'_>]| {
        let any = commands::COMMANDS.iter().map(|command| command.words);
        for wishes in [&[][..], &wishes] {
            let ask = Ask::Stream(key(), wishes.to_vec(), 0);
            told_one_of(ask::stream_answer(&ask, replies, names), any.clone());
        }
    };
    transaction(one);
    transaction(&items(reply));
}

fn told<T>(answer: Result<T, Fault>, command: &str) {
    told_one_of(answer, [command].into_iter());
}

fn told_one_of<'a, T>(answer: Result<T, Fault>, mut commands: impl Iterator<Item = &'a str>) {
    let Err(fault) = answer else { return };
    assert!(commands.any(|command| fault.message.starts_with(&format!("{command}: "))), "{fault}");
    assert!(!fault.message.contains(char::is_control), "{:?}", fault.message);
    let has_advice = fault.message.ends_with("(docs/redis-acl.md)");
    assert!(has_advice || fault.kind != FaultKind::NoPerm, "{fault}");
}

/// What was read; an error must name what was unexpected.
fn sound<T>(read: Result<T, Unexpected>) -> Option<T> {
    let error = match read {
        Ok(read) => return Some(read),
        Err(error) => error,
    };
    let (what, expected) = match &error {
        Unexpected::Missing(field) => (*field, ""),
        Unexpected::Shape(what, expected) => (*what, *expected),
    };
    let text = error.to_string();
    assert!(!what.is_empty() && text.contains(what) && text.contains(expected), "{text}");
    None
}

/// Every count is a signed number on the wire: one above its range has lost its sign.
fn not_negative(count: u64) {
    assert!(i64::try_from(count).is_ok(), "{count} was negative");
}

fn items(reply: Reply<'_>) -> Vec<Reply<'_>> {
    reply.items().into_iter().flatten().collect()
}

/// A field of an object, the first of its name, read once more and differently.
fn field_as_sent(object: Reply<'_>, field: &str) -> Option<i64> {
    let parts: Vec<_> = object.fields()?.collect();
    let value = parts.chunks(2).find(|pair| pair[0].bytes() == Some(field.as_bytes()))?[1];
    value.integer().or_else(|| std::str::from_utf8(value.bytes()?).ok()?.parse().ok())
}

/// The fields of each kind of object.
const OBJECTS: [&[&str]; 3] = [
    &[
        "length",
        "groups",
        "last-generated-id",
        "first-entry",
        "last-entry",
        "radix-tree-keys",
        "radix-tree-nodes",
        "max-deleted-entry-id",
        "entries-added",
    ],
    &["name", "consumers", "pending", "last-delivered-id", "entries-read", "lag"],
    &["name", "pending", "idle", "inactive"],
];

/// Builds a reply by the recipe that the bytes are: mostly of the shapes that the decoders look for.
pub fn tree(recipe: &[u8]) -> Value {
    Recipe(recipe).value(5)
}

struct Recipe<'a>(&'a [u8]);

impl Recipe<'_> {
    /// The next byte; 0 at the end, so that every recipe ends.
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self, most: u8) -> Vec<u8> {
        let count = usize::from(self.byte() % most).min(self.0.len());
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes.to_vec()
    }

    fn number(&mut self) -> i64 {
        match self.byte() {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => -1,
            3..=9 => i64::from_be_bytes(std::array::from_fn(|_| self.byte())),
            small => i64::from(small) - 10,
        }
    }

    fn id(&mut self) -> Value {
        Value::BulkString(format!("{}-{}", self.number() as u64, self.byte()).into_bytes())
    }

    fn list(&mut self, depth: u8) -> Vec<Value> {
        let count = self.byte() % 6;
        (0..count).map(|_| self.value(depth - 1)).collect()
    }

    fn value(&mut self, depth: u8) -> Value {
        // At the bottom only what holds nothing.
        let kinds = if depth == 0 { 11 } else { 18 };
        match self.byte() % kinds {
            0 => Value::Nil,
            1 => Value::Okay,
            2..=4 => Value::Int(self.number()),
            5 => Value::Double(f64::from_bits(self.number() as u64)),
            6 => Value::Boolean(self.byte() % 2 == 1),
            7 => Value::BulkString(self.bytes(32)),
            8 => Value::SimpleString(String::from_utf8_lossy(&self.bytes(32)).into_owned()),
            9 => Value::BulkString(self.number().to_string().into_bytes()),
            10 => self.id(),
            11 => Value::Set(self.list(depth)),
            12 => {
                let pairs = self.list(depth).into_iter().map(|name| (name, self.value(depth - 1)));
                Value::Map(pairs.collect())
            }
            13 => Value::Attribute { data: Box::new(self.value(depth - 1)), attributes: vec![] },
            14 => Value::Array(vec![self.id(), Value::Array(self.list(depth))]),
            15 => Value::Array(self.list(depth)),
            _ => self.object(depth),
        }
    }

    /// All fields of an object, nearly always of their own types.
    fn object(&mut self, depth: u8) -> Value {
        let fields = OBJECTS[usize::from(self.byte()) % OBJECTS.len()];
        let mut pairs = Vec::new();
        for field in fields {
            let value = match (self.byte(), *field) {
                (0..=15, _) => self.value(depth - 1),
                (16..=20, _) => continue,
                (_, "name") => Value::BulkString(self.bytes(16)),
                (_, "first-entry" | "last-entry") => Value::Array(vec![self.id(), Value::Array(vec![])]),
                (_, field) if field.ends_with("-id") => self.id(),
                _ => Value::Int(self.number()),
            };
            pairs.push((Value::BulkString(field.as_bytes().to_vec()), value));
        }
        match self.byte() % 2 {
            0 => Value::Map(pairs),
            _ => Value::Array(pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()),
        }
    }
}
