//! Nodes that die, hang, come back, or are replaced by a replica.

use super::{Truth, all_is_right, filled, holds_during, nothing_is_wrong, told, truth_of};
use crate::support::{
    cluster::{CALM, Cluster, HASTY, MODE},
    exporter::Streamgauge,
    tool::needs,
    wait,
};

/// The numbers of streams elsewhere are right, those of one node absent, and both are told.
fn only_one_is_lost(gauge: &Streamgauge, truth: &Truth, on_it: &[&String]) {
    gauge.poll();
    let metrics = gauge.poll();
    nothing_is_wrong(&metrics, truth);
    metrics.check(&[("redis_up", Some(0.0))]);
    for (stream, count) in truth {
        let expected = if on_it.contains(&stream) { [None; 3] } else { truth_of(*count).map(Some) };
        assert_eq!(told(&metrics, stream), expected, "{stream}");
        let up = metrics.value(&format!("redis_stream_up{{stream=\"{stream}\"}}"));
        assert_eq!(up, Some(f64::from(!on_it.contains(&stream))), "{stream}");
    }
}

#[test]
fn a_dead_node_costs_only_its_own_streams() {
    needs!("redis-server");
    let keeps = [HASTY, &["--appendonly", "yes"]].concat();
    let mut cluster = Cluster::with("redis-server".as_ref(), 3, 0, &keeps);
    let truth = filled(&cluster);
    let on_it: Vec<_> = truth.keys().filter(|stream| cluster.place_of(stream) == 0).collect();
    assert!(!on_it.is_empty() && on_it.len() < truth.len());
    let gauge = Streamgauge::of(&cluster.url(), &[]);
    all_is_right(&gauge.poll(), &truth);
    // Also the one that the URL names.
    cluster.nodes[0].kill();
    only_one_is_lost(&gauge, &truth, &on_it);
    assert_eq!(gauge.logged("stream cannot be read").len(), 0);
    // It breaks off first, and then it refuses.
    let told = gauge.logged("redis can be polled in part only");
    assert!((1..=2).contains(&told.len()), "{told:?}");
    let names_it = |line: &serde_json::Value| line["reason"].as_str().unwrap().contains(&cluster.address(0));
    assert!(told.iter().all(names_it), "{told:?}");

    cluster.nodes[0].restart(&[MODE, &keeps].concat());
    cluster.wait_until_all_agree();
    gauge.until("redis_up", Some(1.0));
    all_is_right(&gauge.poll(), &truth);
}

/// As Redis is by default: where one node is dead, none answers for its keys.
#[test]
fn a_cluster_that_wants_all_of_its_slots_is_down_with_one_node() {
    needs!("redis-server");
    let mut cluster = Cluster::with("redis-server".as_ref(), 3, 0, &["--cluster-node-timeout", "1000"]);
    let truth = filled(&cluster);
    let gauge = Streamgauge::of(&cluster.url_of(&[1]), &[]);
    all_is_right(&gauge.poll(), &truth);
    cluster.nodes[0].kill();
    gauge.until("redis_up", Some(0.0));
    wait::until_true("the cluster to be down", || {
        let errors = gauge.metrics().value("streamgauge_poll_errors_total{kind=\"clusterdown\"}");
        errors >= Some(1.0)
    });
    wait::until_true("no stream to have a number", || {
        let metrics = gauge.metrics();
        nothing_is_wrong(&metrics, &truth);
        metrics.all("redis_stream_length").is_empty()
    });
    // It is told once, not for each stream.
    assert_eq!(gauge.logged("stream cannot be read").len(), 0);
}

#[test]
fn a_node_that_hangs_holds_up_nobody_for_longer_than_the_timeout() {
    needs!("redis-server");
    let cluster = Cluster::with("redis-server".as_ref(), 3, 0, CALM);
    let truth = filled(&cluster);
    let on_it: Vec<_> = truth.keys().filter(|stream| cluster.place_of(stream) == 1).collect();
    let gauge = Streamgauge::of(&cluster.url(), &["--redis.timeout", "300ms"]);
    all_is_right(&gauge.poll(), &truth);
    cluster.nodes[1].pause();
    only_one_is_lost(&gauge, &truth, &on_it);
    assert!(gauge.metrics().value("streamgauge_poll_errors_total{kind=\"timeout\"}") >= Some(1.0));
    cluster.nodes[1].resume();
    gauge.until("redis_up", Some(1.0));
    all_is_right(&gauge.poll(), &truth);
}

#[test]
fn a_replica_that_is_promoted_is_measured_in_place_of_its_primary() {
    needs!("redis-server");
    let cluster = Cluster::start(3, 1);
    let truth = filled(&cluster);
    let gauge = Streamgauge::of(&cluster.url(), &[]);
    all_is_right(&gauge.poll(), &truth);
    for (replica, primary) in [(3, 0), (0, 3)] {
        holds_during(&gauge, &cluster, &truth, || {
            let _: () = cluster.nodes[replica].ask(&["CLUSTER", "FAILOVER"]);
            wait::until_true("the replica to be promoted", || role(&cluster, replica) == "master");
            wait::until_true("the primary to follow", || role(&cluster, primary) == "slave");
            cluster.wait_until_all_agree();
        });
    }
    // Nothing is believed of one that was another's.
    let before = cluster.nodes[0].calls()["multi"];
    gauge.poll();
    assert!(cluster.nodes[0].calls()["multi"] > before);
}

