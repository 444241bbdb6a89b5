//! Random histories of a stream: everything that applications do to streams and groups, but writing counters by hand.

use redis::{Connection, Value};

/// A small generator of random numbers: the same seed gives the same history.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// A stream that things happen to.
pub struct History {
    pub connection: Connection,
    pub key: String,
    pub random: Random,
    /// A serialized earlier state of the stream, to be restored.
    dump: Option<Vec<u8>>,
    /// Whether the server can claim automatically (6.2 and later).
    pub has_autoclaim: bool,
}

type Step = fn(&mut History);

/// What may happen, with its weight; true where the stream was replaced, which only a look right after can tell.
const STEPS: &[(u64, bool, Step)] = &[
    (20, false, |h| h.add(1)),
    (8, false, |h| {
        let count = 2 + h.random.below(30);
        h.add(count);
    }),
    (16, false, |h| h.read(false)),
    (4, false, |h| h.read(true)),
    (8, false, |h| h.acknowledge(false)),
    (8, false, |h| h.acknowledge(true)),
    (5, false, History::delete_any),
    (3, false, History::delete_next),
    (2, false, History::delete_last),
    (3, false, History::delete_last_delivered),
    (4, false, |h| h.trim(&["MAXLEN", "="])),
    (3, false, |h| h.trim(&["MAXLEN", "~"])),
    (3, false, History::add_trimming),
    (2, false, History::set_id),
    (3, false, History::create),
    (1, false, History::destroy),
    (3, false, History::claim),
    (1, false, History::raise_last_id),
    (1, true, |h| _ = h.ask(&["DEBUG", "RELOAD"])),
    (1, false, History::dump),
    (1, true, History::restore),
    (1, true, History::rename),
    (1, true, |h| _ = h.ask(&["DEL", &h.key.clone()])),
    (1, true, |h| h.trim(&["MAXLEN", "=", "0"])),
];

impl History {
    pub fn new(connection: Connection, key: &str, seed: u64, has_autoclaim: bool) -> History {
        let mut history =
            History { connection, key: key.to_owned(), random: Random::new(seed), dump: None, has_autoclaim };
        history.ask(&["DEL", key]);
        history.add(5);
        history.create();
        history
    }

    /// One thing happens; true where the stream was replaced.
    pub fn step(&mut self) -> bool {
        let total = STEPS.iter().map(|(weight, ..)| weight).sum();
        let mut at = self.random.below(total);
        for (weight, replaces, step) in STEPS {
            if at < *weight {
                step(self);
                return *replaces;
            }
            at -= weight;
        }
        unreachable!("the weights add up to the total")
    }

