//! From what was written to one checked value for each setting: unknown keys, types and ranges, by the table alone.
//!
//! Precedence: flag, variable, file, the other tools' variable, default.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Problem, Sources,
    settings::{Kind, SETTINGS, Setting},
    tree::{Node, Place, Value},
};

/// A checked value and where it was written.
#[derive(Debug)]
pub struct Checked {
    /// Where it was written.
    pub place: Place,
    /// The value, of its setting's type.
    pub value: Typed,
}

/// A value of its setting's type.
#[derive(Clone)]
pub enum Typed {
    /// Text, secret and choice.
    Text(String),
    /// Bool.
    Bool(bool),
    /// Count.
    Count(i64),
    /// Duration.
    Duration(Duration),
    /// List: items with their places.
    List(Vec<(Place, String)>),
}

impl std::fmt::Debug for Typed {
    /// It may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// The settings of one place in the file: the globals, or one server.
#[derive(Debug, Default)]
pub struct Section {
    /// What comes before the keys in messages, as `redis[0].`.
    pub prefix: String,
    /// Where the section stands.
    pub place: Option<Place>,
    values: BTreeMap<&'static str, Checked>,
}

impl Section {
    /// The value of a setting, where one was given or is the default.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Checked> {
        debug_assert!(SETTINGS.iter().any(|setting| setting.path == path), "{path} is no setting");
        self.values.get(path)
    }

    /// A problem with the value of a setting.
    #[must_use]
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        let place = self.get(path).map_or(Place::Default, |checked| checked.place.clone());
        self.problem_at(place, path, message)
    }

    /// A problem with a part of the value of a setting.
    #[must_use]
    pub fn problem_at(&self, place: Place, path: &str, message: impl Into<String>) -> Problem {
        let key = path.strip_prefix(SERVER).unwrap_or(path);
        Problem { place, path: format!("{}{key}", self.prefix), message: message.into() }
    }
}

/// What settings of a server begin with in the table.
const SERVER: &str = "redis[].";

/// Brings everything that was written together. The second result is one section for each server.
pub fn resolve(
    sources: &Sources,
    file: Option<&Node>,
    problems: &mut Vec<Problem>,
) -> (Section, Vec<Section>) {
    let mut globals = Section::default();
    let mut servers = Vec::new();
    if let Some(file) = file {
        for (key, place, node) in entries(file, "", problems) {
            if key == "redis" {
                servers = server_list(node, problems);
            } else {
                read(&mut globals, key, place, node, problems);
            }
        }
    }
    let listed = !servers.is_empty();
    if !listed {
        servers.push(Section { prefix: "redis.".into(), ..Section::default() });
    }
    for setting in SETTINGS {
        let of_server = setting.path.starts_with(SERVER);
        let mut given = sources.given(setting);
        if let Some(node) = given.take_if(|_| of_server && listed) {
            let message =
                "cannot be combined with the redis list of the configuration file: set it there".to_owned();
            problems.push(Problem { place: node.place, path: setting.path.replace("[]", ""), message });
        }
        let fallback = if listed { None } else { sources.fallback(setting) };
        let default =
            setting.default.map(|text| Node { place: Place::Default, value: Value::Raw(text.into()) });
        let sections = if of_server { &mut servers[..] } else { std::slice::from_mut(&mut globals) };
        for section in sections {
            if let Some(node) = &given {
                insert(section, setting, node, problems);
            }
            for node in fallback.iter().chain(&default) {
                if !section.values.contains_key(setting.path) {
                    insert(section, setting, node, problems);
                }
            }
        }
    }
    (globals, servers)
}

fn server_list(node: &Node, problems: &mut Vec<Problem>) -> Vec<Section> {
    let Value::List(items) = &node.value else {
        problems.push(wrong_type(&node.place, "redis", "a list of servers", &node.value));
        return Vec::new();
    };
    if items.is_empty() {
        let message = "the list is empty: name at least one server, or leave redis out".to_owned();
        problems.push(Problem { place: node.place.clone(), path: "redis".into(), message });
    }
    let mut servers = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let prefix = format!("redis[{index}].");
        let mut section =
            Section { prefix: prefix.clone(), place: Some(item.place.clone()), values: BTreeMap::new() };
        for (key, place, node) in entries(item, prefix.trim_end_matches('.'), problems) {
            read(&mut section, &format!("{SERVER}{key}"), place, node, problems);
        }
        servers.push(section);
    }
    servers
}

fn entries<'a>(
    node: &'a Node,
    path: &str,
    problems: &mut Vec<Problem>,
) -> impl Iterator<Item = (&'a str, &'a Place, &'a Node)> + use<'a> {
    let pairs: &[_] = match &node.value {
        Value::Map(pairs) => pairs,
        other => {
            problems.push(wrong_type(&node.place, path, "keys and values", other));
            &[]
        }
    };
    pairs.iter().map(|(key, place, node)| (key.as_str(), place, node))
}

/// Reads one key: a setting, or a mapping of settings.
fn read(section: &mut Section, path: &str, place: &Place, node: &Node, problems: &mut Vec<Problem>) {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.path == path) {
        insert(section, setting, node, problems);
    } else if SETTINGS.iter().any(|setting| setting.path.starts_with(&format!("{path}."))) {
        let shown = path.strip_prefix(SERVER).unwrap_or(path);
        for (key, place, node) in entries(node, &format!("{}{shown}", section.prefix), problems) {
            read(section, &format!("{path}.{key}"), place, node, problems);
        }
    } else {
        let message = match nearest(path) {
            Some(known) => format!("unknown key; did you mean \"{known}\"?"),
            None => "unknown key".to_owned(),
        };
        problems.push(section.problem_at(place.clone(), path, message));
    }
}

