//! The watcher itself: it takes what is published for true, and nothing of that if one number of it is another one.

use serde_json::{Value, json};

use super::scene::{Scene, question};
use crate::support::{
    samples::Samples,
    tool::needs,
    truth::{Span, now},
    watch::{is_of_a_moment, items_are_true, metrics_are_true, report_is_true},
};

/// Numbers that are not true where this one is.
fn others(value: f64) -> impl Iterator<Item = f64> {
    [0.0, value + 1.0, value - 1.0, value / 2.0].into_iter().filter(move |other| *other != value)
}

/// What has another sense than its number, and is judged by it.
fn is_number(name: &str) -> bool {
    name.starts_with("redis_stream_")
        && is_of_a_moment(name)
        && !["redis_stream_up", "redis_stream_exists", "redis_stream_group_lag_source"].contains(&name)
}

/// What grows by itself: a moment earlier or later it was as true.
fn is_duration(name: &str) -> bool {
    name.ends_with("_age_seconds") || name.ends_with("idle_seconds") || name.ends_with("inactive_seconds")
}

#[test]
fn one_false_number_is_seen_wherever_it_stands() {
    needs!("redis-server");
    let scene = Scene::new(&[], "");
    (0..20).for_each(|_| scene.work());
    // Of polls that began since: until then, what was true before is true as well.
    scene.gauge().poll_of("way0");
    let since = now();
    scene.gauge().poll_of("way0");
    let (metrics, report) = (scene.gauge().metrics(), scene.gauge().groups());
    let items = scene.adapter.get(&question()).json()["items"].clone();
    false_metrics_are_seen(&scene, &metrics);
    false_reports_are_seen(&scene, &report);
    false_items_are_seen(&scene, items.as_array().unwrap(), Span { from: since, until: now() });
}

#[track_caller]
fn false_metrics_are_seen(scene: &Scene, metrics: &Samples) {
    metrics_are_true(&scene.ledger, metrics).unwrap();
    let numbers: Vec<_> = (0..metrics.0.len()).filter(|place| is_number(&metrics.0[*place].name)).collect();
    assert!(numbers.len() > 50, "{numbers:?}");
    for place in numbers {
        let sample = &metrics.0[place];
        let others: Vec<_> = match is_duration(&sample.name) {
            true => vec![-1.0, sample.value + 100.0],
            false => others(sample.value).collect(),
        };
        for other in others {
            let mut changed = metrics.clone();
            changed.0[place].value = other;
            assert!(metrics_are_true(&scene.ledger, &changed).is_err(), "{other} in {sample:?}");
        }
        let mut shorter = metrics.clone();
        let gone = shorter.0.remove(place);
        // Only what is measured at once must be there: what is asked for later may be gone by then.
        let is_at_once = !is_duration(&gone.name)
            && !gone.labels.contains_key("consumer")
            && !gone.name.starts_with("redis_stream_group_oldest_pending_");
        assert_eq!(metrics_are_true(&scene.ledger, &shorter).is_err(), is_at_once, "without {gone:?}");
    }
}

#[track_caller]
fn false_reports_are_seen(scene: &Scene, report: &Value) {
    report_is_true(&scene.ledger, report).unwrap();
    let mut seen = 0;
    for (place, stream) in report["servers"][0]["streams"].as_array().unwrap().iter().enumerate() {
        for number in 0..stream["groups"].as_array().unwrap().len() {
            for field in ["lag", "pending", "backlog", "consumers"] {
                let of = |report: &Value| {
                    report["servers"][0]["streams"][place]["groups"][number][field].as_f64().unwrap()
                };
                for other in others(of(report)).map(Value::from).chain([Value::Null]) {
                    let mut changed = report.clone();
                    changed["servers"][0]["streams"][place]["groups"][number][field] = other;
                    assert!(
                        report_is_true(&scene.ledger, &changed).is_err(),
                        "{field} of {stream}: {changed}"
                    );
                    seen += 1;
                }
            }
            let mut older = report.clone();
            let age = &mut older["servers"][0]["streams"][place]["groups"][number]["oldest_undelivered_age_seconds"];
            *age = json!(age.as_f64().unwrap_or(0.0) + 100.0);
            assert!(report_is_true(&scene.ledger, &older).is_err(), "{older}");
        }
    }
    assert!(seen > 0);
}

#[track_caller]
fn false_items_are_seen(scene: &Scene, items: &[Value], span: Span) {
    let is_true = |items: &[Value]| items_are_true(&scene.ledger, items, &[("way0".to_owned(), span)]);
    is_true(items).unwrap();
    assert!(!items.is_empty());
    for place in 0..items.len() {
        let value: f64 = items[place]["value"].as_str().unwrap().parse().unwrap();
        for other in others(value) {
            let mut changed = items.to_vec();
            changed[place]["value"] = json!(other.to_string());
            assert!(is_true(&changed).is_err(), "{changed:?}");
        }
        let mut shorter = items.to_vec();
        shorter.remove(place);
        assert!(is_true(&shorter).is_err(), "{shorter:?}");
    }
}
