//! From what was written to one checked value for each setting: unknown keys, types and ranges, by the table alone.
//!
//! Precedence: flag, variable, file, the other tools' variable, default.

use std::iter;

use super::{
    Problem, Sources,
    section::{Section, Sections},
    settings::{self, COLLECTIONS, Collection, Kind, Setting},
    spelling::closest,
    tree::{Key, Node, Place, Value},
    typed::{Checked, Typed, expected, typed},
};

/// Brings everything that was written together.
pub fn resolve(sources: &Sources, file: Option<&Node>, problems: &mut Vec<Problem>) -> Sections {
    let mut globals = Section::default();
    if let Some(file) = file {
        for (key, node) in entries(file, "", "keys and values", problems) {
            read(&mut globals, &key.text, &key.place, node, problems);
        }
    }
    let mut listed = Vec::new();
    for collection in COLLECTIONS {
        let written = file.and_then(|file| file.at(collection.key()));
        let sections = written.map(|node| sections_of(collection, node, problems)).unwrap_or_default();
        if sections.is_empty() && collection.implied {
            listed.push(Section::new(collection, collection.key().to_owned(), None));
        }
        listed.extend(sections);
    }
    for setting in settings::all() {
        let collection = setting.collection();
        let mut sections: Vec<_> = iter::once(&mut globals)
            .chain(&mut listed)
            .filter(|section| section.collection == collection)
            .collect();
        let is_listed = sections.iter().any(|section| section.place.is_some());
        let mut given = sources.given(setting);
        if is_listed && let Some(node) = given.take() {
            let path = collection.map_or("", Collection::key);
            let message =
                format!("cannot be combined with the {path} list of the configuration file: set it there");
            problems.push(Problem { place: node.place, path: format!("{path}.{}", setting.key()), message });
        }
        let fallback = if is_listed { None } else { sources.fallback(setting) };
        let default =
            setting.default.map(|text| Node { place: Place::Default, value: Value::Raw(text.into()) });
        for section in &mut sections {
            if let Some(node) = &given {
                insert(section, setting, node, problems);
            }
            for node in fallback.iter().chain(&default) {
                if section.get(setting.path).is_none() {
                    insert(section, setting, node, problems);
                }
            }
            if setting.required && section.lacks(setting.path) {
                let place = section.place.clone().unwrap_or(Place::Default);
                let message =
                    format!("is missing: add it, as in {}: {}", setting.key(), setting.written_example());
                problems.push(section.problem_at(place, setting.path, message));
            }
        }
    }
    Sections { globals, listed }
}

/// The sections of a list or mapping.
fn sections_of(collection: &'static Collection, node: &Node, problems: &mut Vec<Problem>) -> Vec<Section> {
    let path = collection.key();
    let mut sections = Vec::new();
    if let Some(names) = &collection.names {
        let shape = format!("a mapping from names to {}s", collection.item);
        for (name, node) in entries(node, path, &shape, problems) {
            // A name may hold anything; a message has one line.
            let shown = format!("{path}.{}", name.text.escape_debug());
            let wrong = match (name.is_string, names.fits(&name.text)) {
                (true, true) => None,
                (true, false) => Some(format!("expected {}, found {:?}", names.words, name.text)),
                (false, _) => Some("the name is no string: put it in quotes".to_owned()),
            };
            problems.extend(wrong.map(|message| Problem {
                place: name.place.clone(),
                path: shown.clone(),
                message,
            }));
            let mut section = Section::new(collection, shown, Some(name.place.clone()));
            section.name.clone_from(&name.text);
            read_all(&mut section, collection, node, problems);
            sections.push(section);
        }
        return sections;
    }
    let Value::List(items) = &node.value else {
        let shape = format!("a list of {}s", collection.item);
        problems.push(wrong_type(&node.place, path, &shape, &node.value));
        return sections;
    };
    if items.is_empty() && collection.implied {
        let message =
            format!("the list is empty: name at least one {}, or leave {path} out", collection.item);
        problems.push(Problem { place: node.place.clone(), path: path.to_owned(), message });
    }
    for (index, item) in items.iter().enumerate() {
        let mut section = Section::new(collection, format!("{path}[{index}]"), Some(item.place.clone()));
        read_all(&mut section, collection, item, problems);
        sections.push(section);
    }
    sections
}

