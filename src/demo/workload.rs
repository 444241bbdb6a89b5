//! The sample workload as tables: the groups, producers and workers, and what each is there to show.
//!
//! `orders` is the everyday case, `payments` has a dead worker and entries deleted before a group has read
//! them, `emails` is trimmed past its slow groups. Every stream is capped: hours of it take some megabytes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{Client, Pipeline, RedisResult};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    server::connect,
    tasks::{self, Noise},
};

/// A consumer group, and the ID that it is created at: `0` reads what is there already, `$` only what comes.
pub(super) struct Group {
    stream: &'static str,
    name: &'static str,
    start: &'static str,
}

/// Adds entries to a stream at a rate that swings around `rate` once every `period`, with bursts on top.
pub(super) struct Producer {
    pub(super) stream: &'static str,
    /// The stream's cap, as in `XADD ... MAXLEN ~`.
    pub(super) max_length: usize,
    /// Entries that are there when the demo starts.
    preloaded: u64,
    /// Entries per second, on average, without the bursts.
    pub(super) rate: f64,
    pub(super) period: Duration,
    pub(super) burst: Burst,
    pub(super) entry: fn(u64, &mut Noise) -> Entry,
}

/// `rate` more entries per second, for `length`, at the end of every `period`.
pub(super) struct Burst {
    pub(super) rate: f64,
    pub(super) period: Duration,
    pub(super) length: Duration,
}

