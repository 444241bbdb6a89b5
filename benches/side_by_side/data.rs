//! The streams that are measured: named, sized and read as in production.

use std::time::{SystemTime, UNIX_EPOCH};

use redis::{Connection, Pipeline};
use streamgauge::collect::tracking::LARGE;

use crate::Result;

/// The groups of a stream.
pub const GROUPS: [&str; 2] = ["processing", "audit"];

/// Commands in one pipeline.
const PIPELINED: usize = 2000;

/// What is in Redis.
#[derive(Clone, Copy, Debug)]
pub struct Data {
    pub streams: usize,
    pub groups: usize,
    pub consumers: usize,
    /// Bytes of each entry's payload.
    pub payload: usize,
    /// Whether nothing happens between two polls.
    pub is_still: bool,
}

/// Entries that each consumer owns, and as many wait in every other stream.
const EACH: usize = 2;

impl Data {
    /// So many streams, each with two groups of five consumers.
    pub const fn usual(streams: usize) -> Data {
        Data { streams, groups: 2, consumers: 5, payload: 100, is_still: false }
    }

    /// Whether entries are so large that only a few are read in each poll.
    pub fn is_large(&self) -> bool {
        self.payload as u64 >= LARGE
    }

    /// Fills the server with entries of the last seconds. Each consumer owns pending entries; every other stream has entries that wait, the rest has none.
    pub fn fill(&self, connection: &mut Connection) -> Result<()> {
        redis::cmd("FLUSHALL").exec(connection)?;
        let entries = EACH * (self.consumers + 1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let mut batch = Batch { connection, pipeline: Pipeline::new(), count: 0 };
        for stream in 0..self.streams {
            let key = name(stream);
            for group in &GROUPS[..self.groups] {
                batch.push(&["XGROUP", "CREATE", &key, group, "0", "MKSTREAM"])?;
            }
            for number in 0..entries {
                let id = format!("{}-0", now - 1000 * (entries - number) as u128);
                self.add(&mut batch, &key, &id)?;
            }
            for group in &GROUPS[..self.groups] {
                for consumer in 0..self.consumers {
                    let reads_rest = has_none_waiting(stream) && consumer + 1 == self.consumers;
                    batch.read(&key, group, consumer, if reads_rest { entries } else { EACH }, false)?;
                }
            }
        }
        batch.flush()
    }

    /// What happens between two polls: each stream gets an entry, and where none wait, each group reads it.
    pub fn go_on(&self, connection: &mut Connection, round: usize) -> Result<()> {
        let mut batch = Batch { connection, pipeline: Pipeline::new(), count: 0 };
        for stream in (0..self.streams).filter(|_| !self.is_still) {
            let key = name(stream);
            self.add(&mut batch, &key, "*")?;
            if has_none_waiting(stream) {
                for group in &GROUPS[..self.groups] {
                    batch.read(&key, group, round % self.consumers, 1, true)?;
                }
            }
        }
        batch.flush()
    }

    fn add(&self, batch: &mut Batch<'_>, key: &str, id: &str) -> Result<()> {
        batch.push(&["XADD", key, id, "kind", "created", "payload", &"x".repeat(self.payload)])
    }
}

/// The name of a stream.
pub fn name(number: usize) -> String {
    format!("orders:{number:06}")
}

/// Whether the groups of a stream have read all that is in it.
fn has_none_waiting(stream: usize) -> bool {
    stream % 2 == 1
}

fn worker(number: usize) -> String {
    format!("worker-7c9d5-{}", number + 1)
}

/// Commands that are sent together.
struct Batch<'a> {
    connection: &'a mut Connection,
    pipeline: Pipeline,
    count: usize,
}

impl Batch<'_> {
    fn push(&mut self, words: &[&str]) -> Result<()> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| _ = command.arg(*word));
        self.pipeline.add_command(command).ignore();
        self.count += 1;
        if self.count >= PIPELINED { self.flush() } else { Ok(()) }
    }

    fn read(&mut self, key: &str, group: &str, consumer: usize, count: usize, is_done: bool) -> Result<()> {
        let (worker, count) = (worker(consumer), count.to_string());
        let mut words = vec!["XREADGROUP", "GROUP", group, &worker, "COUNT", &count];
        // What is done at once is never pending.
        words.extend(is_done.then_some("NOACK"));
        words.extend(["STREAMS", key, ">"]);
        self.push(&words)
    }

    fn flush(&mut self) -> Result<()> {
        if std::mem::take(&mut self.count) == 0 {
            return Ok(());
        }
        Ok(std::mem::take(&mut self.pipeline).exec(self.connection)?)
    }
}
