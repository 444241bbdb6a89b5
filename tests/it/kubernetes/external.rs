//! External metrics: selectors, names of one's own, namespaces, and what is not known.

use serde_json::json;

use super::{Adapter, EXTERNAL, refusal};
use crate::support::{hostile, redis::RedisServer, tool::needs};

fn redis() -> RedisServer {
    let redis = RedisServer::start();
    for stream in ["orders", "events:eu", "payments"] {
        redis.run(&[&format!("XGROUP CREATE {stream} workers 0 MKSTREAM")]);
    }
    redis.add("orders", 950);
    redis.add("events:eu", 40);
    redis.add("payments", 7);
    redis.run(&["XGROUP CREATE orders late $", "XREADGROUP GROUP workers w COUNT 100 STREAMS orders >"]);
    redis
}

#[test]
fn selectors_choose_the_series() {
    let redis = redis();
    let adapter = Adapter::of(&redis.url());
    for (selector, expected) in [
        ("stream%3Dorders%2Cgroup%3Dworkers", vec!["950"]),
        ("stream=orders,group==workers", vec!["950"]),
        ("stream%3Dorders", vec!["0", "950"]),
        ("group%20in%20(workers)%2Cstream%20notin%20(orders)", vec!["40", "7"]),
        ("stream%3Devents:eu", vec!["40"]),
        ("stream%3Devents%3Aeu,redis,!redis%20", vec![]),
        ("group!%3Dlate,stream!%3Devents:eu,redis%3Dmain,db%3Ddb0", vec!["950", "7"]),
        ("", vec!["40", "0", "950", "7"]),
    ] {
        let path = format!("{EXTERNAL}/shop/redis_stream_group_backlog?labelSelector={selector}");
        if expected.is_empty() {
            adapter.refusal(&path, 404);
        } else {
            assert_eq!(adapter.values(&path), expected, "{selector}");
        }
    }
    for (query, message) in [
        (
            "labelSelector=a%3D%3D%3Db",
            "labelSelector: the selector is wrong at character 4: expected a comma or the end, found '='",
        ),
        ("labelSelector=x&labelSelector=y", "labelSelector is given more than once"),
        (
            "labelSelector=app%3Dorders",
            "redis_stream_group_lag has no label \"app\": its labels are redis, db, stream, group",
        ),
    ] {
        let path = format!("{EXTERNAL}/shop/redis_stream_group_lag?{query}");
        assert_eq!(adapter.refusal(&path, 400), message);
    }
}

#[test]
fn an_age_is_one_item_in_thousandths() {
    let redis = redis();
    redis.run(&["XREADGROUP GROUP workers w COUNT 1 STREAMS payments >"]);
    let adapter = Adapter::of(&redis.url());
    let answer = adapter.get(&format!("{EXTERNAL}/shop/redis_stream_group_oldest_pending_age_seconds"));
    let list = answer.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert!(["orders", "payments"].contains(&list["items"][0]["metricLabels"]["stream"].as_str().unwrap()));
    let idle = &adapter.values(&format!(
        "{EXTERNAL}/shop/redis_stream_group_oldest_pending_idle_seconds?labelSelector=group%3Dlate"
    ));
    // Nothing is pending there, and that is known.
    assert_eq!(idle, &["0"]);
}

#[test]
fn what_is_no_metric_is_not_found() {
    let redis = redis();
    let adapter = Adapter::of(&redis.url());
    for name in ["nothing", "redis_up", "redis_stream_group_consumers", "redis_stream_pending_messages"] {
        let message = adapter.refusal(&format!("{EXTERNAL}/shop/{name}"), 404);
        assert_eq!(message, format!("there is no external metric {name:?} for namespace \"shop\""));
    }
    let path = format!("{EXTERNAL}/shop/redis_stream_group_lag?labelSelector=stream%3Dnowhere");
    assert_eq!(adapter.refusal(&path, 404), "no group matches redis_stream_group_lag {stream=nowhere}");
}

