//! Clients that mean harm, or do it.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::{Adapter, EXTERNAL, FRONT_PROXY, USER, refusal};
use crate::support::{
    https::{Https, Protocol, runtime},
    pki::{Authority, Pair},
    process::allow_open_files,
    redis::RedisServer,
    wait,
};

fn adapter() -> (RedisServer, Adapter) {
    let redis = RedisServer::start();
    redis.run(&["XGROUP CREATE orders workers 0 MKSTREAM"]);
    redis.add("orders", 5);
    let adapter = Adapter::of(&redis.url());
    (redis, adapter)
}

fn backlog() -> String {
    format!("{EXTERNAL}/shop/redis_stream_group_backlog")
}

#[test]
fn hostile_paths_are_refused_one_by_one() {
    let (_redis, adapter) = adapter();
    let custom = "/apis/custom.metrics.k8s.io/v1beta2";
    for (path, codes) in [
        ("/apis/../etc/passwd".to_owned(), &[404][..]),
        (format!("{EXTERNAL}/shop/../../../healthz"), &[404]),
        (format!("{EXTERNAL}/shop/redis_stream_length%00"), &[404]),
        (format!("{EXTERNAL}/shop/%2e%2e%2f%2e%2e%2fapis"), &[404]),
        (format!("{EXTERNAL}/shop/%ff%fe"), &[400, 404]),
        (format!("{EXTERNAL}/%zz/redis_stream_length"), &[200, 400, 404]),
        (format!("{EXTERNAL}//redis_stream_length"), &[404]),
        (format!("{EXTERNAL}/shop/"), &[404]),
        (format!("{custom}/namespaces/shop/pods/%2e%2e/redis_stream_pending_messages"), &[503]),
        (format!("{custom}/namespaces/..%2f..%2fsecrets/pods/*/redis_stream_pending_messages"), &[503]),
        (format!("{custom}/namespaces/shop/{}/x/redis_stream_group_lag", "a".repeat(5000)), &[503]),
        (format!("{}?labelSelector={}", backlog(), "%FF".repeat(100)), &[400, 404]),
        (format!("{}?{}", backlog(), "&".repeat(10_000)), &[200]),
        (format!("{}?labelSelector={}", backlog(), "a%20in%20(".repeat(3000)), &[400]),
        (format!("{}?labelSelector=stream%20in%20({})", backlog(), "x,".repeat(20_000)), &[404]),
    ] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let answer = adapter.client.clone().over(protocol).get(&path, &[USER]);
            let shown: String = path.chars().take(120).collect();
            assert!(codes.contains(&answer.status), "{protocol:?} {shown}: {}", answer.status);
        }
    }
    assert_eq!(adapter.values(&backlog()), ["5"]);
}

#[test]
fn a_selector_of_100_kb_is_refused_and_costs_nothing_else() {
    let (_redis, adapter) = adapter();
    let path = |bytes| format!("{}?labelSelector=stream%3D{}", backlog(), "x".repeat(bytes));
    let status = runtime().block_on(async {
        let mut stream = adapter.client.connect().await.unwrap();
        let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n{}: {}\r\n\r\n", path(100_000), USER.0, USER.1);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    });
    assert_eq!(status, "HTTP/1.1 414");
    // Just below the longest URI that there is: a name like any other.
    adapter.refusal(&path(60_000), 404);
    refusal(&adapter.client.clone().over(Protocol::Http2).get(&path(60_000), &[USER]), 404);
    assert_eq!(adapter.values(&backlog()), ["5"]);
}

/// Certificates among which a path would have to be looked for: the client is not let in, and nobody waits for it.
#[test]
fn a_maze_of_certificates_is_not_entered() {
    let (_redis, adapter) = adapter();
    let chain = |length: usize| {
        let own = adapter.authority.client(FRONT_PROXY);
        let others: String = (0..length).map(|_| Authority::new("front-proxy-ca").certificate).collect();
        Https::new(adapter.address, Some(&Pair { certificate: own.certificate + &others, key: own.key }))
    };
    assert_eq!(chain(0).get("/apis", &[USER]).status, 200);
    assert_eq!(chain(3).get("/apis", &[USER]).status, 200);
    for length in [4, 14] {
        let error = chain(length).try_get("/apis", &[USER]).err().unwrap();
        assert!(error.contains("AccessDenied") || error.contains("alert"), "{error}");
    }
    assert_eq!(adapter.values(&backlog()), ["5"]);
}

/// A user of Kubernetes may be in hundreds of groups, and the API server names them all.
#[test]
fn users_of_many_groups_are_answered() {
    let (_redis, adapter) = adapter();
    let groups: Vec<_> =
        (0..1000).map(|number| format!("group-of-users-with-a-long-name-number-{number}")).collect();
    let headers: Vec<_> =
        groups.iter().map(|group| ("X-Remote-Group", group.as_str())).chain([USER]).collect();
    let answer = adapter.client.clone().over(Protocol::Http2).get(&backlog(), &headers);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Whoever has connected and says nothing does not hold up the end.
#[test]
fn silent_connections_hold_up_no_end() {
    let (_redis, mut adapter) = adapter();
    let silent: Vec<_> = (0..10).map(|_| std::net::TcpStream::connect(adapter.address).unwrap()).collect();
    assert_eq!(adapter.values(&backlog()), ["5"]);
    adapter.gauge.process.signal(rustix::process::Signal::TERM);
    assert!(adapter.gauge.process.wait().success());
    let cut = adapter.gauge.logged("connections were cut: they did not end in time");
    assert!(cut.is_empty(), "{cut:?}");
    drop(silent);
}

#[test]
fn only_reading_is_served() {
    let (_redis, adapter) = adapter();
    let runtime = runtime();
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for path in [&backlog(), "/apis", "/openapi/v2"] {
            let answer = runtime.block_on(adapter.client.send(method, path, &[USER])).unwrap();
            assert_eq!(refusal(&answer, 405), "only GET and HEAD are served here", "{method} {path}");
            let answer =
                runtime.block_on(Https::new(adapter.address, None).send(method, path, &[USER])).unwrap();
            refusal(&answer, 401);
        }
    }
    let head = runtime.block_on(adapter.client.send("HEAD", &backlog(), &[USER])).unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
}

/// Ten thousand connections of strangers at once, some silent, some half way through: the API server gets its answer all
/// the same, and the process does not grow with them.
#[test]
fn a_crowd_of_strangers_keeps_nobody_out() {
    const CROWD: usize = 10_000;
    allow_open_files(CROWD as u64 + 2000);
    let (_redis, adapter) = adapter();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (address, client) = (adapter.address, adapter.client.clone());
    let crowd = runtime.block_on(async move {
        let mut connecting = JoinSet::new();
        let mut crowd = Vec::new();
        for number in 0..CROWD {
            connecting.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                // Whether it is still there to be written to is the server's to say.
                let _ = match number % 3 {
                    // Says nothing.
                    0 => Ok(()),
                    // Begins a handshake, and never goes on.
                    1 => stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await,
                    // Speaks no TLS.
                    _ => stream.write_all(b"GET /apis HTTP/1.1\r\nHost: x\r\n").await,
                };
                stream
            });
            if connecting.len() == 100 {
                while let Some(stream) = connecting.join_next().await {
                    crowd.push(stream.unwrap());
                }
                let answer = client.send("GET", &backlog(), &[USER]).await.unwrap();
                assert_eq!(answer.status, 200, "after {number} connections");
            }
        }
        crowd
    });
    assert_eq!(crowd.len(), CROWD);
    // All are open on this side; on the other, the oldest have given way.
    let open = adapter.gauge.metrics().value("process_open_fds").unwrap();
    assert!(open < 700.0, "{open}");
    assert_eq!(adapter.values(&backlog()), ["5"]);
    drop(crowd);
    wait::until("the crowd to be gone", || {
        let open = adapter.gauge.metrics().value("process_open_fds").unwrap();
        if open < 100.0 { Ok(()) } else { Err(open.to_string()) }
    });
}

