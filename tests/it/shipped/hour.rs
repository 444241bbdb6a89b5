//! No alert fires in an hour of healthy traffic; and the rules have the patience that it takes.
//!
//! The hour passes in steps of 15 s, the usual scrape interval, on the clock of `health`: a real Redis with real producers and
//! consumers, and the real program, which polls once at each step. What it publishes is what Prometheus would have scraped.
//! Prometheus itself cannot be told what time it is, but `promtool test rules` is its engine for rules with a clock of
//! its own: it takes what was published as its series, and evaluates the rules as they are shipped, every 15 s, with their
//! ranges and `for`. (Blocks made by `promtool tsdb create-blocks-from openmetrics` would need a second implementation
//! of `for`, in the test.)
//!
//! That the API for alerts has them, and that each fires, [`firing`](super::firing) shows.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use super::{alerts::rules, verdict};
use crate::{
    health::scene::{Hands, STEP, Scene},
    servers,
    support::{samples::Samples, tool::needs},
};

/// When the last poll ended, by the clock of the program, which is that of the machine.
const ENDED: &str = "streamgauge_poll_last_success_timestamp_seconds";

/// What Prometheus would have stored of what was published: each series with its values, one for each step.
fn series(published: &[Option<Samples>]) -> Vec<Value> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |step: usize, name: String, value: String| {
        let values = found.entry(name).or_default();
        // Prometheus marks a series that is no longer there.
        if !values.is_empty() && values.len() < step {
            values.push("stale".into());
        }
        values.resize(step, "_".into());
        values.push(value);
    };
    const OF_TARGET: &str = r#"instance="gauge:9121",job="streamgauge""#;
    let mut ended = Ended::default();
    for (step, metrics) in published.iter().enumerate() {
        add(step, format!("up{{{OF_TARGET}}}"), if metrics.is_some() { "1" } else { "0" }.into());
        for sample in metrics.iter().flat_map(|metrics| &metrics.0) {
            let labels = sample.labels.iter().map(|(label, value)| format!("{label}={value:?},"));
            let name = format!("{}{{{}{OF_TARGET}}}", sample.name, labels.collect::<String>());
            let value =
                if sample.name == ENDED { ended.by_the_clock(step, sample.value) } else { sample.value };
            add(step, name, value.to_string());
        }
    }
    for values in found.values_mut().filter(|values| values.len() < published.len()) {
        values.push("stale".into());
    }
    found.into_iter().map(|(name, values)| json!({"series": name, "values": values.join(" ")})).collect()
}

/// When the last poll ended, as both clocks tell it.
#[derive(Default)]
struct Ended {
    machine: f64,
    test: f64,
}

impl Ended {
    fn by_the_clock(&mut self, step: usize, machine: f64) -> f64 {
        if machine != self.machine {
            *self = Ended { machine, test: (step as u64 * STEP) as f64 };
        }
        self.test
    }
}

/// Checks which alerts have fired by the end: these, and no others.
#[track_caller]
fn check_fired(rules: &[Value], scene: &Scene, alerts: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let end = (scene.published.len() as u64 - 1) * STEP;
    let expected: Vec<_> = alerts
        .iter()
        .map(|alert| json!({"labels": format!("{{alertname={alert:?}}}"), "value": 1}))
        .collect();
    let tests = json!({
        "rule_files": ["rules.yml"],
        "evaluation_interval": format!("{STEP}s"),
        "tests": [{
            "interval": format!("{STEP}s"),
            "input_series": series(&scene.published),
            "promql_expr_test": [{
                "expr": r#"group by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1d]))"#,
                "eval_time": format!("{end}s"),
                "exp_samples": expected,
            }],
        }],
    });
    let rules = json!({"groups": [{"name": "rules", "rules": rules}]});
    fs::write(directory.path().join("rules.yml"), rules.to_string()).unwrap();
    let file = directory.path().join("tests.yml");
    fs::write(&file, tests.to_string()).unwrap();
    let (passed, said) = verdict("promtool", &["test", "rules", file.to_str().unwrap()]);
    assert!(passed, "{said}");
}

/// What happens in a step of the healthy hour, by the minute: all that happens to those who are well.
struct Work {
    seconds: u64,
    /// How often the workers were replaced: they are named after their pods.
    version: usize,
    /// What a worker holds that takes its time, or has crashed.
    held: Vec<String>,
}

