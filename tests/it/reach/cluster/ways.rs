//! How nodes are spoken with.

use super::{all_is_right, filled};
use crate::support::{cluster::Cluster, exporter::Streamgauge, tool::needs};

#[test]
fn tls_to_every_node() {
    needs!("redis-server");
    let (cluster, ca) = Cluster::secured();
    let truth = filled(&cluster);
    let gauge = Streamgauge::of(&cluster.url(), &["--redis.tls.ca-file", &ca]);
    all_is_right(&gauge.poll(), &truth);
    // No node has a certificate for this name.
    let gauge =
        Streamgauge::of(&cluster.url().replace("127.0.0.1", "localhost"), &["--redis.tls.ca-file", &ca]);
    gauge.metrics().check(&[("redis_up", Some(0.0)), ("redis_stream_length", None)]);
}

#[test]
fn resp3_to_every_node() {
    needs!("redis-server");
    let cluster = Cluster::start(3, 0);
    let truth = filled(&cluster);
    let gauge = Streamgauge::of(&format!("{}?protocol=resp3", cluster.url()), &[]);
    all_is_right(&gauge.poll(), &truth);
}
