//! Which Sentinel is believed, and when: Sentinels of the tests, that say what a test wants.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::*;
use crate::support::fake::{FakeRedis, Reply, array, bulk, fields};

/// A primary that was one, with no lag, and the one that is, with a lag of three. Both take themselves for one.
fn primaries() -> [RedisServer; 2] {
    let [old, new] = [(); 2].map(|()| RedisServer::start());
    old.run(&["XGROUP CREATE orders workers $ MKSTREAM"]);
    fill(&new);
    [old, new]
}

/// A Sentinel; it is asked for its primary and its epoch with every question.
fn sentinel(says: impl Fn() -> (u16, u32) + Send + Sync + 'static) -> FakeRedis {
    maybe_aware(move || Some(says()))
}

/// One that may not watch the service.
fn maybe_aware(says: impl Fn() -> Option<(u16, u32)> + Send + Sync + 'static) -> FakeRedis {
    let latest = std::sync::Mutex::new((0, 0));
    FakeRedis::start(move |words| {
        Some(Reply::Is(match words {
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", _] => {
                let Some(said) = says() else { return Some(Reply::Is("*-1\r\n".into())) };
                *latest.lock().unwrap() = said;
                array(&[bulk("127.0.0.1"), bulk(&said.0.to_string())])
            }
            ["SENTINEL", "MASTER", _] => {
                let (port, epoch) = *latest.lock().unwrap();
                fields(&[
                    ("name", bulk("shop")),
                    ("ip", bulk("127.0.0.1")),
                    ("port", bulk(&port.to_string())),
                    ("flags", bulk("master")),
                    ("config-epoch", bulk(&epoch.to_string())),
                ])
            }
            ["SENTINEL", "SENTINELS", _] => array(&[]),
            _ => return None,
        }))
    })
}

fn url(sentinels: &[&FakeRedis]) -> String {
    let seeds = sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", port(&sentinel.url())));
    format!("redis+sentinel://{}/shop", seeds.collect::<Vec<_>>().join(","))
}

/// One that has not heard of the latest failover, and answers last, is not believed.
#[test]
fn the_latest_configuration_counts() {
    needs!("redis-server");
    let [old, new] = primaries();
    let [old, new_port] = [port(&old.url()), port(&new.url())];
    let told = Arc::new(AtomicBool::new(false));
    let (tell, is_told) = (told.clone(), told);
    let early = sentinel(move || {
        tell.store(true, Ordering::SeqCst);
        (new_port, 2)
    });
    let late = sentinel(move || {
        wait::until_true("the other one to answer", || is_told.load(Ordering::SeqCst));
        (old, 1)
    });
    measures(&url(&[&late, &early]), &[]);
}

/// A primary that hangs in the midst of a poll, and loses its role meanwhile, has the old numbers when it goes on.
#[test]
fn a_primary_that_loses_its_role_during_a_poll_is_not_published() {
    needs!("redis-server");
    let [old, new] = primaries();
    let ports = [port(&old.url()), port(&new.url())];
    let asked = AtomicUsize::new(0);
    // The first question is at the beginning of the first poll.
    let sentinel = sentinel(move || {
        let is_first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        (ports[usize::from(!is_first)], 1)
    });
    measures(&url(&[&sentinel]), &[]);
    assert!(old.calls().contains_key("xinfo"), "it was polled");
}

/// What is known already is not forgotten for a Sentinel that knows less, unless most of them do.
#[test]
fn one_that_knows_less_than_before_is_not_believed() {
    needs!("redis-server");
    let [old, new] = primaries();
    let ports = [port(&old.url()), port(&new.url())];
    let knows_less = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let sentinels = knows_less.clone().map(|knows_less| {
        sentinel(move || if knows_less.load(Ordering::SeqCst) { (ports[0], 1) } else { (ports[1], 2) })
    });
    let gauge = Streamgauge::of(&url(&[&sentinels[0], &sentinels[1]]), &[]);
    for one in &knows_less {
        one.store(true, Ordering::SeqCst);
        no_poll_failed(&gauge);
        assert!(!old.calls().contains_key("xinfo"));
        one.store(false, Ordering::SeqCst);
        no_poll_failed(&gauge);
    }
    // They have all been set up anew.
    knows_less.iter().for_each(|one| one.store(true, Ordering::SeqCst));
    gauge.until(LAG, Some(0.0));
}

/// One that has lost its configuration says nothing of the service; what is known counts for more.
#[test]
fn one_that_lost_its_configuration_is_not_believed() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill(&redis);
    let (port, hangs) = (port(&redis.url()), Arc::new(AtomicBool::new(false)));
    let is_hanging = hangs.clone();
    let aware = sentinel(move || {
        wait::until_true("the end of the test", || !is_hanging.load(Ordering::SeqCst));
        (port, 1)
    });
    let unaware = maybe_aware(|| None);
    let gauge = Streamgauge::of(&url(&[&unaware, &aware]), &[]);
    let before = unaware.connections();
    hangs.store(true, Ordering::SeqCst);
    no_poll_failed(&gauge);
    assert!(unaware.connections() > before, "it was asked");
    hangs.store(false, Ordering::SeqCst);
    let error = refusal(&url(&[&unaware]), &[], "connect");
    assert_eq!(error, "the Sentinels do not watch \"shop\": write another in the URL");
}
