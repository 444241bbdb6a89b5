//! Each toggle: which objects come and go with it.

use super::render;
use crate::{
    objects::{find, title},
    rendered::{rights::bound, workload::Workload},
};

fn titles(values: &str) -> Vec<String> {
    let mut titles: Vec<_> = render(values).iter().map(title).collect();
    titles.sort();
    titles
}

#[test]
fn by_default_there_is_this() {
    assert_eq!(
        titles(""),
        [
            "APIService v1beta1.external.metrics.k8s.io",
            "ClusterRole streamgauge-hpa-reader",
            "ClusterRoleBinding streamgauge-hpa-reader",
            "ConfigMap streamgauge/streamgauge",
            "Deployment streamgauge/streamgauge",
            "Pod streamgauge/streamgauge-check",
            "PodDisruptionBudget streamgauge/streamgauge",
            "RoleBinding kube-system/streamgauge-auth-reader",
            "Secret streamgauge/streamgauge-tls",
            "Service streamgauge/streamgauge",
            "ServiceAccount streamgauge/streamgauge",
        ]
    );
}

/// What more there is, with a `+`, and what less, with a `-`.
fn changes(values: &str) -> Vec<String> {
    let (before, after) = (titles(""), titles(values));
    let without = |a: &[String], b: &[String], sign: &str| -> Vec<String> {
        a.iter().filter(|title| !b.contains(title)).map(|title| format!("{sign}{title}")).collect()
    };
    [without(&after, &before, "+"), without(&before, &after, "-")].concat()
}

#[test]
fn each_brings_or_takes_its_objects() {
    const CUSTOM: [&str; 4] = [
        "+APIService v1beta1.custom.metrics.k8s.io",
        "+APIService v1beta2.custom.metrics.k8s.io",
        "+ClusterRole streamgauge-pods",
        "+ClusterRoleBinding streamgauge-pods",
    ];
    for (values, expected) in [
        ("podDisruptionBudget: {enabled: false}", &["-PodDisruptionBudget streamgauge/streamgauge"][..]),
        ("networkPolicy: {enabled: true}", &["+NetworkPolicy streamgauge/streamgauge"]),
        ("serviceAccount: {create: false}", &["-ServiceAccount streamgauge/streamgauge"]),
        ("serviceMonitor: {enabled: true}", &["+ServiceMonitor streamgauge/streamgauge"]),
        (
            "serviceMonitor: {enabled: true, namespace: monitoring}",
            &["+ServiceMonitor monitoring/streamgauge"],
        ),
        ("prometheusRule: {enabled: true}", &["+PrometheusRule streamgauge/streamgauge"]),
        (
            "prometheusRule: {enabled: true, namespace: monitoring}",
            &["+PrometheusRule monitoring/streamgauge"],
        ),
        ("dashboards: {enabled: true}", &["+ConfigMap streamgauge/streamgauge-dashboards"]),
        (
            "dashboards: {enabled: true, namespace: monitoring}",
            &["+ConfigMap monitoring/streamgauge-dashboards"],
        ),
        (
            "adapter: {enabled: false}",
            &[
                "-APIService v1beta1.external.metrics.k8s.io",
                "-ClusterRole streamgauge-hpa-reader",
                "-ClusterRoleBinding streamgauge-hpa-reader",
                "-RoleBinding kube-system/streamgauge-auth-reader",
                "-Secret streamgauge/streamgauge-tls",
            ],
        ),
        ("adapter: {apiServices: {create: false}}", &["-APIService v1beta1.external.metrics.k8s.io"]),
        (
            "adapter: {hpaReader: {create: false}}",
            &["-ClusterRole streamgauge-hpa-reader", "-ClusterRoleBinding streamgauge-hpa-reader"],
        ),
        ("adapter: {apiServices: {custom: true}}", &CUSTOM),
        (
            "adapter: {apiServices: {custom: true, external: false}}",
            &[&CUSTOM[..], &["-APIService v1beta1.external.metrics.k8s.io"]].concat(),
        ),
        (
            "adapter: {apiServices: {custom: true, create: false}}",
            &[CUSTOM[2], CUSTOM[3], "-APIService v1beta1.external.metrics.k8s.io"],
        ),
        (
            "adapter: {apiServices: {custom: true}, pods: {namespaces: [shop, mail]}}",
            &[&CUSTOM[..3], &["+RoleBinding mail/streamgauge-pods", "+RoleBinding shop/streamgauge-pods"]]
                .concat(),
        ),
        (
            "adapter: {apiServices: {custom: true}, objects: {rules: [{apiGroups: [apps], resources: [deployments]}], namespaces: [shop]}}",
            &[
                CUSTOM[0],
                CUSTOM[1],
                "+ClusterRole streamgauge-objects",
                CUSTOM[2],
                CUSTOM[3],
                "+RoleBinding shop/streamgauge-objects",
            ],
        ),
        // Without the API there is nobody who would ask for them.
        (
            "adapter: {objects: {rules: [{apiGroups: [apps], resources: [deployments]}]}, pods: {namespaces: [shop]}}",
            &[],
        ),
        ("adapter: {certificate: {mode: insecure}}", &["-Secret streamgauge/streamgauge-tls"]),
        (
            "adapter: {certificate: {mode: certManager}}",
            &[
                "+Certificate streamgauge/streamgauge-ca",
                "+Certificate streamgauge/streamgauge-tls",
                "+Issuer streamgauge/streamgauge",
                "+Issuer streamgauge/streamgauge-ca",
                "-Secret streamgauge/streamgauge-tls",
            ],
        ),
        (
            "adapter: {certificate: {mode: certManager, certManager: {issuerRef: {name: ca, kind: ClusterIssuer}}}}",
            &["+Certificate streamgauge/streamgauge-tls", "-Secret streamgauge/streamgauge-tls"],
        ),
        ("replicaCount: 3", &[]),
        (
            "sharding: {enabled: true}",
            &[
                "+Role streamgauge/streamgauge-shards",
                "+RoleBinding streamgauge/streamgauge-shards",
                "+StatefulSet streamgauge/streamgauge",
                "-Deployment streamgauge/streamgauge",
            ],
        ),
    ] {
        assert_eq!(changes(values), expected, "{values}");
    }
}

