//! What is shipped beside the program: alerts, dashboards, files for deployment, and the queries of the documents.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

use crate::support::{document, process};

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
    let mut documents = document::values(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (Some(only), true) = (documents.pop(), documents.is_empty()) else {
        panic!("{file}: not one document")
    };
    only
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
