//! Several processes that share the streams of one Redis: what each of them shows, and what all of them answer.

use std::collections::BTreeMap;

use serde_json::Value;
use streamgauge::model::share::Share;

use crate::{
    kubernetes::{Adapter, CUSTOM, EXTERNAL},
    support::{exporter::Streamgauge, redis::RedisServer, samples::Samples},
};

mod answers;
mod documents;
mod failures;
mod follow;
mod guests;
mod measured;
mod reloaded;
mod topologies;

/// How many share the streams.
const TOTAL: u32 = 3;

/// The shard that a stream of `main` belongs to.
fn owner(stream: &str) -> usize {
    Share { shard: 0, total: TOTAL }.owner("main", &stream.into()) as usize
}

/// The first names with this beginning that belong to a shard.
fn names_of(shard: usize, beginning: &str, count: usize) -> Vec<String> {
    let all = (0..).map(|number| format!("{beginning}{number}"));
    all.filter(|name| owner(name) == shard).take(count).collect()
}

/// A shard with its adapter.
fn shard(yaml: &str, number: usize, arguments: &[&str]) -> Adapter {
    let (number, total) = (number.to_string(), TOTAL.to_string());
    Adapter::with_file(yaml, &[&["--shard", &number, "--total-shards", &total], arguments].concat())
}

/// All shards.
fn shards(yaml: &str, arguments: &[&str]) -> Vec<Adapter> {
    (0..TOTAL as usize).map(|number| shard(yaml, number, arguments)).collect()
}

/// A configuration of one server named main.
fn of(redis: &RedisServer, settings: &str, more: &str) -> String {
    format!("redis: [{{name: main, url: '{}'{settings}}}]\n{more}", redis.url())
}

/// A stream with a group that has read nothing.
fn fill(redis: &RedisServer, stream: &str, entries: usize) {
    redis.run(&[&format!("XGROUP CREATE {stream} workers 0 MKSTREAM")]);
    if entries > 0 {
        redis.add(stream, entries);
    }
}

fn backlog(selector: &str) -> String {
    format!("{EXTERNAL}/shop/redis_stream_group_backlog?labelSelector={selector}")
}

/// The series of streams, groups and consumers.
fn series(metrics: &Samples) -> BTreeMap<String, f64> {
    let of_streams = metrics.0.iter().filter(|sample| sample.labels.contains_key("stream"));
    of_streams.map(|sample| (format!("{}{:?}", sample.name, sample.labels), sample.value)).collect()
}

/// Commands that the exporter has sent.
fn commands(gauge: &Streamgauge) -> f64 {
    gauge.metrics().value("streamgauge_redis_commands_total").unwrap()
}

/// A list without the times of its values: a poll later the same.
fn timeless(mut list: Value) -> Value {
    for item in list["items"].as_array_mut().into_iter().flatten() {
        item.as_object_mut().unwrap().remove("timestamp");
    }
    list
}

/// A path of the custom metrics of a namespace.
fn custom(rest: &str) -> String {
    format!("{CUSTOM}/shop/{rest}")
}
