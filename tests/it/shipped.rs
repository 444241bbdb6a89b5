//! What is shipped beside the program: alerts, dashboards, files for deployment, and the queries of the documents.

use std::{fs, path::PathBuf, process::Command};

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::Value;

use crate::support::process;

mod alerts;
mod chart;
mod compose;
mod dashboards;
pub mod deploy;
mod documents;
mod firing;
mod hour;
mod image;
mod inhibition;
mod live;
pub mod promql;
mod runbooks;
mod stacks;

pub fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[track_caller]
pub fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A YAML file with one document.
#[track_caller]
pub fn yaml(file: &str) -> Value {
    let text = read(file);
    let documents = Yaml::load_from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let [document] = &documents[..] else { panic!("{file}: not one document") };
    json(document)
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
        other => panic!("not expected in these files: {other:?}"),
    }
}

/// A text that must be there.
#[track_caller]
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {value}"))
}

/// The items of a list that must be there.
#[track_caller]
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is no list in {value}"))
}

/// Whether a program says that all is well, and what it says.
pub fn verdict(program: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = process::run(command, b"");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

#[track_caller]
pub fn must_pass(program: &str, arguments: &[&str]) {
    let (passed, said) = verdict(program, arguments);
    assert!(passed, "{program} {arguments:?}: {said}");
}

/// What follows a `$` or `{{` in templates: the names, each up to the first other character.
fn names_after<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    let name = |rest: &'a str| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    };
    text.split(mark).skip(1).map(name).collect()
}
