//! The alerts of the guide, put right: Prometheus takes them, their tests notice a change, and the resource has the same.

use std::fs;

use super::DIRECTORY;
use crate::{
    generated::documents::check,
    shipped::{list, must_pass, promql, read, text, verdict, yaml},
    support::tool::needs,
};

fn rules() -> String {
    format!("{DIRECTORY}/alerts.yml")
}

fn tests() -> String {
    format!("{DIRECTORY}/alerts.test.yml")
}

#[test]
fn they_say_what_the_guide_meant() {
    let rules = yaml(&rules());
    let [group] = list(&rules, "groups") else { panic!("not one group") };
    let found: Vec<_> =
        list(group, "rules").iter().map(|rule| (text(rule, "expr"), text(rule, "for"))).collect();
    assert_eq!(
        found,
        [("redis_stream_group_lag > 1000", "10m"), ("redis_stream_group_messages_pending > 500", "5m")]
    );
    for (expression, _) in found {
        assert_eq!(promql::problems(expression), [""; 0]);
    }
}

#[test]
fn promtool_takes_rules_and_tests() {
    needs!("promtool");
    must_pass("promtool", &["check", "rules", "--lint-fatal", &rules()]);
    must_pass("promtool", &["test", "rules", &tests()]);
}

#[test]
fn their_tests_notice_a_change() {
    needs!("promtool");
    let directory = tempfile::tempdir().unwrap();
    let (file, test) = (directory.path().join("alerts.yml"), directory.path().join("alerts.test.yml"));
    fs::write(&test, read(&tests())).unwrap();
    let rules = read(&rules());
    for (from, to) in [
        (" > 1000\n", " >= 1000\n"),
        (" > 1000\n", " > 1001\n"),
        (" > 500\n", " >= 500\n"),
        (" > 500\n", " > 501\n"),
        ("for: 10m", "for: 9m"),
        ("for: 10m", "for: 11m"),
        ("for: 5m", "for: 4m"),
        ("for: 5m", "for: 6m"),
        ("group_lag >", "length >"),
        ("warning", "critical"),
    ] {
        let at = rules.rfind(from).unwrap_or_else(|| panic!("{from:?} is not in the rules"));
        fs::write(&file, format!("{}{to}{}", &rules[..at], &rules[at + from.len()..])).unwrap();
        let (passed, said) = verdict("promtool", &["test", "rules", test.to_str().unwrap()]);
        assert!(!passed && said.contains("FAILED"), "{to:?} in place of {from:?}: {said}");
    }
}

/// The same rules as a resource for the Prometheus operator.
fn resource() -> String {
    let rules = read(&rules());
    let (_, groups) = rules.split_once("\ngroups:\n").unwrap();
    let groups: String = groups.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "# Generated from alerts.yml: change that. CONTRIBUTING.md says how to write this file anew.\n#\n\
         # The operator takes it only if it has the labels that the ruleSelector of the Prometheus resource asks for:\n\
         # `release: <name of the release>`, where kube-prometheus-stack was installed with its defaults.\n\
         apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: order-processor\nspec:\n  groups:\n{groups}"
    )
}

#[test]
fn the_resource_has_the_same_rules() {
    let file = format!("{DIRECTORY}/prometheusrule.yaml");
    check(&file, |_| resource());
    let resource = yaml(&file);
    assert_eq!(resource["spec"], yaml(&rules()));
    assert_eq!(
        (text(&resource, "apiVersion"), text(&resource, "kind")),
        ("monitoring.coreos.com/v1", "PrometheusRule")
    );
}