#[test]
fn names_of_ones_own_and_who_may_read_them() {
    let redis = redis();
    let yaml = format!(
        "redis: [{{name: main, url: '{}'}}]
kubernetes:
  metrics:
    order-backlog:
      metric: redis_stream_group_backlog
      redis: main
      stream: orders
      group: workers
      namespaces: [shop, 'team-*']
    all-events: {{metric: redis_stream_length, stream: 'events:*'}}
  streams:
    - {{stream: 'pay*', namespaces: [pay]}}
",
        redis.url()
    );
    let adapter = Adapter::with_file(&yaml, &[]);
    let path = |namespace: &str, metric: &str| format!("{EXTERNAL}/{namespace}/{metric}");
    assert_eq!(adapter.values(&path("shop", "order-backlog")), ["950"]);
    assert_eq!(adapter.values(&path("team-a", "order-backlog")), ["950"]);
    assert_eq!(adapter.values(&path("anyone", "all-events")), ["40"]);
    let item = adapter.get(&path("shop", "order-backlog")).json()["items"][0].clone();
    assert_eq!(item["metricName"], "order-backlog");
    assert_eq!(
        item["metricLabels"],
        json!({"redis": "main", "db": "db0", "stream": "orders", "group": "workers"})
    );
    // A selector narrows it down further.
    adapter.refusal(&path("shop", "order-backlog?labelSelector=group%3Dlate"), 404);

    // Where it may not be read, the answer is that to a name which does not exist.
    let hidden = adapter.get(&path("other", "order-backlog"));
    let nowhere = adapter.get(&path("other", "no-such-metric"));
    assert_eq!(
        refusal(&hidden, 404).replace("order-backlog", "…"),
        refusal(&nowhere, 404).replace("no-such-metric", "…")
    );
    // And so with streams.
    let payments = "redis_stream_group_backlog?labelSelector=stream%3Dpayments";
    assert_eq!(adapter.values(&path("pay", payments)), ["7"]);
    let hidden = adapter.refusal(&path("shop", payments), 404);
    let nowhere = adapter.refusal(&path("shop", &payments.replace("payments", "nowhere")), 404);
    assert_eq!(hidden.replace("payments", "…"), nowhere.replace("nowhere", "…"));
    assert_eq!(
        adapter.values(&path("shop", "redis_stream_group_backlog?labelSelector=group%3Dworkers")),
        ["40", "950"]
    );
}

/// A database that cannot be polled may hold what matches; whoever names another one is answered.
#[test]
fn a_database_that_fails_does_not_concern_who_names_another() {
    let redis = redis();
    let adapter = Adapter::with_file(
        &format!("redis: [{{name: main, url: '{}', database: [0, 99]}}]", redis.url()),
        &[],
    );
    let backlog =
        |selector: &str| format!("{EXTERNAL}/shop/redis_stream_group_backlog?labelSelector={selector}");
    assert_eq!(adapter.values(&backlog("db%3Ddb0,stream%3Dorders,group%3Dworkers")), ["950"]);
    let message = adapter.refusal(&backlog("stream%3Dorders,group%3Dworkers"), 503);
    assert!(message.contains("DB index is out of range"), "{message}");
    adapter.refusal(&backlog("db%3Ddb99"), 503);
}

/// A server whose streams are for another namespace is none for this one: neither its state nor its name.
#[test]
fn a_server_for_others_is_not_there() {
    let redis = redis();
    let yaml = format!(
        "redis:
  - {{name: main, url: '{}'}}
  - {{name: secret, url: 'redis://127.0.0.1:1'}}
kubernetes:
  metrics: {{payroll: {{metric: redis_stream_length, redis: secret, stream: payroll}}}}
  streams:
    - {{redis: secret, stream: '*', namespaces: [pay]}}
",
        redis.url()
    );
    let adapter = Adapter::with_file(&yaml, &[]);
    let path = |namespace: &str, rest: &str| format!("{EXTERNAL}/{namespace}/{rest}");
    let payments = "redis_stream_group_backlog?labelSelector=stream%3Dpayments";
    assert_eq!(adapter.values(&path("shop", payments)), ["7"]);
    assert_eq!(
        adapter.values(&path("shop", &payments.replace("stream%3Dpayments", "stream+in+(payments)"))),
        ["7"]
    );
    let message = adapter.refusal(&path("pay", payments), 503);
    assert!(message.starts_with("redis \"secret\" cannot be polled"), "{message}");
    adapter.refusal(&path("pay", "payroll"), 503);
    adapter.refusal(&path("shop", "payroll"), 404);
}

