//! The facts of a stream at one moment, under the names by which they are published.

use std::{collections::BTreeMap, fmt};

use redis::Value;

use super::{Seen, Span};
use crate::support::redis::{Fields, id_ms, integer};

/// A series of a stream: name, group, consumer. Where it has no group or no consumer, that is empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub name: String,
    pub group: String,
    pub consumer: String,
}

impl Key {
    pub fn new(name: &str, group: &str, consumer: &str) -> Key {
        Key { name: name.to_owned(), group: group.to_owned(), consumer: consumer.to_owned() }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name.trim_start_matches("redis_stream_"), self.group, self.consumer)
    }
}

/// A number that is true at one moment, or the time since another one.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Is(f64),
    Since(Span),
}

/// What is true of a stream that exists.
#[derive(Debug, Default)]
pub struct Facts {
    /// What is measured at once.
    at_once: BTreeMap<Key, Fact>,
    /// What is asked for later in the same poll.
    later: BTreeMap<Key, Fact>,
}

impl Facts {
    /// Whether it has this number.
    pub fn has(&self, key: &Key) -> bool {
        self.at_once.contains_key(key)
    }
}

/// What was read of one stream.
pub struct Reading {
    pub name: String,
    pub facts: Facts,
}

/// An entry pending: ID, consumer, idle, deliveries.
type Pending = (String, String, u64, u64);

/// What the script says of one stream.
pub type Reply = (String, Fields, Vec<String>, Vec<Fields>, Vec<(Vec<Pending>, Vec<Fields>)>);

/// How long the oldest undelivered entry has waited: absent where the budget has not found it.
const UNDELIVERED: &str = "oldest_undelivered_age_seconds";

/// Slack of clocks: Redis looks at its own once for each event, and in milliseconds.
const SLACK: f64 = 0.05;

/// What the replies of the script say that were read in this span.
pub fn read(replies: Vec<Reply>, span: Span) -> Vec<Reading> {
    let reading = |(name, stream, ids, groups, of_groups): Reply| Reading {
        name,
        facts: facts(&stream, &ids, groups.into_iter().zip(of_groups), span),
    };
    replies.into_iter().map(reading).collect()
}

type OfGroup = (Fields, (Vec<Pending>, Vec<Fields>));

fn facts(stream: &Fields, ids: &[String], groups: impl Iterator<Item = OfGroup>, span: Span) -> Facts {
    let mut facts = Facts::default();
    let mut put = |name: &str, value: Option<f64>| {
        let fact = value.map(|value| (Key::new(&format!("redis_stream_{name}"), "", ""), Fact::Is(value)));
        facts.at_once.extend(fact);
    };
    let ends = ids.first().zip(ids.last()).map(|(first, last)| [first, last].map(|id| id_of(id).0 as f64));
    put("length", Some(ids.len() as f64));
    put("groups", integer(stream, "groups"));
    put("entries_added_total", integer(stream, "entries-added"));
    put("radix_tree_keys", integer(stream, "radix-tree-keys"));
    put("radix_tree_nodes", integer(stream, "radix-tree-nodes"));
    put("last_generated_id", id_ms(stream, "last-generated-id"));
    put("max_deleted_entry_id", id_ms(stream, "max-deleted-entry-id"));
    put("first_entry_id", ends.map(|[first, _]| first));
    put("last_entry_id", ends.map(|[_, last]| last));
    put("first_entry_timestamp_seconds", ends.map(|[first, _]| first / 1e3));
    put("last_entry_timestamp_seconds", ends.map(|[_, last]| last / 1e3));
    for (group, (pending, consumers)) in groups {
        of_group(&mut facts, &group, ids, pending.first(), &consumers, span);
    }
    facts
}

