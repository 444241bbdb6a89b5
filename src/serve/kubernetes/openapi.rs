//! OpenAPI documents of what is served: version 2 for all groups together, version 3 for each.
//!
//! The API server merges them into its own. So each schema stands whole in itself: a part that it shared by name with
//! another server's would have to be equal to it in every version.

use serde_json::{Map, Value, json};

use super::discovery::{CUSTOM, EXTERNAL, GROUPS};

/// `/openapi/v2`.
pub fn v2() -> Value {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for (group, versions) in GROUPS {
        for version in *versions {
            for operation in operations(group, version) {
                paths.insert(operation.path.clone(), operation.v2());
            }
            definitions.extend(schemas(group, version));
        }
    }
    json!({"swagger": "2.0", "info": info(), "paths": paths, "definitions": definitions})
}

/// `/openapi/v3/apis/<group>/<version>`.
pub fn v3(group: &str, version: &str) -> Value {
    let paths: Map<_, _> = operations(group, version)
        .into_iter()
        .map(|operation| (operation.path.clone(), operation.v3()))
        .collect();
    let schemas: Map<_, _> = schemas(group, version).into_iter().collect();
    json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": schemas}})
}

fn info() -> Value {
    json!({"title": "streamgauge", "version": env!("CARGO_PKG_VERSION")})
}

/// One GET.
struct Operation {
    path: String,
    id: String,
    description: &'static str,
    /// Name of the schema of the answer; `None` for a document of discovery, which the API server describes itself.
    answer: Option<String>,
    kind: Value,
    query: &'static [(&'static str, &'static str)],
}

const EXTERNAL_QUERY: &[(&str, &str)] =
    &[("labelSelector", "Selects series by their labels: redis, db, stream, group, consumer. Default: all.")];
const CUSTOM_QUERY: &[(&str, &str)] = &[
    ("labelSelector", "Selects the objects by their labels, where the name is *. Default: all."),
    (
        "metricLabelSelector",
        "Selects series by their labels: redis, db, stream, group, consumer. Default: all.",
    ),
];

/// Paths below the version: the end of the operation's name, what it says, the query, and the path.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);
const EXTERNAL_PATHS: &[Row] = &[(
    "Namespaced",
    "Values of a metric of Redis streams and their consumer groups",
    EXTERNAL_QUERY,
    "/namespaces/{namespace}/{metricName}",
)];
const CUSTOM_PATHS: &[Row] = &[
    (
        "Namespaced",
        "Values of a metric for objects of a namespace; of all pods where the name is *",
        CUSTOM_QUERY,
        "/namespaces/{namespace}/{resource}/{name}/{metricName}",
    ),
    (
        "OfNamespace",
        "Value of a metric for a namespace",
        CUSTOM_QUERY,
        "/namespaces/{namespace}/metrics/{metricName}",
    ),
    (
        "ForAllNamespaces",
        "Value of a metric for an object of no namespace",
        CUSTOM_QUERY,
        "/{resource}/{name}/{metricName}",
    ),
];

fn operations(group: &str, version: &str) -> Vec<Operation> {
    let base = format!("/apis/{group}/{version}");
    let (rows, list) = if group == EXTERNAL {
        (EXTERNAL_PATHS, "ExternalMetricValueList")
    } else {
        (CUSTOM_PATHS, "MetricValueList")
    };
    let named: String =
        group.split('.').take(2).chain([version]).map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    let discovery = Operation {
        path: format!("{base}/"),
        id: format!("get{named}APIResources"),
        description: "The metrics that there are",
        answer: None,
        kind: Value::Null,
        query: &[],
    };
    let metrics = rows.iter().map(|(suffix, description, query, path)| Operation {
        path: format!("{base}{path}"),
        id: format!("list{named}{suffix}"),
        description,
        answer: Some(schema_name(group, version, list)),
        kind: json!({"group": group, "version": version, "kind": list}),
        query,
    });
    [discovery].into_iter().chain(metrics).collect()
}

impl Operation {
    /// Parameters by their place, name and description.
    fn parameters(&self) -> Vec<(&'static str, String, &'static str)> {
        let in_path = self.path.split('{').skip(1).filter_map(|part| part.split_once('}'));
        let in_path = in_path.map(|(name, _)| {
            let description = match name {
                "namespace" => "Namespace that asks",
                "metricName" => "Name of the metric",
                "resource" => "Plural name and API group of the object's resource, as deployments.apps",
                _ => "Name of the object",
            };
            ("path", name.to_owned(), description)
        });
        let in_query =
            self.query.iter().map(|(name, description)| ("query", (*name).to_owned(), *description));
        in_path.chain(in_query).collect()
    }

