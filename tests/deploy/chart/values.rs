//! Each value of `values.yaml`: what it does to what is rendered, so that none is there in vain.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use super::{CHART, render, template};
use crate::{
    objects::{find, parse, title},
    rendered,
    rendered::workload::Workload,
};

/// A value, what it is changed to, what must be on for it to count, and where it is then to be found.
type Sample = (&'static str, &'static str, &'static str, &'static str);

const ON: &str = "serviceMonitor: {enabled: true}\nprometheusRule: {enabled: true}\ndashboards: {enabled: true}\nnetworkPolicy: {enabled: true}\n";
const CUSTOM: &str = "adapter: {apiServices: {custom: true}}";
const OBJECTS: &str = "adapter: {apiServices: {custom: true}, objects: {rules: [{apiGroups: [apps], resources: [deployments]}]}}";
const MANAGED: &str = "adapter: {certificate: {mode: certManager}}";
const OWN: &str =
    "adapter: {certificate: {mode: secret, secretName: own, caBundle: '-----BEGIN CERTIFICATE-----'}}";

const SAMPLES: [Sample; 63] = [
    ("config", "{redis: [{name: other, url: 'redis://other:6379'}]}", "", "url: redis://other:6379"),
    (
        "credentials",
        "[{server: main, secretName: redis-auth, passwordKey: pw}]",
        "",
        "secretName: redis-auth",
    ),
    ("replicaCount", "7", "", "replicas: 7"),
    ("sharding.enabled", "true", "", "- --pod=$(POD_NAME)"),
    ("image.repository", "mirror.example/streamgauge", "", "image: \"mirror.example/streamgauge:"),
    ("image.tag", "9.9.9", "", "streamgauge:9.9.9\""),
    (
        "image.digest",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "",
        "streamgauge@sha256:0123",
    ),
    ("image.pullPolicy", "Always", "", "imagePullPolicy: Always"),
    ("imagePullSecrets", "[{name: registry}]", "", "- name: registry"),
    ("nameOverride", "gauge", "", "app.kubernetes.io/name: gauge"),
    ("fullnameOverride", "gauge", "", "name: gauge-auth-reader"),
    ("commonLabels", "{team: streams}", "", "team: streams"),
    ("adapter.enabled", "false", "", "automountServiceAccountToken: false"),
    ("adapter.apiServices.create", "false", "", "kind: ClusterRole"),
    ("adapter.apiServices.external", "false", CUSTOM, "v1beta2.custom.metrics.k8s.io"),
    ("adapter.apiServices.custom", "true", "", "v1beta2.custom.metrics.k8s.io"),
    ("adapter.pods.namespaces", "[shop]", CUSTOM, "namespace: shop"),
    (
        "adapter.objects.rules",
        "[{apiGroups: [apps], resources: [deployments]}]",
        CUSTOM,
        "name: streamgauge-objects",
    ),
    ("adapter.objects.namespaces", "[shop]", OBJECTS, "namespace: shop"),
    ("adapter.hpaReader.create", "false", "", "kind: APIService"),
    ("adapter.certificate.mode", "insecure", "", "insecureSkipTLSVerify: true"),
    ("adapter.certificate.secretName", "mine", OWN, "secretName: mine"),
    (
        "adapter.certificate.caBundle",
        "'-----BEGIN CERTIFICATE----- x'",
        OWN,
        "caBundle: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tIHg=",
    ),
    ("adapter.certificate.generated.validDays", "400", "", "streamgauge.io/expires"),
    ("adapter.certificate.generated.renewBeforeDays", "30", "", "streamgauge.io/expires"),
    (
        "adapter.certificate.certManager.issuerRef",
        "{name: corporate, kind: ClusterIssuer}",
        MANAGED,
        "name: corporate",
    ),
    ("adapter.certificate.certManager.duration", "48h", MANAGED, "duration: 48h"),
    ("adapter.certificate.certManager.renewBefore", "4h", MANAGED, "renewBefore: 4h"),
    ("service.type", "NodePort", "", "type: NodePort"),
    ("service.port", "80", "", "port: 80"),
    ("service.adapterPort", "443", "", "port: 443"),
    ("service.annotations", "{a: service-annotation}", "", "a: service-annotation"),
    ("serviceAccount.create", "false", "", "serviceAccountName: default"),
    ("serviceAccount.name", "other", "", "serviceAccountName: other"),
    ("serviceAccount.annotations", "{a: account-annotation}", "", "a: account-annotation"),
    ("serviceMonitor.enabled", "true", "", "kind: ServiceMonitor"),
    ("serviceMonitor.namespace", "monitoring", ON, "namespace: monitoring"),
    ("serviceMonitor.labels", "{release: prometheus}", ON, "release: prometheus"),
    ("serviceMonitor.interval", "7s", ON, "interval: 7s"),
    ("serviceMonitor.scrapeTimeout", "6s", ON, "scrapeTimeout: 6s"),
    ("serviceMonitor.relabelings", "[{targetLabel: cluster, replacement: west}]", ON, "replacement: west"),
    ("serviceMonitor.metricRelabelings", "[{action: labeldrop, regex: pod}]", ON, "action: labeldrop"),
    ("prometheusRule.enabled", "true", "", "kind: PrometheusRule"),
    ("prometheusRule.namespace", "monitoring", ON, "namespace: monitoring"),
    ("prometheusRule.labels", "{release: prometheus}", ON, "release: prometheus"),
    ("prometheusRule.disabled", "[RedisDown]", ON, "alert: StreamgaugeDown"),
    ("dashboards.enabled", "true", "", "streamgauge-overview.json"),
    ("dashboards.namespace", "monitoring", ON, "namespace: monitoring"),
    ("dashboards.labels", "{grafana_dashboard: null, dashboards: mine}", ON, "dashboards: mine"),
    ("dashboards.annotations", "{grafana_folder: Redis}", ON, "grafana_folder: Redis"),
    ("podDisruptionBudget.enabled", "false", "", "kind: Deployment"),
    ("podDisruptionBudget.maxUnavailable", "'25%'", "", "maxUnavailable: 25%"),
    ("networkPolicy.enabled", "true", "", "kind: NetworkPolicy"),
    ("networkPolicy.http.from", "[{podSelector: {matchLabels: {app: prometheus}}}]", ON, "app: prometheus"),
    ("networkPolicy.adapter.from", "[{ipBlock: {cidr: 10.1.0.0/16}}]", ON, "cidr: 10.1.0.0/16"),
    ("networkPolicy.dns.to", "[{namespaceSelector: {matchLabels: {dns: here}}}]", ON, "dns: here"),
    ("networkPolicy.redis.to", "[{podSelector: {matchLabels: {app: redis}}}]", ON, "app: redis"),
    ("networkPolicy.redis.ports", "[6379, 26379]", ON, "port: 26379"),
    ("networkPolicy.apiServer.to", "[{ipBlock: {cidr: 10.2.0.0/16}}]", ON, "cidr: 10.2.0.0/16"),
    ("networkPolicy.apiServer.ports", "[16443]", ON, "port: 16443"),
    ("networkPolicy.extraEgress", "[{ports: [{port: 8125}]}]", ON, "port: 8125"),
    ("extraEnv", "[{name: STREAMGAUGE_LOG_LEVEL, value: debug}]", "", "name: STREAMGAUGE_LOG_LEVEL"),
    ("extraArgs", "['--log.format=json']", "", "- --log.format=json"),
];