#[test]
fn what_is_not_known_is_unavailable_and_says_why() {
    let mut redis = redis();
    redis.run(&["SET notes text"]);
    let yaml = format!(
        "redis: [{{name: main, url: '{}', streams: ['*', notes], groups: {{expect: ['later=workers']}}}}]
lag: {{entries_per_group: 0}}
kubernetes:
  metrics:
    sure: {{metric: redis_stream_group_lag, stream: orders, group: middle, bounded: absent}}
    careful: {{metric: redis_stream_group_lag, stream: orders, group: middle, bounded: upper}}
",
        redis.url()
    );
    // A tombstone and a group in the middle: without reading entries, its lag has bounds only.
    let ids: Vec<String> = {
        let entries: Vec<(String, Vec<String>)> = redis.ask(&["XRANGE", "orders", "-", "+"]);
        entries.into_iter().map(|(id, _)| id).collect()
    };
    redis.run(&[&format!("XGROUP CREATE orders middle {}", ids[400]), &format!("XDEL orders {}", ids[500])]);
    let adapter = Adapter::with_file(&yaml, &[]);
    let path = |metric: &str, selector: &str| format!("{EXTERNAL}/shop/{metric}?labelSelector={selector}");

    let message = adapter.refusal(&path("sure", ""), 503);
    assert!(
        message.starts_with("group \"middle\" of stream \"orders\" on redis \"main\": its lag is only known"),
        "{message}"
    );
    let upper: u64 = adapter.values(&path("careful", ""))[0].parse().unwrap();
    assert!((548..950).contains(&upper), "{upper}");

    // One stream that cannot be read among all that are asked for.
    let message = adapter.refusal(&path("redis_stream_group_backlog", ""), 503);
    assert!(
        message.contains("stream \"notes\" on redis \"main\"") && message.contains("WRONGTYPE"),
        "{message}"
    );
    assert_eq!(adapter.values(&path("redis_stream_group_backlog", "stream%3Dpayments")), ["7"]);
    // A group that should exist and whose stream does not: nothing waits.
    assert_eq!(adapter.values(&path("redis_stream_group_backlog", "stream%3Dlater")), ["0"]);

    redis.kill();
    adapter.gauge.until("redis_up", Some(0.0));
    let message = adapter.refusal(&path("redis_stream_group_backlog", "stream%3Dpayments"), 503);
    assert!(
        message.starts_with("redis \"main\" cannot be polled, so what matches there is not known: "),
        "{message}"
    );
    // Also for what was not there before.
    adapter.refusal(&path("redis_stream_group_backlog", "stream%3Dnowhere"), 503);
    adapter.gauge.metrics().check(&[
        ("redis_up{redis=\"main\"}", Some(0.0)),
        ("redis_stream_length{stream=\"payments\"}", Some(7.0)),
    ]);
}

#[test]
fn names_of_any_bytes_are_valid_labels() {
    let redis = RedisServer::start();
    hostile::fill(&redis);
    let adapter = Adapter::of(&redis.url());
    let list = adapter.get(&format!("{EXTERNAL}/shop/redis_stream_group_backlog")).json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), hostile::NAMES.len() + 1);
    for (_, text) in hostile::NAMES {
        let of_name = items.iter().filter(|item| item["metricLabels"]["stream"] == *text);
        let found: Vec<_> = of_name.map(|item| (&item["metricLabels"]["group"], &item["value"])).collect();
        assert_eq!(found, [(&json!(text), &json!("3"))], "{text:?}");
    }
}

#[test]
fn requests_and_their_freshness_are_counted() {
    let redis = redis();
    let adapter = Adapter::of(&redis.url());
    adapter.values(&format!("{EXTERNAL}/shop/redis_stream_group_backlog"));
    adapter.refusal(&format!("{EXTERNAL}/shop/nothing"), 404);
    adapter.get("/apis/external.metrics.k8s.io/v1beta1");
    adapter.get("/apis");
    adapter.get("/healthz");
    let metrics = adapter.gauge.metrics();
    let requests = |api: &str, code: &str| {
        metrics.value(&format!("streamgauge_adapter_requests_total{{api=\"{api}\",code=\"{code}\"}}"))
    };
    assert_eq!(requests("external", "200"), Some(1.0));
    assert_eq!(requests("external", "404"), Some(1.0));
    assert_eq!(requests("discovery", "200"), Some(2.0));
    assert_eq!(requests("health", "200"), Some(1.0));
    let count = metrics.value("streamgauge_adapter_metric_freshness_seconds_count{api=\"external\"}");
    assert_eq!(count, Some(1.0));
    let all =
        metrics.value("streamgauge_adapter_metric_freshness_seconds_bucket{api=\"external\",le=\"+Inf\"}");
    assert_eq!(all, Some(1.0));
}

/// Who looks at an autoscaler that does not move reads there what to grant.
#[test]
fn a_missing_right_is_named() {
    needs!("redis-server");
    let redis = redis();
    redis.run(&["ACL SETUSER narrow on nopass ~* +@all -xinfo"]);
    let yaml = format!("redis: [{{name: main, url: '{}', username: narrow}}]", redis.url());
    let adapter = Adapter::with_file(&yaml, &[]);
    let path = format!("{EXTERNAL}/shop/redis_stream_group_backlog?labelSelector=stream%3Dorders");
    let message = adapter.refusal(&path, 503);
    assert!(message.ends_with("grant +xinfo|stream (docs/redis-acl.md)"), "{message}");
}
