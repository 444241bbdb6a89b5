//! The texts that are generated from the table of settings: the configuration reference and the JSON Schema.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    settings::{self, Collection, Kind, Setting},
    typed::names_for_autoscalers,
};

/// `docs/configuration.md`'s table.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    let mut described = None;
    for setting in settings::all() {
        if let Some(collection) = setting.collection().filter(|collection| described != Some(*collection)) {
            described = Some(collection);
            text += &of_collection(collection);
        }
        let default = match setting.default {
            Some(default) => format!("`{default}`"),
            None if setting.required => "none, it is required".to_owned(),
            None => "none".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "### `{}`\n\n{}\n\n- Type: {}\n- Default: {default}",
            setting.path,
            setting.help,
            kind(setting),
        );
        if let Some(variable) = setting.variable() {
            let flag = setting.flag.map_or("none".to_owned(), |flag| format!("`--{flag}`"));
            let fallback = setting.fallback.map(|name| format!(", else `{name}`")).unwrap_or_default();
            let _ = writeln!(text, "- Flag: {flag}\n- Variable: `{variable}`{fallback}");
        }
        if setting.restart {
            text += "- Reload: needs a restart to change\n";
        }
        text.push('\n');
    }
    text
}

/// What a list or mapping is for, and what its sections are called.
fn of_collection(collection: &Collection) -> String {
    let Collection { path, item, help, .. } = collection;
    let kind = match &collection.names {
        Some(names) => format!("mapping from names to {item}s; a name has {}", names.words),
        None => format!("list of {item}s"),
    };
    format!("### `{path}`\n\n{help}\n\n- Type: {kind}\n\n")
}

/// A file with every setting that can stand beside the others.
#[must_use]
pub fn example() -> String {
    let mut text = String::new();
    let mut parents: Vec<&str> = Vec::new();
    for setting in settings::all().filter(|setting| !setting.example.is_empty()) {
        let (above, key) = setting.path.rsplit_once('.').unwrap_or(("", setting.path));
        let keys: Vec<_> = above.split('.').filter(|key| !key.is_empty()).collect();
        let shared = keys.iter().zip(&parents).take_while(|(a, b)| a == b).count();
        for (depth, parent) in keys.iter().enumerate().skip(shared) {
            let before = indent(&keys[..depth]);
            let _ = writeln!(text, "{before}{}:", parent.trim_end_matches(['[', ']', '{', '}']));
            if let Some(collection) = setting.collection().filter(|_| parent.ends_with("{}")) {
                let _ = writeln!(text, "{before}  {}:", collection.example);
            }
        }
        let opens_item = shared < keys.len() && keys.last().is_some_and(|key| key.ends_with("[]"));
        let before = if opens_item {
            // The first key of a list's item carries its dash.
            format!("{}  - ", indent(&keys[..keys.len() - 1]))
        } else {
            indent(&keys)
        };
        let _ = writeln!(text, "{before}{key}: {}", setting.written_example());
        parents = keys;
    }
    text
}

/// Two spaces for each mapping above, and two more for the dash of a list or the name of a section.
fn indent(above: &[&str]) -> String {
    above.iter().map(|key| if key.ends_with(['}', ']']) { "    " } else { "  " }).collect()
}

/// The type and range of a setting in words.
fn kind(setting: &Setting) -> String {
    match setting.kind {
        Kind::Text => "string".into(),
        Kind::Secret => "string, secret".into(),
        Kind::File => "path of a file".into(),
        Kind::Bool => "`true` or `false`".into(),
        Kind::Count(min, max) => format!("whole number, {min} to {max}"),
        Kind::Counts(min, max) => {
            format!("whole number, {min} to {max}, or a list of them; comma separated in flag and variable")
        }
        Kind::Duration(min, max) => {
            format!("duration, {} to {}", humantime::format_duration(min), humantime::format_duration(max))
        }
        Kind::Form(form) => format!("string: {}", form.words),
        Kind::Metric => "name of a metric that autoscalers may read".into(),
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::List if setting.flag.is_none() => "list of strings".into(),
        Kind::List => {
            "list of strings; comma separated in flag and variable, and the flag may be repeated".into()
        }
    }
}

/// The JSON Schema of the configuration file.
#[must_use]
pub fn schema() -> Value {
    let mut root = object();
    for setting in settings::all() {
        let (above, key) = setting.key().rsplit_once('.').unwrap_or(("", setting.key()));
        let mut at = &mut root;
        if let Some(collection) = setting.collection() {
            at = section(at, collection);
        }
        at = mapping(at, above);
        at["properties"][key] = value(setting);
        if setting.required {
            match &mut at["required"] {
                Value::Array(keys) => keys.push(json!(key)),
                none => *none = json!([key]),
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

/// The mapping at a path of keys joined by dots, which is made where there is none.
fn mapping<'a>(mut at: &'a mut Value, path: &str) -> &'a mut Value {
    for key in path.split('.').filter(|key| !key.is_empty()) {
        at = &mut at["properties"][key];
        if at.is_null() {
            *at = object();
        }
    }
    at
}

/// What each section of a list or mapping looks like.
fn section<'a>(root: &'a mut Value, collection: &Collection) -> &'a mut Value {
    let (above, key) = collection.key().rsplit_once('.').unwrap_or(("", collection.key()));
    let at = &mut mapping(root, above)["properties"][key];
    if at.is_null() {
        *at = match &collection.names {
            Some(names) => json!({
                "type": "object",
                "propertyNames": {"pattern": names.pattern},
                "additionalProperties": object(),
            }),
            None => {
                json!({"type": "array", "minItems": u8::from(collection.implied), "items": object()})
            }
        };
        at["description"] = json!(collection.help);
    }
    &mut at[if collection.names.is_some() { "additionalProperties" } else { "items" }]
}

fn value(setting: &Setting) -> Value {
    let mut schema = match setting.kind {
        Kind::Text | Kind::Secret | Kind::File => json!({"type": "string"}),
        Kind::Duration(..) => json!({"type": "string", "pattern": "^[0-9]"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Count(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Counts(min, max) => {
            let one = json!({"type": "integer", "minimum": min, "maximum": max});
            json!({"oneOf": [one, {"type": "array", "items": one, "minItems": 1}]})
        }
        Kind::Choice(words) => json!({"enum": words}),
        Kind::Form(form) => json!({"type": "string", "pattern": form.pattern}),
        Kind::Metric => json!({"enum": names_for_autoscalers().collect::<Vec<_>>()}),
        Kind::List => {
            let least = u8::from(setting.default.is_some() || setting.required);
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