#[test]
fn a_primary_that_dies_is_replaced() {
    needs!("redis-server");
    let mut cluster = Cluster::with("redis-server".as_ref(), 3, 1, HASTY);
    let truth = filled(&cluster);
    wait::until_true("the replicas to have everything", || {
        (0..3).all(|place| {
            let size = |place: usize| cluster.nodes[place].ask::<u64>(&["DBSIZE"]);
            size(place) == size(place + 3)
        })
    });
    let gauge = Streamgauge::of(&cluster.url(), &[]);
    all_is_right(&gauge.poll(), &truth);
    cluster.nodes[0].kill();
    let cluster = &cluster;
    holds_during(&gauge, cluster, &truth, || {
        wait::until_true("the replica to be promoted", || role(cluster, 3) == "master");
        // Until all have heard of it, somebody still names the dead one.
        cluster.wait_until_all_agree();
    });
}

/// One that was stopped while another took its place still thinks that it has the newest data.
#[test]
fn a_primary_that_was_asleep_is_not_believed() {
    needs!("redis-server");
    let cluster = Cluster::with("redis-server".as_ref(), 3, 1, HASTY);
    let mut truth = filled(&cluster);
    let gauge = Streamgauge::of(&cluster.url_of(&[1]), &["--redis.timeout", "300ms"]);
    all_is_right(&gauge.poll(), &truth);
    let stream = truth.keys().find(|stream| cluster.place_of(stream) == 0).unwrap().clone();
    cluster.nodes[0].pause();
    wait::until_true("the replica to be promoted", || role(&cluster, 3) == "master");
    gauge.until("redis_up", Some(1.0));
    let count = truth[&stream] + 1;
    cluster.nodes[3].run(&[&format!("XADD {stream} {count}-0 n 1")]);
    let seen = format!("redis_stream_length{{stream=\"{stream}\"}}");
    gauge.until(&seen, Some(count as f64));
    truth.remove(&stream);
    holds_during_with(&gauge, &cluster, &seen, count as f64);
    nothing_is_wrong(&gauge.poll(), &truth);
}

/// It wakes up, and its old number is never seen.
fn holds_during_with(gauge: &Streamgauge, cluster: &Cluster, series: &str, value: f64) {
    cluster.nodes[0].resume();
    wait::until_true("it to follow the one that took its place", || {
        let told = gauge.metrics().value(series);
        assert!(told.is_none_or(|told| told == value), "{told:?}");
        cluster.nodes[0]
            .try_ask::<String>(&["INFO", "replication"])
            .is_ok_and(|info| info.contains("role:slave"))
    });
    cluster.wait_until_all_agree();
    gauge.poll();
    gauge.poll().check(&[(series, Some(value)), ("redis_up", Some(1.0))]);
}

fn role(cluster: &Cluster, place: usize) -> String {
    let info: String = cluster.nodes[place].try_ask(&["INFO", "replication"]).unwrap_or_default();
    info.lines().find_map(|line| line.strip_prefix("role:")).unwrap_or_default().to_owned()
}

/// The URL leads to another cluster, too: while the first one is silent it is not taken for that.
#[test]
fn another_cluster_never_takes_the_place_of_one_that_is_silent() {
    needs!("redis-server");
    let (cluster, other) = (Cluster::start(2, 0), Cluster::start(1, 0));
    let truth = filled(&cluster);
    other.fill("elsewhere", 9);
    let seeds = format!("{},{}", cluster.address(0), other.address(0));
    let url = format!("redis+cluster://{seeds}");
    // Where both answer, none is measured.
    let both = Streamgauge::of(&url, &[]);
    both.until("redis_up", Some(0.0));
    let said = both.groups().to_string();
    assert!(said.contains("belong to different clusters") && !said.contains("elsewhere"), "{said}");
    drop(both);

    other.nodes[0].pause();
    let gauge = Streamgauge::of(&url, &["--redis.timeout", "500ms"]);
    all_is_right(&gauge.poll(), &truth);
    other.nodes[0].resume();
    all_is_right(&gauge.poll(), &truth);
    cluster.nodes.iter().for_each(|node| node.pause());
    gauge.until("redis_up", Some(0.0));
    wait::until("the other one to be refused", || {
        let said = gauge.groups().to_string();
        assert!(!said.contains("elsewhere"), "{said}");
        let is_refused = said.contains("another cluster than the one that was measured, which is silent");
        if is_refused { Ok(()) } else { Err(said) }
    });
    nothing_is_wrong(&gauge.metrics(), &truth);
    cluster.nodes.iter().for_each(|node| node.resume());
    gauge.until("redis_up", Some(1.0));
    all_is_right(&gauge.poll(), &truth);
}
