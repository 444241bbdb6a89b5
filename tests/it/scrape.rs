//! What scrapers get that come between two polls, at once, or while the servers change: what is shared between scrapes must
//! be true in each.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::{
    exporter::{Launch, Streamgauge},
    fake::FakeRedis,
    http::{self, Answer},
    process::allow_open_files,
    redis::RedisServer,
    samples::Samples,
    tool::{needs, promtool_check},
    wait,
};

const GZIP: (&str, &str) = ("accept-encoding", "gzip");
const OPENMETRICS: (&str, &str) = ("accept", "application/openmetrics-text;version=1.0.0");

/// Nothing changes after the first poll.
const ONE_POLL: [&str; 2] = ["--poll.interval", "1h"];

fn once() -> Streamgauge {
    Streamgauge::of(&FakeRedis::start(|_| None).url(), &ONE_POLL)
}

/// The lines that are of streams, groups and consumers.
fn of_streams(text: &str) -> String {
    text.lines().filter(|line| line.contains("stream=\"")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_form_of_one_snapshot_says_the_same() {
    let gauge = once();
    let forms: [&[_]; 4] = [&[], &[GZIP], &[OPENMETRICS], &[OPENMETRICS, GZIP]];
    let first = of_streams(gauge.get("/metrics", &[]).text());
    assert!(first.contains("redis_stream_length{"), "{first}");
    for headers in forms.iter().chain(&forms) {
        let answer = gauge.get("/metrics", headers);
        let is_gzip = headers.contains(&GZIP);
        assert_eq!(answer.header("content-encoding"), is_gzip.then_some("gzip"), "{headers:?}");
        assert_eq!(answer.header("vary"), Some("accept, accept-encoding"), "{headers:?}");
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
        let text = if is_gzip { answer.gunzipped() } else { answer.text().to_owned() };
        assert_eq!(of_streams(&text), first, "{headers:?}");
        let is_openmetrics = headers.contains(&OPENMETRICS);
        assert_eq!(text.ends_with("\n# EOF\n"), is_openmetrics, "{headers:?}");
    }
}

#[test]
fn a_head_tells_of_the_answer_that_a_get_would_have() {
    let gauge = once();
    for headers in [&[][..], &[GZIP], &[OPENMETRICS, GZIP]] {
        let head = http::request("HEAD", gauge.address, "/metrics", headers).unwrap();
        let get = gauge.get("/metrics", headers);
        assert!(head.body.is_empty());
        for name in ["content-type", "content-encoding", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{name} for {headers:?}");
        }
        // Numbers of the process may be longer by then.
        assert!(head.header("content-length").is_some(), "{headers:?}");
    }
}

#[test]
fn compressed_for_those_only_who_can_read_it() {
    let gauge = once();
    for accept in ["gzip;q=0", "identity", "gzip;q=0, *", "br", "gzip;q=0.2, identity;q=0.9"] {
        let answer = gauge.get("/metrics", &[("accept-encoding", accept)]);
        assert_eq!(answer.header("content-encoding"), None, "{accept}");
        assert!(answer.text().contains("redis_stream_length{"), "{accept}");
    }
    for accept in ["gzip;q=0.1", "deflate, gzip", "*"] {
        let answer = gauge.get("/metrics", &[("accept-encoding", accept)]);
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{accept}");
        assert!(answer.gunzipped().contains("redis_stream_length{"), "{accept}");
    }
}

#[test]
fn promtool_reads_what_is_put_together() {
    needs!("promtool");
    let gauge = once();
    for _ in 0..2 {
        assert_eq!(promtool_check(&gauge.get("/metrics", &[GZIP]).gunzipped()), Ok(()));
    }
}

#[test]
fn what_is_of_the_process_moves_between_two_polls() {
    let gauge = once();
    let cpu = || {
        let samples = Samples::parse(&gauge.get("/metrics", &[GZIP]).gunzipped());
        let commands = samples.value("streamgauge_redis_commands_total").unwrap();
        (samples.value("process_cpu_seconds_total").unwrap(), commands)
    };
    let (first, commands) = cpu();
    // The kernel counts hundredths of a second: scrapes use some up.
    wait::until_true("the CPU time to grow", || cpu().0 > first);
    assert_eq!(cpu().1, commands, "there was no other poll");
}

#[test]
fn what_becomes_stale_goes_from_an_exposition_that_was_written() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 10);
    // No poll fails within the test, so that nothing but time makes the difference.
    let lasting = ["--poll.timeout", "1h", "--redis.timeout", "1h"];
    let arguments = [&["--poll.interval", "1s", "--poll.stale-after", "3"], &lasting[..]].concat();
    let gauge = Streamgauge::of(&redis.url(), &arguments);
    let length = r#"redis_stream_length{stream="orders"}"#;
    let scrape = || Samples::parse(&gauge.get("/metrics", &[GZIP]).gunzipped());
    assert_eq!(scrape().value(length), Some(10.0));
    redis.pause();
    wait::until_true("the stream to go", || {
        let samples = scrape();
        let (up, length) = (samples.value("redis_up"), samples.value(length));
        assert_eq!(up == Some(1.0), length.is_some(), "up {up:?}, length {length:?}");
        length.is_none()
    });
    assert!(scrape().value("streamgauge_poll_last_success_timestamp_seconds").is_some());
}

