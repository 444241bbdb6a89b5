//! What is true of the streams of a server, and when it was; and whether what is published was true while it was measured.
//!
//! The truth is read from Redis itself, at one moment with each change, and counted by hand: [`facts`]. What was true from
//! when to when, the [`Ledger`] keeps. A number is right if it was true at some time of the poll that it is of, and all
//! numbers of one stream that are measured at once must have been true at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
    time::{SystemTime, UNIX_EPOCH},
};

use redis::{Client, Connection};

use self::facts::{Facts, Key, Reading};
use super::{redis::RedisServer, wait};

pub mod facts;

/// Seconds since the Unix epoch.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A stretch of time, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub from: f64,
    pub until: f64,
}

/// What was true of a stream; nothing where it did not exist. Two overlap while it is not known which holds.
struct Period {
    span: Span,
    facts: Option<Facts>,
}

/// What was true when of all streams of a server. Whoever changes a stream does it by way of the ledger.
pub struct Ledger {
    client: Client,
    /// Locked while something changes.
    connection: Mutex<Option<Connection>>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    streams: BTreeMap<String, Vec<Period>>,
    /// Since when something is changing of which it is not known yet what comes of it.
    changing: Option<f64>,
    /// What was shown meanwhile that was not true before: it is judged afterwards.
    open: Vec<Shown>,
    /// The first of those that was not true afterwards either.
    wrong: Option<String>,
}

/// What a surface shows at one time.
#[derive(Debug)]
pub struct Shown {
    /// The poll that it is of.
    pub poll: Span,
    /// By name.
    pub streams: BTreeMap<String, Seen>,
    /// What must be there, of each stream that exists.
    pub complete: fn(&Key) -> bool,
}

/// What a surface shows of one stream.
#[derive(Debug, Default)]
pub struct Seen {
    /// Whether it says that something of the stream could not be read: then anything may be absent.
    pub is_failing: bool,
    pub values: Vec<(Key, f64)>,
    /// Groups of which only bounds are known.
    pub bounded: Vec<String>,
}

impl Ledger {
    /// With all that the server holds at this moment, and has held for long.
    pub fn of(redis: &RedisServer) -> Ledger {
        let ledger =
            Ledger { client: redis.client().unwrap(), connection: Mutex::default(), book: Mutex::default() };
        ledger.during(|| ());
        for periods in ledger.lock().streams.values_mut() {
            periods.drain(..1);
            periods[0].span.from = 0.0;
        }
        ledger
    }

    /// Changes one stream, and reads it at the same moment. The commands are those of Redis, and those of the script.
    #[track_caller]
    pub fn step(&self, stream: &str, commands: &[&[&str]]) {
        let mut connection = self.connection.lock().unwrap();
        let from = self.begin();
        let read = self.read(&mut connection, &[stream], commands).unwrap();
        self.enter(from, [stream.to_owned()].into(), read);
    }

    /// Does something to the server that may change any stream, at any time until it has ended.
    pub fn during<T>(&self, change: impl FnOnce() -> T) -> T {
        let mut connection = self.connection.lock().unwrap();
        let from = self.begin();
        let done = change();
        let read = wait::until("the server to be read", || {
            // The one there was may be broken.
            *connection = None;
            self.read(&mut connection, &[], &[]).map_err(|error| error.to_string())
        });
        let known: Vec<_> = self.lock().streams.keys().cloned().collect();
        let names = known.into_iter().chain(read.iter().map(|read| read.name.clone())).collect();
        self.enter(from, names, read);
        done
    }

    fn begin(&self) -> f64 {
        let from = now();
        self.lock().changing = Some(from);
        from
    }

    fn read(
        &self,
        connection: &mut Option<Connection>,
        streams: &[&str],
        commands: &[&[&str]],
    ) -> redis::RedisResult<Vec<Reading>> {
        if connection.is_none() {
            *connection = Some(self.client.get_connection()?);
        }
        let mut call = redis::cmd("EVAL");
        call.arg(include_str!("truth.lua")).arg(streams.len()).arg(streams);
        call.arg(serde_json::to_string(commands).unwrap());
        let from = now();
        let replies = call.query(connection.as_mut().unwrap())?;
        Ok(facts::read(replies, Span { from, until: now() }))
    }

    /// What these streams were is true until now; what was read is true from the beginning of the change on.
    fn enter(&self, from: f64, names: BTreeSet<String>, read: Vec<Reading>) {
        let (until, mut book) = (now(), self.lock());
        let mut read: BTreeMap<_, _> =
            read.into_iter().map(|reading| (reading.name, reading.facts)).collect();
        for name in names {
            let facts = read.remove(&name);
            let periods = book.streams.entry(name).or_insert_with(|| {
                vec![Period { span: Span { from: 0.0, until: f64::INFINITY }, facts: None }]
            });
            let before = periods.last_mut().unwrap();
            before.span.until = until;
            periods.push(Period { span: Span { from, until: f64::INFINITY }, facts });
        }
        book.changing = None;
        for shown in std::mem::take(&mut book.open) {
            let wrong = book.judge(&shown).err();
            book.wrong = book.wrong.take().or(wrong);
        }
    }

    /// Whether what is shown was true at some time of its poll, and whether it is all: of each stream that existed, it must
    /// be complete, or say that something could not be read.
    pub fn judge(&self, shown: Shown) -> Result<(), String> {
        let mut book = self.lock();
        if let Some(wrong) = &book.wrong {
            return Err(wrong.clone());
        }
        let judged = book.judge(&shown);
        if judged.is_err() && book.changing.is_some_and(|from| from <= shown.poll.until) {
            book.open.push(shown);
            return Ok(());
        }
        judged
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }
}

impl Book {
    fn judge(&self, shown: &Shown) -> Result<(), String> {
        let poll = shown.poll;
        for (name, periods) in &self.streams {
            let of_then = periods.iter().rev().skip_while(|period| period.span.from > poll.until);
            let of_then: Vec<_> = of_then.take_while(|period| period.span.until >= poll.from).collect();
            let seen = shown.streams.get(name);
            let mut wrong = Vec::new();
            let is_right = of_then.iter().any(|period| {
                let later = of_then.iter().filter_map(|period| period.facts.as_ref());
                // A group that is gone when its details are asked for is left out.
                let gone = |key: &Key| {
                    let has = |period: &&Period| period.facts.as_ref().is_some_and(|facts| facts.has(key));
                    !key.group.is_empty() && !of_then.iter().copied().all(|period| has(&period))
                };
                let complete = |key: &Key| (shown.complete)(key) && !gone(key);
                match facts::compare(period.facts.as_ref(), later, seen, poll, complete) {
                    Ok(()) => true,
                    Err(why) => {
                        wrong.push(format!("{:?}: {why}", period.span));
                        false
                    }
                }
            });
            if !is_right {
                let wrong = wrong.join("\n  ");
                return Err(format!("stream {name:?} was never so in {poll:?}: {seen:?}\n  {wrong}"));
            }
        }
        match shown.streams.keys().find(|name| !self.streams.contains_key(*name)) {
            None => Ok(()),
            Some(name) => Err(format!("there never was a stream {name:?}")),
        }
    }
}