/// Reads the keys of a section.
fn read_all(section: &mut Section, collection: &Collection, node: &Node, problems: &mut Vec<Problem>) {
    for (key, node) in entries(node, section.path(), "keys and values", problems) {
        read(section, &format!("{}.{}", collection.path, key.text), &key.place, node, problems);
    }
    if !matches!(node.value, Value::Map(_)) {
        // What is no section at all is told once: nothing of it is missing besides.
        section.mark_wrong(|_| true);
    }
}

fn entries<'a>(node: &'a Node, path: &str, shape: &str, problems: &mut Vec<Problem>) -> &'a [(Key, Node)] {
    match &node.value {
        Value::Map(pairs) => pairs,
        other => {
            problems.push(wrong_type(&node.place, path, shape, other));
            &[]
        }
    }
}

/// Reads one key: a setting, or a mapping of settings.
fn read(section: &mut Section, path: &str, place: &Place, node: &Node, problems: &mut Vec<Problem>) {
    if let Some(setting) = settings::all().find(|setting| setting.path == path) {
        insert(section, setting, node, problems);
    } else if COLLECTIONS.iter().any(|collection| collection.key() == path) {
        // Its sections are read apart.
    } else if settings::all().any(|setting| setting.path.starts_with(&format!("{path}."))) {
        for (key, node) in entries(node, &section.shown(path), "keys and values", problems) {
            read(section, &format!("{path}.{}", key.text), &key.place, node, problems);
        }
    } else {
        let meant = nearest(section, path);
        let message = match meant {
            Some(known) => format!("unknown key; did you mean \"{known}\"?"),
            None => "unknown key".to_owned(),
        };
        problems.push(section.problem_at(place.clone(), path, message));
        // A key that is misspelled is not missing too.
        section.mark_wrong(|setting| meant == Some(setting.key()));
    }
}

/// The key of the section, or the mapping of keys, that was meant by a misspelled one.
fn nearest(section: &Section, path: &str) -> Option<&'static str> {
    let settings = settings::all().filter(|setting| setting.collection() == section.collection);
    let collections = COLLECTIONS.iter().filter(|_| section.collection.is_none());
    let leaves = settings.map(Setting::key).chain(collections.map(Collection::key));
    let above = |path: &&'static str| path.rsplit_once('.').map(|(above, _)| above);
    closest(section.key(path), leaves.flat_map(|leaf| iter::successors(Some(leaf), above)))
}

fn insert(section: &mut Section, setting: &'static Setting, node: &Node, problems: &mut Vec<Problem>) {
    let value = match (setting.kind, &node.value) {
        (Kind::List, Value::List(items)) => Some(Typed::List(list(section, setting, node, items, problems))),
        (kind, _) => typed(kind, node),
    };
    let place = node.place.clone();
    match value {
        Some(value) => section.insert(setting, Checked { place, value }),
        None => {
            let message = expected(setting.kind, &node.value);
            problems.push(section.problem_at(place, setting.path, message));
            section.mark_wrong(|wrong| wrong.path == setting.path);
        }
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
    let mend = match setting.default {
        _ if setting.required => Some("name at least one"),
        Some(_) => Some("name at least one, or leave it out"),
        None => None,
    };
    if let Some(mend) = mend.filter(|_| items.is_empty()) {
        let message = format!("the list is empty: {mend}");
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

fn wrong_type(place: &Place, path: &str, expected: &str, found: &Value) -> Problem {
    let message = format!("expected {expected}, found {}", found.type_name());
    Problem { place: place.clone(), path: path.to_owned(), message }
}
