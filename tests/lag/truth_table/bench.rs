//! Where a history is played: the server it is played on, the server that is measured, and those who measure.

use redis::Connection;
use streamgauge::model::{lag::Lag, name::Name};

use super::{Check, Says};
use crate::{
    gauge::{Gauge, Reading},
    support::{redis::RedisServer, wait},
};

const STREAM: &str = "s";
const GROUP: &str = "g";

/// Which versions a server's own number is known for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Before 7.0: has no lag to say.
    Redis6,
    Redis7,
    Redis8,
    Valkey9,
    /// What it says is printed, but held against nothing.
    Unmeasured,
}

impl Column {
    pub fn of(server: &RedisServer) -> Column {
        let info: String = server.ask(&["INFO", "server"]);
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
        match (field("valkey_version:"), field("redis_version:")) {
            (Some(valkey), _) if valkey.starts_with("9.1.") => Column::Valkey9,
            (None, Some(redis)) if redis.starts_with("6.") => Column::Redis6,
            (None, Some(redis)) if redis.starts_with("7.0.") => Column::Redis7,
            (None, Some(redis)) if redis.starts_with("8.0.") => Column::Redis8,
            _ => Column::Unmeasured,
        }
    }

    /// What the server is to say; the outer `None` where nobody knows.
    fn expected(self, check: &Check) -> Option<Option<i64>> {
        let says = match self {
            Column::Redis6 => Says::Nil,
            Column::Redis7 => check.says[0],
            Column::Redis8 => check.says[1],
            Column::Valkey9 => check.says[2],
            Column::Unmeasured => return None,
        };
        Some(match says {
            Says::Nil => None,
            Says::Right => Some(check.lag.cast_signed()),
            Says::Off(by) => Some(check.lag.cast_signed() + by),
        })
    }
}

/// Where a history is played, and who watches it from the beginning.
pub struct Bench<'a> {
    writer: Connection,
    /// The server that is written to.
    primary: &'a RedisServer,
    /// The server that is measured.
    measured: &'a RedisServer,
    column: Column,
    watching: Watching,
}

/// Gauges that look after every command, without and with a budget.
struct Watching {
    without: Gauge,
    with: Gauge,
}

/// What was said at a checkpoint, and what of it is wrong.
pub struct Outcome {
    pub line: String,
    pub wrong: Vec<String>,
}

impl<'a> Bench<'a> {
    pub fn of(server: &'a RedisServer) -> Bench<'a> {
        Bench::with_replica(server, server)
    }

    /// Another server is measured; it is to become a replica in the course of the history.
    pub fn with_replica(primary: &'a RedisServer, measured: &'a RedisServer) -> Bench<'a> {
        Bench {
            writer: primary.connection().unwrap(),
            primary,
            measured,
            column: Column::of(measured),
            watching: Watching::new(measured),
        }
    }

    /// Runs a checkpoint's commands, and compares what is said with what the row states and with the truth.
    pub fn check(&mut self, row: &str, check: &Check) -> Outcome {
        self.watching.expect_deceit(check.deceives);
        for step in check.run.split("; ") {
            commands(step).iter().for_each(|words| self.run(words));
            self.arrive();
            self.watching.look();
        }
        let context = format!("{:?}, {row}, after {}", self.column, check.run);
        let mut wrong = Vec::new();
        let mut right = |lag: Lag, truth, needs_exact: bool, who: &str| {
            let holds = lag.bounds().is_some_and(|(lower, upper)| lower <= truth && truth <= upper);
            let exact = lag.bounds() == Some((truth, truth));
            if !holds || needs_exact && !exact || (truth == 0) != (lag == Lag::derived(0)) {
                wrong.push(format!("{context}: {who} says {lag:?}, the truth is {truth}"));
            }
        };
        let fresh = |budget| Gauge::new(self.measured.connection().unwrap(), STREAM, budget);
        let usual = of_group(fresh(100).look());
        let nothing_read = of_group(fresh(0).look());
        let watched = of_group(self.watching.without.look());
        let watched_usual = of_group(self.watching.with.look());
        let said = usual.facts.reported_lag;
        right(usual.lag, check.lag, true, "budget 100");
        right(nothing_read.lag, check.lag, false, "budget 0");
        if check.deceives {
            // It must be known for what it is: the server's own number.
            let deceived = said.and_then(|said| u64::try_from(said).ok()).map(Lag::Reported);
            if Some(watched.lag) != deceived || Some(watched_usual.lag) != deceived {
                let lags = [watched.lag, watched_usual.lag];
                wrong.push(format!("{context}: with memory {lags:?}, not {deceived:?}"));
            }
        } else {
            right(watched.lag, check.lag, false, "budget 0 with memory");
            right(watched_usual.lag, check.lag, true, "budget 100 with memory");
        }
        let expected = self.column.expected(check);
        if expected.is_some_and(|expected| expected != said) {
            wrong.push(format!("{context}: the server says {said:?}, not {expected:?}"));
        }
        // Nil is something else than nothing.
        let has_field = self.measured.groups(STREAM)[GROUP].contains_key("lag");
        if has_field == (self.column == Column::Redis6) {
            wrong.push(format!("{context}: the server has a lag field: {has_field}"));
        }
        let says = match said {
            None if !has_field => "no field".to_owned(),
            None => "nil".to_owned(),
            Some(lag) if lag == check.lag.cast_signed() => "right".to_owned(),
            Some(lag) => format!("{:+}", lag - check.lag.cast_signed()),
        };
        let lags = [usual.lag, nothing_read.lag, watched_usual.lag, watched.lag].map(words);
        Outcome { line: format!("{}: {says}; {}", check.lag, lags.join("; ")), wrong }
    }

