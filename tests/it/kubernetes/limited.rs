//! What limits leave out is in no answer: only what is asked for by name, and measured, has a number.

use super::{Adapter, CUSTOM, EXTERNAL};
use crate::support::{apiserver::ApiServer, redis::RedisServer, tool::needs};

fn backlog(selector: &str) -> String {
    format!("{EXTERNAL}/shop/redis_stream_group_backlog?labelSelector={selector}")
}

#[test]
fn streams_and_groups_above_the_limit_have_no_sum() {
    needs!("redis-server");
    let redis = RedisServer::start();
    for stream in ["a", "b", "c"] {
        redis.add(stream, 5);
        redis.run(&[&format!("XGROUP CREATE {stream} one 0"), &format!("XGROUP CREATE {stream} two 0")]);
    }
    let of = |limits: &str| {
        let url = redis.url();
        Adapter::with_file(&format!("redis: [{{name: main, url: '{url}', limits: {{{limits}}}}}]"), &[])
    };

    let adapter = of("streams: 2");
    for selector in ["", "group%3Done", "stream%3Dc", "stream%20in%20(a,c)", "stream!%3Dc"] {
        let message = adapter.refusal(&backlog(selector), 503);
        let expected = "redis \"main\" is known in part only, so what matches there is not known: there are more streams \
                        than limits.streams lets in, 2: 1 left out";
        assert!(message.starts_with(expected), "{selector}: {message}");
    }
    assert_eq!(adapter.values(&backlog("stream%3Da")), ["5", "5"]);
    assert_eq!(adapter.values(&backlog("stream%20in%20(a,b),group%3Done")), ["5", "5"]);

    let adapter = of("groups_per_stream: 1");
    for selector in ["", "stream%3Da", "group%3Dtwo", "group%20in%20(one,two)"] {
        let message = adapter.refusal(&backlog(selector), 503);
        let expected = "stream \"a\" on redis \"main\": the stream has 2 groups, more than 1: 1 left out";
        assert!(message.starts_with(expected), "{selector}: {message}");
    }
    assert_eq!(adapter.values(&backlog("stream%3Da,group%3Done")), ["5"]);
    assert_eq!(adapter.values(&backlog("group%3Done")), ["5", "5", "5"]);
}

/// A pod that owns nothing has nothing; one that goes by another name than its consumer cannot be told from it.
#[test]
fn pods_among_too_many_consumers() {
    needs!("redis-server");
    let (cluster, redis) = (ApiServer::start(), RedisServer::start());
    redis.add("orders", 20);
    redis.run(&["XGROUP CREATE orders workers 0"]);
    for consumer in ["pod-1", "pod-2", "gone"] {
        redis.run(&[&format!("XGROUP CREATECONSUMER orders workers {consumer}")]);
    }
    redis.run(&["XREADGROUP GROUP workers pod-1 COUNT 4 STREAMS orders >"]);
    for pod in ["pod-1", "pod-2", "pod-3"] {
        cluster.set_pod("shop", pod, &[("app", "worker")]);
    }
    cluster.set_pod("shop", "web", &[("app", "web")]);
    let yaml = format!("redis: [{{name: main, url: '{}', limits: {{consumers_per_group: 5}}}}]", redis.url());
    redis.run(&["XGROUP CREATECONSUMER orders workers c4", "XGROUP CREATECONSUMER orders workers c5"]);
    redis.run(&["XGROUP CREATECONSUMER orders workers c6"]);
    let kubeconfig = cluster.kubeconfig();
    let adapter = Adapter::with_file(&yaml, &["--kubernetes.kubeconfig", kubeconfig.to_str().unwrap()]);
    let of = |app: &str, metric: &str| format!("{CUSTOM}/shop/pods/*/{metric}?labelSelector=app%3D{app}");
    let pending = |app: &str| of(app, "redis_stream_pending_messages");

    assert_eq!(adapter.values(&pending("worker")), ["4", "0", "0"]);
    let said = "group \"workers\" of stream \"orders\" on redis \"main\": the group has 6 consumers, more than 5: only \
                those that own pending entries are shown, which are 1";
    for path in [pending("web"), of("worker", "redis_stream_group_consumer_idle_seconds")] {
        let message = adapter.refusal(&path, 503);
        assert!(message.starts_with(said), "{path}: {message}");
    }
    redis.run(&["XREADGROUP GROUP workers pod-1 COUNT 1 STREAMS orders >"]);
    adapter.poll();
    let message = adapter.refusal(&pending("worker"), 503);
    assert!(message.contains("none is shown"), "{message}");
}
