//! Several databases of one server.

use crate::support::{exporter::Streamgauge, redis::RedisServer, tool::needs};

const LENGTH: &str = "redis_stream_length";

fn redis() -> RedisServer {
    let redis = RedisServer::start();
    redis.run(&["XADD orders * n 1", "XGROUP CREATE orders workers 0"]);
    redis.run_on(
        1,
        &["XADD orders * n 1", "XADD orders * n 1", "XGROUP CREATE orders workers 0", "SET key value"],
    );
    redis.run_on(2, &["XADD hidden * n 1"]);
    redis
}

fn of(series: &str, db: &str) -> String {
    format!("{series}{{redis=\"main\",db=\"{db}\",stream=\"orders\"}}")
}

#[test]
fn each_has_its_own_numbers() {
    needs!("redis-server");
    let redis = redis();
    let flags = Streamgauge::of(&redis.url(), &["--redis.database", "0,1"]);
    let file =
        Streamgauge::with_file(&format!("redis: [{{name: main, url: '{}', database: [0, 1]}}]", redis.url()));
    for gauge in [flags, file] {
        let metrics = gauge.poll();
        metrics.check(&[
            ("redis_up", Some(1.0)),
            (&of(LENGTH, "db0"), Some(1.0)),
            (&of(LENGTH, "db1"), Some(2.0)),
            (&of("redis_stream_group_lag", "db0"), Some(1.0)),
            (&of("redis_stream_group_lag", "db1"), Some(2.0)),
        ]);
        assert_eq!(metrics.all(LENGTH).len(), 2, "{}", metrics.redis_lines());
        let groups = gauge.groups();
        let streams = groups["servers"][0]["streams"].as_array().unwrap();
        let databases: Vec<_> = streams.iter().map(|stream| stream["db"].as_u64().unwrap()).collect();
        assert_eq!(databases, [0, 1], "{groups}");
    }
}

/// A server has 16 databases unless it is told otherwise.
#[test]
fn one_that_does_not_exist_fails_alone() {
    needs!("redis-server");
    let redis = redis();
    let gauge = Streamgauge::of(&redis.url(), &["--redis.database", "1,99"]);
    let metrics = gauge.poll();
    metrics.check(&[("redis_up", Some(0.0)), (&of(LENGTH, "db1"), Some(2.0)), (&of(LENGTH, "db99"), None)]);
    let error = gauge.groups()["servers"][0]["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("cannot connect to 127.0.0.1:"), "{error}");
    assert!(error.ends_with(", database 99: SELECT: ERR DB index is out of range"), "{error}");
    let logged = gauge.logged("redis can be polled in part only");
    assert_eq!(logged.len(), 1, "{logged:?}");

    // The other one goes on.
    redis.run_on(1, &["XADD orders * n 1"]);
    gauge.poll().check(&[("redis_up", Some(0.0)), (&of(LENGTH, "db1"), Some(3.0))]);
}

#[test]
fn a_connection_that_breaks_is_replaced_in_each() {
    needs!("redis-server");
    let redis = redis();
    let gauge = Streamgauge::of(&redis.url(), &["--redis.database", "0,1"]);
    redis.run(&["CLIENT KILL TYPE normal SKIPME yes"]);
    let metrics = gauge.poll();
    metrics.check(&[
        ("redis_up", Some(1.0)),
        (&of(LENGTH, "db0"), Some(1.0)),
        (&of(LENGTH, "db1"), Some(2.0)),
    ]);
    let errors: f64 = metrics.all("streamgauge_poll_errors_total").iter().map(|sample| sample.value).sum();
    assert_eq!(errors, 0.0);
}
