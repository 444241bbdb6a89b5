//! How the program starts and how it ends.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::support::{
    exporter::{Launch, Streamgauge},
    fake::{FakeRedis, Reply},
    http,
    redis::{RedisServer, free_port},
    samples::Samples,
    tool::needs,
    wait,
};

#[test]
fn a_signal_ends_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut gauge = Streamgauge::of(&FakeRedis::start(|_| None).url(), &[]);
        gauge.process.signal(signal);
        assert_eq!(gauge.process.wait().code(), Some(0), "{signal:?}: {}", gauge.process.stderr.text());
        wait::until_true("the log to tell of the end", || gauge.logged("ended").len() == 1);
        assert!(http::get(gauge.address, "/healthz", &[]).is_err(), "somebody still answers");
    }
}

/// An answer larger than all buffers in between, which the client does not read until the end was asked for.
#[test]
fn what_is_under_way_is_answered() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let fill = "redis.call('XADD', KEYS[1], '*', 'n', 1); \
                for i = 1, 700 do redis.call('XGROUP', 'CREATE', KEYS[1], string.rep('g', 900)..i, 0) end";
    let stream = "s".repeat(900);
    redis.ask::<()>(&["EVAL", fill, "1", &stream]);
    let mut gauge = Streamgauge::of(&redis.url(), &["--poll.interval", "1h"]);
    let mut client = TcpStream::connect(gauge.address).unwrap();
    client.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    client.peek(&mut [0]).unwrap();

    gauge.process.signal(Signal::TERM);
    let ending = "ending: not ready from now on, answering what is under way";
    wait::until_true("the end to begin", || gauge.logged(ending).len() == 1);
    wait::until_true("the port to close", || TcpStream::connect(gauge.address).is_err());
    assert_eq!(gauge.process.exit_status(), None, "it did not wait for the answer to be read");

    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    assert_eq!(length, Some(body.len()), "{head}");
    assert_eq!(Samples::parse(body).all("redis_stream_group_lag").len(), 700);
    assert_eq!(gauge.process.wait().code(), Some(0), "{}", gauge.process.stderr.text());
}

#[test]
fn it_ends_while_redis_hangs() {
    // With an hour to answer, only the signal can end the poll.
    let redis = FakeRedis::start(|words| (words == ["TIME"]).then_some(Reply::Never));
    let arguments = ["--redis.url", &redis.url(), "--redis.timeout", "1h"];
    let mut gauge = Launch::new("serve").args(&arguments).start();
    wait::until_true("a poll to begin", || redis.connections() > 0);
    gauge.process.signal(Signal::TERM);
    assert_eq!(gauge.process.wait().code(), Some(0), "{}", gauge.process.stderr.text());

    for (signal, polls) in [(Signal::INT, 1), (Signal::HUP, 2)] {
        let mut groups = Launch::new("groups").args(&arguments).spawn();
        wait::until_true("a poll to begin", || redis.connections() > polls);
        groups.signal(signal);
        assert_eq!(groups.wait().code(), Some(0), "{}", groups.stderr.text());
    }
}

/// The terminal was closed: nobody looks any more.
#[test]
fn a_hangup_ends_what_watches() {
    let redis = FakeRedis::start(|_| None);
    let mut groups = Launch::new("groups").args(&["--watch", "1h", "--redis.url", &redis.url()]).spawn();
    wait::until_true("the table", || groups.stdout.text().contains("orders"));
    groups.signal(Signal::HUP);
    assert_eq!(groups.wait().code(), Some(0), "{}", groups.stderr.text());
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let redis = FakeRedis::start(|_| None);
    for addresses in [taken.clone(), format!("127.0.0.1:0,{taken}")] {
        let output = Launch::new("serve")
            .args(&["--redis.url", &redis.url(), "--web.listen-address", &addresses])
            .output();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&taken) && said.contains("in use"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!(redis.connections(), 0, "something was started");
}

#[test]
fn groups_of_a_redis_that_is_down() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 2);
    redis.run(&["XGROUP CREATE orders workers 0"]);
    let down = free_port();
    let file = tempfile::NamedTempFile::new().unwrap();
    let yaml =
        format!("redis: [{{name: well, url: '{}'}}, {{name: lost, url: '127.0.0.1:{down}'}}]\n", redis.url());
    fs::write(file.path(), yaml).unwrap();
    for format in ["table", "json"] {
        let output = Launch::new("groups")
            .args(&["--output", format, "--config.file", file.path().to_str().unwrap()])
            .output();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let (shown, said) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(said.contains("lost") && said.contains(&format!("127.0.0.1:{down}")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        // The other one is shown all the same.
        assert!(shown.contains("workers"), "{shown}");
    }
}

#[test]
fn groups_into_a_pipe_that_is_closed() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let fill = "for i = 1, 3000 do redis.call('XADD', 'stream-'..i, '*', 'n', 1) end";
    redis.ask::<()>(&["EVAL", fill, "0"]);
    let script = r#""$0" groups --redis.url "$1" | head -n 1"#;
    let output = Command::new("bash")
        .args(["-o", "pipefail", "-c", script, env!("CARGO_BIN_EXE_streamgauge"), &redis.url()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(output.stdout.starts_with(b"REDIS "), "{:?}", output.stdout);
    assert_eq!(output.status.code(), Some(0));
}