fn of_group(
    facts: &mut Facts,
    group: &Fields,
    ids: &[String],
    pending: Option<&Pending>,
    consumers: &[Fields],
    span: Span,
) {
    let name = text(&group["name"]);
    let key = |metric: &str| Key::new(&format!("redis_stream_group_{metric}"), &name, "");
    let delivered = id_of(&text(&group["last-delivered-id"]));
    let above = ids.iter().map(|id| id_of(id)).filter(|id| *id > delivered);
    let lag = above.clone().count() as f64;
    let count = integer(group, "pending").unwrap();
    for (metric, value) in [
        ("lag", Some(lag)),
        ("lag_lower_bound", Some(lag)),
        ("lag_upper_bound", Some(lag)),
        ("backlog", Some(lag + count)),
        ("messages_pending", Some(count)),
        ("consumers", integer(group, "consumers")),
        ("last_delivered_id", Some(delivered.0 as f64)),
        ("entries_read", integer(group, "entries-read")),
    ] {
        facts.at_once.extend(value.map(|value| (key(metric), Fact::Is(value))));
    }
    let added = |id: (u64, u64)| {
        let added = id.0 as f64 / 1e3;
        Fact::Since(Span { from: added, until: added })
    };
    facts.at_once.extend(above.min().map(|id| (key(UNDELIVERED), added(id))));
    let since = |idle: u64| {
        let ago = idle as f64 / 1e3;
        Fact::Since(Span { from: span.from - ago, until: span.until - ago })
    };
    if let Some((id, _, idle, deliveries)) = pending {
        facts.later.extend([
            (key("oldest_pending_age_seconds"), added(id_of(id))),
            (key("oldest_pending_deleted"), Fact::Is(f64::from(u8::from(!ids.contains(id))))),
            (key("oldest_pending_idle_seconds"), since(*idle)),
            (key("oldest_pending_deliveries"), Fact::Is(*deliveries as f64)),
        ]);
    }
    for consumer in consumers {
        let key = |metric: &str| {
            Key::new(&format!("redis_stream_group_consumer_{metric}"), &name, &text(&consumer["name"]))
        };
        facts.later.insert(key("messages_pending"), Fact::Is(integer(consumer, "pending").unwrap()));
        for (field, metric) in [("idle", "idle_seconds"), ("inactive", "inactive_seconds")] {
            if let Some(idle @ 0.0..) = integer(consumer, field) {
                facts.later.insert(key(metric), since(idle as u64));
            }
        }
    }
}

/// Whether what is seen of a stream in a poll of this span agrees with these facts, or with these as to what is asked for
/// later in the poll.
pub fn compare<'a>(
    facts: Option<&Facts>,
    later: impl Iterator<Item = &'a Facts> + Clone,
    seen: Option<&Seen>,
    span: Span,
    complete: impl Fn(&Key) -> bool,
) -> Result<(), String> {
    let nothing = Seen::default();
    let seen = seen.unwrap_or(&nothing);
    let known = facts.map(|facts| &facts.at_once);
    for (key, value) in &seen.values {
        let fact = known.and_then(|known| known.get(key));
        let is_right = match fact {
            Some(fact) if seen.bounded.contains(&key.group) => fact.bounds(key, *value, span),
            Some(fact) => fact.is(*value, span),
            None => {
                let later = later.clone();
                facts.is_some()
                    && later.filter_map(|facts| facts.later.get(key)).any(|fact| fact.is(*value, span))
            }
        };
        if !is_right {
            return Err(format!("{key:?} is {value}, where {fact:?} is true"));
        }
    }
    let is_there = |key: &Key| seen.values.iter().any(|(other, _)| other == key);
    let may_lack = |key: &Key| {
        let of_lag = ["redis_stream_group_lag", "redis_stream_group_backlog"].contains(&&*key.name);
        of_lag && seen.bounded.contains(&key.group) || key.name.ends_with(UNDELIVERED)
    };
    let wanted = known.into_iter().flat_map(BTreeMap::keys).filter(|key| complete(key));
    match wanted.filter(|key| !is_there(key) && !may_lack(key)).find(|_| !seen.is_failing) {
        Some(key) => Err(format!("{key:?} is not there, and nothing says why")),
        None => Ok(()),
    }
}

impl Fact {
    fn is(self, value: f64, span: Span) -> bool {
        match self {
            Fact::Is(truth) => value == truth,
            Fact::Since(since) => {
                let least = span.from - since.until - SLACK;
                value >= 0.0 && least <= value && value <= span.until - since.from + SLACK
            }
        }
    }

    /// Whether a number of a group agrees with it where the lag has only bounds. What is published between these is a guess.
    fn bounds(self, key: &Key, value: f64, span: Span) -> bool {
        let Fact::Is(truth) = self else { return self.is(value, span) };
        match &*key.name {
            "redis_stream_group_lag_lower_bound" => 1.0 <= value && value <= truth,
            "redis_stream_group_lag_upper_bound" => value >= truth,
            "redis_stream_group_lag" | "redis_stream_group_backlog" => value >= 1.0,
            _ => value == truth,
        }
    }
}

fn id_of(text: &str) -> (u64, u64) {
    let (ms, seq) = text.split_once('-').unwrap();
    (ms.parse().unwrap(), seq.parse().unwrap())
}

fn text(value: &Value) -> String {
    redis::FromRedisValue::from_redis_value(value.clone()).unwrap()
}
