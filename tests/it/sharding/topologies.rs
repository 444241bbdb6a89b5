//! Servers of several processes: a Redis Cluster, and one behind Sentinels.

use super::{TOTAL, backlog, owner, shards};
use crate::support::{
    cluster::Cluster,
    sentinel::{Service, Setup},
    tool::needs,
    wait,
};

#[test]
fn a_cluster_is_shared_by_names_and_not_by_nodes() {
    needs!("redis-server");
    let cluster = Cluster::start(3, 0);
    let names: Vec<_> = (0..12).map(|number| format!("s{number}")).collect();
    names.iter().for_each(|name| cluster.fill(name, 4));
    let yaml = format!("redis: [{{name: main, url: '{}'}}]", cluster.url());
    let shards = shards(&yaml, &[]);
    let mut shown = 0;
    for (number, shard) in shards.iter().enumerate() {
        let metrics = shard.gauge.poll();
        let all = metrics.all("redis_stream_up");
        assert!(all.iter().all(|sample| owner(&sample.labels["stream"]) == number), "{all:?}");
        shown += all.len();
        // Each is asked by its name, on whichever node it is.
        for name in &names {
            let mut values = shard.values(&backlog(&format!("stream%3D{name}")));
            values.sort();
            assert_eq!(values, ["2", "4"], "{number}: {name}");
        }
        assert_eq!(shard.values(&backlog("")).len(), 2 * names.len());
    }
    assert_eq!(shown, names.len());
}

#[test]
fn behind_sentinels_each_shard_follows_the_primary() {
    needs!("redis-server");
    let service = Service::with(&Setup::default());
    for number in 0..9 {
        super::fill(&service.servers[0], &format!("s{number}"), number);
    }
    service.replicated(0, 2);
    let yaml = format!("redis: [{{name: main, url: '{}'}}]", service.url());
    let shards = shards(&yaml, &[]);
    let all_right = || {
        for shard in &shards {
            for number in 0..9 {
                let answer = shard.get(&backlog(&format!("stream%3Ds{number}")));
                let text = answer.text().to_owned();
                if answer.status != 200 || !text.contains(&format!("\"value\":\"{number}\"")) {
                    return Err(text);
                }
            }
        }
        Ok(())
    };
    wait::until("all shards to answer", all_right);
    let primary = service.fail_over(0);
    assert_ne!(primary, 0);
    wait::until("all shards to answer with the new primary", all_right);
    let shown: usize = shards.iter().map(|shard| shard.gauge.poll().all("redis_stream_up").len()).sum();
    assert_eq!((shown, shards.len()), (9, TOTAL as usize));
}
