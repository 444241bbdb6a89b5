//! Custom metrics: pods that are consumers, and objects that stand for groups.

use serde_json::{Value, json};

use super::{Adapter, CUSTOM, values};
use crate::support::{
    apiserver::{ApiServer, Failure},
    redis::RedisServer,
    wait,
};

const V1BETA1: &str = "/apis/custom.metrics.k8s.io/v1beta1/namespaces";

/// Workers `pod-1` and `pod-2` in two groups, and a pod that has read nothing yet.
fn scene(settings: &str) -> (ApiServer, RedisServer, Adapter) {
    let (cluster, redis) = (ApiServer::start(), RedisServer::start());
    redis.run(&["XGROUP CREATE orders a 0 MKSTREAM", "XGROUP CREATE orders b 0"]);
    redis.add("orders", 100);
    redis.run(&[
        "XREADGROUP GROUP a pod-1 COUNT 30 STREAMS orders >",
        "XREADGROUP GROUP a pod-2 COUNT 12 STREAMS orders >",
        "XREADGROUP GROUP b pod-1 COUNT 5 STREAMS orders >",
    ]);
    for pod in ["pod-1", "pod-2", "pod-3"] {
        cluster.set_pod("shop", pod, &[("app", "worker"), ("tier", "back")]);
    }
    cluster.set_pod("shop", "web", &[("app", "web")]);
    let yaml = format!("redis: [{{name: main, url: '{}'}}]\n{settings}", redis.url());
    let kubeconfig = cluster.kubeconfig();
    let adapter = Adapter::with_file(&yaml, &["--kubernetes.kubeconfig", kubeconfig.to_str().unwrap()]);
    (cluster, redis, adapter)
}

