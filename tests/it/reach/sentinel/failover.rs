//! Failovers: what is published is right or absent at every moment, and right again once the Sentinels agree.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::*;
use crate::support::http;

/// Reads /metrics all the time.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Seen>>,
}

/// What was published of the stream: its length and the lags of both groups.
type Seen = [Option<f64>; 3];

const SERIES: [&str; 3] = [
    r#"redis_stream_length{stream="orders"}"#,
    LAG,
    r#"redis_stream_group_lag{stream="orders",group="late"}"#,
];

fn seen(metrics: &Samples) -> Seen {
    SERIES.map(|series| metrics.value(series))
}

impl Reader {
    fn start(address: SocketAddr) -> Reader {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let thread = thread::spawn(move || {
            let mut all: Vec<Seen> = Vec::new();
            while !asked.load(Ordering::SeqCst) {
                let answer = http::get(address, "/metrics", &[]).unwrap();
                let now = seen(&Samples::parse(answer.text()));
                if all.last() != Some(&now) {
                    all.push(now);
                }
            }
            all
        });
        Reader { stop, thread }
    }

    /// Everything that was published was right: this, and later that; or nothing.
    #[track_caller]
    fn saw_only(self, first: Seen, later: Seen) {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = self.thread.join().unwrap();
        all.retain(|seen| *seen != [None; 3]);
        all.dedup();
        assert_eq!(all, [first, later]);
    }
}

const BEFORE: Seen = [Some(7.0), Some(7.0), Some(4.0)];
/// Two entries were added to the new primary.
const AFTER: Seen = [Some(9.0), Some(9.0), Some(6.0)];

