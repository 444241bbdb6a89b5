//! A real Redis with a clock that the test sets: a front that passes every command on, and tells the time as the test
//! says. Redis's own clock cannot be set, and nobody wants to wait for minutes.
//!
//! All that depends on the time in what is polled is `TIME` and how long consumers and pending entries are idle. The front
//! makes the latter what the test's clock was set forward by since. Redis goes on by its own clock meanwhile, so that
//! producers and consumers work on it as ever. A poll begins when the test lets it, so that it never sees half a step.

use std::{
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use redis::{Cmd, Connection, RedisError, Value};

use crate::support::{
    fake::{FakeRedis, Reply, array, bulk, int},
    redis::RedisServer,
};

/// What the clock shows at the start, in seconds: 2027-01-15.
const START: u64 = 1_800_000_000;

/// The front.
pub struct Clock {
    front: FakeRedis,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By how many seconds it was set forward, and when that was by the clock of Redis, in milliseconds.
    jumps: Vec<(u64, u64)>,
    /// Polls that may begin.
    polls: usize,
}

impl Clock {
    pub fn before(redis: &RedisServer) -> Clock {
        Clock::from(redis, State::default())
    }

    /// Another front that shows the same, for a program that takes the place of one that was killed: questions of that
    /// one may wait for ever, and take no poll from it.
    pub fn again(&self, redis: &RedisServer) -> Clock {
        let jumps = self.shared.state.lock().unwrap().jumps.clone();
        Clock::from(redis, State { jumps, polls: 0 })
    }

    fn from(redis: &RedisServer, state: State) -> Clock {
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let connection = Mutex::new(redis.connection().unwrap());
        let known = shared.clone();
        let front = FakeRedis::start(move |words| {
            let mut state = known.state.lock().unwrap();
            if words == ["TIME"] {
                state = known.changed.wait_while(state, |state| state.polls == 0).unwrap();
                state.polls -= 1;
            }
            Some(Reply::Is(answer(&mut connection.lock().unwrap(), &state.jumps, words)))
        });
        Clock { front, shared }
    }

    pub fn url(&self) -> String {
        self.front.url()
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> u64 {
        self.shared.state.lock().unwrap().jumps.iter().map(|(seconds, _)| seconds).sum()
    }

    /// What the clock shows, in milliseconds: the first part of the ID of an entry that is added now.
    pub fn id_ms(&self) -> u64 {
        (START + self.seconds()) * 1000
    }

    /// Sets the clock forward.
    pub fn forward(&self, seconds: u64) {
        // Redis tells idle times in whole milliseconds: nothing else may happen in that of the jump.
        tick();
        self.shared.state.lock().unwrap().jumps.push((seconds, millis()));
        tick();
    }

    /// Lets one more poll begin: each begins with the question what time it is.
    pub fn let_poll(&self) {
        self.shared.state.lock().unwrap().polls += 1;
        self.shared.changed.notify_all();
    }
}

fn millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// Waits until the clock shows the millisecond after the next one.
fn tick() {
    let now = millis();
    while millis() < now + 3 {
        thread::sleep(Duration::from_millis(1));
    }
}

fn answer(redis: &mut Connection, jumps: &[(u64, u64)], words: &[&str]) -> String {
    match words {
        // The front queues and executes by itself.
        ["MULTI" | "EXEC"] => return "+OK\r\n".into(),
        ["TIME"] => {
            let seconds = START + jumps.iter().map(|(seconds, _)| seconds).sum::<u64>();
            return array(&[bulk(&seconds.to_string()), bulk("0")]);
        }
        _ => {}
    }
    let mut command = Cmd::new();
    words.iter().for_each(|word| _ = command.arg(*word));
    match command.query::<Value>(redis) {
        Err(error) => refusal(&error),
        Ok(mut reply) => {
            let now = millis();
            let age = |idle: &mut i64| {
                let since = now - u64::try_from(*idle).unwrap();
                let later = jumps.iter().filter(|(_, at)| *at > since);
                *idle = later.map(|(seconds, _)| i64::try_from(seconds * 1000).unwrap()).sum();
            };
            match words {
                ["XINFO", "CONSUMERS", ..] => items(&mut reply).for_each(|consumer| {
                    if let Some(Value::Int(idle)) = field(consumer, b"idle") {
                        age(idle);
                    }
                }),
                ["XPENDING", ..] => items(&mut reply).for_each(|entry| {
                    if let Some(Value::Int(idle)) = items(entry).nth(2) {
                        age(idle);
                    }
                }),
                _ => {}
            }
            text(&reply)
        }
    }
}

fn items(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    match value {
        Value::Array(items) => items.iter_mut(),
        _ => [].iter_mut(),
    }
}

fn field<'a>(object: &'a mut Value, name: &[u8]) -> Option<&'a mut Value> {
    let mut items = items(object);
    items.find(|item| matches!(item, Value::BulkString(bytes) if bytes == name))?;
    items.next()
}

/// A reply as RESP2.
fn text(value: &Value) -> String {
    match value {
        Value::Nil => "$-1\r\n".into(),
        Value::Int(number) => int(*number),
        Value::BulkString(bytes) => bulk(std::str::from_utf8(bytes).unwrap()),
        Value::Array(items) => array(&items.iter().map(text).collect::<Vec<_>>()),
        Value::SimpleString(text) => format!("+{text}\r\n"),
        Value::Okay => "+OK\r\n".into(),
        other => panic!("no reply of RESP2: {other:?}"),
    }
}

fn refusal(error: &RedisError) -> String {
    format!("-{} {}\r\n", error.code().unwrap_or("ERR"), error.detail().unwrap_or_default())
}
