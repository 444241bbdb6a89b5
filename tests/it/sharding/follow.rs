//! Pods of a StatefulSet share the streams by its replicas, whose number may change.

use super::{backlog, fill, of};
use crate::{
    kubernetes::Adapter,
    support::{
        apiserver::{ApiServer, Failure},
        exporter::{Launch, Streamgauge},
        redis::RedisServer,
        tool::needs,
        wait,
    },
};

const STREAMS: usize = 24;

fn scene() -> (ApiServer, RedisServer, String) {
    let (cluster, redis) = (ApiServer::start(), RedisServer::start());
    (0..STREAMS).for_each(|number| fill(&redis, &format!("s{number}"), number));
    let yaml = of(&redis, "", "");
    (cluster, redis, yaml)
}

/// What makes a process the pod of a set.
fn pod(cluster: &ApiServer, number: u32) -> Vec<String> {
    let kubeconfig = cluster.kubeconfig().to_str().unwrap().to_owned();
    let words = [
        "--pod",
        &format!("gauge-{number}"),
        "--pod-namespace",
        "monitoring",
        "--kubernetes.kubeconfig",
        &kubeconfig,
    ];
    words.map(str::to_owned).to_vec()
}

fn adapter(cluster: &ApiServer, yaml: &str, number: u32) -> Adapter {
    let arguments = pod(cluster, number);
    Adapter::with_file(yaml, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Waits until each stream is shown by one of them, and all know of so many.
#[track_caller]
fn shared_by(gauges: &[&Streamgauge], total: u32) {
    wait::until(&format!("the streams to be shared by {total}"), || {
        let mut streams: Vec<String> = Vec::new();
        for gauge in gauges {
            let metrics = gauge.metrics();
            if metrics.value("streamgauge_total_shards") != Some(f64::from(total)) {
                return Err(format!("{:?}", metrics.value("streamgauge_total_shards")));
            }
            streams
                .extend(metrics.all("redis_stream_up").iter().map(|sample| sample.labels["stream"].clone()));
        }
        streams.sort();
        let mut all: Vec<_> = (0..STREAMS).map(|number| format!("s{number}")).collect();
        all.sort();
        if streams == all { Ok(()) } else { Err(format!("{streams:?}")) }
    });
}

#[test]
fn the_share_follows_the_replicas() {
    needs!("redis-server");
    let (cluster, _redis, yaml) = scene();
    cluster.set_stateful_set("monitoring", "gauge", 2);
    let pods: Vec<_> = (0..3).map(|number| adapter(&cluster, &yaml, number)).collect();
    let gauges: Vec<_> = pods.iter().map(|pod| &pod.gauge).collect();
    // The third one has nothing of its own yet, and answers all the same.
    shared_by(&gauges, 2);
    pods[2].gauge.metrics().check(&[("streamgauge_shard_ordinal", Some(2.0)), ("redis_up", Some(1.0))]);
    let right = |pod: &Adapter| {
        for number in [0, 7, 23] {
            assert_eq!(pod.values(&backlog(&format!("stream%3Ds{number}"))), [number.to_string()]);
        }
        assert_eq!(pod.values(&backlog("")).len(), STREAMS);
    };
    pods.iter().for_each(right);
    for replicas in [3, 1, 3] {
        cluster.set_stateful_set("monitoring", "gauge", replicas);
        shared_by(&gauges, replicas);
        pods.iter().for_each(right);
    }
    // Only that one StatefulSet was ever asked for.
    let seen = cluster.requests("");
    assert!(!seen.is_empty());
    let path = "/apis/apps/v1/namespaces/monitoring/statefulsets";
    for request in seen {
        assert!(request.path == path, "{}", request.path);
        assert_eq!(request.parameter("fieldSelector").as_deref(), Some("metadata.name=gauge"));
    }
}

#[test]
fn autoscalers_are_answered_throughout() {
    needs!("redis-server");
    let (cluster, _redis, yaml) = scene();
    cluster.set_stateful_set("monitoring", "gauge", 2);
    let pod = adapter(&cluster, &yaml, 0);
    for round in 0..20 {
        if round % 4 == 0 {
            cluster.set_stateful_set("monitoring", "gauge", 2 + round / 4);
        }
        for number in [3, 11] {
            let answer = pod.values(&backlog(&format!("stream%3Ds{number}")));
            assert_eq!(answer, [number.to_string()], "round {round}");
        }
        assert_eq!(pod.values(&backlog("")).len(), STREAMS, "round {round}");
    }
}

#[test]
fn nothing_is_measured_until_it_is_known_what() {
    needs!("redis-server");
    let (cluster, redis, yaml) = scene();
    let file = redis.file("streamgauge.yaml", &yaml);
    let gauge = Launch::new("serve")
        .args(&["--config.file", &file])
        .args(&pod(&cluster, 1).iter().map(String::as_str).collect::<Vec<_>>())
        .start();
    let unready = |words: &str| {
        wait::until(&format!("not to be ready: {words}"), || {
            let answer = gauge.get("/readyz", &[]);
            let is_so = answer.status == 503 && answer.text().contains(words);
            if is_so { Ok(()) } else { Err(answer.text().to_owned()) }
        });
    };
    unready(
        "which streams to measure is not known yet: there is no StatefulSet gauge in namespace monitoring",
    );
    gauge.metrics().check(&[("streamgauge_total_shards", None), ("redis_up", Some(0.0))]);
    assert!(gauge.get("/", &[]).text().contains("Nothing is measured"));
    cluster.fail("/statefulsets", Failure::Status(403));
    // The watch would tell of a StatefulSet as long as it is open.
    cluster.close_watches();
    unready("grant list and watch on this StatefulSet");
    cluster.set_stateful_set("monitoring", "gauge", 4);
    cluster.mend();
    gauge.wait_ready();
    gauge
        .metrics()
        .check(&[("streamgauge_shard_ordinal", Some(1.0)), ("streamgauge_total_shards", Some(4.0))]);
    // What is known stays while nobody says otherwise.
    cluster.delete_object("statefulsets.apps", Some("monitoring"), "gauge");
    wait::until_true("the loss to be logged", || {
        !gauge.logged("the share of the streams cannot be followed: what is known of it stays").is_empty()
    });
    gauge.poll().check(&[("streamgauge_total_shards", Some(4.0)), ("redis_up", Some(1.0))]);
}

#[test]
fn without_an_api_server_it_does_not_start() {
    let output = Launch::new("serve").args(&["--pod", "gauge-0", "--pod-namespace", "monitoring"]).output();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("this is no pod of Kubernetes"), "{said}");
}