impl Work {
    fn step(&mut self, hands: &mut Hands) {
        self.seconds += STEP;
        let (minute, second) = (self.seconds / 60, self.seconds % 60);
        let begins = |at: u64| minute == at && second == 0;
        self.orders(hands, minute, begins);
        self.audit(hands, second);
        Work::mails(&mut hands.on("mails", "batch"), minute, second);
        // Kept short, but not shorter than what waits.
        hands.trim(8000);
    }

    /// Twenty a second, and two workers with room to spare.
    fn orders(&mut self, hands: &mut Hands, minute: u64, begins: impl Fn(u64) -> bool) {
        match minute {
            // At night there is next to nothing to do.
            20..30 => hands.add(usize::from(minute.is_multiple_of(4))),
            _ => hands.add(300),
        }
        if begins(8) || begins(40) {
            hands.add(5000);
        }
        if begins(16) || begins(35) {
            self.version += 1;
        }
        let names = ["a", "b"].map(|name| format!("worker-{}-{name}", self.version));
        match minute {
            // All are stopped before the new ones start.
            16 => return,
            // All that comes within a minute, as one batch.
            37 => {
                let read = hands.read(&names[0], 400);
                self.held.extend(read);
                return;
            }
            38 => hands.acknowledge(&std::mem::take(&mut self.held)),
            _ => {}
        }
        if begins(48) {
            // It crashes with what it has read, and its pod comes back under another name.
            self.held = hands.read(&names[1], 40);
            self.version += 1;
            return;
        }
        if begins(50) {
            hands.claim(&names[0], &self.held);
            hands.acknowledge(&std::mem::take(&mut self.held));
        }
        names.iter().for_each(|name| hands.work(name, 400));
    }

    /// A group that takes what there is every 45 seconds.
    fn audit(&self, hands: &mut Hands, second: u64) {
        if self.seconds.is_multiple_of(45) || second == 0 {
            hands.on("orders", "audit").work("audit-0", 10_000);
        }
    }

    /// Now and then, many at once. The workers are scaled from zero, which takes them some time, and back to zero.
    fn mails(hands: &mut Hands, minute: u64, second: u64) {
        match (minute % 10, second) {
            (3, 0) => hands.add(200),
            (4, 30) | (5..=7, _) => hands.work("mailer-0", 20),
            (8, 0) => hands.leave("mailer-0"),
            _ => {}
        }
    }
}

fn healthy_hour() -> Scene {
    let groups = ["XGROUP CREATE orders audit 0", "XGROUP CREATE mails batch 0 MKSTREAM"];
    let mut scene = Scene::with(&servers::versions()[0], &groups);
    let mut work = Work { seconds: 0, version: 0, held: Vec::new() };
    let before_the_update = 55 * 60;
    scene.pass(before_the_update, |hands| work.step(hands));
    // streamgauge itself is replaced.
    scene.without_gauge(2 * STEP, |hands| work.step(hands));
    scene.pass(3600 - before_the_update - 2 * STEP, |hands| work.step(hands));
    assert_eq!(scene.seconds(), 3600);
    scene
}

/// How many series of this name and these labels were above 0, over all steps.
fn seen(scene: &Scene, selector: &str) -> usize {
    let published = scene.published.iter().flatten();
    published.map(|metrics| metrics.all(selector).iter().filter(|sample| sample.value > 0.0).count()).sum()
}

#[test]
fn no_alert_fires_in_a_healthy_hour() {
    needs!("redis-server", "promtool");
    let scene = healthy_hour();
    for state in ["idle", "ok", "catching_up", "no_consumers"] {
        let selector = format!("redis_stream_group_state{{state={state:?}}}");
        assert!(seen(&scene, &selector) > 0, "no group was ever {state}");
    }
    check_fired(&rules(), &scene, &[]);

    // Without patience these would have fired: the hour has what tempts them.
    let mut hasty = rules();
    hasty.iter_mut().for_each(|rule| rule["for"] = "0m".into());
    let tempted = [
        "ConsumerDead",
        "GroupLagHigh",
        // The new streamgauge has to see a lag before it can say that it is exact.
        "GroupLagUnknown",
        "GroupNoConsumers",
        "GroupPendingHigh",
        "StreamgaugeDown",
    ];
    check_fired(&hasty, &scene, &tempted);
}