#[test]
fn many_scrapers_at_once_each_get_all_of_it() {
    let gauge = once();
    let forms: [&[_]; 4] = [&[], &[GZIP], &[OPENMETRICS], &[OPENMETRICS, GZIP]];
    let expected = of_streams(gauge.get("/metrics", &[]).text());
    thread::scope(|scope| {
        for scraper in 0..24 {
            let (gauge, expected) = (&gauge, &expected);
            scope.spawn(move || {
                for round in 0..8 {
                    let headers = forms[(scraper + round) % forms.len()];
                    let answer = gauge.get("/metrics", headers);
                    let text =
                        if headers.contains(&GZIP) { answer.gunzipped() } else { answer.text().into() };
                    assert_eq!(of_streams(&text), *expected);
                }
            });
        }
    });
}

/// The servers that an exposition has, by their series and by those of their streams.
fn servers(answer: &Answer) -> (Vec<String>, Vec<String>) {
    let samples = Samples::parse(&answer.gunzipped());
    let of = |selector: &str| {
        let mut servers: Vec<_> =
            samples.all(selector).into_iter().map(|sample| sample.labels["redis"].clone()).collect();
        servers.sort();
        servers
    };
    (of("redis_up"), of("redis_stream_length"))
}

/// Tells the others that a test has ended, however it does.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn servers_come_and_go_while_it_is_scraped() {
    let (one, two) = (FakeRedis::start(|_| None), FakeRedis::start(|_| None));
    let yaml = |servers: &[(&str, &FakeRedis)]| {
        let servers: Vec<_> =
            servers.iter().map(|(name, redis)| format!("{{name: {name}, url: '{}'}}", redis.url())).collect();
        format!("poll: {{interval: 100ms}}\nredis: [{}]\n", servers.join(", "))
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), yaml(&[("one", &one)])).unwrap();
    let arguments = ["--web.enable-lifecycle", "--config.file", file.path().to_str().unwrap()];
    let gauge = Launch::new("serve").args(&arguments).start();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    let (up, measured) = servers(&gauge.get("/metrics", &[GZIP]));
                    assert!(measured.iter().all(|server| up.contains(server)), "{measured:?} of {up:?}");
                }
            });
        }
        let _end = End(&ended);
        for (configured, names) in [
            (yaml(&[("one", &one), ("two", &two)]), vec!["one", "two"]),
            (yaml(&[("two", &two)]), vec!["two"]),
            (yaml(&[("other", &two), ("one", &one)]), vec!["one", "other"]),
        ] {
            std::fs::write(file.path(), configured).unwrap();
            assert_eq!(http::request("POST", gauge.address, "/-/reload", &[]).unwrap().status, 200);
            let (up, _) = servers(&gauge.get("/metrics", &[GZIP]));
            assert_eq!(up, names, "at once");
            wait::until_true("all to be measured", || servers(&gauge.get("/metrics", &[GZIP])).1 == names);
        }
    });
}

