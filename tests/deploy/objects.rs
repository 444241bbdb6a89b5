//! Kubernetes objects as YAML has them.

use serde_json::Value;

use crate::support::document;

/// The documents of a text that hold something.
#[track_caller]
pub fn parse(text: &str) -> Vec<Value> {
    let documents = document::values(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// Sets what the second has in the first: of mappings each value apart, of all else the whole.
pub fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
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
