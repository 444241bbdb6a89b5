//! The variables that the workers read: the same in both languages, all told of in the README, and no other is set.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::{DIRECTORY, manifests};
use crate::shipped::read;

/// The variables that sources read, each with the default where it is a plain text.
fn variables(files: &[&str]) -> BTreeMap<String, String> {
    let pattern = r#"(?:setting|number|environ\.get)\("([A-Z_]+)"(?:, (?:"([^"]*)")?|\) or "([^"]*)")?"#;
    let pattern = Regex::new(pattern).unwrap();
    let mut found = BTreeMap::new();
    for file in files {
        let text = read(&format!("{DIRECTORY}/{file}"));
        for captures in pattern.captures_iter(&text) {
            let default = captures.get(2).or(captures.get(3)).map_or("", |default| default.as_str());
            found.insert(captures[1].to_owned(), default.to_owned());
        }
    }
    found
}

fn of_workers() -> BTreeMap<String, String> {
    variables(&["python/worker.py", "python/orders.py"])
}

#[test]
fn both_languages_read_the_same() {
    let python = of_workers();
    assert_eq!(python["BATCH"], "10");
    assert_eq!(python["WORK_MS"], "100");
    assert_eq!(variables(&["go/settings.go"]), python);
}

#[test]
fn the_readme_tells_of_each() {
    let readme = read(&format!("{DIRECTORY}/README.md"));
    let row = Regex::new(r"(?m)^\| `([A-Z_]+)` \| (?:`([^`]+)`|.*) \| .* \|$").unwrap();
    let rows: BTreeMap<_, _> = row
        .captures_iter(&readme)
        .map(|row| (row[1].to_owned(), row.get(2).map_or("", |cell| cell.as_str()).to_owned()))
        .collect();
    let mut expected = of_workers();
    expected.extend(variables(&["python/producer.py"]));
    assert_eq!(rows, expected);
}

#[test]
fn manifests_set_what_is_read() {
    let (workers, producer) = (of_workers(), variables(&["python/producer.py"]));
    let mut seen = BTreeSet::new();
    for file in ["workers.yaml", "workers-go.yaml", "producer.yaml"] {
        let known = if file == "producer.yaml" { &producer } else { &workers };
        for manifest in manifests::of(file) {
            for variable in manifest["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap() {
                let name = variable["name"].as_str().unwrap();
                assert!(known.contains_key(name), "{file}: nothing reads {name}");
                seen.insert(name.to_owned());
            }
        }
    }
    assert!(seen.contains("CONSUMER_NAME") && seen.contains("RATE"), "{seen:?}");
}
