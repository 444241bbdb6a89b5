//! The manifests: each is what its kind says, to the last field; they fit one another, and the program.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};
use streamgauge::config::{self, Sources, settings};

use super::DIRECTORY;
use crate::{
    kubernetes::manifests::{kind_of, read as parse},
    shipped::{path, read},
    support::{exporter::Launch, redis::RedisServer, tool::needs},
};

/// The manifests of a file.
pub fn of(file: &str) -> Vec<Value> {
    let text = read(&format!("{DIRECTORY}/{file}"));
    text.split("\n---\n").map(|part| parse(file, part)).collect()
}

/// Every manifest, by its file.
fn all() -> BTreeMap<String, Vec<Value>> {
    let names = fs::read_dir(path(DIRECTORY)).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // A configuration of streamgauge, a resource of the Prometheus operator (`alerts.rs` has it), and what `tests/deploy`
    // builds.
    let others = ["streamgauge.yaml", "prometheusrule.yaml", "kustomization.yaml"];
    let names = names.filter(|name| name.ends_with(".yaml") && !others.contains(&name.as_str()));
    names.map(|name| (name.clone(), of(&name))).collect()
}

#[test]
fn every_manifest_is_one() {
    let all = all();
    let files: Vec<_> = all.keys().map(String::as_str).collect();
    let expected = [
        "hpa-guide.yaml",
        "hpa-zero.yaml",
        "hpa.yaml",
        "producer.yaml",
        "redis-exporter.yaml",
        "redis.yaml",
        "workers-go.yaml",
        "workers.yaml",
    ];
    assert_eq!(files, expected);
    for manifest in all.values().flatten() {
        kind_of(manifest);
        // The namespace is the one that they are applied to.
        assert_eq!(manifest["metadata"].get("namespace"), None, "{manifest}");
    }
}

/// A selector finds the pods of its template, a Service those of its Deployment, and an HPA its Deployment.
#[test]
fn they_find_one_another() {
    let all = all();
    let deployments: Vec<&Value> =
        all.values().flatten().filter(|manifest| manifest["kind"] == "Deployment").collect();
    for deployment in &deployments {
        let spec = &deployment["spec"];
        assert_eq!(spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"], "{deployment}");
    }
    for manifest in all.values().flatten() {
        match manifest["kind"].as_str().unwrap() {
            "Service" => {
                let pods = deployments.iter().map(|deployment| &deployment["spec"]["template"]);
                let pods: Vec<_> =
                    pods.filter(|pod| pod["metadata"]["labels"] == manifest["spec"]["selector"]).collect();
                let [pod] = pods[..] else { panic!("{manifest}") };
                let port = &manifest["spec"]["ports"][0];
                let served = &pod["spec"]["containers"][0]["ports"][0];
                assert_eq!((&port["targetPort"], &port["port"]), (&served["name"], &served["containerPort"]));
            }
            "HorizontalPodAutoscaler" => {
                let target = &manifest["spec"]["scaleTargetRef"];
                let found = deployments.iter().filter(|deployment| {
                    deployment["metadata"]["name"] == target["name"]
                        && deployment["apiVersion"] == target["apiVersion"]
                });
                let found: Vec<_> = found.collect();
                assert_eq!(found.len(), 2, "the workers in Python and in Go");
                // The HPA says how many there are.
                assert!(
                    found.iter().all(|deployment| deployment["spec"].get("replicas").is_none()),
                    "{target}"
                );
                assert_eq!(
                    target,
                    &json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "order-processor"})
                );
            }
            _ => (),
        }
    }
}

/// The workers in Go differ from those in Python by their image alone.
#[test]
fn the_languages_take_each_others_place() {
    let text = |file: &str| serde_json::to_string(&of(file)).unwrap();
    let python = text("workers.yaml");
    assert_eq!(python.matches("order-processor:python").count(), 2);
    assert_eq!(python.replace("order-processor:python", "order-processor:go"), text("workers-go.yaml"));
}

/// What the guide says: two groups, one from the beginning and one from now on, and consumers named like their pods.
#[test]
fn the_workers_are_those_of_the_guide() {
    let groups: Vec<_> = of("workers.yaml")
        .iter()
        .map(|deployment| {
            let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
            let variable = |name: &str| env.iter().find(|variable| variable["name"] == name).unwrap().clone();
            let pod = &variable("CONSUMER_NAME")["valueFrom"]["fieldRef"]["fieldPath"];
            assert_eq!(pod, "metadata.name");
            for (name, value) in [("STREAM", "orders"), ("BATCH", "10"), ("CLAIM_IDLE_MS", "60000")] {
                assert_eq!(variable(name)["value"], value);
            }
            ["GROUP", "GROUP_START"].map(|name| variable(name)["value"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(groups, [["processing_group", "0"], ["analytics_group", "$"]]);
}

/// The HPA that the guide shows; and the one to zero is the better one, down to zero.
#[test]
fn the_autoscalers_are_those_that_are_told_of() {
    let [guide] = &of("hpa-guide.yaml")[..] else { panic!("not one") };
    let metric = json!([{"type": "Pods", "pods": {
        "metric": {"name": "redis_stream_pending_messages"},
        "target": {"type": "AverageValue", "averageValue": "100"},
    }}]);
    let spec = &guide["spec"];
    assert_eq!(
        (&spec["minReplicas"], &spec["maxReplicas"], &spec["metrics"]),
        (&json!(2), &json!(20), &metric)
    );
    let mut better = of("hpa.yaml");
    assert_eq!(better[0]["spec"]["minReplicas"], 1);
    better[0]["spec"]["minReplicas"] = json!(0);
    assert_eq!(better, of("hpa-zero.yaml"));
}

/// An image swap: the program runs with no argument and with the variables of the manifest alone, and serves on its port.
#[test]
fn the_exporter_runs_as_it_is_deployed() {
    needs!("redis-server");
    let [deployment, _] = &of("redis-exporter.yaml")[..] else { panic!("not two") };
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((container.get("args"), container.get("command")), (None, None));
    let image = container["image"].as_str().unwrap();
    assert_eq!(image, format!("ghcr.io/streamgauge/streamgauge:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(container["env"], json!([{"name": "REDIS_ADDR", "value": "redis:6379"}]));
    let web = settings::all().find(|setting| setting.path == "web.listen_address").unwrap();
    assert_eq!(web.default, Some(&*format!(":{}", container["ports"][0]["containerPort"])));

    let redis = RedisServer::start();
    redis.add("orders", 3);
    let address = redis.address().to_string();
    let gauge = Launch::bare().env("REDIS_ADDR", &address).start();
    gauge.wait_ready();
    let length = format!("redis_stream_length{{redis=\"{address}\",db=\"db0\",stream=\"orders\"}}");
    assert_eq!(gauge.metrics().value(&length), Some(3.0));
}

#[test]
fn the_configuration_is_sound() {
    let file = path(DIRECTORY).join("streamgauge.yaml");
    let sources = Sources { file: Some(file), ..Sources::default() };
    config::load(&sources).unwrap_or_else(|error| panic!("{error}"));
}
