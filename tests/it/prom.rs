//! A real Prometheus scrapes the exporter.

use crate::support::{
    exporter::Streamgauge, hostile, prometheus::Prometheus, redis::RedisServer, tool::needs,
};

#[test]
fn prometheus_reads_lag_and_backlog() {
    needs!("redis-server", "prometheus");
    let redis = RedisServer::start();
    redis.add("orders", 10);
    redis.run(&["XGROUP CREATE orders workers 0", "XREADGROUP GROUP workers alice COUNT 1 STREAMS orders >"]);
    let gauge = Streamgauge::of(&redis.url(), &[]);
    let prometheus = Prometheus::scraping(gauge.address);
    let lag = r#"redis_stream_group_lag{redis="main",db="db0",stream="orders",group="workers"}"#;
    prometheus.until(r#"up{job="streamgauge"}"#, 1.0);
    prometheus.until("redis_up", 1.0);
    prometheus.until(lag, 9.0);
    prometheus.until(r#"redis_stream_group_backlog{stream="orders",group="workers"}"#, 10.0);
    // The next scrape has the next number.
    redis.add("orders", 5);
    prometheus.until(lag, 14.0);
    // What is gone is stale at once, not five minutes later.
    redis.run(&["XGROUP DESTROY orders workers"]);
    prometheus.until(&format!("absent({lag})"), 1.0);
    prometheus.until(r#"redis_stream_length{stream="orders"}"#, 15.0);
}

#[test]
fn prometheus_reads_hostile_names() {
    needs!("redis-server", "prometheus");
    let redis = RedisServer::start();
    hostile::fill(&redis);
    let gauge = Streamgauge::of(&redis.url(), &[]);
    let prometheus = Prometheus::scraping(gauge.address);
    prometheus.until(r#"up{job="streamgauge"}"#, 1.0);
    prometheus.until("count(redis_stream_group_backlog == 3)", (hostile::NAMES.len() + 1) as f64);
    assert_eq!(prometheus.target().unwrap()["lastError"], "");
    let series = prometheus.query("redis_stream_group_backlog").unwrap();
    for (_, text) in hostile::NAMES {
        let found = series.iter().any(|(labels, _)| {
            // An empty label is no label to Prometheus.
            labels["stream"].as_str().unwrap_or_default() == *text
        });
        assert!(found, "{text:?} is not in {series:?}");
    }
    // None of them could forge a sample.
    prometheus.until("redis_up", 1.0);
    assert_eq!(prometheus.query("redis_up").unwrap().len(), 1);
}
