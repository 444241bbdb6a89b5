//! A cluster: its nodes are found, every stream is measured where it is, and what moves or fails is absent or right.

use std::collections::BTreeMap;

use crate::support::{cluster::Cluster, exporter::Streamgauge, samples::Samples};

mod failures;
mod moves;
mod nodes;
mod replicas;
mod searches;
mod ways;

/// What streams there are, each with its length; as [`Cluster::fill`] makes them.
type Truth = BTreeMap<String, usize>;

/// Streams on every node, with hash tags and without, each of another length.
fn filled(cluster: &Cluster) -> Truth {
    let plain = (0..12).map(|number| format!("stream-{number}"));
    let tagged = (0..12).map(|number| format!("{{tag-{}}}:{number}", number % 4));
    let truth: Truth = plain.chain(tagged).zip(1..).collect();
    truth.iter().for_each(|(stream, count)| cluster.fill(stream, *count));
    truth
}

/// What is told of a stream: length, and the lags of both groups.
fn told(metrics: &Samples, stream: &str) -> [Option<f64>; 3] {
    told_of_all(metrics).get(stream).map_or([None; 3], |told| told.numbers)
}

#[derive(Default)]
struct Told {
    /// `redis_stream_up`
    is_up: Option<f64>,
    numbers: [Option<f64>; 3],
}

/// The same of all streams, in one pass.
fn told_of_all(metrics: &Samples) -> BTreeMap<&str, Told> {
    let mut all: BTreeMap<&str, Told> = BTreeMap::new();
    let mut bounded = Vec::new();
    let group = |labels: &BTreeMap<String, String>| match labels.get("group").map(String::as_str) {
        Some("workers") => Some(1),
        Some("half") => Some(2),
        _ => None,
    };
    for sample in &metrics.0 {
        let Some(stream) = sample.labels.get("stream") else { continue };
        let told = all.entry(stream).or_default();
        match (sample.name.as_str(), group(&sample.labels)) {
            ("redis_stream_up", _) => told.is_up = Some(sample.value),
            ("redis_stream_length", _) => told.numbers[0] = Some(sample.value),
            ("redis_stream_group_lag", Some(place)) => told.numbers[place] = Some(sample.value),
            ("redis_stream_group_lag_source", Some(place)) if sample.labels["source"] == "bounded" => {
                bounded.push((stream.as_str(), place));
            }
            _ => {}
        }
    }
    // One that says itself that it is no proved number is no wrong one.
    for (stream, place) in bounded {
        all.entry(stream).or_default().numbers[place] = None;
    }
    all
}

fn truth_of(count: usize) -> [f64; 3] {
    [count, count, count - count / 2].map(|number| number as f64)
}

/// Every number is right or absent, and where one is absent, that is told: for the stream, or for the server.
#[track_caller]
fn nothing_is_wrong(metrics: &Samples, truth: &Truth) {
    let is_up = metrics.value("redis_up") == Some(1.0);
    let all = told_of_all(metrics);
    for (stream, count) in truth {
        let Some(Told { is_up: of_stream, numbers }) = all.get(stream.as_str()) else {
            assert!(!is_up, "{stream} is missing in silence");
            continue;
        };
        for (told, expected) in numbers.iter().zip(truth_of(*count)) {
            assert!(told.is_none_or(|told| told == expected), "{stream}: {told:?} for {expected}");
        }
        assert!(numbers[0].is_some() || *of_stream == Some(0.0), "{stream} has no length in silence");
    }
}

/// Every number is there, and right.
#[track_caller]
fn all_is_right(metrics: &Samples, truth: &Truth) {
    assert_eq!(metrics.value("redis_up"), Some(1.0), "{}", metrics.redis_lines());
    let all = told_of_all(metrics);
    for (stream, count) in truth {
        let numbers = all.get(stream.as_str()).map(|told| told.numbers);
        assert_eq!(numbers, Some(truth_of(*count).map(Some)), "{stream}");
    }
    assert_eq!(all.len(), truth.len());
}

/// Scrapes while something is done, and holds every number against the truth; then two polls make it whole again.
#[track_caller]
fn holds_during(gauge: &Streamgauge, cluster: &Cluster, truth: &Truth, done: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let done = scope.spawn(done);
        while !done.is_finished() {
            nothing_is_wrong(&gauge.metrics(), truth);
        }
        done.join().unwrap();
    });
    cluster.wait_until_all_agree();
    nothing_is_wrong(&gauge.poll(), truth);
    let metrics = gauge.poll();
    assert_eq!(metrics.value("redis_up"), Some(1.0), "{}", gauge.process.stderr.text());
    all_is_right(&metrics, truth);
}
