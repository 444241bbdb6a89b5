//! The queries that are shipped, asked of a real Prometheus while it scrapes a real exporter of a real Redis.

use super::{
    dashboards::{dashboard, interpolated, panels, variables},
    documents::{documents, queries},
    list, names_after, text,
};
use crate::support::{exporter::Streamgauge, prometheus::Prometheus, redis::RedisServer, tool::needs, wait};

/// A Redis on which something is wrong everywhere. `orders` has a lag of 1099, which its ends prove, and 501 pending
/// entries with an old one among them; the group in the middle of `payments` needs counting; `plain` is no stream.
fn troubled() -> RedisServer {
    let redis = RedisServer::start();
    redis.add("orders", 1600);
    redis.run(&[
        "XGROUP CREATE orders workers 0",
        "XREADGROUP GROUP workers alice COUNT 501 STREAMS orders >",
    ]);
    let first: Vec<(String, Vec<String>)> = redis.ask(&["XRANGE", "orders", "-", "+", "COUNT", "1"]);
    redis.run(&[
        &format!("XCLAIM orders workers alice 0 {} IDLE 700000", first[0].0),
        "XTRIM orders MAXLEN 1099",
        "XGROUP CREATE payments early 0 MKSTREAM",
    ]);
    for ms in 1..=9 {
        redis.run(&[&format!("XADD payments {ms}-0 f v")]);
    }
    redis.run(&["XGROUP CREATE payments settlement 4-0", "SET plain text"]);
    redis
}

fn exporter_of(redis: &RedisServer) -> Streamgauge {
    Streamgauge::of(&redis.url(), &["--streams", "orders,payments,plain", "--lag.entries-per-group", "0"])
}

/// Waits until a query has a result, and gives the labels of its series.
#[track_caller]
fn result(prometheus: &Prometheus, query: &str) -> Vec<serde_json::Value> {
    wait::until(&format!("a result of {query}"), || {
        let series = prometheus.query(query)?;
        if series.is_empty() {
            return Err(format!("nothing; target: {}", prometheus.target()?));
        }
        Ok(series.into_iter().map(|(labels, _)| labels).collect())
    })
}

#[test]
fn every_panel_has_data() {
    needs!("redis-server", "prometheus");
    let redis = troubled();
    let gauge = exporter_of(&redis);
    let prometheus = Prometheus::scraping(gauge.address);
    let dashboard = dashboard();

    for (_, query, _) in variables(&dashboard) {
        let query = interpolated(&dashboard, query);
        let arguments = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
        let (selector, label) = arguments.rsplit_once(", ").unwrap();
        let series = result(&prometheus, selector);
        assert!(series.iter().all(|labels| labels[label].is_string()), "{query}: {series:?}");
    }
    for panel in panels(&dashboard) {
        for target in list(panel, "targets") {
            let query = interpolated(&dashboard, text(target, "expr"));
            // Older servers do not count what is added; the panel says so.
            if query.contains("entries_added") && redis.version() < (7, 0) {
                continue;
            }
            let series = result(&prometheus, &query);
            for label in names_after(target["legendFormat"].as_str().unwrap_or_default(), "{{") {
                assert!(
                    series.iter().all(|labels| labels[label].is_string()),
                    "{query}: {label} in {series:?}"
                );
            }
        }
    }
    for (name, document) in documents() {
        for query in queries(&document) {
            prometheus.query(query).unwrap_or_else(|error| panic!("{name}: {query}: {error}"));
        }
    }
}
