//! How several processes share the streams.

use super::*;
use crate::model::share::{Part, Share};

#[test]
fn a_share_is_a_number_and_a_total() {
    let config = written().flag("shard", &["1"]).variable("STREAMGAUGE_TOTAL_SHARDS", "3").load();
    let share = Share { shard: 1, total: 3 };
    assert_eq!(config.sharding, Some(Sharding::Fixed(share)));
    assert_eq!((config.fixed_part(), config.guest_streams), (Part::Share(share), 100));
    let config = written().file("sharding: {shard: 0, total_shards: 1, guest_streams: 7}").load();
    assert_eq!(config.sharding, Some(Sharding::Fixed(Share { shard: 0, total: 1 })));
    assert_eq!(config.guest_streams, 7);
    let config = written().load();
    assert_eq!((config.sharding.clone(), config.fixed_part()), (None, Part::All));
}

#[test]
fn a_pod_says_by_its_name_what_it_is() {
    let config = written().flag("pod", &["a-gauge-12"]).flag("pod-namespace", &["shop"]).load();
    let (namespace, name) = ("shop".to_owned(), "a-gauge".to_owned());
    let expected = Sharding::StatefulSet { namespace, name, ordinal: 12, kubeconfig: None };
    assert_eq!(config.sharding, Some(expected));
    assert_eq!(config.fixed_part(), Part::All, "what looks but once asks no API server");
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let told = |file: &str| written().file(format!("sharding: {{{file}}}")).problems();
    for (file, expected) in [
        (
            "shard: 1",
            &["1:19: sharding.shard: needs sharding.total_shards besides: give both or neither"][..],
        ),
        (
            "total_shards: 2",
            &["1:26: sharding.total_shards: needs sharding.shard besides: give both or neither"],
        ),
        (
            "shard: 3, total_shards: 3",
            &[
                "1:19: sharding.shard: expected a number below sharding.total_shards, 3, found 3: the first one is 0",
            ],
        ),
        (
            "shard: -1, total_shards: 0",
            &[
                "1:19: sharding.shard: expected a whole number from 0 to 65535, found -1",
                "1:37: sharding.total_shards: expected a whole number from 1 to 65536, found 0",
            ],
        ),
        ("pod: a-0", &["1:17: sharding.pod: needs sharding.pod_namespace besides: give both or neither"]),
        (
            "pod_namespace: b",
            &["1:27: sharding.pod_namespace: needs sharding.pod besides: give both or neither"],
        ),
        (
            "pod: worker-7f9c-x2, pod_namespace: b",
            &[
                "1:17: sharding.pod: expected the name of a pod of a StatefulSet, as streamgauge-0, found \"worker-7f9c-x2\"",
            ],
        ),
        (
            "shard: 0, pod: a-0, pod_namespace: b, guest_streams: 0",
            &[
                "1:19: sharding.shard: needs sharding.total_shards besides: give both or neither",
                "1:27: sharding.pod: cannot be combined with sharding.shard and sharding.total_shards: leave these or that out",
                "1:65: sharding.guest_streams: expected a whole number from 1 to 10000, found 0",
            ],
        ),
    ] {
        let expected: Vec<_> = expected.iter().map(|line| format!("streamgauge.yaml:{line}")).collect();
        assert_eq!(told(file), expected, "{file}");
    }
}