#[test]
fn rights_are_bound_where_they_are_needed() {
    let objects = render("adapter: {apiServices: {custom: true}, pods: {namespaces: [shop]}}");
    assert_eq!(bound(&objects, "streamgauge-pods"), ["shop"]);
    assert_eq!(bound(&objects, "extension-apiserver-authentication-reader"), ["kube-system"]);
    let objects = render("adapter: {apiServices: {custom: true}}");
    assert_eq!(bound(&objects, "streamgauge-pods"), ["*"]);
    let rules = &find(&objects, "ClusterRole", "streamgauge-hpa-reader")["rules"];
    assert_eq!(
        rules[0]["apiGroups"],
        serde_json::json!(["external.metrics.k8s.io", "custom.metrics.k8s.io"])
    );
}

#[test]
fn the_api_server_is_told_how_to_verify() {
    let service =
        |values: &str| find(&render(values), "APIService", "v1beta1.external.metrics.k8s.io").clone();
    let insecure = service("adapter: {certificate: {mode: insecure}}");
    assert_eq!(insecure["spec"]["insecureSkipTLSVerify"], true);
    let injected = service("adapter: {certificate: {mode: certManager}}");
    assert_eq!(
        injected["metadata"]["annotations"]["cert-manager.io/inject-ca-from"],
        "streamgauge/streamgauge-tls"
    );
    for sound in [&injected, &service("")] {
        assert!(sound["spec"].get("insecureSkipTLSVerify").is_none(), "{sound}");
    }
}

/// Pods are replaced for what they do not take up by themselves, and for nothing else.
#[test]
fn a_change_that_is_reloaded_replaces_no_pod() {
    let pod = |values: &str| {
        let objects = render(values);
        Workload::find(&objects).unwrap().object["spec"]["template"].clone()
    };
    let before = pod("");
    for same in [
        "config: {poll: {interval: 1s}}",
        "config: {redis: [{name: main, url: 'redis://other:6379'}]}",
        "config: {log: {level: debug}}",
        "config: {kubernetes: {streams: [{stream: 'a*', namespaces: [a]}]}}",
        "config: {kubernetes: {metrics: {a: {metric: redis_stream_length}}}}",
    ] {
        assert_eq!(pod(same), before, "{same}");
    }
    // Each setting that needs a restart, unless it is a flag of the chart's own.
    let flags: Vec<_> = before["spec"]["containers"][0]["args"].as_array().unwrap().clone();
    for setting in streamgauge::config::settings::all().filter(|setting| setting.restart) {
        let flag = format!("--{}=", setting.flag.unwrap());
        if flags.iter().any(|argument| argument.as_str().unwrap().starts_with(&flag)) {
            continue;
        }
        let (section, key) = setting.path.split_once('.').unwrap();
        let value = match setting.path {
            // Refused: flags of the chart's own, where it has shards.
            "sharding.shard" | "sharding.total_shards" | "sharding.pod" | "sharding.pod_namespace" => {
                continue;
            }
            "sharding.guest_streams" => "7".to_owned(),
            "web.enable_lifecycle" => "true".to_owned(),
            path if path.ends_with("allowed_names") => "[proxy]".to_owned(),
            _ => "/changed".to_owned(),
        };
        let values = format!("config: {{{section}: {{{key}: {value}}}}}");
        assert_ne!(pod(&values), before, "{values}");
    }
}
