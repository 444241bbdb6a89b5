//! Replicas are asked where that is configured.

use super::{all_is_right, filled, holds_during, nothing_is_wrong};
use crate::support::{cluster::Cluster, exporter::Streamgauge, tool::needs, wait};

const REPLICA: &[&str] = &["--redis.read-from", "replica"];

fn wait_until_copied(cluster: &Cluster, primaries: usize) {
    wait::until_true("the replicas to have everything", || {
        let size = |place: usize| cluster.nodes[place].ask::<u64>(&["DBSIZE"]);
        (primaries..cluster.nodes.len()).all(|place| size(place) == size(place % primaries))
    });
}

fn questions(cluster: &Cluster, place: usize) -> u64 {
    cluster.nodes[place].calls().get("xinfo").copied().unwrap_or_default()
}

#[test]
fn replicas_are_asked_in_place_of_primaries() {
    needs!("redis-server");
    let cluster = Cluster::start(3, 1);
    let truth = filled(&cluster);
    wait_until_copied(&cluster, 3);
    let gauge = Streamgauge::of(&cluster.url(), REPLICA);
    all_is_right(&gauge.poll(), &truth);
    all_is_right(&gauge.poll(), &truth);
    for place in 0..3 {
        assert_eq!(questions(&cluster, place), 0);
        assert!(questions(&cluster, place + 3) > 0);
    }
    // What a replica does not have may have gone elsewhere: its primary knows.
    let missing = cluster.key_on(0, "missing-");
    let gauge = Streamgauge::of(&cluster.url(), &[REPLICA, &["--streams", &missing]].concat());
    gauge.poll().check(&[
        (&format!("redis_stream_exists{{stream=\"{missing}\"}}"), Some(0.0)),
        ("redis_up", Some(1.0)),
    ]);
    assert!(questions(&cluster, 0) > 0);
    assert_eq!((questions(&cluster, 1), questions(&cluster, 2)), (0, 0));
}

#[test]
fn no_number_of_a_replica_is_wrong_while_slots_move() {
    needs!("redis-server");
    let cluster = Cluster::start(3, 1);
    let truth = filled(&cluster);
    wait_until_copied(&cluster, 3);
    let gauge = Streamgauge::of(&cluster.url(), REPLICA);
    all_is_right(&gauge.poll(), &truth);
    let mut slots: Vec<_> =
        truth.keys().map(|stream| (cluster.slot(stream), cluster.place_of(stream))).collect();
    slots.sort_unstable();
    slots.dedup();
    holds_during(&gauge, &cluster, &truth, || {
        for (slot, place) in slots {
            cluster.move_slot(slot, place, (place + 1) % 3);
        }
        cluster.wait_until_all_agree();
        wait_until_copied(&cluster, 3);
    });
}

#[test]
fn another_replica_takes_the_place_of_a_dead_one() {
    needs!("redis-server");
    let mut cluster = Cluster::start(1, 2);
    cluster.fill("orders", 9);
    wait_until_copied(&cluster, 1);
    let truth = [("orders".to_owned(), 9)].into_iter().collect();
    let gauge = Streamgauge::of(&cluster.url(), REPLICA);
    all_is_right(&gauge.poll(), &truth);
    // It stays with the one that it has.
    let asked = usize::from(questions(&cluster, 2) > 0) + 1;
    let other = 3 - asked;
    assert_eq!((questions(&cluster, 0), questions(&cluster, other)), (0, 0));
    cluster.nodes[asked].kill();
    nothing_is_wrong(&gauge.poll(), &truth);
    all_is_right(&gauge.poll(), &truth);
    assert!(questions(&cluster, other) > 0);
    // There is none any more: no number, and no other to ask.
    cluster.nodes[other].kill();
    gauge.until("redis_up", Some(0.0));
    assert_eq!(questions(&cluster, 0), 0);
}
