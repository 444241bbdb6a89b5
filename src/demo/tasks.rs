//! The loops of the sample workload, one for every producer and one for every worker: they run until dropped.

use std::{f64::consts::TAU, time::Duration};

use redis::{Client, Cmd, FromRedisValue, Pipeline, RedisResult, Value, aio::MultiplexedConnection};
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{
    server::connect,
    workload::{Behaviour, Producer, Worker},
};

/// How often a producer adds what is due, and a worker without a batch looks for one.
const TICK: Duration = Duration::from_millis(200);

/// A producer's rate swings by this share of it.
const SWING: f64 = 0.6;

/// How many times longer a worker takes for a batch while it is slow.
const SLOWDOWN: u32 = 20;

/// Adds entries, numbered from `number` on, at the producer's rate.
pub(super) async fn produce(producer: &Producer, mut number: u64, client: Client) {
    let mut session = Session::new(client, producer.stream);
    let mut noise = Noise::new(producer.stream);
    let started = Instant::now();
    let mut due = 0.0;
    loop {
        sleep(TICK).await;
        due += producer.rate_at(started.elapsed()) * TICK.as_secs_f64();
        let mut pipe = Pipeline::new();
        while due >= 1.0 {
            due -= 1.0;
            number += 1;
            add_entry(&mut pipe, producer, "*", number, &mut noise);
        }
        if !pipe.is_empty() {
            session.run::<()>(&pipe).await;
        }
    }
}

/// Reads batches, works on them and acknowledges them, as the worker's behaviour says.
pub(super) async fn work(worker: &Worker, client: Client) {
    let mut session = Session::new(client, worker.consumer);
    let mut noise = Noise::new(worker.consumer);
    let started = Instant::now();
    loop {
        let ids = session.run::<Value>(&worker.read()).await.map(|reply| ids_of(&reply)).unwrap_or_default();
        if matches!(worker.behaviour, Behaviour::Dies) && !ids.is_empty() {
            return;
        }
        // Without a batch there is no work to take its time: look again soon, but never spin.
        let pause = if ids.is_empty() { TICK } else { worker.pace_at(started.elapsed()).max(TICK) };
        sleep(pause.mul_f64(0.75 + noise.fraction() / 2.0)).await;
        if !ids.is_empty() {
            session.run::<()>(&worker.settle(&ids)).await;
        }
    }
}

/// Appends the XADD of one entry to the pipeline.
pub(super) fn add_entry(pipe: &mut Pipeline, producer: &Producer, id: &str, number: u64, noise: &mut Noise) {
    let mut add = Cmd::new();
    add.arg("XADD").arg(producer.stream).arg("MAXLEN").arg("~").arg(producer.max_length).arg(id);
    for (field, value) in (producer.entry)(number, noise) {
        add.arg(field).arg(value);
    }
    pipe.add_command(add).ignore();
}

impl Producer {
    /// Entries per second at this time after the start.
    fn rate_at(&self, elapsed: Duration) -> f64 {
        let turn = elapsed.as_secs_f64() / self.period.as_secs_f64();
        let swing = self.rate * SWING * (turn * TAU).sin();
        let into_period = elapsed.as_secs_f64() % self.burst.period.as_secs_f64();
        let bursting = into_period >= (self.burst.period - self.burst.length).as_secs_f64();
        self.rate + swing + if bursting { self.burst.rate } else { 0.0 }
    }
}

impl Worker {
    /// The time that a batch takes at this time after the start.
    fn pace_at(&self, elapsed: Duration) -> Duration {
        match self.behaviour {
            Behaviour::InBursts { slow, fast } => {
                let into_round = elapsed.as_secs_f64() % (slow + fast).as_secs_f64();
                if into_round < slow.as_secs_f64() { self.interval * SLOWDOWN } else { self.interval }
            }
            Behaviour::Steady | Behaviour::Deletes { .. } | Behaviour::Dies => self.interval,
        }
    }