    fn common(&self, parameters: &[Value], success: Value) -> Value {
        let mut get = json!({
            "description": self.description,
            "operationId": self.id,
            "responses": {"200": success, "401": {"description": "Unauthorized"}},
        });
        if !self.kind.is_null() {
            get["x-kubernetes-action"] = json!("list");
            get["x-kubernetes-group-version-kind"] = self.kind.clone();
        }
        let mut path = json!({"get": get});
        if !parameters.is_empty() {
            path["parameters"] = json!(parameters);
        }
        path
    }

    fn v2(&self) -> Value {
        let parameters: Vec<_> = self
            .parameters()
            .into_iter()
            .map(|(place, name, description)| {
                json!({
                    "name": name, "in": place, "description": description, "type": "string",
                    "uniqueItems": true, "required": place == "path",
                })
            })
            .collect();
        let mut success = json!({"description": "OK"});
        if let Some(schema) = &self.answer {
            success["schema"] = json!({"$ref": format!("#/definitions/{schema}")});
        }
        let mut path = self.common(&parameters, success);
        path["get"]["produces"] = json!(["application/json"]);
        path["get"]["schemes"] = json!(["https"]);
        path
    }

    fn v3(&self) -> Value {
        let parameters: Vec<_> = self
            .parameters()
            .into_iter()
            .map(|(place, name, description)| {
                json!({
                    "name": name, "in": place, "description": description, "required": place == "path",
                    "schema": {"type": "string", "uniqueItems": true},
                })
            })
            .collect();
        let mut success = json!({"description": "OK"});
        if let Some(schema) = &self.answer {
            let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
            success["content"] = json!({"application/json": {"schema": schema}});
        }
        self.common(&parameters, success)
    }
}

fn schema_name(group: &str, version: &str, kind: &str) -> String {
    let package = if group == EXTERNAL { "external_metrics" } else { "custom_metrics" };
    format!("io.k8s.metrics.pkg.apis.{package}.{version}.{kind}")
}

fn string(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// The schema of the list that is answered; everything within stands in it.
fn schemas(group: &str, version: &str) -> Vec<(String, Value)> {
    let (list, item) = match (group, version) {
        (EXTERNAL, _) => ("ExternalMetricValueList", external_value()),
        (CUSTOM, "v1beta1") => ("MetricValueList", custom_value_v1beta1()),
        _ => ("MetricValueList", custom_value()),
    };
    let schema = json!({
        "type": "object",
        "description": "Values of a metric",
        "required": ["items"],
        "properties": {
            "apiVersion": string("Version of this schema"),
            "kind": string("Name of this schema"),
            "metadata": {"type": "object", "description": "Always empty"},
            "items": {"type": "array", "description": "The values", "items": item},
        },
        "x-kubernetes-group-version-kind": [{"group": group, "version": version, "kind": list}],
    });
    vec![(schema_name(group, version, list), schema)]
}

fn external_value() -> Value {
    let labels = json!({"type": "object", "description": "Labels of the series", "additionalProperties": {"type": "string"}});
    value(
        &["metricName", "metricLabels"],
        json!({"metricName": string("Name of the metric"), "metricLabels": labels}),
    )
}

fn custom_value_v1beta1() -> Value {
    let mut selector = selector();
    selector["description"] = json!("The metricLabelSelector of the request");
    value(
        &["describedObject", "metricName", "selector"],
        json!({"describedObject": object_reference(), "metricName": string("Name of the metric"), "selector": selector}),
    )
}

fn custom_value() -> Value {
    let metric = json!({
        "type": "object",
        "description": "The metric that was asked for",
        "required": ["name", "selector"],
        "properties": {"name": string("Name of the metric"), "selector": selector()},
    });
    value(&["describedObject", "metric"], json!({"describedObject": object_reference(), "metric": metric}))
}

/// What all values have, and what one sort of them has besides.
fn value(required: &[&str], properties: Value) -> Value {
    let mut all = json!({
        "timestamp": {"type": "string", "format": "date-time", "description": "When the value was measured"},
        "value": string("The value, a quantity of Kubernetes: a whole number, or thousandths with the suffix m"),
    });
    if let (Some(all), Value::Object(properties)) = (all.as_object_mut(), properties) {
        all.extend(properties);
    }
    let required: Vec<_> = required.iter().chain(&["timestamp", "value"]).collect();
    json!({"type": "object", "required": required, "properties": all})
}

fn object_reference() -> Value {
    json!({
        "type": "object",
        "description": "The object that the value is of",
        "properties": {
            "apiVersion": string("API group and version of the object"),
            "kind": string("Kind of the object"),
            "name": string("Name of the object"),
            "namespace": string("Namespace of the object"),
        },
    })
}

fn selector() -> Value {
    let strings = json!({"type": "array", "items": {"type": "string"}});
    json!({
        "type": "object",
        "description": "Labels that the series must have",
        "properties": {
            "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}},
            "matchExpressions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {"key": {"type": "string"}, "operator": {"type": "string"}, "values": strings},
                },
            },
        },
    })
}