/// A service whose numbers are fixed, with an exporter of it and a reader.
fn scene() -> (Service, Streamgauge, Reader) {
    let service = Service::with(&Setup { servers: SERVERS, ..Setup::default() });
    service.servers[0].add("orders", 3);
    service.servers[0].run(&["XGROUP CREATE orders late $", "XGROUP CREATE orders workers 0"]);
    service.servers[0].add("orders", 4);
    service.replicated(0, 2);
    // A glob: no failover may lose a stream from it.
    let gauge = Streamgauge::of(&service.url(), &[&LOGIN[..], &["--streams", "ord*"]].concat());
    wait::until("both lags", || match seen(&gauge.metrics()) {
        BEFORE => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let reader = Reader::start(gauge.address);
    (service, gauge, reader)
}

/// The numbers of the new primary from the first poll that begins now, and no poll that fails later.
#[track_caller]
fn right_from_now_on(service: &Service, gauge: &Streamgauge, new: usize) {
    let before = errors(&gauge.metrics());
    service.servers[new].add("orders", 2);
    let metrics = gauge.poll();
    assert_eq!(seen(&metrics), AFTER, "{}", gauge.process.stderr.text());
    metrics.check(&[("redis_up", Some(1.0))]);
    // The poll that was under way may have failed.
    assert!(errors(&metrics) <= before + 1.0, "{}", gauge.process.stderr.text());
    assert_eq!(service.connections(new, USER), Ok(1));
    let logged = gauge.logged("the sentinels say where redis is");
    let place = format!("127.0.0.1:{}", service.ports[new]);
    assert_eq!(logged.last().unwrap()["address"], place.as_str(), "{logged:?}");
}

#[test]
fn by_command_under_load() {
    needs!("redis-server");
    let (service, gauge, reader) = scene();
    let stop = Arc::new(AtomicBool::new(false));
    let (asked, ports) = (stop.clone(), service.ports.clone());
    let load = thread::spawn(move || {
        // Writes to whoever takes them, into a stream that is not measured.
        while !asked.load(Ordering::SeqCst) {
            for port in &ports {
                let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
                let Ok(mut connection) = client.get_connection() else { continue };
                let mut pipeline = redis::pipe();
                (0..50).for_each(|_| {
                    _ = pipeline.cmd("XADD").arg("load").arg("MAXLEN").arg(1000).arg("*").arg("a").arg("b")
                });
                let _ = pipeline.exec(&mut connection);
            }
        }
    });
    let new = service.fail_over(0);
    right_from_now_on(&service, &gauge, new);
    wait_until_the_old_primary_follows(&service);
    assert_eq!(service.connections(0, USER), Ok(0));
    stop.store(true, Ordering::SeqCst);
    load.join().unwrap();
    gauge.poll();
    reader.saw_only(BEFORE, AFTER);
}

#[track_caller]
fn wait_until_the_old_primary_follows(service: &Service) {
    wait::until("the old primary to follow", || {
        let info: String = service.servers[0].try_ask(&["INFO", "replication"])?;
        if info.contains("role:slave") { Ok(()) } else { Err(info) }
    });
}

#[test]
fn after_the_primary_was_killed() {
    needs!("redis-server");
    let (mut service, gauge, reader) = scene();
    service.servers[0].kill();
    // As long as nobody is the primary, the reason is told.
    let error = wait::until("the server to be down", || {
        let groups = gauge.groups();
        groups["servers"][0]["error"].as_str().map(str::to_owned).ok_or_else(|| groups.to_string())
    });
    assert!(error.contains(&format!("127.0.0.1:{}", service.ports[0])), "{error}");
    let new = service.agreed_besides(0);
    right_from_now_on(&service, &gauge, new);
    // It comes back as an empty primary, until the Sentinels see it.
    service.servers[0].restart(SERVERS);
    wait_until_the_old_primary_follows(&service);
    gauge.poll();
    assert_eq!(service.connections(0, USER), Ok(0));
    reader.saw_only(BEFORE, AFTER);
}

#[test]
fn after_the_primary_hung_and_came_back() {
    needs!("redis-server");
    let (service, gauge, reader) = scene();
    service.servers[0].pause();
    let new = service.agreed_besides(0);
    right_from_now_on(&service, &gauge, new);
    // For a moment it takes itself for the primary still, with the old numbers.
    service.servers[0].resume();
    wait_until_the_old_primary_follows(&service);
    gauge.poll();
    assert_eq!(service.connections(0, USER), Ok(0));
    reader.saw_only(BEFORE, AFTER);
}

/// The Sentinels have not noticed yet that the primary was made a replica: it gives no number.
#[test]
fn a_primary_that_was_demoted_is_not_measured() {
    needs!("redis-server");
    let (primary, other) = (RedisServer::start(), RedisServer::start());
    fill(&primary);
    let port = port(&primary.url());
    let sentinel = SentinelServer::start("127.0.0.1", port, 1, &[], None);
    sentinel.ask::<()>(&["SENTINEL", "SET", "shop", "down-after-milliseconds", "600000"]);
    let url = format!("redis+sentinel://127.0.0.1:{}/shop", sentinel.port);
    let gauge = Streamgauge::of(&url, &[]);
    gauge.metrics().check(&[(LAG, Some(3.0))]);
    primary.run(&[&format!("REPLICAOF 127.0.0.1 {}", super::port(&other.url()))]);
    wait::until("the wrong role to be told", || {
        let groups = gauge.groups();
        let error = groups["servers"][0]["error"].as_str().unwrap_or_default();
        let role = format!(
            "127.0.0.1:{port} is a replica, and should be a primary: the Sentinels name no other primary yet"
        );
        if error == role { Ok(()) } else { Err(groups.to_string()) }
    });
    gauge.metrics().check(&[
        ("redis_up", Some(0.0)),
        (
            r#"streamgauge_poll_errors_total{kind="wrong_role"}"#,
            gauge.metrics().value(r#"streamgauge_poll_errors_total{kind="wrong_role"}"#),
        ),
    ]);
    // An exporter that starts now never shows anything.
    let fresh = refusal(&url, &[], "wrong_role");
    assert!(fresh.contains("is a replica"), "{fresh}");
    primary.run(&["REPLICAOF NO ONE"]);
    gauge.until("redis_up", Some(1.0));
}
