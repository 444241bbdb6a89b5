//! The JSON Schema of the configuration file: as generated, and of one mind with the program.

use std::{fs, path::Path};

use regex::Regex;
use serde_json::{Value, json};
use streamgauge::config::{
    self, Sources, reference,
    tree::{self, Node},
};

use super::{documents::check, with_files};

#[test]
fn the_schema_is_as_generated() {
    check("docs/config.schema.json", |_| serde_json::to_string_pretty(&reference::schema()).unwrap() + "\n");
}

/// Whether an instance fits a schema. Knows the keywords that ours has; any other is a failure of the test.
fn fits(schema: &Value, instance: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "title" | "description" | "default" => true,
        "type" => match rule.as_str().unwrap() {
            "object" => instance.is_object(),
            "array" => instance.is_array(),
            "string" => instance.is_string(),
            "boolean" => instance.is_boolean(),
            "integer" => instance.is_i64(),
            other => panic!("unknown type {other}"),
        },
        "properties" => instance.as_object().is_none_or(|object| {
            object.iter().all(|(key, value)| rule.get(key).is_none_or(|schema| fits(schema, value)))
        }),
        "additionalProperties" => instance.as_object().is_none_or(|object| {
            let known = schema.get("properties").unwrap_or(&Value::Null);
            let mut others = object.iter().filter(|(key, _)| known.get(key).is_none());
            others.all(|(_, value)| if rule.is_object() { fits(rule, value) } else { *rule != json!(false) })
        }),
        "propertyNames" => {
            instance.as_object().is_none_or(|object| object.keys().all(|key| fits(rule, &json!(key))))
        }
        "required" => {
            let keys: Vec<_> = rule.as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
            instance.as_object().is_none_or(|object| keys.iter().all(|key| object.contains_key(*key)))
        }
        "items" => instance.as_array().is_none_or(|items| items.iter().all(|item| fits(rule, item))),
        "minItems" => instance.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
        "minimum" => instance.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
        "maximum" => instance.as_i64().is_none_or(|number| number <= rule.as_i64().unwrap()),
        "enum" => rule.as_array().unwrap().contains(instance),
        "oneOf" => rule.as_array().unwrap().iter().filter(|schema| fits(schema, instance)).count() == 1,
        "pattern" => {
            let pattern = Regex::new(rule.as_str().unwrap()).unwrap();
            instance.as_str().is_none_or(|text| pattern.is_match(text))
        }
        other => panic!("unknown keyword {other}"),
    })
}

pub fn to_json(node: &Node) -> Value {
    match &node.value {
        tree::Value::Null => Value::Null,
        tree::Value::Bool(value) => json!(value),
        tree::Value::Int(value) => json!(value),
        tree::Value::Float => json!(0.5),
        tree::Value::Text(text) | tree::Value::Raw(text) => json!(text),
        tree::Value::List(items) => items.iter().map(to_json).collect(),
        tree::Value::Map(pairs) => {
            Value::Object(pairs.iter().map(|(key, value)| (key.text.clone(), to_json(value))).collect())
        }
    }
}

/// Whether the schema and the program take a file; both or neither.
#[track_caller]
fn accepted(yaml: &str) -> bool {
    let node = tree::parse(Path::new("x"), yaml).unwrap();
    let by_schema = fits(&reference::schema(), &to_json(&node));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.yaml");
    fs::write(&file, yaml).unwrap();
    let sources = Sources { file: Some(file), ..Sources::default() };
    let by_program = config::load(&sources);
    assert_eq!(by_schema, by_program.is_ok(), "{yaml}: {by_program:?}");
    by_schema
}

#[test]
fn schema_and_program_agree() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    assert!(accepted(&with_files(&reference::example(), secret.path())));
    for yaml in [
        "{}",
        "poll: {interval: 1s, stale_after: 1000}",
        "web: {listen_address: ':80'}",
        "web: {listen_address: [':80', ':81']}",
        "redis: [{url: h, groups: {exclude: []}, consumers: false}]",
        "kubernetes: {}",
        "kubernetes: {listen_address: [], requestheader_allowed_names: []}",
        "kubernetes: {metrics: {}, objects: [], streams: []}",
        "kubernetes: {metrics: {a: {metric: redis_stream_length}, B.c_d-1: {metric: redis_stream_group_lag}}}",
        "kubernetes: {metrics: {a: {metric: redis_stream_length, namespaces: 'shop-*', bounded: absent}}}",
        "kubernetes: {objects: [{resource: ingresses.networking.k8s.io, namespace: a, name: b.c, stream: '*'}]}",
        "kubernetes: {objects: [{resource: namespaces, name: a, stream: b, group: c}]}",
        "kubernetes: {streams: [{stream: a, namespaces: [b]}, {stream: a, namespaces: c}]}",
    ] {
        assert!(accepted(yaml), "{yaml}");
    }
    for yaml in [
        "unknown: 1",
        "poll: {unknown: 1}",
        "redis: [{unknown: 1}]",
        "redis: [{groups: {unknown: 1}}]",
        "poll: 5",
        "poll: {interval: 5}",
        "poll: {interval: often}",
        "poll: {stale_after: 0}",
        "poll: {stale_after: 1001}",
        "poll: {stale_after: '3'}",
        "log: {level: loud}",
        "redis: []",
        "redis: {url: h}",
        "redis: [h]",
        "redis: [{name: 5}]",
        "redis: [{password: 5}]",
        "redis: [{database: 65536}]",
        "redis: [{consumers: 'true'}]",
        "redis: [{streams: 5}]",
        "redis: [{streams: [5]}]",
        "redis: [{streams: []}]",
        "kubernetes: []",
        "kubernetes: {unknown: 1}",
        "kubernetes: {metrics: []}",
        "kubernetes: {metrics: {a: redis_stream_length}}",
        "kubernetes: {metrics: {a: {}}}",
        "kubernetes: {metrics: {a: {stream: b}}}",
        "kubernetes: {metrics: {a: {metric: redis_up}}}",
        "kubernetes: {metrics: {a: {metric: 5}}}",
        "kubernetes: {metrics: {a: {metric: redis_stream_length, unknown: 1}}}",
        "kubernetes: {metrics: {a: {metric: redis_stream_length, namespaces: []}}}",
        "kubernetes: {metrics: {a: {metric: redis_stream_length, bounded: length}}}",
        "kubernetes: {metrics: {-a: {metric: redis_stream_length}}}",
        "kubernetes: {metrics: {a b: {metric: redis_stream_length}}}",
        "kubernetes: {metrics: {'': {metric: redis_stream_length}}}",
        "kubernetes: {objects: {}}",
        "kubernetes: {objects: [a]}",
        "kubernetes: {objects: [{name: a, stream: b}]}",
        "kubernetes: {objects: [{resource: services, stream: b}]}",
        "kubernetes: {objects: [{resource: services, name: a}]}",
        "kubernetes: {objects: [{resource: Deployment, name: a, stream: b}]}",
        "kubernetes: {objects: [{resource: apps/deployments, name: a, stream: b}]}",
        "kubernetes: {objects: [{resource: services, namespace: 'a*', name: a, stream: b}]}",
        "kubernetes: {objects: [{resource: services, name: 'a*', stream: b}]}",
        "kubernetes: {streams: [{stream: a}]}",
        "kubernetes: {streams: [{namespaces: a}]}",
        "kubernetes: {streams: [{stream: a, namespaces: []}]}",
    ] {
        assert!(!accepted(yaml), "{yaml}");
    }
}