/// The fields of an entry.
pub(super) type Entry = [(&'static str, String); 3];

/// A consumer: reads a batch, works on it for `interval`, acknowledges it.
pub(super) struct Worker {
    pub(super) stream: &'static str,
    pub(super) group: &'static str,
    pub(super) consumer: &'static str,
    pub(super) batch: usize,
    pub(super) interval: Duration,
    pub(super) behaviour: Behaviour,
}

/// How a worker departs from a steady pace.
pub(super) enum Behaviour {
    /// Not at all.
    Steady,
    /// Slow for a while, then at its pace for a while, over and over.
    InBursts { slow: Duration, fast: Duration },
    /// Deletes every `every`th entry that it has acknowledged, whether or not other groups have read it.
    Deletes { every: usize },
    /// Reads one batch and never comes back, so that the batch stays pending.
    Dies,
}

/// How far back the IDs of the preloaded entries go.
const PRELOADED_SPAN: Duration = Duration::from_secs(120);

#[rustfmt::skip] // one row per group, as a table
const GROUPS: &[Group] = &[
    group("orders", "processing_group", "0"),
    // On a stream with entries, `$` leaves Redis unable to tell the lag until the group has caught up once.
    group("orders", "analytics_group", "$"),
    group("payments", "settlement", "0"),
    group("payments", "fraud_check", "0"),
    group("emails", "transactional", "0"),
    group("emails", "archive", "0"),
    // Nobody reads this one: it has no row in WORKERS.
    group("emails", "newsletter", "$"),
];

const PRODUCERS: &[Producer] = &[
    Producer {
        stream: "orders",
        max_length: 50_000,
        preloaded: 400,
        rate: 18.0,
        period: secs(120),
        burst: Burst { rate: 40.0, period: secs(50), length: secs(4) },
        entry: order,
    },
    Producer {
        stream: "payments",
        max_length: 50_000,
        preloaded: 300,
        rate: 10.0,
        period: secs(110),
        burst: Burst { rate: 30.0, period: secs(40), length: secs(3) },
        entry: payment,
    },
    // A low cap: the groups that lag by more than about 500 entries lose them unread.
    Producer {
        stream: "emails",
        max_length: 500,
        preloaded: 500,
        rate: 12.0,
        period: secs(90),
        burst: Burst { rate: 25.0, period: secs(70), length: secs(5) },
        entry: email,
    },
];

#[rustfmt::skip] // one row per worker, as a table
const WORKERS: &[Worker] = &[
    // Three healthy workers, which fall behind for some seconds in a burst.
    worker("orders", "processing_group", "order-processor-7d4b9-x2x8k", 10, 600, Behaviour::Steady),
    worker("orders", "processing_group", "order-processor-7d4b9-m5qzt", 10, 600, Behaviour::Steady),
    worker("orders", "processing_group", "order-processor-7d4b9-c9wfj", 10, 600, Behaviour::Steady),
    // Falls more than 1,000 entries behind, then catches up.
    worker("orders", "analytics_group", "analytics-5f6c8-t7v2p", 40, 400, in_bursts(80, 40)),
    // One worker died with a batch in its hands; two go on, and are slow more than half of the time.
    worker("payments", "settlement", "settlement-worker-dead0-q4n6s", 37, 0, Behaviour::Dies),
    worker("payments", "settlement", "settlement-worker-6b8d5-h2k9r", 10, 500, in_bursts(60, 40)),
    worker("payments", "settlement", "settlement-worker-6b8d5-z8l3w", 10, 500, in_bursts(60, 40)),
    // Faster than settlement, and deletes what settlement has not read yet.
    worker("payments", "fraud_check", "fraud-check-84c7f-b6d5x", 10, 250, Behaviour::Deletes { every: 3 }),
    worker("emails", "transactional", "mailer-59d7b-r3j8n", 10, 500, Behaviour::Steady),
    worker("emails", "transactional", "mailer-59d7b-v6g4q", 10, 500, Behaviour::Steady),
    // While it is slow, entries that it has not read are trimmed.
    worker("emails", "archive", "archiver-77f9c-k5p2m", 20, 800, in_bursts(90, 60)),
];

const fn group(stream: &'static str, name: &'static str, start: &'static str) -> Group {
    Group { stream, name, start }
}

const fn worker(
    stream: &'static str,
    group: &'static str,
    consumer: &'static str,
    batch: usize,
    interval_ms: u64,
    behaviour: Behaviour,
) -> Worker {
    Worker { stream, group, consumer, batch, interval: Duration::from_millis(interval_ms), behaviour }
}

const fn in_bursts(slow: u64, fast: u64) -> Behaviour {
    Behaviour::InBursts { slow: secs(slow), fast: secs(fast) }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn order(number: u64, noise: &mut Noise) -> Entry {
    [
        ("id", format!("ord-{:06}", 100_000 + number)),
        ("customer", format!("cust-{:04}", noise.below(2_000))),
        ("amount", amount(noise)),
    ]
}

fn payment(number: u64, noise: &mut Noise) -> Entry {
    let method = ["card", "transfer", "invoice"][noise.below(3)];
    [("id", format!("pay-{:06}", 500_000 + number)), ("method", method.to_owned()), ("amount", amount(noise))]
}

fn email(number: u64, noise: &mut Noise) -> Entry {
    let template = ["order-confirmation", "shipping-notice", "receipt", "password-reset"][noise.below(4)];
    [
        ("id", format!("mail-{:06}", 900_000 + number)),
        ("to", format!("cust-{:04}@shop.example", noise.below(2_000))),
        ("template", template.to_owned()),
    ]
}

fn amount(noise: &mut Noise) -> String {
    format!("{}.{:02}", 5 + noise.below(240), noise.below(100))
}

/// Fills the streams and creates the groups, so that there is something to see at once.
///
/// The groups come before the last quarter of the entries: those created at `$` have a backlog from the start.
pub(super) async fn prepare(client: &Client) -> RedisResult<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut pipe = Pipeline::new();
    for producer in PRODUCERS {
        let mut noise = Noise::new(producer.stream);
        for number in 0..producer.preloaded {
            if number == producer.preloaded / 4 * 3 {
                create_groups(&mut pipe, producer.stream);
            }
            // From `now - PRELOADED_SPAN` up to, but not at, `now`: the IDs that the server gives follow on.
            let age = PRELOADED_SPAN.mul_f64(1.0 - number as f64 / producer.preloaded as f64);
            let id = format!("{}-0", now.saturating_sub(age).as_millis());
            tasks::add_entry(&mut pipe, producer, &id, number, &mut noise);
        }
    }
    pipe.query_async(&mut connect(client).await?).await
}

fn create_groups(pipe: &mut Pipeline, stream: &str) {
    for group in GROUPS.iter().filter(|group| group.stream == stream) {
        pipe.cmd("XGROUP").arg("CREATE").arg(stream).arg(group.name).arg(group.start).ignore();
    }
}

/// Starts one task per producer and per worker.
pub(super) fn spawn(client: &Client, tasks: &TaskTracker, cancel: &CancellationToken) {
    for producer in PRODUCERS {
        let task = tasks::produce(producer, producer.preloaded, client.clone());
        tasks.spawn(cancel.clone().run_until_cancelled_owned(task));
    }
    for worker in WORKERS {
        let task = tasks::work(worker, client.clone());
        tasks.spawn(cancel.clone().run_until_cancelled_owned(task));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_has_a_group_and_every_group_a_producer() {
        for worker in WORKERS {
            let mut groups = GROUPS.iter();
            assert!(
                groups.any(|group| (group.stream, group.name) == (worker.stream, worker.group)),
                "{}",
                worker.consumer
            );
        }
        for group in GROUPS {
            assert!(PRODUCERS.iter().any(|producer| producer.stream == group.stream), "{}", group.name);
        }
    }

    #[test]
    fn only_archive_and_newsletter_lose_entries_to_the_cap() {
        for group in GROUPS {
            let producer = PRODUCERS.iter().find(|producer| producer.stream == group.stream).unwrap();
            let workers = WORKERS.iter().filter(|worker| worker.group == group.name);
            // What comes in while the workers are slow; no worker at all is slow for ever.
            let slow_for = workers.map(|worker| match worker.behaviour {
                Behaviour::InBursts { slow, .. } => slow.as_secs_f64(),
                _ => 0.0,
            });
            let gathers = slow_for.reduce(f64::max).map_or(f64::INFINITY, |seconds| seconds * producer.rate);
            let loses = gathers > producer.max_length as f64;
            assert_eq!(loses, ["archive", "newsletter"].contains(&group.name), "{}", group.name);
        }
    }
}
