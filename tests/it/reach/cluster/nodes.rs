//! Which nodes are asked, and for what.

use super::{Truth, all_is_right, filled, holds_during};
use crate::support::{
    cluster::{CALM, Cluster},
    exporter::Streamgauge,
    redis::RedisServer,
    tool::needs,
    wait,
};

/// Connections of clients that a node has, besides the one that asks.
fn clients(node: &RedisServer) -> usize {
    let list: String = node.ask(&["CLIENT", "LIST", "TYPE", "NORMAL"]);
    list.lines().filter(|line| !line.contains("cmd=client")).count()
}

/// How often a node has sent somebody elsewhere.
fn redirects(node: &RedisServer) -> u64 {
    let errors: String = node.ask(&["INFO", "errorstats"]);
    let counts = errors.lines().filter_map(|line| {
        let line = line.strip_prefix("errorstat_MOVED").or_else(|| line.strip_prefix("errorstat_ASK"))?;
        line.trim().strip_prefix(":count=")?.parse::<u64>().ok()
    });
    counts.sum()
}

#[test]
fn every_stream_is_measured_where_it_is() {
    needs!("redis-server");
    let cluster = Cluster::start(3, 0);
    let truth = filled(&cluster);
    let own: Vec<_> = (0..3)
        .map(|place| truth.keys().filter(|stream| cluster.place_of(stream) == place).count() as u64)
        .collect();
    let before: Vec<_> = cluster.nodes.iter().map(redirects).collect();
    let gauge = Streamgauge::of(&cluster.url(), &[]);
    all_is_right(&gauge.poll(), &truth);
    let metrics = gauge.poll();
    all_is_right(&metrics, &truth);
    assert_eq!(metrics.value("streamgauge_poll_errors_total{kind=\"redirected\"}"), Some(0.0));
    for ((node, own), before) in cluster.nodes.iter().zip(own).zip(before) {
        // Over one connection, for its own streams, and it sends nobody elsewhere.
        let calls = node.calls();
        assert!(own > 0 && calls["multi"] >= 2 * own, "{own}: {calls:?}");
        assert_eq!((clients(node), redirects(node)), (1, before));
    }
}

#[test]
fn one_seed_that_lives_is_enough() {
    needs!("redis-server");
    let mut cluster = Cluster::start(3, 0);
    let truth = filled(&cluster);
    let on_others: Truth =
        truth.clone().into_iter().filter(|(stream, _)| cluster.place_of(stream) != 0).collect();
    let url = cluster.url_of(&[0, 2]);
    cluster.nodes[0].kill();
    let gauge = Streamgauge::of(&url, &[]);
    let metrics = gauge.poll();
    // What is on the dead node was never found, and that is told.
    metrics.check(&[("redis_up", Some(0.0))]);
    for (stream, count) in &on_others {
        assert_eq!(super::told(&metrics, stream), super::truth_of(*count).map(Some), "{stream}");
    }
    assert_eq!(metrics.all("redis_stream_length").len(), on_others.len());
    let told = gauge.logged("redis can be polled in part only");
    let place = cluster.address(0);
    assert!(
        told[0]["reason"].as_str().unwrap().starts_with(&format!("cannot connect to {place}: ")),
        "{told:?}"
    );
}

#[test]
fn no_seed_is_in_reach() {
    needs!("redis-server");
    let mut cluster = Cluster::start(3, 0);
    let url = cluster.url_of(&[0, 1]);
    cluster.nodes[..2].iter_mut().for_each(RedisServer::kill);
    let gauge = Streamgauge::of(&url, &[]);
    gauge.metrics().check(&[("redis_up", Some(0.0)), ("redis_stream_length", None)]);
    // The same one each time: it is logged once.
    gauge.until("streamgauge_poll_errors_total{kind=\"connect\"}", Some(5.0));
    let told = gauge.logged("redis cannot be polled");
    let place = cluster.address(0);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0]["reason"].as_str().unwrap().starts_with(&format!("cannot connect to {place}: ")),
        "{told:?}"
    );
}

