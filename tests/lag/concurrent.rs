//! Readings in the midst of writers at full speed. Each is exact about its own moment: the truth is counted in the same
//! transaction.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use redis::{Connection, Value};
use streamgauge::model::lag::Lag;

use crate::{
    gauge::Gauge,
    history::{Random, ids},
    servers::{Version, versions},
    support::redis::RedisServer,
};

const KEY: &str = "busy";
const GROUPS: [&str; 4] = ["keeps", "deletes", "slow", "jumps"];

/// Entries at which producers wait for the others.
const BACKLOG: i64 = 800;

/// Looks at each server.
const LOOKS: u64 = 300;

/// Most commands of each writer.
const COMMANDS: u64 = 200_000;

/// What each writer does, again and again.
const WRITERS: &[fn(&mut Writer)] = &[
    Writer::produce,
    Writer::produce,
    |writer| writer.consume("keeps", false),
    |writer| writer.consume("deletes", true),
    |writer| {
        writer.consume("slow", false);
        writer.pause(4);
    },
    Writer::delete,
    Writer::trim,
    Writer::jump,
    Writer::reload,
];

struct Writer {
    connection: Connection,
    random: Random,
    commands: u64,
    reloads: u64,
}

impl Writer {
    fn new(server: &RedisServer, seed: u64) -> Writer {
        Writer {
            connection: server.connection().unwrap(),
            random: Random::new(seed),
            commands: 0,
            reloads: 0,
        }
    }

    fn pause(&mut self, milliseconds: u64) {
        thread::sleep(Duration::from_millis(milliseconds));
    }

    /// Errors are part of it: what one writer is about to take, another has deleted.
    fn ask(&mut self, words: &[&str]) -> Option<Value> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| _ = command.arg(*word));
        self.commands += 1;
        command.query(&mut self.connection).ok()
    }

    fn produce(&mut self) {
        // A backlog grows and shrinks, and so do the lags.
        let length = self.ask(&["XLEN", KEY]);
        if matches!(length, Some(Value::Int(length)) if length > BACKLOG) {
            return self.pause(1);
        }
        for _ in 0..=self.random.below(20) {
            self.ask(&["XADD", KEY, "*", "f", "v"]);
        }
    }

    fn consume(&mut self, group: &str, deletes: bool) {
        let count = (1 + self.random.below(30)).to_string();
        let read = self.ask(&["XREADGROUP", "GROUP", group, "c", "COUNT", &count, "STREAMS", KEY, ">"]);
        let ids = delivered(read);
        if ids.is_empty() {
            self.pause(1);
        }
        for id in ids {
            self.ask(&["XACK", KEY, group, &id]);
            if deletes && self.random.below(10) > 0 {
                self.ask(&["XDEL", KEY, &id]);
            }
        }
    }

    /// Somewhere, and the last entry.
    fn delete(&mut self) {
        let entries = ids(self.ask(&["XRANGE", KEY, "-", "+", "COUNT", "200"]));
        if let Some(id) = entries.get(self.random.below(entries.len() as u64) as usize) {
            self.ask(&["XDEL", KEY, id]);
        }
        if self.random.below(4) == 0 {
            let last = ids(self.ask(&["XREVRANGE", KEY, "+", "-", "COUNT", "1"]));
            last.first().map(|id| self.ask(&["XDEL", KEY, id]));
        }
        self.pause(1);
    }

    fn trim(&mut self) {
        let keep = (BACKLOG as u64 / 8 + self.random.below(BACKLOG as u64)).to_string();
        match self.random.below(40) {
            0 => self.ask(&["XTRIM", KEY, "MAXLEN", "0"]),
            1..=20 => self.ask(&["XTRIM", KEY, "MAXLEN", "~", &keep]),
            _ => self.ask(&["XADD", KEY, "MAXLEN", &keep, "*", "f", "v"]),
        };
        self.pause(5);
    }

    /// A group that is set to anywhere, and made anew.
    fn jump(&mut self) {
        let entries = ids(self.ask(&["XRANGE", KEY, "-", "+", "COUNT", "1000"]));
        let any = self.random.below(entries.len() as u64 + 1) as usize;
        let id = entries.get(any).map_or("$", String::as_str);
        if self.random.below(5) == 0 {
            self.ask(&["XGROUP", "DESTROY", KEY, "jumps"]);
            self.ask(&["XGROUP", "CREATE", KEY, "jumps", id]);
        } else {
            self.ask(&["XGROUP", "SETID", KEY, "jumps", id]);
        }
        self.consume("jumps", false);
        self.pause(5);
    }

    fn reload(&mut self) {
        let pause = 20 + self.random.below(200);
        self.pause(pause);
        self.ask(&["DEBUG", "RELOAD"]).expect("DEBUG RELOAD works");
        self.reloads += 1;
    }
}

