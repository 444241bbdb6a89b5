//! Sentinels: who is measured, and what is told where nobody is.

use crate::support::{
    exporter::Streamgauge,
    redis::RedisServer,
    samples::Samples,
    sentinel::{SentinelServer, Service, Setup},
    tool::needs,
    wait,
};

mod believed;
mod failover;
mod outage;
mod replicas;
mod secured;
mod told;

use super::{LAG, fill, measures, refusal};

const USER: &str = "gauge";
/// A user of the servers, whose connections can be told from those of the Sentinels and the tests.
const SERVERS: &[&str] = &["--user", USER, "on", "nopass", "~*", "+@all"];
const LOGIN: [&str; 4] = ["--redis.username", USER, "--redis.timeout", "2s"];

/// A service with a lag of three.
fn service() -> Service {
    filled(Service::with(&Setup { servers: SERVERS, ..Setup::default() }))
}

fn filled(service: Service) -> Service {
    fill(&service.servers[0]);
    service.replicated(0, 2);
    service
}

#[track_caller]
fn gauge(service: &Service, arguments: &[&str]) -> Streamgauge {
    let gauge = Streamgauge::of(&service.url(), &[&LOGIN, arguments].concat());
    gauge.metrics().check(&[("redis_up", Some(1.0)), (LAG, Some(3.0))]);
    gauge
}

fn port(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().parse().unwrap()
}

fn errors(metrics: &Samples) -> f64 {
    metrics.all("streamgauge_poll_errors_total").iter().map(|sample| sample.value).sum()
}

/// No poll has failed so far, and one more does not.
#[track_caller]
fn no_poll_failed(gauge: &Streamgauge) -> Samples {
    let metrics = gauge.poll();
    assert_eq!(errors(&metrics), 0.0, "{}", gauge.process.stderr.text());
    metrics.check(&[("redis_up", Some(1.0)), (LAG, Some(3.0))]);
    metrics
}

#[test]
fn the_primary_is_measured() {
    needs!("redis-server");
    let service = service();
    let gauge = gauge(&service, &[]);
    no_poll_failed(&gauge);
    let connected = [0, 1, 2].map(|place| service.connections(place, USER).unwrap());
    assert_eq!(connected, [1, 0, 0]);
    // One connection to one Sentinel, whatever the number of polls.
    let to_sentinels = || -> usize {
        let clients = service.sentinels.iter().map(|sentinel| sentinel.ask::<String>(&["CLIENT", "LIST"]));
        clients.map(|list| list.matches(" cmd=sentinel|").count()).sum()
    };
    let before = to_sentinels();
    gauge.poll();
    assert_eq!(to_sentinels(), before);
    // Without a name of its own, the service is the label.
    let output = crate::support::exporter::Launch::new("groups")
        .args(&["--redis.url", &service.url(), "--output", "json"])
        .output();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["servers"][0]["redis"], "shop", "{said}");
    measures(&format!("{}/0?protocol=resp3", service.url()), &[]);
}
