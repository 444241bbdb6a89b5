//! `alerts/`: the rules, their tests, and their runbook.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{list, must_pass, names_after, promql, promql::Expression, read, text, verdict, yaml};
use crate::support::tool::needs;

const RULES: &str = "alerts/streamgauge.yml";
const TESTS: &str = "alerts/tests/streamgauge.yml";

/// Every rule.
pub fn rules() -> Vec<Value> {
    let file = yaml(RULES);
    let [group] = list(&file, "groups") else { panic!("not one group") };
    assert_eq!(text(group, "name"), "streamgauge");
    list(group, "rules").to_vec()
}

/// The expression of an alert.
#[track_caller]
pub fn expression(alert: &str) -> String {
    let rules = rules();
    let rule = rules.iter().find(|rule| rule["alert"] == alert);
    text(rule.unwrap_or_else(|| panic!("there is no alert {alert}")), "expr").to_owned()
}

#[test]
fn expressions_name_what_exists() {
    for rule in rules() {
        let expr = text(&rule, "expr");
        assert_eq!(promql::problems(expr), [""; 0], "{expr}");
        let labels = Expression::read(expr).unwrap().labels();
        for (annotation, template) in rule["annotations"].as_object().unwrap() {
            for label in names_after(template.as_str().unwrap(), "$labels.") {
                assert!(labels.contains(&label), "{}: {annotation}: label {label}", rule["alert"]);
            }
        }
    }
}

#[test]
fn rules_have_what_a_page_needs() {
    let rules = rules();
    let names: BTreeSet<_> = rules.iter().map(|rule| text(rule, "alert")).collect();
    assert_eq!(names.len(), rules.len(), "a name stands twice");
    for rule in &rules {
        let name = text(rule, "alert");
        let keys: Vec<_> = rule.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["alert", "annotations", "expr", "for", "labels"], "{name}");
        let minutes = text(rule, "for").strip_suffix('m').and_then(|minutes| minutes.parse::<u32>().ok());
        assert!(minutes.is_some_and(|minutes| minutes > 0), "{name}: {rule}");
        assert!(["critical", "warning"].contains(&text(&rule["labels"], "severity")), "{name}");
        let annotations: Vec<_> = rule["annotations"].as_object().unwrap().keys().collect();
        assert_eq!(annotations, ["description", "summary"], "{name}");
    }
}

#[test]
fn promtool_takes_rules_and_tests() {
    needs!("promtool");
    // A lint is a problem too.
    must_pass("promtool", &["check", "rules", "--lint-fatal", RULES]);
    must_pass("promtool", &["test", "rules", TESTS]);
}

/// Changes to the rules that the tests of the rules must notice: thresholds, times and selectors.
fn mutants() -> Vec<(String, String)> {
    let rules = read(RULES);
    let mut found = Vec::new();
    let mut add = |what: String, from: &str, to: &str, at: usize| {
        let (before, after) = rules.split_at(at);
        assert!(after.starts_with(from), "{from}");
        found.push((what, format!("{before}{to}{}", &after[from.len()..])));
    };
    let mut alert = "";
    let mut at = 0;
    for line in rules.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let code = line.trim();
        if code.starts_with('#') {
            continue;
        }
        alert = code.strip_prefix("- alert: ").unwrap_or(alert);
        if let Some(minutes) = code.strip_prefix("for: ") {
            let number: u32 = minutes.trim_end_matches('m').parse().unwrap();
            for other in [number - 1, number + 1] {
                let what = format!("{alert}: for {other}m in place of {minutes}");
                add(what, minutes, &format!("{other}m"), start + line.find(minutes).unwrap());
            }
        }
        for (from, to) in [
            (" > 1000", " >= 1000"),
            (" > 1000", " > 1001"),
            (" > 500", " >= 500"),
            (" > 500", " > 501"),
            (" > 600", " >= 600"),
            (" > 600", " > 601"),
            ("]) > 0", "]) >= 0"),
            (" == 0", " >= 0"),
            (" == 1", " == 0"),
            ("source=\"bounded\"", "source!=\"derived\""),
            ("{kind!=\"vanished\"}", ""),
            (" or ", " and "),
            ("severity: critical", "severity: warning"),
            ("severity: warning", "severity: critical"),
        ] {
            for (offset, _) in line.match_indices(from) {
                add(format!("{alert}: {to:?} in place of {from:?}"), from, to, start + offset);
            }
        }
        // Only where redis_exporter has the same name; elsewhere its series could not be meant.
        for (offset, from) in line.match_indices("{redis!=\"\"}").filter(|_| alert != "PollErrors") {
            add(format!("{alert}: without {from}"), from, "", start + offset);
        }
        if code.starts_with("unless ") {
            add(format!("{alert}: without {code:?}"), line, "", start);
        }
    }
    found
}

/// The tests of the rules can fail, whatever is changed.
#[test]
fn tests_of_the_rules_notice_every_change() {
    needs!("promtool");
    let mut variants = mutants();
    assert!(variants.len() > 40, "only {} changes: the patterns no longer fit the rules", variants.len());
    variants.push(("unchanged".into(), read(RULES)));
    let directory = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (number, (what, rules)) in variants.iter().enumerate() {
        let place = directory.path().join(number.to_string());
        fs::create_dir_all(place.join("tests")).unwrap();
        let (file, tests) = (place.join("streamgauge.yml"), place.join("tests/streamgauge.yml"));
        fs::write(&file, rules).unwrap();
        fs::write(&tests, read(TESTS)).unwrap();
        files.push((what, file.display().to_string(), tests.display().to_string()));
    }
    // Each can be read: no test fails for that reason.
    let mut arguments = vec!["check", "rules"];
    arguments.extend(files.iter().map(|(_, file, _)| file.as_str()));
    must_pass("promtool", &arguments);
    let passing: Vec<_> = files
        .iter()
        .filter(|(_, _, tests)| verdict("promtool", &["test", "rules", tests]).0)
        .map(|(what, ..)| what.as_str())
        .collect();
    assert_eq!(passing, ["unchanged"], "no test notices these");
}

/// The runbook has a section for each alert, in their order, which tells severity and time as they are.
#[test]
fn every_alert_has_its_section() {
    let runbook = read("docs/alerts.md");
    let sections: Vec<_> = runbook.split("\n## ").skip(1).collect();
    let rules = rules();
    assert_eq!(
        sections.iter().map(|section| section.lines().next().unwrap()).collect::<Vec<_>>(),
        rules.iter().map(|rule| text(rule, "alert")).collect::<Vec<_>>(),
    );
    for (section, rule) in sections.iter().zip(&rules) {
        let start = format!("*{}, after {}.* ", text(&rule["labels"], "severity"), text(rule, "for"));
        assert!(section.lines().nth(2).unwrap().starts_with(&start), "{start:?} is not in {section}");
        // The number that is compared with, where it is not 0 or 1.
        for number in names_after(text(rule, "expr"), "> ").iter().filter(|number| number.len() > 1) {
            assert!(section.contains(&format!("ore than {number} ")), "{number} is not in {section}");
        }
    }
}