/// A client that sends its request byte by byte, and one that never reads its answer.
#[test]
fn slow_clients_hold_up_nobody() {
    let (_redis, adapter) = adapter();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (client, path) = (adapter.client.clone(), backlog());
    runtime.block_on(async move {
        let mut slow = client.connect().await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{}: {}\r\n\r\n", USER.0, USER.1);
        let mut idle = Vec::new();
        for _ in 0..100 {
            let mut stream = client.connect().await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            idle.push(stream);
        }
        for byte in request.as_bytes() {
            slow.write_all(&[*byte]).await.unwrap();
            slow.flush().await.unwrap();
        }
        let quick = client.send("GET", &path, &[USER]).await.unwrap();
        assert_eq!(quick.status, 200);
        let mut answer = [0; 12];
        slow.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    });
}

/// The API server has the requests of many on one connection: one that does not take its answer costs no other.
#[test]
fn an_answer_that_is_not_taken_does_not_cut_the_api_server() {
    let (_redis, adapter) = adapter();
    let client = adapter.client.clone().over(Protocol::Http2);
    runtime().block_on(async move {
        let io = TokioIo::new(client.connect().await.unwrap());
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(0);
        let (mut sender, connection) = builder.handshake(io).await.unwrap();
        tokio::spawn(connection);
        let mut ask = async || {
            let uri = format!("https://streamgauge{}", backlog());
            let request = Request::get(uri).header(USER.0, USER.1).body(Empty::<Bytes>::new()).unwrap();
            sender.ready().await.unwrap();
            sender.send_request(request).await.unwrap()
        };
        let untaken = ask().await;
        // Longer than a stranger has.
        tokio::time::sleep(Duration::from_secs(35)).await;
        assert_eq!(
            (untaken.status(), ask().await.status()),
            (200.try_into().unwrap(), 200.try_into().unwrap())
        );
    });
}

/// Many requests at once over one connection, as the API server sends them.
#[test]
fn many_requests_share_one_connection() {
    let (_redis, adapter) = adapter();
    let client = adapter.client.clone().over(Protocol::Http2);
    runtime().block_on(async move {
        let io = TokioIo::new(client.connect().await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let mut answers = JoinSet::new();
        for _ in 0..1000 {
            let mut sender = sender.clone();
            answers.spawn(async move {
                let uri = format!("https://streamgauge{}", backlog());
                let request = Request::get(uri).header(USER.0, USER.1).body(Empty::<Bytes>::new()).unwrap();
                sender.ready().await.unwrap();
                let response = sender.send_request(request).await.unwrap();
                let status = response.status().as_u16();
                (status, response.into_body().collect().await.unwrap().to_bytes())
            });
        }
        let all = tokio::time::timeout(Duration::from_secs(60), answers.join_all()).await.unwrap();
        assert!(all.iter().all(|(status, _)| *status == 200));
    });
}