    fn read(&self) -> Pipeline {
        let mut pipe = Pipeline::new();
        pipe.cmd("XREADGROUP").arg("GROUP").arg(self.group).arg(self.consumer);
        pipe.arg("COUNT").arg(self.batch).arg("STREAMS").arg(self.stream).arg(">");
        pipe
    }

    /// Acknowledges the entries, and deletes some where the worker does that.
    fn settle(&self, ids: &[String]) -> Pipeline {
        let mut pipe = Pipeline::new();
        pipe.cmd("XACK").arg(self.stream).arg(self.group).arg(ids).ignore();
        if let Behaviour::Deletes { every } = self.behaviour {
            let deleted: Vec<&String> = ids.iter().step_by(every).collect();
            pipe.cmd("XDEL").arg(self.stream).arg(deleted).ignore();
        }
        pipe
    }
}

/// The IDs in the reply to a pipeline of one XREADGROUP of one stream: `[[[stream, [[id, fields], ...]]]]`,
/// or `[nil]` if there is nothing to read.
fn ids_of(reply: &Value) -> Vec<String> {
    fn item(value: &Value, index: usize) -> Option<&Value> {
        value.as_sequence()?.get(index)
    }
    let stream = item(reply, 0).and_then(|streams| item(streams, 0));
    let entries = stream.and_then(|stream| item(stream, 1)?.as_sequence()).unwrap_or_default();
    entries.iter().filter_map(|entry| String::from_redis_value_ref(item(entry, 0)?).ok()).collect()
}

/// A task's own connection, as a real worker's pod has one: opened when needed, and again when it broke.
struct Session {
    client: Client,
    task: &'static str,
    connection: Option<MultiplexedConnection>,
    failing: bool,
}

impl Session {
    fn new(client: Client, task: &'static str) -> Session {
        Session { client, task, connection: None, failing: false }
    }

    /// Runs the commands. Of a row of failures only the first is logged, and the task goes on.
    async fn run<T: FromRedisValue>(&mut self, pipe: &Pipeline) -> Option<T> {
        match self.try_run(pipe).await {
            Ok(reply) => {
                self.failing = false;
                Some(reply)
            }
            Err(error) => {
                if !self.failing {
                    warn!(task = self.task, %error, "demo task failed, going on");
                }
                self.failing = true;
                if error.is_unrecoverable_error() {
                    self.connection = None;
                }
                None
            }
        }
    }

    async fn try_run<T: FromRedisValue>(&mut self, pipe: &Pipeline) -> RedisResult<T> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connect(&self.client).await?),
        };
        pipe.query_async(connection).await
    }
}

/// Variation that is the same in every run, from the SplitMix64 generator, seeded by a name.
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new(name: &str) -> Noise {
        Noise(name.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte))))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A whole number from 0 to below the bound, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.fraction() * bound as f64) as usize
    }

    /// A number from 0 to below 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_a_reply_and_none_in_nil() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let entry = |id| Value::Array(vec![text(id), Value::Array(vec![text("field"), text("value")])]);
        let stream = Value::Array(vec![text("orders"), Value::Array(vec![entry("1-0"), entry("2-0")])]);
        assert_eq!(ids_of(&Value::Array(vec![Value::Array(vec![stream])])), ["1-0", "2-0"]);
        assert!(ids_of(&Value::Array(vec![Value::Nil])).is_empty());
    }

    #[test]
    fn noise_is_repeatable_and_within_its_bound() {
        let draw = |name| {
            let mut noise = Noise::new(name);
            (0..1_000).map(|_| noise.below(7)).collect::<Vec<_>>()
        };
        assert_eq!(draw("orders"), draw("orders"));
        assert_ne!(draw("orders"), draw("emails"));
        assert_eq!(draw("orders").iter().max(), Some(&6));
        assert_eq!(draw("orders").iter().min(), Some(&0));
    }
}
