//! The texts that are generated from the table of settings: the configuration reference and the JSON Schema.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::settings::{Kind, SETTINGS, Setting};

/// `docs/configuration.md`'s table.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    for setting in SETTINGS {
        let flag = setting.flag.map_or("none".to_owned(), |flag| format!("`--{flag}`"));
        let fallback = setting.fallback.map(|name| format!(", else `{name}`")).unwrap_or_default();
        let default = setting.default.map_or("none".to_owned(), |default| format!("`{default}`"));
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "### `{}`\n\n{}\n\n- Type: {}\n- Default: {default}\n- Flag: {flag}\n- Variable: `{}`{fallback}\n\n",
            setting.path,
            setting.help,
            kind(setting.kind),
            setting.variable(),
        );
    }
    text
}

/// A file with every setting that can stand beside the others.
#[must_use]
pub fn example() -> String {
    let mut text = String::new();
    let mut parents: Vec<&str> = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| !setting.example.is_empty()) {
        let (above, key) = setting.path.rsplit_once('.').unwrap_or(("", setting.path));
        let keys: Vec<_> = above.split('.').filter(|key| !key.is_empty()).collect();
        let shared = keys.iter().zip(&parents).take_while(|(a, b)| a == b).count();
        for (depth, parent) in keys.iter().enumerate().skip(shared) {
            let _ = writeln!(text, "{}{}:", indent(&keys[..depth]), parent.trim_end_matches("[]"));
        }
        let value = match setting.kind {
            Kind::List => format!("[\"{}\"]", setting.example),
            _ => setting.example.to_owned(),
        };
        let opens_item = shared < keys.len() && keys.last().is_some_and(|key| key.ends_with("[]"));
        let before = if opens_item {
            // The first key of a list's item carries its dash.
            format!("{}  - ", indent(&keys[..keys.len() - 1]))
        } else {
            indent(&keys)
        };
        let _ = writeln!(text, "{before}{key}: {value}");
        parents = keys;
    }
    text
}

/// Two spaces for each mapping above, and two for the dash of each list.
fn indent(above: &[&str]) -> String {
    above.iter().map(|key| if key.ends_with("[]") { "    " } else { "  " }).collect()
}

/// The type and range of a setting in words.
#[must_use]
pub fn kind(kind: Kind) -> String {
    match kind {
        Kind::Text => "string".into(),
        Kind::Secret => "string, secret".into(),
        Kind::Bool => "`true` or `false`".into(),
        Kind::Count(min, max) => format!("whole number, {min} to {max}"),
        Kind::Duration(min, max) => {
            format!("duration, {} to {}", humantime::format_duration(min), humantime::format_duration(max))
        }
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::List => {
            "list of strings; comma separated in flag and variable, and the flag may be repeated".into()
        }
    }
}

/// The JSON Schema of the configuration file.
#[must_use]
pub fn schema() -> Value {
    let mut root = object();
    for setting in SETTINGS {
        let (of_server, path) = match setting.path.strip_prefix("redis[].") {
            Some(path) => (true, path),
            None => (false, setting.path),
        };
        let mut at = &mut root;
        if of_server {
            at = &mut at["properties"]["redis"];
            if at.is_null() {
                *at = json!({"type": "array", "minItems": 1, "description": "The Redis servers to measure.", "items": object()});
            }
            at = &mut at["items"];
        }
        let mut keys = path.split('.').peekable();
        while let Some(key) = keys.next() {
            at = &mut at["properties"][key];
            if at.is_null() {
                *at = if keys.peek().is_some() { object() } else { value(setting) };
            }
        }
    }
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("streamgauge configuration");
    root
}

fn object() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": Map::new()})
}

fn value(setting: &Setting) -> Value {
    let mut schema = match setting.kind {
        Kind::Text | Kind::Secret => json!({"type": "string"}),
        Kind::Duration(..) => json!({"type": "string", "pattern": "^[0-9]"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Count(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Choice(words) => json!({"enum": words}),
        Kind::List => {
            let least = u8::from(setting.default.is_some());
            json!({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": least}]})
        }
    };
    schema["description"] = json!(setting.help);
    if let Some(default) = setting.default {
        schema["default"] = match setting.kind {
            Kind::Bool | Kind::Count(..) => default.parse().unwrap_or_default(),
            _ => json!(default),
        };
    }
    schema
}
