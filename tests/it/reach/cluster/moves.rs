//! Slots that go from one node to another, with their streams, while they are measured.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use streamgauge::collect::cluster::slot;

use super::{Truth, all_is_right, filled, holds_during, nothing_is_wrong};
use crate::{
    servers,
    support::{
        cluster::{CALM, Cluster, fill},
        exporter::Streamgauge,
        tool::needs,
    },
};

/// The key where it was, on its way, there while its slot is not, and there with its slot: right in each state.
#[test]
fn a_stream_is_followed_through_each_state_of_a_move() {
    needs!("redis-server");
    for version in servers::versions() {
        let cluster = Cluster::with(&version.binary, 3, 0, CALM);
        let mut truth = filled(&cluster);
        // What is pending is asked for apart.
        let streams = ["{moved}:a", "{moved}:b"].map(str::to_owned);
        for (count, stream) in (40..).zip(&streams) {
            cluster.fill(stream, count);
            let read = format!("XREADGROUP GROUP half alice COUNT 1 STREAMS {stream} >");
            cluster.node_of(stream).run(&[&format!("XGROUP CREATE {stream} other 0"), &read]);
            truth.insert(stream.clone(), count);
        }
        let mut expected = truth.clone();
        streams.iter().for_each(|stream| _ = expected.remove(stream));
        let gauge = Streamgauge::of(&cluster.url(), &["--streams", "*,{moved}:missing"]);
        let right = |state: &str| {
            gauge.poll();
            let metrics = gauge.poll();
            for (stream, count) in &expected {
                assert_eq!(
                    super::told(&metrics, stream),
                    super::truth_of(*count).map(Some),
                    "{version:?}, {stream}: {state}: {}",
                    gauge.process.stderr.text()
                );
            }
            metrics.check(&[
                ("redis_up", Some(1.0)),
                (r#"redis_stream_exists{stream="{moved}:missing"}"#, Some(0.0)),
            ]);
            for (count, stream) in (40..).zip(&streams) {
                let of = |name: &str, labels: &str| {
                    metrics.value(&format!("{name}{{stream=\"{stream}\"{labels}}}"))
                };
                let read = [
                    of("redis_stream_up", ""),
                    of("redis_stream_length", ""),
                    of("redis_stream_group_lag", ",group=\"workers\""),
                    of("redis_stream_group_lag", ",group=\"other\""),
                    of("redis_stream_group_lag", ",group=\"half\""),
                    of("redis_stream_group_messages_pending", ",group=\"half\""),
                    of("redis_stream_group_oldest_pending_deliveries", ",group=\"half\""),
                    of("redis_stream_group_consumer_messages_pending", ",group=\"half\",consumer=\"alice\""),
                ];
                let count = f64::from(count);
                let half = count - (count / 2.0).floor() - 1.0;
                let right = [1.0, count, count, count, half, 1.0, 1.0, 1.0].map(Some);
                assert_eq!(read, right, "{version:?}, {stream}: {state}");
            }
        };
        right("before");
        let (slot, from) = (cluster.slot(&streams[0]), cluster.place_of(&streams[0]));
        let to = (from + 1) % 3;
        cluster.begin_move(slot, from, to);
        right("about to move");
        cluster.move_key(&streams[0], from, to);
        right("one has moved");
        cluster.move_key(&streams[1], from, to);
        right("both have moved, and the slot has not");
        // From one who has just begun.
        let late = Streamgauge::of(&cluster.url(), &[]);
        nothing_is_wrong(&late.poll(), &expected);
        assert_eq!(late.metrics().all("redis_stream_length").len(), truth.len(), "{version:?}");
        drop(late);
        cluster.end_move(slot, from, to);
        right("the slot has moved");
        // And back.
        cluster.begin_move(slot, to, from);
        cluster.move_key(&streams[1], to, from);
        right("one is on its way back");
        cluster.move_key(&streams[0], to, from);
        cluster.end_move(slot, to, from);
        right("at home");
    }
}

#[test]
fn a_slot_that_nobody_has_is_absent() {
    needs!("redis-server");
    let cluster = Cluster::start(3, 0);
    let truth = filled(&cluster);
    let gauge = Streamgauge::of(&cluster.url(), &[]);
    all_is_right(&gauge.poll(), &truth);
    let stream = truth.keys().next().unwrap();
    let (slot, from) = (cluster.slot(stream).to_string(), cluster.place_of(stream));
    let (to, third) = ((from + 1) % 3, (from + 2) % 3);
    // The owner first: it would tell the others again.
    for place in [from, to, third] {
        let _: () = cluster.nodes[place].ask(&["CLUSTER", "DELSLOTS", &slot]);
    }
    gauge.until(&format!("redis_stream_length{{stream=\"{stream}\"}}"), None);
    let metrics = gauge.poll();
    nothing_is_wrong(&metrics, &truth);
    metrics.check(&[("redis_up", Some(0.0))]);
    assert!(metrics.value("streamgauge_poll_errors_total{kind=\"clusterdown\"}") >= Some(1.0));
    let said = gauge.groups().to_string();
    assert!(said.contains(&format!("no node has slot {slot} of the cluster")), "{said}");
    // The others keep their numbers.
    let others = truth.iter().filter(|(other, _)| cluster.slot(other).to_string() != slot);
    for (other, count) in others {
        assert_eq!(super::told(&metrics, other), super::truth_of(*count).map(Some), "{other}");
    }
    for place in [from, to, third] {
        let _: () = cluster.nodes[place].ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &cluster.id(from)]);
    }
    cluster.wait_until_all_agree();
    gauge.poll();
    all_is_right(&gauge.poll(), &truth);
}

