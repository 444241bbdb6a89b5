//! Names of any bytes: the exposition, the page, the JSON, the table and the log stay in order.

use serde_json::Value;

use crate::support::{
    exporter::{Launch, Streamgauge},
    hostile::{self, NAMES},
    redis::RedisServer,
    samples::Samples,
    tool::{needs, promtool_check},
};

fn hostile_redis() -> RedisServer {
    let redis = RedisServer::start();
    hostile::fill(&redis);
    redis.run(&["XADD plain 1-1 n 1"]);
    redis
}

/// The streams, groups and consumers that have this backlog series and their names, in order.
fn shown(metrics: &Samples) -> Vec<(String, String, f64)> {
    let of = |sample: &crate::support::samples::Sample| {
        (sample.labels["stream"].clone(), sample.labels["group"].clone(), sample.value)
    };
    metrics.all("redis_stream_group_backlog").into_iter().map(of).collect()
}

#[test]
fn the_exposition_holds_them_all() {
    needs!("redis-server", "promtool");
    let redis = hostile_redis();
    let gauge = Streamgauge::of(&redis.url(), &["--poll.interval", "1h"]);
    let exposition = gauge.get("/metrics", &[]);
    let metrics = Samples::parse(exposition.text());
    assert_eq!(promtool_check(exposition.text()), Ok(()));

    let shown = shown(&metrics);
    assert_eq!(shown.len(), NAMES.len() + 1, "{shown:?}");
    for (_, text) in NAMES {
        assert!(shown.contains(&((*text).into(), (*text).into(), 3.0)), "{text:?} is not in {shown:?}");
        let consumers = metrics.all("redis_stream_group_consumer_messages_pending");
        assert!(consumers.iter().any(|sample| sample.labels["consumer"] == *text), "{text:?}");
    }
    let long = shown.iter().find(|(stream, ..)| stream.starts_with("aaaa")).unwrap();
    assert_eq!((long.0.len(), long.1.len(), long.2), (1024, 1024, 3.0));
    assert_eq!(metrics.value("redis_up"), Some(1.0));
    assert_eq!(metrics.value(r#"redis_stream_length{stream="plain"}"#), Some(1.0));
}

#[test]
fn page_json_and_table_hold_them_all() {
    needs!("redis-server");
    let redis = hostile_redis();
    let gauge = Streamgauge::of(&redis.url(), &["--poll.interval", "1h"]);

    let page = gauge.get("/", &[]);
    assert_eq!(page.status, 200);
    let html = page.text();
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;"), "{html}");

    let output = Launch::new("groups").args(&["--output", "json", "--redis.url", &redis.url()]).output();
    assert!(output.status.success(), "{output:?}");
    for report in [gauge.groups(), serde_json::from_slice(&output.stdout).unwrap()] {
        let streams: Vec<_> = report["servers"][0]["streams"].as_array().unwrap().iter().collect();
        for (_, text) in NAMES {
            let stream = streams.iter().find(|stream| stream["stream"] == *text);
            let stream = stream.unwrap_or_else(|| panic!("{text:?} is not in {report}"));
            assert_eq!(stream["groups"][0]["group"], *text);
            assert_eq!(stream["groups"][0]["backlog"], 3);
        }
    }

    let output = Launch::new("groups").args(&["--redis.url", &redis.url()]).output();
    let table = String::from_utf8(output.stdout).unwrap();
    // The head, every name, the long one and the plain one: each on a line of its own, and nothing a terminal obeys.
    assert_eq!(table.lines().count(), 1 + NAMES.len() + 1 + 1, "{table}");
    let control = table.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
    assert_eq!(control, None, "{table:?}");
}

#[test]
fn a_log_line_stays_one_line() {
    needs!("redis-server");
    let redis = hostile_redis();
    // It finds every stream and may read only one: the others are logged, with their names.
    redis.run(&["ACL SETUSER narrow on nopass ~plain +@all"]);
    let arguments = ["--redis.username", "narrow", "--poll.interval", "1h"];
    let gauge = Streamgauge::of(&redis.url(), &arguments);
    gauge.metrics().check(&[
        (r#"redis_stream_length{stream="plain"}"#, Some(1.0)),
        (r#"redis_stream_up{stream="plain"}"#, Some(1.0)),
        (r#"redis_stream_up{stream="quote\"d"}"#, Some(0.0)),
        ("redis_up", Some(1.0)),
    ]);
    let logged = gauge.logged("stream cannot be read");
    assert_eq!(logged.len(), NAMES.len() + 1, "{logged:?}");
    let control = |line: &&Value| line["stream"].as_str().unwrap().contains(char::is_control);
    assert_eq!(logged.iter().find(control), None);

    let gauge = Streamgauge::of(&redis.url(), &[&arguments[..], &["--log.format", "text"]].concat());
    let lines = gauge.process.stderr.lines();
    let faults = lines.iter().filter(|line| line.contains("stream cannot be read"));
    assert_eq!(faults.count(), NAMES.len() + 1, "{lines:?}");
    for line in &lines {
        assert!(line.starts_with("20") && !line.contains(char::is_control), "{line:?}");
    }
}