/// Names and values of an answer.
#[track_caller]
fn of_names(adapter: &Adapter, path: &str) -> Vec<(String, String)> {
    let answer = adapter.get(path);
    let numbers = values(&answer);
    let list = answer.json();
    let names = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["describedObject"]["name"].as_str().unwrap().to_owned());
    names.zip(numbers).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn pods_have_what_their_consumers_have() {
    let (cluster, redis, adapter) = scene("");
    for base in [V1BETA1, CUSTOM] {
        for star in ["*", "%2A"] {
            let path =
                format!("{base}/shop/pods/{star}/redis_stream_pending_messages?labelSelector=app%3Dworker");
            let expected = pairs(&[("pod-1", "35"), ("pod-2", "12"), ("pod-3", "0")]);
            assert_eq!(of_names(&adapter, &path), expected);
        }
    }
    let path = |rest: &str| format!("{CUSTOM}/shop/pods/{rest}");
    for (rest, expected) in [
        (
            "*/redis_stream_group_consumer_messages_pending?labelSelector=tier",
            &[("pod-1", "35"), ("pod-2", "12"), ("pod-3", "0")][..],
        ),
        (
            "*/redis_stream_pending_messages?labelSelector=app%20in%20(worker)&metricLabelSelector=group%3Da",
            &[("pod-1", "30"), ("pod-2", "12"), ("pod-3", "0")],
        ),
        ("pod-1/redis_stream_pending_messages", &[("pod-1", "35")]),
        ("pod-3/redis_stream_pending_messages", &[("pod-3", "0")]),
    ] {
        assert_eq!(of_names(&adapter, &path(rest)), pairs(expected), "{rest}");
    }
    // Who never came has been idle for no known time.
    let idle =
        of_names(&adapter, &path("*/redis_stream_group_consumer_idle_seconds?labelSelector=app%3Dworker"));
    let names: Vec<_> = idle.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["pod-1", "pod-2"]);
    for (rest, message) in [
        ("gone/redis_stream_pending_messages", "there is no pod \"gone\" in namespace \"shop\""),
        (
            "*/redis_stream_pending_messages?labelSelector=app%3Dnone",
            "no pod of namespace \"shop\" has labels \"app=none\"",
        ),
        (
            "pod-3/redis_stream_group_consumer_idle_seconds",
            "none of these pods has a consumer, so they have no redis_stream_group_consumer_idle_seconds",
        ),
        ("pod-1/redis_stream_group_backlog", "there is no metric \"redis_stream_group_backlog\" of pods"),
    ] {
        assert_eq!(adapter.refusal(&path(rest), 404), message);
    }

    // Pods come and go.
    cluster.delete_pod("shop", "pod-2");
    cluster.set_pod("shop", "pod-4", &[("app", "worker")]);
    redis.run(&["XREADGROUP GROUP b pod-4 COUNT 2 STREAMS orders >"]);
    adapter.poll();
    let all = path("*/redis_stream_pending_messages?labelSelector=app%3Dworker");
    wait::until("the pods to be known", || {
        let found = of_names(&adapter, &all);
        let expected = pairs(&[("pod-1", "35"), ("pod-3", "0"), ("pod-4", "2")]);
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn pods_that_are_not_known_have_no_number() {
    let (cluster, _redis, adapter) = scene("");
    cluster.fail("/namespaces/shop/pods", Failure::Status(403));
    let path = format!("{CUSTOM}/shop/pods/*/redis_stream_pending_messages?labelSelector=app%3Dworker");
    let message = adapter.refusal(&path, 503);
    assert!(message.contains("\"shop\"") || message.contains("shop"), "{message}");
    assert!(message.contains("pods"), "{message}");
}

#[test]
fn without_the_api_server_no_pods_are_known() {
    let redis = RedisServer::start();
    redis.run(&["XGROUP CREATE orders a 0 MKSTREAM"]);
    let adapter = Adapter::of(&redis.url());
    let path = format!("{CUSTOM}/shop/pods/*/redis_stream_pending_messages?labelSelector=app%3Dworker");
    let message = adapter.refusal(&path, 503);
    assert_eq!(
        message,
        "which pods there are is not known: streamgauge runs in no pod and has no kubernetes.kubeconfig"
    );
}

#[test]
fn consumers_that_are_not_measured_leave_pods_unknown() {
    let (cluster, redis) = (ApiServer::start(), RedisServer::start());
    redis.run(&["XGROUP CREATE orders a 0 MKSTREAM"]);
    cluster.set_pod("shop", "pod-1", &[]);
    let yaml = format!("redis: [{{name: main, url: '{}', consumers: false}}]", redis.url());
    let kubeconfig = cluster.kubeconfig();
    let adapter = Adapter::with_file(&yaml, &["--kubernetes.kubeconfig", kubeconfig.to_str().unwrap()]);
    let message = adapter.refusal(&format!("{CUSTOM}/shop/pods/pod-1/redis_stream_pending_messages"), 503);
    assert!(
        message.ends_with("its consumers are not measured: set consumers to true for this server"),
        "{message}"
    );
}

const OBJECTS: &str = "
kubernetes:
  objects:
    - {resource: deployments.apps, namespace: shop, name: worker, stream: orders, group: a}
    - {resource: services, namespace: shop, name: both, stream: orders, group: a}
    - {resource: services, namespace: shop, name: both, stream: orders, group: b}
    - {resource: namespaces, name: shop, stream: orders, group: b}
  streams:
    - {stream: orders, namespaces: [shop, '']}
";

#[test]
fn objects_stand_for_groups_by_the_configuration() {
    let (_cluster, _redis, adapter) = scene(&OBJECTS.replace(", ''", ""));
    let one = |path: &str| {
        let list = adapter.get(path).json();
        let items = list["items"].as_array().unwrap_or_else(|| panic!("{list}"));
        // The HPA takes exactly one.
        assert_eq!(items.len(), 1, "{list}");
        items[0].clone()
    };
    let item = one(&format!("{CUSTOM}/shop/deployments.apps/worker/redis_stream_group_backlog"));
    assert_eq!(item["value"], "100");
    let object =
        json!({"kind": "Deployment", "apiVersion": "apps/v1", "namespace": "shop", "name": "worker"});
    assert_eq!(item["describedObject"], object);
    assert_eq!(item["metric"], json!({"name": "redis_stream_group_backlog", "selector": null}));
    let item = one(&format!("{CUSTOM}/shop/services/both/redis_stream_group_lag"));
    assert_eq!(item["value"], "153");
    let selected = "redis_stream_group_lag?metricLabelSelector=stream%3Dorders,group%20in%20(b)";
    let item = one(&format!("{V1BETA1}/shop/services/both/{selected}"));
    assert_eq!((&item["value"], &item["metricName"]), (&json!("95"), &json!("redis_stream_group_lag")));
    assert_eq!(item["selector"], json!({"matchLabels": {"stream": "orders", "group": "b"}}));
    let item = one(&format!("{CUSTOM}/shop/metrics/redis_stream_group_messages_pending"));
    assert_eq!((&item["value"], &item["describedObject"]["kind"]), (&json!("5"), &json!("Namespace")));
    assert_eq!(item["describedObject"]["namespace"], Value::Null);

    for (path, code, message) in [
        (
            "shop/deployments.apps/*/redis_stream_group_lag",
            400,
            "deployments.apps cannot be asked for all at once: only pods can",
        ),
        (
            "shop/deployments.apps/worker/redis_stream_pending_messages",
            404,
            "there is no metric \"redis_stream_pending_messages\" of deployments.apps",
        ),
        (
            "shop/deployments.apps/unknown/redis_stream_group_lag",
            404,
            "there is no deployments.apps \"unknown\" in namespace \"shop\"",
        ),
    ] {
        assert_eq!(adapter.refusal(&format!("{CUSTOM}/{path}"), code), message);
    }
}

#[test]
fn objects_stand_for_groups_by_their_annotations() {
    let (cluster, _redis, adapter) = scene("");
    let annotated = |name: &str, annotations: &[(&str, &str)]| {
        cluster.set_object("deployments.apps", Some("shop"), name, annotations);
    };
    annotated("worker", &[("streamgauge.io/stream", "orders"), ("streamgauge.io/group", "a")]);
    annotated("all", &[("streamgauge.io/stream", "ord*"), ("streamgauge.io/redis", "main")]);
    annotated("elsewhere", &[("streamgauge.io/stream", "orders"), ("streamgauge.io/redis", "spare")]);
    annotated("plain", &[]);
    annotated("wrong", &[("streamgauge.io/stream", "a[")]);
    let path = |name: &str| format!("{CUSTOM}/shop/deployments.apps/{name}/redis_stream_group_lag");
    assert_eq!(adapter.values(&path("worker")), ["58"]);
    assert_eq!(adapter.values(&path("all")), ["153"]);
    let list = adapter.get(&path("worker")).json();
    assert_eq!(list["items"][0]["describedObject"]["kind"], "Deployment");
    adapter.refusal(&path("elsewhere"), 404);
    let message = adapter.refusal(&path("plain"), 404);
    assert_eq!(
        message,
        "deployments.apps \"plain\" stands for no stream: annotate it with streamgauge.io/stream, or name it under \
         kubernetes.objects"
    );
    let message = adapter.refusal(&path("wrong"), 400);
    assert!(
        message.starts_with("the annotation streamgauge.io/stream of deployments.apps \"wrong\" is wrong: "),
        "{message}"
    );
    adapter.refusal(&format!("{CUSTOM}/shop/nothings.example.com/x/redis_stream_group_lag"), 404);

    cluster.set_object("namespaces", None, "shop", &[("streamgauge.io/stream", "orders")]);
    assert_eq!(adapter.values(&format!("{CUSTOM}/shop/metrics/redis_stream_group_lag")), ["153"]);

    cluster.fail("/deployments/", Failure::Status(403));
    annotated("fresh", &[("streamgauge.io/stream", "orders")]);
    adapter.refusal(&path("fresh"), 503);
}