    fn run(&mut self, words: &[String]) {
        match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["SYNC"] => {
                let port = self.primary.url().rsplit(':').next().unwrap().to_owned();
                self.measured.run(&[&format!("REPLICAOF 127.0.0.1 {port}")]);
                wait::until("the replica to be in sync", || {
                    let info: String = self.measured.ask(&["INFO", "replication"]);
                    if info.contains("master_link_status:up") { Ok(()) } else { Err(info) }
                });
                self.watching = Watching::new(self.measured);
            }
            ["MOVE"] => {
                let dump: Vec<u8> = self.primary.ask(&["DUMP", STREAM]);
                self.measured.run_bytes(&[b"RESTORE", STREAM.as_bytes(), b"0", &dump]);
                self.promote();
            }
            ["PROMOTE"] => {
                self.measured.run(&["REPLICAOF NO ONE"]);
                self.promote();
            }
            _ => {
                let mut command = redis::Cmd::new();
                words.iter().for_each(|word| _ = command.arg(word));
                let done = command.exec(&mut self.writer);
                done.unwrap_or_else(|error| panic!("{words:?}: {error}"));
            }
        }
    }

    /// What was the replica is written to from now on.
    fn promote(&mut self) {
        self.primary = self.measured;
        self.writer = self.measured.connection().unwrap();
        self.watching = Watching::new(self.measured);
    }

    /// Waits until the replica has what was written, if there is one.
    fn arrive(&mut self) {
        let info: String = self.primary.ask(&["INFO", "replication"]);
        if info.contains("connected_slaves:1") {
            let arrived: i64 = redis::cmd("WAIT").arg(1).arg(60_000).query(&mut self.writer).unwrap();
            assert_eq!(arrived, 1, "the replica lags behind");
        }
    }
}

impl Watching {
    fn new(server: &RedisServer) -> Watching {
        let gauge = |budget| Gauge::new(server.connection().unwrap(), STREAM, budget);
        Watching { without: gauge(0), with: gauge(100) }
    }

    /// From now on somebody writes the group's counter by hand, or nobody does.
    fn expect_deceit(&mut self, deceives: bool) {
        (self.without.deceived, self.with.deceived) = (deceives, deceives);
    }

    fn look(&mut self) {
        self.without.look();
        self.with.look();
    }
}

fn of_group(readings: Vec<Reading>) -> Reading {
    let group = Name::from(GROUP);
    readings.into_iter().find(|reading| reading.group == group).unwrap()
}

fn words(lag: Lag) -> String {
    match lag {
        Lag::Bounded { lower, upper, estimate } => format!("{estimate} in {lower}..={upper}"),
        lag => format!("{} {}", lag.bounds().map_or(0, |(lower, _)| lower), lag.source()),
    }
}

/// A command as it is written at a terminal. Two abbreviations: a range (`1..9`, or `0-1..9` of sequence numbers) stands
/// for the command with each of its IDs, and `READ g 2` for
/// XREADGROUP with a count, by a consumer that is called as the group is.
fn commands(step: &str) -> Vec<Vec<String>> {
    let mut words: Vec<_> = step.split(' ').collect();
    if let ["READ", group, count, options @ ..] = &words[..] {
        let start = ["XREADGROUP", "GROUP", group, group, "COUNT", count];
        words = [&start, options, &["STREAMS", STREAM, ">"]].concat();
    }
    let words: Vec<_> = words.into_iter().map(str::to_owned).collect();
    let Some(place) = words.iter().position(|word| word.contains("..")) else {
        return vec![words];
    };
    let with = |id| {
        let mut words = words.clone();
        words[place] = id;
        words
    };
    range(&words[place]).map(with).collect()
}

fn range(text: &str) -> impl Iterator<Item = String> {
    let (first, last) = text.split_once("..").unwrap();
    let (before, first) = first.split_at(first.find('-').map_or(0, |dash| dash + 1));
    let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
    (first..=last).map(move |number| format!("{before}{number}"))
}
