//! A value against the structural schema of a custom resource, as the API server prunes and validates it; but unknown
//! fields are refused.

use std::fs;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::{
    objects::{list, parse, text},
    tools,
};

/// What a schema may say. A keyword beyond these would be passed over without a word.
const KNOWN: [&str; 27] = [
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
];

/// Those that are not looked at: they say nothing of what is valid, or need a program of their own (CEL).
const PASSED_OVER: [&str; 1] = ["x-kubernetes-validations"];

/// Whether an object fits the definition, by its plural and group.
pub fn fits(definition: &str, object: &Value) -> Result<(), String> {
    let file = tools::definition(definition);
    let written = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let [definition] = &parse(&written)[..] else { panic!("{}: not one document", file.display()) };
    let version = text(object, "/apiVersion").rsplit('/').next().unwrap_or_default();
    let versions = list(definition, "/spec/versions");
    let found = versions.iter().find(|candidate| candidate["name"] == version && candidate["served"] == true);
    let found = found.unwrap_or_else(|| panic!("{}: no version {version} is served", file.display()));
    let mut schema = found["schema"]["openAPIV3Schema"].clone();
    // The definition leaves the metadata to Kubernetes.
    schema["properties"]["metadata"] = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    }});
    walk("", &schema, object)
}

fn walk(place: &str, schema: &Value, value: &Value) -> Result<(), String> {
    let words = schema.as_object().unwrap_or_else(|| panic!("{place}: {schema} is no schema"));
    for word in words.keys() {
        assert!(
            KNOWN.contains(&&**word) || PASSED_OVER.contains(&&**word),
            "{place}: the schema says {word}, which tests/deploy/typed/schema.rs does not know"
        );
    }
    if value.is_null() && schema["nullable"] == true {
        return Ok(());
    }
    if schema["x-kubernetes-int-or-string"] == true {
        // Its anyOf says the same again.
        if !value.is_i64() && !value.is_string() {
            return Err(format!("{place} is {value}, neither an integer nor a string"));
        }
    } else {
        of_type(place, schema, value)?;
        combined(place, words, value)?;
    }
    if let Some(among) = schema["enum"].as_array().filter(|among| !among.contains(value)) {
        return Err(format!("{place} is {value}, not one of {}", Value::from(among.clone())));
    }
    match value {
        Value::String(text) => of_text(place, schema, text),
        Value::Number(number) => of_number(place, schema, number.as_f64().unwrap_or(f64::NAN)),
        Value::Array(items) => of_items(place, schema, items),
        Value::Object(fields) => of_fields(place, schema, fields),
        _ => Ok(()),
    }
}

fn of_type(place: &str, schema: &Value, value: &Value) -> Result<(), String> {
    let wanted = text(schema, "/type");
    let is = match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        // In a part of anyOf and its like, or where everything is allowed.
        "" => true,
        other => panic!("{place}: the schema's type is {other}"),
    };
    if is { Ok(()) } else { Err(format!("{place} is {value}, not of the type {wanted}")) }
}

/// The parts of these only demand more: fields are known by the properties outside of them.
fn combined(place: &str, words: &Map<String, Value>, value: &Value) -> Result<(), String> {
    let fitting = |word: &str| -> Option<(usize, usize)> {
        let parts = words.get(word)?.as_array()?;
        Some((parts.iter().filter(|part| walk(place, part, value).is_ok()).count(), parts.len()))
    };
    let sound = fitting("allOf").is_none_or(|(fit, all)| fit == all)
        && fitting("anyOf").is_none_or(|(fit, _)| fit > 0)
        && fitting("oneOf").is_none_or(|(fit, _)| fit == 1)
        && words.get("not").is_none_or(|part| walk(place, part, value).is_err());
    if sound { Ok(()) } else { Err(format!("{place} does not fit allOf, anyOf, oneOf or not")) }
}

fn of_text(place: &str, schema: &Value, value: &str) -> Result<(), String> {
    if let Some(pattern) = schema["pattern"].as_str() {
        let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{place}: {error}"));
        if !regex.is_match(value) {
            return Err(format!("{place} is {value:?}, which does not match {pattern}"));
        }
    }
    sized(place, schema, ["minLength", "maxLength"], value.chars().count())
}

fn of_number(place: &str, schema: &Value, value: f64) -> Result<(), String> {
    let is_low = schema["minimum"].as_f64().is_some_and(|least| value < least);
    let is_high = schema["maximum"].as_f64().is_some_and(|most| value > most);
    if is_low || is_high { Err(format!("{place} is {value}, out of its bounds")) } else { Ok(()) }
}

fn sized(place: &str, schema: &Value, [least, most]: [&str; 2], size: usize) -> Result<(), String> {
    let bound = |word: &str| schema[word].as_u64().map(|bound| usize::try_from(bound).unwrap());
    if bound(least).is_some_and(|least| size < least) || bound(most).is_some_and(|most| size > most) {
        return Err(format!("{place} has the size {size}, out of its bounds"));
    }
    Ok(())
}

fn of_items(place: &str, schema: &Value, items: &[Value]) -> Result<(), String> {
    sized(place, schema, ["minItems", "maxItems"], items.len())?;
    let Some(of_each) = schema.get("items") else { return Ok(()) };
    items.iter().enumerate().try_for_each(|(at, item)| walk(&format!("{place}[{at}]"), of_each, item))
}

fn of_fields(place: &str, schema: &Value, fields: &Map<String, Value>) -> Result<(), String> {
    sized(place, schema, ["minProperties", "maxProperties"], fields.len())?;
    if let Some(missing) =
        list(schema, "/required").iter().filter_map(Value::as_str).find(|name| !fields.contains_key(*name))
    {
        return Err(format!("{place}.{missing} is missing"));
    }
    let others = schema.get("additionalProperties");
    // A part of anyOf and its like names only what it is about.
    let is_open = schema["x-kubernetes-preserve-unknown-fields"] == true || schema.get("type").is_none();
    for (name, value) in fields {
        let place = format!("{place}.{name}");
        match schema["properties"].get(name).or(others) {
            Some(Value::Bool(true)) => {}
            Some(of_field) => walk(&place, of_field, value)?,
            None if is_open => {}
            None => return Err(format!("{place} is not known")),
        }
    }
    Ok(())
}