/// More text than the kernel takes off the exporter's hands.
fn of_much_text() -> Streamgauge {
    let redis = RedisServer::start();
    let fill = "for s = 1, 1000 do for g = 1, 20 do \
                redis.call('XGROUP', 'CREATE', 'stream-' .. s, 'group-' .. g, '0', 'MKSTREAM') end end";
    redis.ask::<Option<String>>(&["EVAL", fill, "0"]);
    Streamgauge::of(&redis.url(), &ONE_POLL)
}

/// A client that has asked for the text, and reads nothing.
fn asking(gauge: &Streamgauge) -> TcpStream {
    let mut client = TcpStream::connect(gauge.address).unwrap();
    client.write_all(b"GET /metrics HTTP/1.1\r\nhost: streamgauge\r\nconnection: close\r\n\r\n").unwrap();
    client
}

/// Waits until nothing more comes, since nothing is read. Returns how many bytes have come.
fn stuck(client: &TcpStream) -> usize {
    let mut arrived = vec![0; 64 << 20];
    let mut steady = (0, 0);
    wait::until_true("the answer to be stuck", || {
        thread::sleep(Duration::from_millis(20));
        let bytes = client.peek(&mut arrived).unwrap();
        steady = if bytes == steady.0 { (bytes, steady.1 + 1) } else { (bytes, 0) };
        steady.1 == 20
    });
    steady.0
}

/// Whoever asks for a text and never takes it does not keep it in memory for ever.
#[test]
fn a_client_that_does_not_take_its_answer_is_cut_whichever_protocol_it_speaks() {
    needs!("redis-server");
    let gauge = of_much_text();
    let mut of_http1 = asking(&gauge);
    stuck(&of_http1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // Over HTTP/2 nothing of it is ever sent: there is no window. Whether the client is there, it says when asked.
    let (of_http2, client, answer) = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(gauge.address).await.unwrap();
        let mut http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        http2.initial_stream_window_size(0);
        let (mut client, connection) = http2.handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = hyper::Request::get("http://streamgauge/metrics").body(Empty::<Bytes>::new()).unwrap();
        let answer = client.send_request(request).await.unwrap();
        (connection, client, answer)
    });
    assert_eq!(answer.status(), 200);
    wait::until_true("the connection of HTTP/2 to be cut", || of_http2.is_finished());
    // The other one was there first. What the kernel took of its answer is there still, and after it nothing.
    let mut taken = Vec::new();
    drop((client, answer));
    let ended = of_http1.read_to_end(&mut taken);
    assert!(ended.is_err() || taken.len() < gauge.get("/metrics", &[]).body.len(), "{}", taken.len());
}

/// Of the connections that may be open at once, those in the midst of an answer are the last to give way.
#[test]
fn a_slow_reader_outlasts_a_crowd_of_idle_connections() {
    needs!("redis-server");
    allow_open_files(2000);
    let gauge = of_much_text();
    let mut slow = asking(&gauge);
    let arrived = stuck(&slow);
    let crowd: Vec<_> = (0..600).map(|_| TcpStream::connect(gauge.address).unwrap()).collect();
    assert_eq!(gauge.get("/-/healthy", &[]).status, 200);
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).unwrap();
    drop(crowd);
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let length = String::from_utf8_lossy(&answer[..head]).lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    assert!(arrived < answer.len(), "all {} bytes came at once", answer.len());
    assert_eq!(length, Some(answer.len() - head));
}
