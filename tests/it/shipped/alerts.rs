//! `alerts/`: the rules, their tests, and the same rules for the Prometheus operator.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{list, must_pass, names_after, promql, promql::Expression, read, text, verdict, yaml};
use crate::{generated::documents::check, support::tool::needs};

const RULES: &str = "alerts/streamgauge.yml";
const TESTS: &str = "alerts/tests/streamgauge.yml";
const RESOURCE: &str = "alerts/prometheusrule.yaml";

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
        // A loss is an event: it does not have to go on.
        assert!(minutes.is_some_and(|minutes| minutes > 0 || name == "EntriesLost"), "{name}: {rule}");
        assert!(["critical", "warning"].contains(&text(&rule["labels"], "severity")), "{name}");
        let annotations: Vec<_> = rule["annotations"].as_object().unwrap().keys().collect();
        assert_eq!(annotations, ["description", "runbook_url", "summary"], "{name}");
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
            for other in number.checked_sub(1).into_iter().chain([number + 1]) {
                let what = format!("{alert}: for {other}m in place of {minutes}");
                add(what, minutes, &format!("{other}m"), start + line.find(minutes).unwrap());
            }
        }
        for (from, to) in [
            (" > 1000", " >= 1000"),
            (" > 1000", " > 1001"),
            (" > 300", " >= 300"),
            (" > 300", " > 301"),
            (" > 500", " >= 500"),
            (" > 500", " > 501"),
            (" > 600", " >= 600"),
            (" > 600", " > 601"),
            ("]) > 0", "]) >= 0"),
            ("} > 0", "} >= 0"),
            ("< max by", "<= max by"),
            (" < streamgauge_total_shards", ""),
            ("(count_values by (job) (\"shard\", ", "(("),
            ("[1h]", "[50m]"),
            ("[1h]", "[70m]"),
            (" == 0", " >= 0"),
            (" == 1", " == 0"),
            ("source=\"bounded\"", "source!=\"derived\""),
            ("{kind!=\"vanished\"}", ""),
            ("state=\"", "state!=\""),
            ("activity=\"", "activity!=\""),
            ("ignoring (state) ", ""),
            (" or ", " and "),
            (" + ", " - "),
            ("severity: critical", "severity: warning"),
            ("severity: warning", "severity: critical"),
        ] {
            for (offset, _) in line.match_indices(from) {
                add(format!("{alert}: {to:?} in place of {from:?}"), from, to, start + offset);
            }
        }
        // Only where redis_exporter has the same name; elsewhere its series could not be meant.
        for (offset, from) in
            line.match_indices("{redis!=\"\"}").filter(|_| !["PollErrors", "PollStale"].contains(&alert))
        {
            add(format!("{alert}: without {from}"), from, "", start + offset);
        }
        if code.starts_with("unless ") || code.starts_with("and ignoring ") {
            add(format!("{alert}: without {code:?}"), line, "", start);
        }
    }
    found
}

/// The tests of one alert, and those of silence, which name none; all of them for what is no change to an alert.
fn tests_of(alert: &str) -> String {
    let tests = read(TESTS);
    let mut parts = tests.split("\n  - name: ");
    let mut kept = parts.next().unwrap().to_owned();
    for part in parts {
        let first = part.split([',', ';', ' ']).next().unwrap();
        if first == alert || alert == "unchanged" || first.starts_with(|c: char| c.is_ascii_lowercase()) {
            kept += "\n  - name: ";
            kept += part;
        }
    }
    kept
}

/// The tests of the rules can fail, whatever is changed: those of an alert notice each change to it.
#[test]
fn tests_of_the_rules_notice_every_change() {
    needs!("promtool");
    let mut variants = mutants();
    assert!(variants.len() > 90, "only {} changes: the patterns no longer fit the rules", variants.len());
    variants.push(("unchanged".into(), read(RULES)));
    let directory = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (number, (what, rules)) in variants.iter().enumerate() {
        let place = directory.path().join(number.to_string());
        fs::create_dir_all(place.join("tests")).unwrap();
        let (file, tests) = (place.join("streamgauge.yml"), place.join("tests/streamgauge.yml"));
        fs::write(&file, rules).unwrap();
        fs::write(&tests, tests_of(what.split(':').next().unwrap())).unwrap();
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

/// The same rules as a resource for the Prometheus operator, with the comments.
fn resource() -> String {
    let rules = read(RULES);
    let (_, groups) = rules.split_once("\ngroups:\n").unwrap();
    let groups: String = groups
        .lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") })
        .collect();
    format!(
        "# Generated from {RULES}: change that, and run `STREAMGAUGE_BLESS=1 cargo test`.\n#\n\
         # The operator takes it only if it has the labels that the ruleSelector of the Prometheus resource asks for:\n\
         # `release: <name of the release>`, where kube-prometheus-stack was installed with its defaults.\n\
         apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: streamgauge\n  labels:\n    \
         app.kubernetes.io/name: streamgauge\nspec:\n  groups:\n{groups}"
    )
}

#[test]
fn the_resource_has_the_same_rules() {
    check(RESOURCE, |_| resource());
    let resource = yaml(RESOURCE);
    assert_eq!(resource["spec"]["groups"], yaml(RULES)["groups"]);
    assert_eq!(resource["spec"].as_object().unwrap().len(), 1);
    assert_eq!(
        (text(&resource, "apiVersion"), text(&resource, "kind")),
        ("monitoring.coreos.com/v1", "PrometheusRule")
    );
}