#[test]
fn a_node_that_comes_is_measured_and_one_that_goes_is_left() {
    needs!("redis-server");
    let mut cluster = Cluster::start(3, 0);
    let truth = filled(&cluster);
    let gauge = Streamgauge::of(&cluster.url(), &[]);
    let added = cluster.add(CALM);
    // Streams on their way to a node that has no slot yet are searched there, too.
    let stream = truth.keys().next().unwrap();
    let (slot, from) = (cluster.slot(stream), cluster.place_of(stream));
    cluster.begin_move(slot, from, added);
    cluster.move_key(stream, from, added);
    wait::until_true("the newcomer to be heard of", || clients(&cluster.nodes[added]) == 1);
    super::nothing_is_wrong(&gauge.poll(), &truth);
    let late = Streamgauge::of(&cluster.url_of(&[1]), &[]);
    super::nothing_is_wrong(&late.poll(), &truth);
    assert_eq!(super::told(&late.metrics(), stream), super::truth_of(truth[stream]).map(Some));
    drop(late);
    holds_during(&gauge, &cluster, &truth, || cluster.end_move(slot, from, added));
    assert!(cluster.nodes[added].calls()["xinfo"] > 0);

    // And back, until it has nothing and nobody knows it.
    holds_during(&gauge, &cluster, &truth, || cluster.move_slot(slot, added, from));
    let gone = cluster.remove();
    wait::until_true("the connection to be closed", || clients(&gone) == 0);
    all_is_right(&gauge.poll(), &truth);
}

/// A node that was taken from one cluster and belongs to another now is not measured as if it were still there.
#[test]
fn a_node_of_another_cluster_is_left_alone() {
    needs!("redis-server");
    let (mut one, other) = (Cluster::start(3, 0), Cluster::start(1, 0));
    let truth = filled(&one);
    other.fill("foreign", 1);
    let gauge = Streamgauge::of(&one.url_of(&[0]), &[]);
    all_is_right(&gauge.poll(), &truth);
    // It comes back at its address, without its memory, and joins the others.
    one.nodes[2].kill();
    one.nodes[2].restart(&["--cluster-enabled", "yes", "--cluster-config-file", "elsewhere.conf"]);
    let address = other.address(0);
    let _: () = one.nodes[2].ask(&["CLUSTER", "MEET", "127.0.0.1", address.rsplit(':').next().unwrap()]);
    wait::until_true("it to have joined", || {
        let slots: Vec<redis::Value> = one.nodes[2].ask(&["CLUSTER", "SLOTS"]);
        !slots.is_empty()
    });
    let metrics = gauge.poll();
    super::nothing_is_wrong(&metrics, &truth);
    metrics.check(&[("redis_up", Some(0.0)), (r#"redis_stream_length{stream="foreign"}"#, None)]);
}

#[test]
fn what_is_no_cluster_says_so() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let url = redis.url().replace("redis://", "redis+cluster://");
    let gauge = Streamgauge::of(&url, &[]);
    gauge.metrics().check(&[("redis_up", Some(0.0))]);
    let said = gauge.groups()["servers"][0]["error"].as_str().unwrap().to_owned();
    assert!(said.ends_with(": if this is no cluster, write redis:// in the URL"), "{said}");
}

#[test]
fn a_node_that_is_taken_for_a_server_says_so() {
    needs!("redis-server");
    let cluster = Cluster::start(3, 0);
    let truth = filled(&cluster);
    let elsewhere = truth.keys().find(|stream| cluster.place_of(stream) != 0).unwrap();
    let url = cluster.nodes[0].url();
    // A glob would mean a part of the streams only; a stream that is there can be measured.
    let gauge = Streamgauge::of(&url, &[]);
    gauge.metrics().check(&[("redis_up", Some(0.0))]);
    let advice = "this is a node of a cluster: write redis+cluster:// in the URL";
    let said = gauge.groups().to_string();
    assert!(said.contains(&format!("what a glob means may be on other nodes, too: {advice}")), "{said}");

    let here = truth.keys().find(|stream| cluster.place_of(stream) == 0).unwrap();
    let gauge = Streamgauge::of(&url, &["--streams", &format!("{here},{elsewhere}")]);
    let metrics = gauge.metrics();
    metrics.check(&[("redis_up", Some(1.0))]);
    assert_eq!(super::told(&metrics, here), super::truth_of(truth[here]).map(Some));
    let told = gauge.logged("stream cannot be read");
    let reason = told[0]["reason"].as_str().unwrap();
    assert!(told.len() == 1 && reason.contains(" MOVED ") && reason.ends_with(advice), "{told:?}");
    assert!(metrics.value("streamgauge_poll_errors_total{kind=\"redirected\"}") >= Some(1.0));
}
