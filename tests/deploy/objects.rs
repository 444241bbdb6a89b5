//! Kubernetes objects as YAML has them.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::Value;

/// The documents of a text that hold something.
#[track_caller]
pub fn parse(text: &str) -> Vec<Value> {
    let documents = Yaml::load_from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    documents.iter().map(json).filter(|document| !document.is_null()).collect()
}

fn json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Boolean(value)) => (*value).into(),
        Yaml::Value(Scalar::Integer(value)) => (*value).into(),
        Yaml::Value(Scalar::FloatingPoint(value)) => value.into_inner().into(),
        Yaml::Value(Scalar::String(text)) => text.as_ref().into(),
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(pairs) => {
            let key = |key: &Yaml<'_>| match json(key) {
                Value::String(key) => key,
                other => panic!("{other} is a key"),
            };
            pairs.iter().map(|(name, value)| (key(name), json(value))).collect()
        }
        // A tag of YAML itself on a plain value (`!!str`).
        Yaml::Representation(text, ..) => text.as_ref().into(),
        other => panic!("not expected in a manifest: {other:?}"),
    }
}

/// A text; empty where there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A list; empty where there is none.
pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub fn kind(object: &Value) -> &str {
    text(object, "/kind")
}

pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// How an object is called in a message.
pub fn title(object: &Value) -> String {
    match text(object, "/metadata/namespace") {
        "" => format!("{} {}", kind(object), name(object)),
        namespace => format!("{} {namespace}/{}", kind(object), name(object)),
    }
}

pub fn of_kind<'a>(objects: &'a [Value], wanted: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| kind(object) == wanted).collect()
}

/// The one object of a kind and name.
#[track_caller]
pub fn find<'a>(objects: &'a [Value], wanted: &str, called: &str) -> &'a Value {
    let found: Vec<_> =
        of_kind(objects, wanted).into_iter().filter(|object| name(object) == called).collect();
    let [object] = found[..] else {
        let titles: Vec<_> = objects.iter().map(title).collect();
        panic!("{} of {wanted} {called} in {titles:?}", found.len())
    };
    object
}

/// Whether all of these labels are among those.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(selector) = selector.as_object() else { return false };
    !selector.is_empty() && selector.iter().all(|(name, value)| labels.get(name) == Some(value))
}
