//! What is shipped for stacks that are there: the scrape job for a cluster, the rules of prometheus-adapter and the query of
//! KEDA, asked of a real Prometheus while Redis is there and while it is not.

use regex::Regex;
use serde_json::{Value, json};
use streamgauge::catalogue::{self, CATALOGUE, Combine, PENDING_OF_POD};

use super::{list, must_pass, promql, read, text, yaml};
use crate::{
    kubernetes::manifests,
    support::{
        document::yaml as blocks,
        exporter::{Launch, Streamgauge},
        prometheus::Prometheus,
        redis::RedisServer,
        tool::needs,
        wait,
    },
};

const IN_CLUSTER: &str = "deploy/prometheus/kubernetes.yml";
const RULES: &str = "deploy/prometheus-adapter/config.yaml";
const GUIDE: &str = "docs/existing-stacks.md";

/// Where prometheus-adapter puts the labels that an HPA or a pod is chosen by, but for the namespace.
const MATCHERS_BUT_NAMESPACE: &str = r#"<<range $label, $values := .LabelValuesByName>><<if ne $label "namespace">><<$label>>=~"<<$values>>",<<end>><<end>>"#;

/// A query as prometheus-adapter makes it of a template of ours: `matchers` are the labels with their values.
fn expanded(template: &str, series: &str, group_by: &str, matchers: &[(&str, &str)]) -> String {
    let exact: Vec<_> = matchers.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let regular = matchers.iter().filter(|(label, _)| *label != "namespace");
    let regular: String = regular.map(|(label, values)| format!("{label}=~\"{values}\",")).collect();
    let query = template
        .replace(MATCHERS_BUT_NAMESPACE, &regular)
        .replace("<<.Series>>", series)
        .replace("<<.LabelMatchers>>", &exact.join(","))
        .replace("<<.GroupBy>>", group_by);
    assert!(!query.contains("<<"), "not known here: {query}");
    query
}

/// The metrics of the catalogue that a `seriesQuery` finds by their names.
fn found_by(series_query: &str) -> Vec<&'static str> {
    let expression = match series_query.strip_prefix("{__name__=~\"") {
        Some(rest) => rest.split_once('"').unwrap().0.to_owned(),
        None => format!("^{}$", series_query.split_once('{').unwrap().0),
    };
    let expression = Regex::new(&expression).unwrap();
    CATALOGUE.iter().map(|metric| metric.name).filter(|name| expression.is_match(name)).collect()
}

/// The query that KEDA's scaler for Prometheus asks.
fn of_keda() -> String {
    let shown = blocks(&read(GUIDE));
    let object = shown.iter().find(|block| block.contains("kind: ScaledObject")).unwrap();
    // Otherwise what is missing is 0 to KEDA.
    assert!(object.contains("\n        ignoreNullValues: \"false\"\n"), "{object}");
    let line = object.lines().find_map(|line| line.trim().strip_prefix("query: "));
    line.unwrap().to_owned()
}

#[test]
fn rules_name_what_exists_and_combine_it_as_the_catalogue_does() {
    let rules = yaml(RULES);
    let [counts, ages] = list(&rules, "externalRules") else { panic!("not two rules: {rules:#}") };
    for (rule, combine, number) in [(counts, Combine::Sum, 3), (ages, Combine::Max, 2)] {
        let names = found_by(text(rule, "seriesQuery"));
        assert_eq!(names.len(), number, "{names:?}");
        assert_eq!(rule["resources"], json!({"namespaced": false}));
        for name in names {
            assert_eq!(catalogue::for_autoscalers(name).unwrap().combine, combine, "{name}");
            let query = expanded(text(rule, "metricsQuery"), name, "", &[("stream", "orders")]);
            assert_eq!(promql::problems(&query), [""; 0], "{query}");
        }
    }
    let [pods] = list(&rules, "rules") else { panic!("not one rule: {rules:#}") };
    let names = found_by(text(pods, "seriesQuery"));
    assert_eq!(names, [catalogue::for_pods(PENDING_OF_POD).unwrap().name]);
    assert_eq!(pods["name"], json!({"matches": format!("^{}$", names[0]), "as": PENDING_OF_POD}));
    let query = expanded(text(pods, "metricsQuery"), names[0], "consumer", &[("consumer", "a|b")]);
    assert_eq!(promql::problems(&query), [""; 0], "{query}");
    assert_eq!(promql::problems(&of_keda()), [""; 0]);
}

/// The HPA that is shown asks one of the rules, for one group, as KEDA's query does.
#[test]
fn the_hpa_asks_for_what_the_rules_serve() {
    let shown = blocks(&read(GUIDE));
    let hpa = shown.iter().find(|block| block.contains("kind: HorizontalPodAutoscaler")).unwrap();
    let hpa = manifests::read(GUIDE, hpa);
    assert_eq!(manifests::kind_of(&hpa), "HorizontalPodAutoscaler");
    let asked = &hpa["spec"]["metrics"][0]["external"]["metric"];
    let rules = yaml(RULES);
    let served = found_by(text(&list(&rules, "externalRules")[0], "seriesQuery"));
    assert!(served.contains(&text(asked, "name")), "{served:?}");
    let chosen = asked["selector"]["matchLabels"].as_object().unwrap();
    for (label, value) in chosen {
        assert!(of_keda().contains(&format!("{label}={value}")), "{label}={value}");
    }
    assert_eq!(chosen.keys().collect::<Vec<_>>(), ["group", "redis", "stream"]);
}