/// Those of the pods, which are handed through.
const OF_PODS: [(&str, &str, &str); 12] = [
    ("resources", "{requests: {memory: 99Mi}, limits: {memory: 99Mi}}", "memory: 99Mi"),
    (
        "topologySpreadConstraints",
        "[{maxSkew: 5, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]",
        "topologyKey: rack",
    ),
    ("strategy", "{type: RollingUpdate, rollingUpdate: {maxSurge: 3}}", "maxSurge: 3"),
    ("priorityClassName", "system-cluster-critical", "priorityClassName: system-cluster-critical"),
    ("nodeSelector", "{disk: fast}", "disk: fast"),
    ("tolerations", "[{key: gpu, operator: Exists}]", "key: gpu"),
    (
        "affinity",
        "{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: Exists}]}]}}}",
        "key: zone",
    ),
    ("podAnnotations", "{a: pod-annotation}", "a: pod-annotation"),
    ("podLabels", "{a: pod-label}", "a: pod-label"),
    ("terminationGracePeriodSeconds", "77", "terminationGracePeriodSeconds: 77"),
    ("extraVolumes", "[{name: more, emptyDir: {}}]", "emptyDir: {}"),
    ("extraVolumeMounts", "[{name: config, mountPath: /more, readOnly: true}]", "mountPath: /more"),
];

