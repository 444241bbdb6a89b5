//! Whichever shard the API server asks: it answers as one would that measures everything.

use super::{backlog, custom, fill, names_of, of, shards, timeless};
use crate::{
    kubernetes::{Adapter, EXTERNAL},
    support::{apiserver::ApiServer, redis::RedisServer, tool::needs},
};

/// Metrics and objects over streams of all shards, and some that not everybody may read.
const OFFER: &str = "
kubernetes:
  metrics:
    event-backlog: {metric: redis_stream_group_backlog, stream: 'events:*'}
    one-lag: {metric: redis_stream_group_lag, stream: 'events:3', group: workers}
    upper-lag: {metric: redis_stream_group_lag, stream: 'events:*', bounded: upper}
  objects:
    - {resource: deployments.apps, namespace: shop, name: worker, stream: 'events:1'}
    - {resource: deployments.apps, namespace: shop, name: worker, stream: 'events:2'}
    - {resource: services, namespace: shop, name: all, stream: '*'}
  streams:
    - {stream: 'secret:*', namespaces: [vault]}
";

fn scene() -> (ApiServer, RedisServer, String) {
    let (cluster, redis) = (ApiServer::start(), RedisServer::start());
    for number in 0..9 {
        let name = format!("events:{number}");
        fill(&redis, &name, 10 + number);
        redis.run(&[&format!("XREADGROUP GROUP workers pod-{} COUNT {number} STREAMS {name} >", number % 3)]);
    }
    for number in 0..4 {
        fill(&redis, &format!("secret:{number}"), 1);
    }
    redis.run(&["SET plain 1"]);
    for pod in ["pod-0", "pod-1", "pod-2", "pod-3"] {
        cluster.set_pod("shop", pod, &[("app", "worker")]);
    }
    cluster.set_object(
        "deployments.apps",
        Some("shop"),
        "annotated",
        &[("streamgauge.io/stream", "events:?")],
    );
    let settings = ", groups: {expect: ['absent=workers', 'events:4=missing', 'absent-too=workers']}";
    let yaml = of(&redis, settings, OFFER);
    (cluster, redis, yaml)
}

/// Questions whose answers do not change with time.
fn questions() -> Vec<String> {
    let mut all: Vec<String> = (0..9).map(|number| backlog(&format!("stream%3Devents:{number}"))).collect();
    let of = |namespace: &str, rest: &str| format!("{EXTERNAL}/{namespace}/{rest}");
    all.extend([
        backlog("stream%20in%20(events:0,events:1,events:2,events:3,nothing)"),
        backlog("redis%3Dmain,group%3Dworkers"),
        backlog("stream!%3Devents:1,db%3Ddb0"),
        backlog("db%3Ddb7"),
        backlog(""),
        backlog("stream%3Dabsent"),
        backlog("stream%3Dabsent-too,group%3Dworkers"),
        backlog("stream%3Devents:4,group%3Dmissing"),
        backlog("stream%3Dinvented"),
        backlog("stream%3Dplain"),
        backlog("stream%3Dsecret:0"),
        backlog("stream%20in%20(secret:0,secret:1,events:5)"),
        backlog("nonsense%3D1"),
        backlog("stream%3D(("),
        of("vault", "redis_stream_group_backlog"),
        of("vault", "redis_stream_group_lag?labelSelector=stream%3Dsecret:3"),
        of("shop", "redis_stream_length?labelSelector=stream%3Devents:7"),
        of("shop", "event-backlog"),
        of("shop", "event-backlog?labelSelector=stream%3Devents:6"),
        of("shop", "event-backlog?labelSelector=stream%3Dsecret:1"),
        of("shop", "one-lag"),
        of("shop", "upper-lag"),
        of("shop", "redis_stream_group_consumer_messages_pending"),
        of("shop", "redis_stream_group_oldest_pending_deliveries"),
        custom("deployments.apps/worker/redis_stream_group_backlog"),
        custom("deployments.apps/annotated/redis_stream_group_messages_pending"),
        custom("services/all/redis_stream_group_lag"),
        custom("services/none/redis_stream_group_lag"),
        custom("pods/*/redis_stream_pending_messages?labelSelector=app%3Dworker"),
        custom("pods/pod-2/redis_stream_pending_messages"),
        custom("pods/*/redis_stream_pending_messages?metricLabelSelector=stream%3Devents:5"),
    ]);
    all
}

fn answer(adapter: &Adapter, path: &str) -> (u16, serde_json::Value) {
    let answer = adapter.get(path);
    (answer.status, timeless(answer.json()))
}

#[test]
fn every_shard_answers_as_one_would_that_measures_everything() {
    needs!("redis-server");
    let (cluster, _redis, yaml) = scene();
    let kubeconfig = cluster.kubeconfig();
    let reach = ["--kubernetes.kubeconfig", kubeconfig.to_str().unwrap()];
    let whole = Adapter::with_file(&yaml, &reach);
    let shards = shards(&yaml, &reach);
    let mut codes = Vec::new();
    for path in questions() {
        let expected = answer(&whole, &path);
        codes.push(expected.0);
        for (number, shard) in shards.iter().enumerate() {
            assert_eq!(answer(shard, &path), expected, "shard {number}: {path}");
        }
    }
    let count = |code| codes.iter().filter(|found| **found == code).count();
    assert!(count(200) > 25 && count(404) > 4 && count(400) == 2, "{codes:?}");
}

#[test]
fn ages_are_told_of_whichever_stream_is_the_oldest() {
    needs!("redis-server");
    let redis = RedisServer::start();
    // The oldest entry of all is in a stream of shard 1.
    let (oldest, other) = (&names_of(1, "s", 1)[0], &names_of(2, "s", 1)[0]);
    for (name, id) in [(oldest, "1700000000000-0"), (other, "1700000900000-0")] {
        redis.run(&[&format!("XADD {name} {id} a b"), &format!("XGROUP CREATE {name} g 0")]);
        redis.run(&[&format!("XREADGROUP GROUP g c COUNT 1 STREAMS {name} >")]);
    }
    for shard in shards(&of(&redis, "", ""), &[]) {
        let path = format!("{EXTERNAL}/shop/redis_stream_group_oldest_pending_age_seconds");
        let answer = shard.get(&path);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let items = answer.json()["items"].as_array().unwrap().clone();
        assert_eq!(items.len(), 1);
        assert_eq!(items[0]["metricLabels"]["stream"], oldest.as_str());
    }
}

#[test]
fn a_name_of_bytes_that_are_no_text_is_asked_for_by_its_label() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.run_bytes(&[b"XGROUP", b"CREATE", b"odd\xff\x00name", b"g", b"0", b"MKSTREAM"]);
    redis.run_bytes(&[b"XADD", b"odd\xff\x00name", b"*", b"a", b"b"]);
    for shard in shards(&of(&redis, "", ""), &[]) {
        assert_eq!(shard.values(&backlog("stream%3Dodd%5Cxff%00name")), ["1"]);
    }
}
