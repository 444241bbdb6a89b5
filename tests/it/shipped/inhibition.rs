//! The `inhibit_rules` for Alertmanager that `docs/alerts.md` shows.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{alerts::rules, list, must_pass, promql::Expression, read, text};
use crate::support::{document, tool::is_installed};

/// The rules that the document shows.
fn shown() -> String {
    let blocks = document::yaml(&read("docs/alerts.md"));
    let rules: Vec<_> = blocks.into_iter().filter(|block| block.starts_with("inhibit_rules:")).collect();
    let [rules] = &rules[..] else { panic!("not one block") };
    rules.clone()
}

/// What is wrong with the rules: alerts and labels that do not exist.
fn problems(inhibition: &str) -> Vec<String> {
    let rules = rules();
    let document = document::values(inhibition).unwrap().remove(0);
    let mut found = Vec::new();
    for rule in list(&document, "inhibit_rules") {
        let keys: BTreeSet<_> = rule.as_object().unwrap().keys().map(String::as_str).collect();
        if keys != BTreeSet::from(["equal", "source_matchers", "target_matchers"]) {
            found.push(format!("its keys are {keys:?}"));
        }
        for side in ["source_matchers", "target_matchers"] {
            for alert in list(rule, side).iter().flat_map(alerts_of) {
                let Some(named) = rules.iter().find(|rule| rule["alert"] == *alert) else {
                    found.push(format!("{alert} is no alert"));
                    continue;
                };
                // A label that both lack is equal too: then one alert would silence all others.
                let labels = Expression::read(text(named, "expr")).unwrap().labels();
                let missing =
                    list(rule, "equal").iter().filter(|label| !labels.contains(&label.as_str().unwrap()));
                found.extend(missing.map(|label| format!("{alert} has no label {label}")));
            }
        }
    }
    found
}

/// The names in a matcher such as `alertname=~"A|B"`.
fn alerts_of(matcher: &Value) -> Vec<String> {
    let (label, names) = matcher.as_str().unwrap().split_once(['=']).unwrap();
    assert_eq!(label, "alertname");
    names.trim_start_matches('~').trim_matches('"').split('|').map(str::to_owned).collect()
}

#[test]
fn rules_name_what_exists() {
    assert_eq!(problems(&shown()), [""; 0]);
}

#[test]
fn what_does_not_exist_is_found() {
    let shown = shown();
    for (from, to, problem) in [
        ("\"GroupStalled|", "\"GroupStaled|", "GroupStaled is no alert"),
        (
            "equal: [redis, db, stream, group]",
            "equal: [redis, consumer]",
            "GroupStalled has no label \"consumer\"",
        ),
    ] {
        let changed = shown.replacen(from, to, 1);
        assert_ne!(changed, shown, "{from}");
        assert!(problems(&changed).contains(&problem.to_owned()), "{:?}", problems(&changed));
    }
}

/// Not among what the tests must have: where amtool is there, it takes them.
#[test]
fn alertmanager_takes_the_rules() {
    if !is_installed("amtool") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alertmanager.yml");
    fs::write(&file, format!("route: {{receiver: page}}\nreceivers: [{{name: page}}]\n{}", shown())).unwrap();
    must_pass("amtool", &["check-config", file.to_str().unwrap()]);
}
