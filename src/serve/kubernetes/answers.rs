//! The lists of values that the two APIs answer with, in the shapes of their versions.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

use super::quantity::quantity;
use crate::{
    model::{
        selector::{Operator, Selector},
        time::UnixMicros,
    },
    serve::scaling::{Item, Value},
};

/// `ExternalMetricValueList`, which may have tens of thousands of items: it is written without a tree of values.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct External<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Map<String, Json>,
    items: Vec<ExternalValue<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalValue<'a> {
    metric_name: &'a str,
    #[serde(serialize_with = "as_map")]
    metric_labels: &'a [(&'static str, String)],
    timestamp: String,
    value: String,
}

fn as_map<S: Serializer>(pairs: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

/// The values of a metric, each with the labels of its series.
pub fn external<'a>(metric_name: &'a str, items: &'a [Item]) -> External<'a> {
    let item = |item: &'a Item| ExternalValue {
        metric_name,
        metric_labels: &item.labels,
        timestamp: timestamp(item.value.measured_at),
        value: quantity(item.value.number),
    };
    External {
        kind: "ExternalMetricValueList",
        api_version: "external.metrics.k8s.io/v1beta1",
        metadata: Map::new(),
        items: items.iter().map(item).collect(),
    }
}

/// The object that a custom metric is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described<'a> {
    /// Kind and API version, where they are known.
    pub kind: Option<(&'a str, &'a str)>,
    /// Its namespace, if it has one.
    pub namespace: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
}

/// `MetricValueList`, of version `v1beta1` or `v1beta2`.
pub fn custom(version: &str, metric: &str, selector: &Selector, values: &[(Described<'_>, Value)]) -> Json {
    let selector = if selector.0.is_empty() { Json::Null } else { label_selector(selector) };
    let items: Vec<_> = values
        .iter()
        .map(|(object, value)| {
            let mut item = json!({
                "describedObject": reference(object),
                "timestamp": timestamp(value.measured_at),
                "value": quantity(value.number),
            });
            if version == "v1beta1" {
                item["metricName"] = json!(metric);
                item["selector"] = selector.clone();
            } else {
                item["metric"] = json!({"name": metric, "selector": selector});
            }
            item
        })
        .collect();
    let api_version = format!("custom.metrics.k8s.io/{version}");
    json!({"kind": "MetricValueList", "apiVersion": api_version, "metadata": {}, "items": items})
}

fn reference(object: &Described<'_>) -> Json {
    let mut reference = json!({"name": object.name});
    if let Some(namespace) = object.namespace {
        reference["namespace"] = json!(namespace);
    }
    if let Some((kind, api_version)) = object.kind {
        reference["kind"] = json!(kind);
        reference["apiVersion"] = json!(api_version);
    }
    reference
}

/// The end of the year 9999, in seconds since the Unix epoch: later times have no RFC 3339 form.
const LAST_SECOND: u64 = 253_402_300_799;

/// RFC 3339 in whole seconds, as all times of Kubernetes.
fn timestamp(time: UnixMicros) -> String {
    let since = std::time::Duration::from_secs((time.0 / 1_000_000).min(LAST_SECOND));
    humantime::format_rfc3339_seconds(std::time::SystemTime::UNIX_EPOCH + since).to_string()
}

/// A selector as a `LabelSelector`, as `metav1.ParseToLabelSelector` makes it: what is exact under `matchLabels`.
fn label_selector(selector: &Selector) -> Json {
    let (mut labels, mut expressions) = (Map::new(), Vec::new());
    for requirement in &selector.0 {
        let (operator, values) = match &requirement.operator {
            Operator::In(values) => match &values[..] {
                [value] if !labels.contains_key(&requirement.key) => {
                    labels.insert(requirement.key.clone(), json!(value));
                    continue;
                }
                values => ("In", values),
            },
            Operator::NotIn(values) => ("NotIn", &values[..]),
            Operator::Exists => ("Exists", &[][..]),
            Operator::Absent => ("DoesNotExist", &[][..]),
        };
        let mut expression = json!({"key": requirement.key, "operator": operator});
        if !values.is_empty() {
            expression["values"] = json!(values);
        }
        expressions.push(expression);
    }
    let mut selector = Map::new();
    if !labels.is_empty() {
        selector.insert("matchLabels".into(), Json::Object(labels));
    }
    if !expressions.is_empty() {
        selector.insert("matchExpressions".into(), json!(expressions));
    }
    Json::Object(selector)
}