/// Slots go round and round while others write, read and scrape.
#[test]
fn no_number_is_wrong_while_slots_move_under_load() {
    needs!("redis-server");
    let cluster = Cluster::start(3, 0);
    let truth = filled(&cluster);
    let gauge = Streamgauge::of(&cluster.url(), &[]);
    let mut slots: BTreeMap<u16, usize> = BTreeMap::new();
    truth.keys().for_each(|stream| _ = slots.insert(cluster.slot(stream), cluster.place_of(stream)));
    // One that grows: what is told of it never goes back, nor ahead of what was added.
    cluster.fill("{tag-0}:grows", 1);
    let (stop, added) = (AtomicBool::new(false), AtomicU64::new(1));
    let series = r#"redis_stream_group_lag{stream="{tag-0}:grows",group="workers"}"#;
    let (mut last, mut seen) = (0.0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                // Counted before it can be seen; whoever has the key takes it.
                added.fetch_add(1, Ordering::SeqCst);
                let words = ["XADD", "{tag-0}:grows", "*", "n", "1"];
                while !cluster.nodes.iter().any(|node| node.try_ask::<String>(&words).is_ok()) {}
            }
        });
        let mover = scope.spawn(|| {
            for _ in 0..3 {
                for (slot, place) in &mut slots {
                    let to = (*place + 1) % 3;
                    cluster.move_slot(*slot, *place, to);
                    *place = to;
                }
            }
        });
        while !mover.is_finished() {
            let metrics = gauge.metrics();
            nothing_is_wrong(&metrics, &truth);
            if let Some(lag) = metrics.value(series) {
                let most = added.load(Ordering::SeqCst) as f64;
                assert!(last <= lag && lag <= most, "{last} to {most}: {lag}");
                (last, seen) = (lag, seen + 1);
            }
        }
        stop.store(true, Ordering::SeqCst);
        mover.join().unwrap();
    });
    assert!(seen > 0);
    cluster.wait_until_all_agree();
    gauge.poll();
    let metrics = gauge.poll();
    let added = cluster.node_of("{tag-0}:grows").ask::<u64>(&["XLEN", "{tag-0}:grows"]) as f64;
    metrics.check(&[("redis_up", Some(1.0)), (series, Some(added))]);
    for (stream, count) in &truth {
        assert_eq!(super::told(&metrics, stream), super::truth_of(*count).map(Some), "{stream}");
    }
}

/// Thousands of streams, of which a third goes to a node that has just joined.
#[test]
fn a_cluster_is_resharded() {
    needs!("redis-server");
    let mut cluster = Cluster::start(2, 0);
    let name = |number: usize| format!("{{tag-{}}}:{number}", number % 60);
    let truth: Truth = (0..3000).map(|number| (name(number), number % 7)).collect();
    let place_of = |stream: &str| usize::from(slot(&stream.into())) * 2 / 16384;
    for (place, node) in cluster.nodes.iter().enumerate() {
        let all = truth.iter().map(|(stream, count)| (stream.as_str(), *count));
        fill(node, &all.filter(|(stream, _)| place_of(stream) == place).collect::<Vec<_>>());
    }
    let gauge = Streamgauge::of(&cluster.url(), &[]);
    gauge.poll();
    all_is_right(&gauge.poll(), &truth);
    let added = cluster.add(CALM);
    let cluster = &cluster;
    holds_during(&gauge, cluster, &truth, || {
        for stream in (0..20).map(name) {
            cluster.move_slot(slot(&stream.as_str().into()), place_of(&stream), added);
        }
    });
    assert_eq!(cluster.nodes[added].ask::<u64>(&["DBSIZE"]), 1000);
}