/// The path of each value, as far down as the chart looks: what is handed through is one value.
fn leaves(path: &str, value: &Value, known: &[&str], found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() && !known.contains(&path) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&path, value, known, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

fn samples() -> Vec<Sample> {
    SAMPLES
        .into_iter()
        .chain(OF_PODS.iter().map(|(path, value, shown)| (*path, *value, "", *shown)))
        .collect()
}

/// The context with a value set at a path.
fn set(context: &str, path: &str, value: &str) -> String {
    let mut values = parse(context).pop().unwrap_or_else(|| json!({}));
    let mut place = &mut values;
    for key in path.split('.') {
        place = place.as_object_mut().unwrap().entry(key).or_insert_with(|| json!({}));
    }
    *place = parse(value).pop().unwrap_or(Value::Null);
    values.to_string()
}

#[test]
fn each_value_has_a_sample() {
    let file = fs::read_to_string(format!("{}/{CHART}/values.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let samples = samples();
    let known: Vec<_> = samples.iter().map(|(path, ..)| *path).collect();
    let mut found = Vec::new();
    leaves("", &parse(&file)[0], &known, &mut found);
    let (mut found, mut known) = (found, known.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
    found.sort();
    known.sort();
    assert_eq!(found, known);
}

#[test]
fn each_value_does_what_it_says() {
    let mut contexts = BTreeMap::new();
    for (path, value, context, shown) in samples() {
        let values = set(context, path, value);
        let said =
            |values: &str| template("streamgauge", values).unwrap_or_else(|error| panic!("{path}: {error}"));
        let before = contexts.entry(context).or_insert_with(|| said(context));
        let after = said(&values);
        assert!(after.contains(shown), "{path}: no {shown} in\n{after}");
        // A generated certificate differs each time: the certificate itself tells nothing here.
        let is_generated = path.starts_with("adapter.certificate.generated.");
        assert!(is_generated || stripped(before) != stripped(&after), "{path} changes nothing");
        for object in parse(&after) {
            assert_eq!(crate::typed::check(&object), Ok(()), "{path}: {}", title(&object));
        }
    }
}

/// Without what differs each time.
fn stripped(text: &str) -> String {
    let random = [
        "tls.crt:",
        "tls.key:",
        "ca.crt:",
        "caBundle: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tC",
        "streamgauge.io/expires:",
    ];
    text.lines().filter(|line| !random.iter().any(|key| line.trim_start().starts_with(key))).collect()
}

/// Another name of the release is part of all names, and of the certificate's; the alerts still find the job.
#[test]
fn a_release_may_have_any_name() {
    let text = template("shop", ON).unwrap();
    let objects = parse(&text);
    assert_eq!(rendered::problems(&objects), [""; 0]);
    let names: Vec<_> = objects.iter().map(crate::objects::name).collect();
    let ours = names.iter().filter(|name| !name.contains("metrics.k8s.io"));
    assert!(ours.clone().all(|name| name.starts_with("shop-streamgauge")), "{names:?}");
    let monitor = find(&objects, "ServiceMonitor", "shop-streamgauge");
    let relabelings = &monitor["spec"]["endpoints"][0]["relabelings"];
    assert_eq!(*relabelings, json!([{"targetLabel": "job", "replacement": "streamgauge"}]));
    let monitor = find(&render(ON), "ServiceMonitor", "streamgauge").clone();
    assert!(monitor["spec"]["endpoints"][0].get("relabelings").is_none());
    let longest = "a".repeat(53);
    let objects = parse(&template(&longest, CUSTOM).unwrap());
    assert_eq!(rendered::problems(&objects), [""; 0]);
}

/// The image is that of this version.
#[test]
fn the_image_is_that_of_the_chart() {
    let objects = render("");
    let expected = concat!("ghcr.io/streamgauge/streamgauge:", env!("CARGO_PKG_VERSION"));
    assert_eq!(Workload::find(&objects).unwrap().container["image"], expected);
}

/// The rules and dashboards arrive as they are.
#[test]
fn alerts_and_dashboards_are_the_shipped_ones() {
    let read = |file: &str| fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let objects = render(ON);
    let shipped = &parse(&read("alerts/prometheusrule.yaml"))[0];
    assert_eq!(find(&objects, "PrometheusRule", "streamgauge")["spec"], shipped["spec"]);
    let less = render("prometheusRule: {enabled: true, disabled: [RedisDown, PollStale]}");
    let rules = |set: &[Value]| -> Vec<Value> {
        let groups = find(set, "PrometheusRule", "streamgauge")["spec"]["groups"].as_array().unwrap().clone();
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    };
    let mut expected = rules(&objects);
    expected.retain(|rule| rule["alert"] != "RedisDown" && rule["alert"] != "PollStale");
    assert_eq!(rules(&less), expected);
    assert_eq!(rules(&objects).len(), expected.len() + 2);

    let data = find(&objects, "ConfigMap", "streamgauge-dashboards")["data"].as_object().unwrap();
    assert_eq!(data.len(), 3);
    for (key, text) in data {
        let file = key.strip_prefix("streamgauge-").unwrap();
        let given: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        let shipped: Value = serde_json::from_str(&read(&format!("dashboards/{file}"))).unwrap();
        assert_eq!(given, shipped, "{key}");
    }
}
