//! A Redis with workers on it, and streamgauge beside them: what is measured is held against what Redis says.

use std::{collections::BTreeMap, path::Path};

use super::workers::{Language, Programs, Worker};
use crate::{
    servers::versions,
    support::{
        exporter::Streamgauge,
        redis::RedisServer,
        samples::Samples,
        tool::{lacks, needs},
        wait,
    },
};

pub const GROUP: &str = "processing_group";

pub struct Scene {
    pub gauge: Streamgauge,
    pub programs: Programs,
    pub redis: RedisServer,
}

/// What is true of the stream and the group, counted by Redis's own commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    pub length: usize,
    /// Entries that were not delivered to the group.
    pub lag: usize,
    /// Pending entries, by consumer; also of those that have none.
    pub pending: BTreeMap<String, usize>,
}

impl Numbers {
    pub fn pending(&self) -> usize {
        self.pending.values().sum()
    }
}

/// Runs a scenario on each server version that the workers are made for. Where something else is missing that it needs, it
/// is skipped for all to see, or fails.
pub fn on_each_version(scenario: impl Fn(Scene)) {
    needs!("redis-server");
    for version in versions() {
        let redis = version.start();
        if redis.version() < (7, 0) {
            // Fetched beside the installed one, for other tests: the workers say that they do not run on it.
            if version.binary == Path::new("redis-server") {
                lacks("redis-server is older than 7.0, which the example workers need");
            }
            continue;
        }
        let Some(programs) = Programs::find() else { return };
        let gauge = Streamgauge::of(&redis.url(), &[]);
        scenario(Scene { gauge, programs, redis });
    }
}

impl Scene {
    pub fn worker(&self, language: Language, name: &str, settings: &[(&str, &str)]) -> Worker {
        self.programs.worker(language, &self.redis.url(), name, settings)
    }

    /// What is true of a group of the orders; an error where there is none.
    pub fn truth(&self, group: &str) -> Result<Numbers, String> {
        let last: Vec<BTreeMap<String, redis::Value>> = self.redis.try_ask(&["XINFO", "GROUPS", "orders"])?;
        let last = last.iter().find(|info| info["name"] == redis::Value::BulkString(group.into()));
        let last = last.ok_or_else(|| format!("there is no group {group}"))?["last-delivered-id"].clone();
        let last: String = redis::FromRedisValue::from_redis_value(last).unwrap();
        let waiting: Vec<redis::Value> =
            self.redis.try_ask(&["XRANGE", "orders", &format!("({last}"), "+"])?;
        let mut pending: BTreeMap<String, usize> =
            self.redis.consumers("orders", group).into_keys().map(|name| (name, 0)).collect();
        let entries: Vec<(String, String, u64, u64)> =
            self.redis.try_ask(&["XPENDING", "orders", group, "-", "+", "100000"])?;
        entries.into_iter().for_each(|(_, consumer, ..)| *pending.entry(consumer).or_default() += 1);
        Ok(Numbers { length: self.redis.try_ask(&["XLEN", "orders"])?, lag: waiting.len(), pending })
    }

    /// Waits until the numbers are so, as Redis counts them, with the worker at work meanwhile.
    #[track_caller]
    pub fn until(&self, worker: &mut Worker, what: &str, holds: impl Fn(&Numbers) -> bool) {
        worker.until(what, || {
            let numbers = self.truth(GROUP)?;
            if holds(&numbers) { Ok(()) } else { Err(format!("{numbers:?}")) }
        });
    }

    /// Holds a poll against the truth, at a time at which nothing changes: returns what both say.
    #[track_caller]
    pub fn agree(&self, group: &str) -> Numbers {
        let (truth, metrics) = wait::until("a time at which nothing changes", || {
            let before = self.truth(group)?;
            let metrics = self.gauge.poll();
            let after = self.truth(group)?;
            if before == after { Ok((after, metrics)) } else { Err(format!("{before:?}, then {after:?}")) }
        });
        assert_eq!(measured(&metrics, group), truth, "{}", metrics.redis_lines());
        let of_group =
            |metric: &str| metrics.value(&format!("{metric}{{stream=\"orders\",group=\"{group}\"}}"));
        let pending = truth.pending();
        assert_eq!(of_group("redis_stream_group_messages_pending"), Some(pending as f64));
        assert_eq!(of_group("redis_stream_group_backlog"), Some((truth.lag + pending) as f64));
        assert_eq!(of_group("redis_stream_group_consumers"), Some(truth.pending.len() as f64));
        truth
    }

    /// The pending entries of a consumer.
    pub fn held(&self, consumer: &str) -> Vec<String> {
        let entries: Vec<(String, String, u64, u64)> =
            self.redis.ask(&["XPENDING", "orders", GROUP, "-", "+", "1000", consumer]);
        entries.into_iter().map(|(id, ..)| id).collect()
    }

    /// How many entries were acknowledged since Redis started: each took a call, by every worker.
    pub fn acknowledged(&self) -> usize {
        self.redis.calls().get("xack").map_or(0, |calls| *calls as usize)
    }
}

/// The same numbers as streamgauge has them.
fn measured(metrics: &Samples, group: &str) -> Numbers {
    let number =
        |selector: &str| metrics.value(selector).unwrap_or_else(|| panic!("{selector} is absent")) as usize;
    let consumers = metrics
        .all(&format!("redis_stream_group_consumer_messages_pending{{stream=\"orders\",group=\"{group}\"}}"));
    Numbers {
        length: number("redis_stream_length{stream=\"orders\"}"),
        lag: number(&format!("redis_stream_group_lag{{stream=\"orders\",group=\"{group}\"}}")),
        pending: consumers
            .into_iter()
            .map(|sample| (sample.labels["consumer"].clone(), sample.value as usize))
            .collect(),
    }
}
