//! `streamgauge demo`, from its start to nothing left behind.

use std::{collections::BTreeSet, fs};

use rustix::process::Signal;

use crate::support::{
    exporter::Launch,
    place::Place,
    samples::{Sample, Samples},
    tool::needs,
    wait,
};

const GROUPS: [(&str, &str); 7] = [
    ("emails", "archive"),
    ("emails", "newsletter"),
    ("emails", "transactional"),
    ("orders", "analytics_group"),
    ("orders", "processing_group"),
    ("payments", "fraud_check"),
    ("payments", "settlement"),
];

/// The groups that have a metric.
fn groups(metrics: &Samples, metric: &str) -> BTreeSet<(String, String)> {
    let group = |sample: &&Sample| (sample.labels["stream"].clone(), sample.labels["group"].clone());
    metrics.all(metric).iter().map(group).collect()
}

#[test]
fn the_demo_shows_every_group_and_leaves_nothing_behind() {
    needs!("redis-server");
    for signal in [Signal::INT, Signal::HUP] {
        let place = Place::new();
        let mut demo = Launch::new("demo").env("TMPDIR", place.path()).start();
        demo.wait_ready();
        assert_eq!(place.processes().len(), 1, "the private redis-server");

        let all: BTreeSet<_> =
            GROUPS.iter().map(|(stream, group)| ((*stream).to_owned(), (*group).to_owned())).collect();
        let read: BTreeSet<_> = all.iter().filter(|(_, group)| group != "newsletter").cloned().collect();
        // Every group has its numbers, and every group that is read has consumers that are idle for some time.
        wait::until("every group to be there", || {
            let metrics = demo.metrics();
            for (metric, expected) in [
                ("redis_stream_group_lag", &all),
                ("redis_stream_group_messages_pending", &all),
                ("redis_stream_group_backlog", &all),
                ("redis_stream_group_consumer_idle_seconds", &read),
            ] {
                let found = groups(&metrics, metric);
                if found != *expected {
                    return Err(format!("{metric}: {found:?}"));
                }
            }
            let pending: Vec<_> = metrics.all("redis_stream_group_messages_pending");
            let pending = pending.iter().filter(|sample| sample.value > 0.0).count();
            let idle = groups(&metrics, "redis_stream_group_oldest_pending_idle_seconds").len();
            if pending == 0 || pending != idle {
                Err(format!("{pending} groups with pending, {idle} idle"))
            } else {
                Ok(())
            }
        });
        // What the demo is there to show: a backlog that nobody reads, and what a dead worker still holds.
        let metrics = demo.metrics();
        assert!(metrics.value(r#"redis_stream_group_lag{group="newsletter"}"#) > Some(0.0));
        wait::until_true("the dead worker to hold its entries", || {
            let held =
                r#"redis_stream_group_consumer_messages_pending{consumer="settlement-worker-dead0-q4n6s"}"#;
            demo.metrics().value(held) == Some(37.0)
        });
        let greeting = demo.process.stdout.text();
        assert!(greeting.contains(&format!("http://{}/metrics", demo.address)), "{greeting}");

        demo.process.signal(signal);
        assert_eq!(demo.process.wait().code(), Some(0), "{}", demo.process.stderr.text());
        assert_eq!(place.processes(), [], "after {signal:?}");
        let left: Vec<_> = fs::read_dir(place.path()).unwrap().flatten().map(|entry| entry.path()).collect();
        assert_eq!(left, Vec::<std::path::PathBuf>::new(), "after {signal:?}");
    }
}