#[test]
fn concurrent_writers() {
    for version in versions() {
        let Outcome { rates, writes, reloads } = busy(&version);
        let rates: Vec<_> = rates.iter().map(|(source, count)| format!("{count} {source}")).collect();
        let rates = rates.join(", ");
        println!(
            "{}: {LOOKS} looks during {writes} commands, {reloads} of them reloads: {rates}",
            version.name
        );
        // Otherwise it was not at the same time.
        assert!(writes > 10 * LOOKS && reloads > 0);
    }
}

struct Outcome {
    /// How often each kind of answer was given.
    rates: BTreeMap<&'static str, u64>,
    writes: u64,
    reloads: u64,
}

/// Looks while all writers write.
fn busy(version: &Version) -> Outcome {
    let server = version.start();
    for group in GROUPS {
        server.run(&[&format!("XGROUP CREATE {KEY} {group} 0 MKSTREAM")]);
    }
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        // Before anything can panic: the writers must end.
        let end = End(&ended);
        let writers: Vec<_> = (0..)
            .zip(WRITERS)
            .map(|(seed, write)| {
                let mut writer = Writer::new(&server, seed);
                let ended = &ended;
                scope.spawn(move || {
                    while !ended.load(Ordering::Relaxed) && writer.commands < COMMANDS {
                        write(&mut writer);
                    }
                    (writer.commands, writer.reloads)
                })
            })
            .collect();
        let rates = look(version, &server);
        drop(end);
        let done: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        Outcome {
            rates,
            writes: done.iter().map(|(commands, _)| commands).sum(),
            reloads: done.iter().map(|(_, reloads)| reloads).sum(),
        }
    })
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn look(version: &Version, server: &RedisServer) -> BTreeMap<&'static str, u64> {
    let mut gauge = Gauge::new(server.connection().unwrap(), KEY, 0);
    let mut moods = Random::new(1);
    let mut rates = BTreeMap::new();
    for look in 0..LOOKS {
        let budget = [0, 1, 5, 20, 100, 400][moods.below(6) as usize];
        gauge.set_budget(budget);
        let readings = gauge.look();
        assert!(!readings.is_empty(), "{}: the stream is gone", version.name);
        for reading in readings {
            reading.check(&format!("{} look {look}", version.name));
            let is_zero = matches!(reading.lag, Lag::Exact { entries: 0, .. });
            assert_eq!(is_zero, reading.truth == 0, "{} look {look}: {reading:?}", version.name);
            if reading.truth > 0 && budget > 0 {
                let known = reading.oldest.id().is_some();
                *rates.entry(if known { "oldest known" } else { "oldest unknown" }).or_default() += 1;
            }
            *rates.entry(if is_zero { "zero" } else { reading.lag.source() }).or_default() += 1;
        }
    }
    rates
}

fn delivered(reply: Option<Value>) -> Vec<String> {
    let Some(Value::Array(mut streams)) = reply else { return Vec::new() };
    match streams.pop() {
        Some(Value::Array(mut stream)) => ids(stream.pop()),
        _ => Vec::new(),
    }
}
