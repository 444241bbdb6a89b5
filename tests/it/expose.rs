//! What the web port answers, and to whom.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::support::{
    exporter::{Launch, Streamgauge},
    fake::{FakeRedis, Reply},
    http,
    redis::RedisServer,
    samples::Samples,
    tool::{needs, promtool_check},
};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Two streams, with groups, consumers and pending entries: something for every metric.
fn full_redis() -> RedisServer {
    let redis = RedisServer::start();
    for stream in ["orders", "emails"] {
        redis.add(stream, 5);
        redis.run(&[
            &format!("XGROUP CREATE {stream} workers 0"),
            &format!("XREADGROUP GROUP workers alice COUNT 3 STREAMS {stream} >"),
        ]);
    }
    redis
}

/// Nothing changes after the first poll.
const ONE_POLL: [&str; 2] = ["--poll.interval", "1h"];

#[test]
fn the_format_is_the_one_that_is_asked_for() {
    let gauge = Streamgauge::of(&FakeRedis::start(|_| None).url(), &ONE_POLL);
    for (accept, content_type) in [
        (None, TEXT),
        // curl
        (Some("*/*"), TEXT),
        // Firefox
        (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), TEXT),
        // Prometheus 2.42
        (
            Some(
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ),
            OPENMETRICS,
        ),
        // Prometheus 3
        (
            Some(
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1",
            ),
            OPENMETRICS,
        ),
        // Prometheus with native histograms asks for protobuf first, which is not served.
        (
            Some(
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                 application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ),
            OPENMETRICS,
        ),
        (Some("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.1"), TEXT),
        (Some("application/openmetrics-text;version=2.0.0"), TEXT),
        (Some("image/png"), TEXT),
    ] {
        let headers: Vec<_> = accept.map(|accept| ("accept", accept)).into_iter().collect();
        let answer = gauge.get("/metrics", &headers);
        assert_eq!(answer.status, 200, "{accept:?}");
        assert_eq!(answer.header("content-type"), Some(content_type), "{accept:?}");
        let is_openmetrics = content_type == OPENMETRICS;
        assert_eq!(answer.text().ends_with("# EOF\n"), is_openmetrics, "{accept:?}: {}", answer.text());
        // In OpenMetrics a counter's metadata do not carry its suffix; in the older text they must.
        let metadata = format!(
            "# TYPE streamgauge_redis_commands{} counter",
            if is_openmetrics { "" } else { "_total" }
        );
        assert!(answer.text().contains(&metadata), "{accept:?}: {}", answer.text());
        let samples = Samples::parse(answer.text());
        assert_eq!(samples.value(r#"redis_stream_length{stream="orders"}"#), Some(10.0), "{accept:?}");
    }
}

#[test]
fn promtool_finds_nothing_to_say() {
    needs!("redis-server", "promtool");
    let gauge = Streamgauge::of(&full_redis().url(), &ONE_POLL);
    let answer = gauge.get("/metrics", &[]);
    assert!(answer.text().contains("redis_stream_group_consumer_idle_seconds{"), "{}", answer.text());
    assert_eq!(promtool_check(answer.text()), Ok(()));
    // The check itself must be able to fail.
    assert!(promtool_check("a_total{ 1\n").is_err());
    // An exporter whose Redis is down must be read as well.
    let gauge = Streamgauge::of("redis://127.0.0.1:1", &ONE_POLL);
    assert_eq!(promtool_check(gauge.get("/metrics", &[]).text()), Ok(()));
}

#[test]
fn compressed_only_when_asked() {
    let gauge = Streamgauge::of(&FakeRedis::start(|_| None).url(), &ONE_POLL);
    for path in ["/metrics", "/", "/api/v1/groups"] {
        let plain = gauge.get(path, &[]);
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        let gzipped = gauge.get(path, &[("accept-encoding", "gzip")]);
        assert_eq!(gzipped.header("content-encoding"), Some("gzip"), "{path}");
        let beginning = |text: &str| text.chars().take(100).collect::<String>();
        assert_eq!(beginning(&gzipped.gunzipped()), beginning(plain.text()), "{path}");
        assert_eq!(gzipped.gunzipped().lines().count(), plain.text().lines().count(), "{path}");
    }
}

#[test]
fn every_path_answers() {
    let gauge = Streamgauge::of(&FakeRedis::start(|_| None).url(), &["--web.telemetry-path", "/numbers"]);
    for (method, path, status, content_type) in [
        ("GET", "/", 200, Some("text/html; charset=utf-8")),
        ("GET", "/numbers", 200, Some(TEXT)),
        ("HEAD", "/numbers", 200, Some(TEXT)),
        ("GET", "/api/v1/groups", 200, Some("application/json")),
        ("GET", "/-/healthy", 200, None),
        ("GET", "/-/ready", 200, None),
        ("GET", "/healthz", 200, None),
        ("GET", "/readyz", 200, None),
        ("GET", "/livez", 200, None),
        ("POST", "/-/reload", 403, None),
        ("GET", "/-/reload", 405, None),
        ("GET", "/metrics", 404, None),
        ("GET", "/nothing", 404, None),
        ("GET", "/api/v1/nothing", 404, None),
        ("GET", "/%00%ff", 404, None),
        ("DELETE", "/numbers", 405, None),
    ] {
        let answer = http::request(method, gauge.address, path, &[]).unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
        if content_type.is_some() {
            assert_eq!(answer.header("content-type"), content_type, "{method} {path}");
        }
        assert_eq!(
            answer.body.is_empty(),
            method == "HEAD" || status == 405,
            "{method} {path}: {}",
            answer.text()
        );
    }
    let page = gauge.get("/", &[]);
    assert!(page.text().contains("href=\"/numbers\""), "{}", page.text());
}

#[test]
fn not_ready_before_the_first_poll_of_every_server_has_ended() {
    let silent = FakeRedis::start(|words| (words == ["TIME"]).then_some(Reply::Never));
    let well = FakeRedis::start(|_| None);
    let file = tempfile::NamedTempFile::new().unwrap();
    let yaml = format!(
        "redis: [{{name: well, url: '{}'}}, {{name: silent, url: '{}', timeout: 1h}}]\n",
        well.url(),
        silent.url()
    );
    std::fs::write(file.path(), yaml).unwrap();
    let gauge = Launch::new("serve").args(&["--config.file", file.path().to_str().unwrap()]).start();
    gauge.until(r#"redis_up{redis="well"}"#, Some(1.0)).check(&[(r#"redis_up{redis="silent"}"#, Some(0.0))]);
    for (path, status) in
        [("/readyz", 503), ("/-/ready", 503), ("/healthz", 200), ("/livez", 200), ("/-/healthy", 200)]
    {
        let answer = gauge.get(path, &[]);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        if status == 503 {
            assert!(answer.text().contains("silent") && !answer.text().contains("well"), "{}", answer.text());
        }
    }
}

/// More of them than requests that are answered at once: they must not hold a place before their request is there.
#[test]
fn slow_clients_keep_nobody_waiting() {
    let gauge = Streamgauge::of(&FakeRedis::start(|_| None).url(), &[]);
    let mut slow: Vec<_> = (0..64)
        .map(|_| {
            let mut client = TcpStream::connect(gauge.address).unwrap();
            client.write_all(b"GET /metrics HTTP/1.1\r\nHost: slow\r\n").unwrap();
            client
        })
        .collect();
    for path in ["/metrics", "/", "/healthz"] {
        assert_eq!(gauge.get(path, &[]).status, 200, "{path}");
    }
    // And they get their answer, once they have asked.
    for client in &mut slow {
        client.write_all(b"Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

#[test]
fn nonsense_is_refused() {
    let gauge = Streamgauge::of(&FakeRedis::start(|_| None).url(), &[]);
    let long = format!("GET /metrics HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "a".repeat(1 << 20));
    for request in ["nonsense\r\n\r\n", "GET /metrics HTTP/9.9\r\n\r\n", &long] {
        let mut client = TcpStream::connect(gauge.address).unwrap();
        // It may be cut off before it has said everything.
        let _ = client.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains(" 200 "), "{:.60}: {answer:.200}", request);
    }
    assert_eq!(gauge.get("/metrics", &[]).status, 200);
}
