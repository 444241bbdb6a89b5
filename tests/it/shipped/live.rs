//! The queries that are shipped, asked of a real Prometheus while it scrapes a real exporter of a real Redis, and the demo.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use super::{
    dashboards::{dashboards, interpolated, panels, variables},
    documents::{documents, queries},
    list, names_after, text,
};
use crate::{
    kubernetes::{Adapter, EXTERNAL},
    support::{
        exporter::Launch, place::Place, prometheus::Prometheus, redis::RedisServer, tool::needs, wait,
    },
};

/// A Redis on which something is wrong everywhere. `orders` has a lag that its ends prove, and 501 pending entries with
/// an old one among them; the group in the middle of `payments` needs counting; `plain` is no stream; `crowded` has more
/// groups than the limit of the exporter.
fn troubled() -> RedisServer {
    let redis = RedisServer::start();
    redis.add("orders", 9600);
    redis.run(&[
        "XGROUP CREATE orders workers 0",
        "XREADGROUP GROUP workers alice COUNT 501 STREAMS orders >",
    ]);
    let first: Vec<(String, Vec<String>)> = redis.ask(&["XRANGE", "orders", "-", "+", "COUNT", "1"]);
    redis.run(&[
        &format!("XCLAIM orders workers alice 0 {} IDLE 700000", first[0].0),
        "XTRIM orders MAXLEN 9099",
        "XGROUP CREATE payments early 0 MKSTREAM",
    ]);
    for ms in 1..=9 {
        redis.run(&[&format!("XADD payments {ms}-0 f v")]);
    }
    redis.run(&["XGROUP CREATE payments settlement 4-0", "SET plain text"]);
    for group in ["a", "b", "c"] {
        redis.run(&[&format!("XGROUP CREATE crowded {group} 0 MKSTREAM")]);
    }
    redis
}

/// An exporter of it that looks back ten seconds only, so that its groups have a pace soon.
fn exporter_of(redis: &RedisServer) -> Adapter {
    let yaml = format!(
        "health: {{window: 10s}}\n\
         lag: {{entries_per_group: 0}}\n\
         redis:\n\
         - name: main\n\
         \x20 url: '{}'\n\
         \x20 streams: [orders, payments, plain, crowded, missing]\n\
         \x20 groups: {{expect: ['payments=absent']}}\n\
         \x20 limits: {{groups_per_stream: 2}}\n",
        redis.url()
    );
    // The only shard there is: what shards say of themselves is there, too.
    Adapter::with_file(&yaml, &["--shard", "0", "--total-shards", "1"])
}

/// What kube-state-metrics says of an autoscaler, served until the test ends.
fn kube_state_metrics() -> SocketAddr {
    let names =
        ["status_current_replicas", "status_desired_replicas", "spec_max_replicas", "spec_min_replicas"];
    let lines = names.map(|name| {
        let name = format!("kube_horizontalpodautoscaler_{name}");
        format!("# TYPE {name} gauge\n{name}{{namespace=\"shop\",horizontalpodautoscaler=\"workers\"}} 2\n")
    });
    let body = lines.concat();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A request fits: its body is empty.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// Waits until one of the queries has a result, and gives the labels of its series. Meanwhile the work goes on.
#[track_caller]
fn result(prometheus: &Prometheus, queries: &[String], work: &mut impl FnMut()) -> Vec<serde_json::Value> {
    wait::until(&format!("a result of {queries:#?}"), || {
        for query in queries {
            let series = prometheus.query(query)?;
            if !series.is_empty() {
                return Ok(series.into_iter().map(|(labels, _)| labels).collect());
            }
        }
        work();
        Err("nothing".into())
    })
}

#[test]
fn every_panel_has_data() {
    needs!("redis-server", "prometheus");
    let redis = troubled();
    let adapter = exporter_of(&redis);
    let place = Place::new();
    let demo =
        Launch::new("demo").env("TMPDIR", place.path()).env("STREAMGAUGE_HEALTH_WINDOW", "10s").start();
    let gauges = [adapter.gauge.address, demo.address];
    let prometheus =
        Prometheus::with_jobs(&[("streamgauge", &gauges), ("kube-state-metrics", &[kube_state_metrics()])]);
    // The backlog shrinks, and an autoscaler asks for it.
    let mut work = || {
        redis.run(&["XREADGROUP GROUP workers bob COUNT 1 NOACK STREAMS orders >"]);
        let asked = format!(
            "{EXTERNAL}/shop/redis_stream_group_backlog?labelSelector=stream%3Dorders,group%3Dworkers"
        );
        let answer = adapter.get(&asked);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };

    // What a person may have chosen: nothing but what must be, a group of the demo, one in trouble.
    let anything = [("job", "streamgauge"), ("instance", ".+"), ("namespace", "shop"), ("hpa", "workers")];
    let choices = [
        anything.to_vec(),
        [&anything[..], &[("redis", "demo"), ("stream", "orders"), ("group", "analytics_group")]].concat(),
        [&anything[..], &[("redis", "main"), ("stream", "orders"), ("group", "workers")]].concat(),
        [&anything[..], &[("redis", "main"), ("stream", "payments"), ("group", "settlement")]].concat(),
    ];
    for (name, dashboard) in dashboards() {
        let filled = |query: &str| -> Vec<String> {
            choices.iter().filter_map(|chosen| interpolated(&dashboard, query, chosen)).collect()
        };
        for variable in variables(&dashboard) {
            let arguments = variable.query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
            let (selector, label) = arguments.rsplit_once(", ").unwrap();
            let series = result(&prometheus, &filled(selector), &mut work);
            assert!(series.iter().all(|labels| labels[label].is_string()), "{name}: {selector}: {series:?}");
        }
        for panel in panels(&dashboard) {
            for target in list(panel, "targets") {
                let query = text(target, "expr");
                // Older servers do not tell these; the panels say so.
                let since = [("entries_added", (7, 0)), ("consumer_inactive", (7, 2))];
                if since.iter().any(|(metric, version)| query.contains(metric) && redis.version() < *version)
                {
                    continue;
                }
                let series = result(&prometheus, &filled(query), &mut work);
                for label in names_after(target["legendFormat"].as_str().unwrap_or_default(), "{{") {
                    assert!(
                        series.iter().all(|labels| labels[label].is_string()),
                        "{name}: {query}: {label} in {series:?}"
                    );
                }
            }
        }
    }
    for (name, document) in documents() {
        for query in queries(&document) {
            prometheus.query(query).unwrap_or_else(|error| panic!("{name}: {query}: {error}"));
        }
    }
}
