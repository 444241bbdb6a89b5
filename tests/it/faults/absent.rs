//! Redis is not there, goes away, hangs or refuses: the exporter lives on, says so, and comes back by itself.

use crate::support::{
    exporter::Streamgauge,
    redis::{RedisServer, free_port},
    samples::Samples,
    tool::needs,
    wait,
};

const LAG: &str = r#"redis_stream_group_lag{stream="orders",group="workers"}"#;

fn fill(redis: &RedisServer) {
    redis.add("orders", 3);
    redis.run(&["XGROUP CREATE orders workers 0"]);
}

/// Everything about Redis but redis_up.
fn measured(metrics: &Samples) -> Vec<&str> {
    let names = metrics.0.iter().map(|sample| sample.name.as_str());
    names.filter(|name| name.starts_with("redis_") && *name != "redis_up").collect()
}

#[track_caller]
fn until_stale(gauge: &Streamgauge) -> Samples {
    wait::until("the measurement to be stale", || {
        let metrics = gauge.metrics();
        match (metrics.value("redis_up"), &measured(&metrics)[..]) {
            (Some(0.0), []) => Ok(metrics),
            other => Err(format!("{other:?}")),
        }
    })
}

/// Stale after 3 intervals, as by default.
const STALE: [&str; 6] = ["--poll.interval", "200ms", "--poll.stale-after", "3", "--redis.timeout", "500ms"];

#[test]
fn absent_at_the_start() {
    needs!("redis-server");
    let port = free_port();
    let gauge = Streamgauge::of(&format!("redis://127.0.0.1:{port}"), &[]);
    let metrics = gauge.metrics();
    metrics.check(&[("redis_up", Some(0.0))]);
    assert_eq!(measured(&metrics), Vec::<&str>::new());
    assert!(metrics.value(r#"streamgauge_poll_errors_total{kind="connect"}"#) >= Some(1.0));
    let server = &gauge.groups()["servers"][0];
    assert_eq!(server["up"], false);
    assert!(server["error"].as_str().unwrap().contains(&format!("127.0.0.1:{port}")), "{server}");

    let redis = RedisServer::on(port, &[]);
    fill(&redis);
    gauge.until(LAG, Some(3.0)).check(&[("redis_up", Some(1.0))]);
}

#[test]
fn killed_and_started_again() {
    needs!("redis-server");
    let mut redis = RedisServer::start();
    fill(&redis);
    let gauge = Streamgauge::of(&redis.url(), &STALE);
    gauge.until(LAG, Some(3.0));
    redis.kill();
    let metrics = until_stale(&gauge);
    // What the exporter knows of itself is still there, and so is when it last saw Redis.
    for name in [
        "streamgauge_build_info",
        "process_resident_memory_bytes",
        "streamgauge_poll_last_success_timestamp_seconds",
    ] {
        assert_eq!(metrics.all(name).len(), 1, "{name}");
    }
    redis.restart(&[]);
    redis.add("orders", 1);
    redis.run(&["XGROUP CREATE orders workers 0"]);
    gauge.until(LAG, Some(1.0)).check(&[("redis_up", Some(1.0))]);
    assert_eq!(gauge.logged("redis is up").len(), 2);
}

/// What was counted through many polls is still known, since it is the same process that answers.
#[test]
fn a_broken_connection_costs_no_knowledge() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let fill = "for i = 1, 3000 do redis.call('XADD', 'orders', i, 'n', 1) end; \
                redis.call('XGROUP', 'CREATE', 'orders', 'workers', 1500)";
    redis.ask::<()>(&["EVAL", fill, "0"]);
    let gauge = Streamgauge::of(&redis.url(), &[]);
    const BOUNDED: &str = r#"redis_stream_group_lag_source{source="bounded"}"#;
    gauge.metrics().check(&[(BOUNDED, Some(1.0))]);
    gauge.until(BOUNDED, None);
    for _ in 0..3 {
        redis.run(&["CLIENT KILL TYPE normal SKIPME yes"]);
        gauge.poll().check(&[(BOUNDED, None), (LAG, Some(1500.0)), ("redis_up", Some(1.0))]);
    }
    assert!(gauge.logged("redis cannot be polled").is_empty());
}

#[test]
fn hanging() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill(&redis);
    let gauge = Streamgauge::of(&redis.url(), &STALE);
    gauge.until(LAG, Some(3.0));
    redis.pause();
    until_stale(&gauge);
    // The process is well, and Redis's hanging is its news.
    assert_eq!(gauge.get("/healthz", &[]).status, 200);
    assert_eq!(gauge.get("/readyz", &[]).status, 200);
    assert_eq!(gauge.get("/", &[]).status, 200);
    wait::until("a timeout to be counted", || {
        let timeouts = gauge.metrics().value(r#"streamgauge_poll_errors_total{kind="timeout"}"#);
        if timeouts >= Some(1.0) { Ok(()) } else { Err(format!("{timeouts:?}")) }
    });
    redis.resume();
    gauge.until(LAG, Some(3.0)).check(&[("redis_up", Some(1.0))]);
}

#[test]
fn wrong_password_then_the_right_one() {
    needs!("redis-server");
    let redis = RedisServer::with(&["--requirepass", "right-horse"]);
    fill(&redis);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "wrong-horse\n").unwrap();
    let gauge = Streamgauge::of(&redis.url(), &["--redis.password-file", file.path().to_str().unwrap()]);
    let metrics = gauge.metrics();
    metrics.check(&[("redis_up", Some(0.0))]);
    assert!(metrics.value(r#"streamgauge_poll_errors_total{kind="auth"}"#) >= Some(1.0));
    // The file is read anew for every connection: a secret can be rotated.
    std::fs::write(file.path(), "right-horse\n").unwrap();
    gauge.until("redis_up", Some(1.0)).check(&[(LAG, Some(3.0))]);
    let logged = gauge.logged("redis cannot be polled");
    assert_eq!(logged.len(), 1, "{logged:?}");
}

/// A user that needs no password is still the user, and never the default one instead.
#[test]
fn a_user_without_a_password() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill(&redis);
    redis.run(&["ACL SETUSER open on nopass ~* +@all", "ACL SETUSER closed on >secret ~* +@all"]);
    for (user, up) in [("open", 1.0), ("closed", 0.0), ("nobody", 0.0)] {
        let gauge = Streamgauge::of(&redis.url(), &["--redis.username", user]);
        gauge.metrics().check(&[("redis_up", Some(up))]);
        let clients: String = redis.ask(&["CLIENT", "LIST"]);
        assert_eq!(
            clients.split_whitespace().any(|field| field == format!("user={user}")),
            up == 1.0,
            "{clients}"
        );
    }
}