/// The job for a cluster, with targets in the place of its discovery: Prometheus as Debian builds it knows none.
fn in_cluster(targets: &[&Streamgauge]) -> Value {
    let config = yaml(IN_CLUSTER);
    let [job] = list(&config, "scrape_configs") else { panic!("not one job") };
    let mut job = job.clone();
    let discovery = job.as_object_mut().unwrap().remove("kubernetes_sd_configs").unwrap();
    assert_eq!(
        discovery,
        json!([{"role": "endpointslice", "selectors": [{"role": "endpointslice", "label": "app.kubernetes.io/name=streamgauge"}]}])
    );
    let found = |(number, gauge): (usize, &&Streamgauge)| {
        ["http", "adapter"].map(|port| {
            // Nobody serves on the port of the adapter here: if it were scraped, a target would be down.
            let address = if port == "http" { gauge.address.to_string() } else { "127.0.0.1:1".to_owned() };
            json!({"targets": [address], "labels": {
                "__meta_kubernetes_endpointslice_port_name": port,
                "__meta_kubernetes_pod_name": format!("streamgauge-{number}"),
                "__meta_kubernetes_namespace": "measuring",
            }})
        })
    };
    let targets: Vec<_> = targets.iter().enumerate().flat_map(found).collect();
    job["static_configs"] = targets.into();
    job
}

#[test]
fn prometheus_takes_the_job_for_a_cluster() {
    needs!("promtool");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({"scrape_configs": [in_cluster(&[])]}).to_string()).unwrap();
    must_pass("promtool", &["check", "config", file.path().to_str().unwrap()]);
}

#[test]
fn what_is_not_known_is_no_number_by_prometheus_either() {
    needs!("redis-server", "prometheus");
    let mut redis = RedisServer::start();
    redis.add("orders", 950);
    redis.run(&[
        "XGROUP CREATE orders processing_group 0",
        "XGROUP CREATE orders analytics_group $",
        "XREADGROUP GROUP processing_group worker-0 COUNT 40 STREAMS orders >",
        "XREADGROUP GROUP processing_group worker-1 COUNT 10 STREAMS orders >",
    ]);
    let gauges = [(); 2].map(|()| {
        let gauge = Launch::new("serve").args(&["--redis.url", &redis.url(), "--redis.name", "main"]).start();
        gauge.wait_ready();
        gauge
    });
    let prometheus = Prometheus::configured(&[in_cluster(&[&gauges[0], &gauges[1]])]);
    prometheus.until("count(redis_up == 1)", 2.0);
    prometheus.until("count(up)", 2.0);
    prometheus.until(r#"count(up{job="streamgauge",namespace="measuring",pod=~"streamgauge-[01]"})"#, 2.0);

    // Two replicas count once.
    let rules = yaml(RULES);
    let template = |kind: &str, at: usize| text(&list(&rules, kind)[at], "metricsQuery").to_owned();
    let one = [("redis", "main"), ("stream", "orders"), ("group", "processing_group")];
    let backlog = expanded(&template("externalRules", 0), "redis_stream_group_backlog", "", &one);
    let all = expanded(&template("externalRules", 0), "redis_stream_group_backlog", "", &one[..2]);
    let age = "redis_stream_group_oldest_undelivered_age_seconds";
    let age = expanded(&template("externalRules", 1), age, "", &one);
    prometheus.until(&backlog, 950.0);
    prometheus.until(&of_keda(), 950.0);
    let groups = prometheus.query(&all).unwrap();
    let mut values: Vec<_> = groups
        .iter()
        .map(|(labels, value)| (labels["group"].as_str().unwrap(), labels.as_object().unwrap().len(), *value))
        .collect();
    values.sort_by_key(|(group, ..)| *group);
    assert_eq!(values, [("analytics_group", 4, 0.0), ("processing_group", 4, 950.0)]);
    let ages = prometheus.query(&age).unwrap();
    assert!(matches!(&ages[..], [(_, age)] if *age > 0.0), "{ages:?}");

    // The pods of a namespace, one of which has no consumer.
    let pods = expanded(
        &template("rules", 0),
        "redis_stream_group_consumer_messages_pending",
        "consumer",
        &[("namespace", "shop"), ("consumer", "worker-0|worker-1|worker-2")],
    );
    let mut values = prometheus.query(&pods).unwrap();
    values.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    assert_eq!(values, [(json!({"consumer": "worker-1"}), 10.0), (json!({"consumer": "worker-0"}), 40.0)]);

    // Redis is gone. streamgauge still shows what it knew; an autoscaler is told nothing, and no 0.
    redis.kill();
    prometheus.until("count(redis_up == 0)", 2.0);
    prometheus.until("max(redis_stream_group_backlog)", 950.0);
    for query in [backlog, all, age, pods, of_keda()] {
        wait::until(&format!("nothing from {query}"), || match prometheus.query(&query)? {
            series if series.is_empty() => Ok(()),
            series => Err(format!("{series:?}")),
        });
    }
}