    /// Errors are part of a random history: a group that is not there, a key that is gone.
    fn ask(&mut self, words: &[&str]) -> Option<Value> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| _ = command.arg(*word));
        command.query(&mut self.connection).ok()
    }

    fn key(&self) -> String {
        self.key.clone()
    }

    fn group(&mut self) -> String {
        format!("g{}", self.random.below(3))
    }

    fn consumer(&mut self) -> String {
        format!("c{}", self.random.below(2))
    }

    /// IDs of the stream's entries.
    fn entries(&mut self) -> Vec<String> {
        let key = self.key();
        ids(self.ask(&["XRANGE", &key, "-", "+"]))
    }

    fn last_delivered(&mut self, group: &str) -> Option<String> {
        let key = self.key();
        let Some(Value::Array(groups)) = self.ask(&["XINFO", "GROUPS", &key]) else {
            return None;
        };
        groups.iter().find_map(|fields| {
            let Value::Array(fields) = fields else { return None };
            let get = |name: &str| {
                fields
                    .chunks_exact(2)
                    .find(|pair| text(&pair[0]).as_deref() == Some(name))
                    .and_then(|pair| text(&pair[1]))
            };
            (get("name").as_deref() == Some(group)).then(|| get("last-delivered-id"))?
        })
    }

    fn add(&mut self, count: u64) {
        let mut pipeline = redis::pipe();
        for _ in 0..count {
            pipeline.cmd("XADD").arg(&self.key).arg("*").arg("f").arg("v");
        }
        let _: Result<(), _> = pipeline.query(&mut self.connection);
    }

    fn add_trimming(&mut self) {
        let (key, keep) = (self.key(), self.random.below(60).to_string());
        self.ask(&["XADD", &key, "MAXLEN", "~", &keep, "*", "f", "v"]);
    }

    fn read(&mut self, no_ack: bool) {
        let (key, group, consumer) = (self.key(), self.group(), self.consumer());
        let count = (1 + self.random.below(15)).to_string();
        let mut words = vec!["XREADGROUP", "GROUP", &group, &consumer, "COUNT", &count];
        if no_ack {
            words.push("NOACK");
        }
        words.extend(["STREAMS", &key, ">"]);
        self.ask(&words);
    }

    /// Acknowledges pending entries; `delete` as workers do that clean up behind themselves.
    fn acknowledge(&mut self, delete: bool) {
        let (key, group) = (self.key(), self.group());
        let count = (1 + self.random.below(10)).to_string();
        for id in ids(self.ask(&["XPENDING", &key, &group, "-", "+", &count])) {
            self.ask(&["XACK", &key, &group, &id]);
            if delete {
                self.ask(&["XDEL", &key, &id]);
            }
        }
    }

    fn delete_any(&mut self) {
        let entries = self.entries();
        for _ in 0..=self.random.below(3) {
            let at = self.random.below(entries.len() as u64) as usize;
            let key = self.key();
            entries.get(at).map(|id| self.ask(&["XDEL", &key, id]));
        }
    }

    fn delete_next(&mut self) {
        let (key, group) = (self.key(), self.group());
        let Some(last) = self.last_delivered(&group) else {
            return;
        };
        let next =
            ids(self.ask(&["XRANGE", &key, &last, "+", "COUNT", "2"])).into_iter().find(|id| *id != last);
        next.map(|id| self.ask(&["XDEL", &key, &id]));
    }

    fn delete_last(&mut self) {
        let key = self.key();
        let last = ids(self.ask(&["XREVRANGE", &key, "+", "-", "COUNT", "1"]));
        last.first().map(|id| self.ask(&["XDEL", &key, id]));
    }

    fn delete_last_delivered(&mut self) {
        let (key, group) = (self.key(), self.group());
        self.last_delivered(&group).map(|id| self.ask(&["XDEL", &key, &id]));
    }

    fn trim(&mut self, how: &[&str]) {
        let (key, keep) = (self.key(), self.random.below(80).to_string());
        let mut words = vec!["XTRIM", key.as_str()];
        words.extend(how);
        if how.len() < 3 {
            words.push(&keep);
        }
        self.ask(&words);
    }

    fn set_id(&mut self) {
        let (key, group, entries) = (self.key(), self.group(), self.entries());
        let at = self.random.below(entries.len() as u64 + 2) as usize;
        let id = entries.get(at).map_or(if at.is_multiple_of(2) { "0" } else { "$" }, String::as_str);
        self.ask(&["XGROUP", "SETID", &key, &group, id]);
    }

    fn create(&mut self) {
        let (key, group, entries) = (self.key(), self.group(), self.entries());
        let at = self.random.below(entries.len() as u64 * 2) as usize;
        let id = entries.get(at).map_or(if at.is_multiple_of(2) { "0" } else { "$" }, String::as_str);
        self.ask(&["XGROUP", "CREATE", &key, &group, id, "MKSTREAM"]);
    }

    fn destroy(&mut self) {
        let (key, group) = (self.key(), self.group());
        self.ask(&["XGROUP", "DESTROY", &key, &group]);
    }

    fn claim(&mut self) {
        let (key, group, consumer) = (self.key(), self.group(), self.consumer());
        if self.has_autoclaim && self.random.below(2) == 0 {
            self.ask(&["XAUTOCLAIM", &key, &group, &consumer, "0", "0"]);
            return;
        }
        for id in ids(self.ask(&["XPENDING", &key, &group, "-", "+", "3"])) {
            self.ask(&["XCLAIM", &key, &group, &consumer, "0", &id]);
        }
    }

    /// A last-generated ID ahead of the last entry, as after a failover to a server with a fast clock.
    fn raise_last_id(&mut self) {
        let key = self.key();
        let last = ids(self.ask(&["XREVRANGE", &key, "+", "-", "COUNT", "1"]));
        if let Some((ms, seq)) = last.first().and_then(|id| id.split_once('-')) {
            let raised = format!("{ms}-{}", seq.parse::<u64>().unwrap_or(0) + 1 + self.random.below(5));
            self.ask(&["XSETID", &key, &raised]);
        }
    }

    fn dump(&mut self) {
        self.dump = redis::cmd("DUMP").arg(&self.key).query(&mut self.connection).ok();
    }

    fn restore(&mut self) {
        if let Some(dump) = &self.dump {
            let restored = redis::cmd("RESTORE")
                .arg(&self.key)
                .arg(0)
                .arg(&dump[..])
                .arg("REPLACE")
                .exec(&mut self.connection);
            let _ = restored;
        }
    }

    fn rename(&mut self) {
        let (key, other) = (self.key(), format!("{}:renamed", self.key));
        self.ask(&["RENAME", &key, &other]);
        self.ask(&["RENAME", &other, &key]);
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

/// The first part of every item of a reply: the IDs of XRANGE and of XPENDING.
pub fn ids(reply: Option<Value>) -> Vec<String> {
    let Some(Value::Array(items)) = reply else {
        return Vec::new();
    };
    let id = |item: &Value| match item {
        Value::Array(parts) => text(parts.first()?),
        _ => None,
    };
    items.iter().filter_map(id).collect()
}