/// The setting, or mapping of settings, whose name is closest to a misspelled one: at most one letter in three is wrong.
fn nearest(path: &str) -> Option<&'static str> {
    let key = path.rsplit('.').next().unwrap_or(path);
    let most = key.len().div_ceil(3).min(3);
    let candidates = SETTINGS.iter().flat_map(|setting| {
        let parent = setting.path.rsplit_once('.').map(|(parent, _)| parent);
        parent.into_iter().chain([setting.path])
    });
    candidates
        .map(|known| (strsim::damerau_levenshtein(known, path), known))
        .filter(|(distance, _)| *distance <= most && *distance < key.len())
        .min()
        .map(|(_, known)| known.strip_prefix(SERVER).unwrap_or(known))
}

fn insert(section: &mut Section, setting: &'static Setting, node: &Node, problems: &mut Vec<Problem>) {
    let value = match (setting.kind, &node.value) {
        (Kind::List, Value::List(items)) => Some(Typed::List(list(section, setting, node, items, problems))),
        (kind, _) => typed(kind, node),
    };
    match value {
        Some(value) => {
            let place = node.place.clone();
            section.values.insert(setting.path, Checked { place, value });
        }
        None => problems.push(section.problem_at(
            node.place.clone(),
            setting.path,
            expected(setting.kind, &node.value),
        )),
    }
}

/// The items of a list that are strings; each of the others is a problem of its own.
fn list(
    section: &Section,
    setting: &Setting,
    node: &Node,
    items: &[Node],
    problems: &mut Vec<Problem>,
) -> Vec<(Place, String)> {
    if items.is_empty() && setting.default.is_some() {
        let message = "the list is empty: name at least one, or leave it out";
        problems.push(section.problem_at(node.place.clone(), setting.path, message));
    }
    let mut texts = Vec::new();
    for item in items {
        match &item.value {
            Value::Text(text) => texts.push((item.place.clone(), text.clone())),
            other => {
                let message = expected(Kind::Text, other);
                problems.push(section.problem_at(item.place.clone(), setting.path, message));
            }
        }
    }
    texts
}

/// What was expected of a setting, and what was found. Never quotes a secret.
fn expected(kind: Kind, found: &Value) -> String {
    let expected = match kind {
        Kind::Text | Kind::Secret => "a string".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Count(min, max) => format!("a whole number from {min} to {max}"),
        Kind::Duration(min, max) => {
            let text = humantime::format_duration;
            format!("a duration from {} to {}, as 500ms, 5s or 1m", text(min), text(max))
        }
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
        Kind::List => "a list of strings".to_owned(),
    };
    let mend = if matches!(found, Value::Int(_) | Value::Bool(_) | Value::Float)
        && matches!(kind, Kind::Text | Kind::Secret | Kind::List)
    {
        " (put it in quotes)"
    } else {
        ""
    };
    let found = match (found, kind) {
        (_, Kind::Secret) => found.type_name().to_owned(),
        (Value::Text(text) | Value::Raw(text), _) => format!("{text:?}"),
        (Value::Int(number), _) => number.to_string(),
        (other, _) => other.type_name().to_owned(),
    };
    format!("expected {expected}, found {found}{mend}")
}

fn typed(kind: Kind, node: &Node) -> Option<Typed> {
    match (kind, &node.value) {
        (Kind::Text | Kind::Secret, Value::Text(text) | Value::Raw(text)) => Some(Typed::Text(text.clone())),
        (Kind::Choice(words), Value::Text(text) | Value::Raw(text)) => {
            words.contains(&text.as_str()).then(|| Typed::Text(text.clone()))
        }
        (Kind::Bool, Value::Bool(value)) => Some(Typed::Bool(*value)),
        (Kind::Bool, Value::Raw(text)) => text.parse().ok().map(Typed::Bool),
        (Kind::Count(min, max), Value::Int(value)) => {
            (min..=max).contains(value).then_some(Typed::Count(*value))
        }
        (Kind::Count(min, max), Value::Raw(text)) => {
            text.parse().ok().filter(|value| (min..=max).contains(value)).map(Typed::Count)
        }
        (Kind::Duration(min, max), Value::Text(text) | Value::Raw(text)) => humantime::parse_duration(text)
            .ok()
            .filter(|value| (min..=max).contains(value))
            .map(Typed::Duration),
        (Kind::List, Value::Raw(text)) => {
            let items = text.split(',').map(|item| (node.place.clone(), item.trim().to_owned()));
            Some(Typed::List(items.collect()))
        }
        (Kind::List, Value::Text(text)) => Some(Typed::List(vec![(node.place.clone(), text.clone())])),
        _ => None,
    }
}

fn wrong_type(place: &Place, path: &str, expected: &str, found: &Value) -> Problem {
    let message = format!("expected {expected}, found {}", found.type_name());
    Problem { place: place.clone(), path: path.to_owned(), message }
}
