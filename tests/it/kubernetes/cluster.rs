//! What an autoscaler is told of a cluster that is there in part.

use super::{Adapter, EXTERNAL};
use crate::support::{
    cluster::{Cluster, HASTY, MODE},
    tool::needs,
};

#[test]
fn a_stream_on_a_node_that_lives_is_answered_and_a_sum_is_not() {
    needs!("redis-server");
    let keeps = [HASTY, &["--appendonly", "yes"]].concat();
    let mut cluster = Cluster::with("redis-server".as_ref(), 3, 0, &keeps);
    let [dead, alive] = [cluster.key_on(0, "orders-"), cluster.key_on(1, "orders-")];
    cluster.fill(&dead, 4);
    cluster.fill(&alive, 6);
    let adapter = Adapter::of(&cluster.url());
    let path = |labels: &str| {
        format!("{EXTERNAL}/shop/redis_stream_group_lag?labelSelector=group%3Dworkers{labels}")
    };
    let of = |stream: &str| path(&format!("%2Cstream%3D{stream}"));
    let all = || {
        let mut values = adapter.values(&path(""));
        values.sort();
        values
    };
    adapter.poll();
    assert_eq!(all(), ["4", "6"]);

    cluster.nodes[0].kill();
    adapter.poll();
    assert_eq!(adapter.values(&of(&alive)), ["6"]);
    let node = cluster.address(0);
    for path in [path(""), of(&dead), of("orders-that-nobody-knows")] {
        let said = adapter.refusal(&path, 503);
        assert!(said.contains(&node), "{path}: {said}");
    }

    cluster.nodes[0].restart(&[MODE, &keeps].concat());
    cluster.wait_until_all_agree();
    adapter.gauge.until("redis_up", Some(1.0));
    assert_eq!(all(), ["4", "6"]);
}
