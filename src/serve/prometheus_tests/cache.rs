//! When a body is written again, and when it is not.

use std::{sync::Arc, time::Duration};

use tokio::runtime::Handle;

use super::super::*;
use crate::{
    model::{lag::Lag, snapshot::Server},
    serve::test_support::{group_of, of_streams, stream_of},
};

struct Scraper {
    expositions: Arc<Expositions>,
    now: Instant,
}

impl Scraper {
    fn new() -> Scraper {
        Scraper { expositions: Arc::new(Expositions::new(Handle::current())), now: Instant::now() }
    }

    async fn body(&self, snapshot: &Arc<Snapshot>) -> Arc<Body> {
        self.expositions.body(snapshot, self.now, Format::Text, Coding::Identity).await.unwrap()
    }
}

fn text(body: &Body) -> String {
    String::from_utf8(body.pieces.concat()).unwrap()
}

fn of_one(now: Instant, stream: &str) -> Arc<Snapshot> {
    Arc::new(of_streams(now, vec![stream_of(stream, vec![group_of("g", Lag::derived(1))])]))
}

/// The same with another server behind it.
fn with(snapshot: &Snapshot, name: &str, poll: &Snapshot) -> Arc<Snapshot> {
    let other = Server { name: name.into(), ..Server::clone(&poll.servers[0]) };
    let servers = snapshot.servers.iter().cloned().chain([Arc::new(other)]);
    Arc::new(Snapshot { servers: servers.collect(), ..Snapshot::clone(snapshot) })
}

#[tokio::test]
async fn the_same_polls_are_written_once() {
    let scraper = Scraper::new();
    let snapshot = of_one(scraper.now, "orders");
    let first = scraper.body(&snapshot).await;
    // What is counted changes; what was measured does not.
    let mut counted = Snapshot::clone(&snapshot);
    Arc::make_mut(&mut counted.servers[0]).counters.commands += 1;
    assert!(Arc::ptr_eq(&first, &scraper.body(&Arc::new(counted)).await));
    let newer = scraper.body(&of_one(scraper.now, "payments")).await;
    assert!(text(&newer).contains("payments") && !text(&newer).contains("orders"));
}

#[tokio::test]
async fn those_who_come_at_once_wait_for_one_body() {
    let scraper = Scraper::new();
    let snapshot = of_one(scraper.now, "orders");
    let all = futures_util::future::join_all((0..16).map(|_| scraper.body(&snapshot))).await;
    assert!(all.iter().all(|body| Arc::ptr_eq(body, &all[0])));
}

#[tokio::test]
async fn whoever_gives_up_leaves_nobody_without_it() {
    let scraper = Scraper::new();
    let snapshot = of_one(scraper.now, "orders");
    let mut given_up = Box::pin(scraper.body(&snapshot));
    assert!(futures_util::poll!(&mut given_up).is_pending());
    drop(given_up);
    assert!(text(&*scraper.body(&snapshot).await).contains("orders"));
}

#[tokio::test]
async fn what_becomes_stale_goes_though_no_poll_came() {
    let mut scraper = Scraper::new();
    let old = of_one(scraper.now, "orders");
    let snapshot = with(&old, "spare", &of_one(scraper.now + Duration::from_secs(10), "payments"));
    let both = text(&*scraper.body(&snapshot).await);
    assert!(both.contains("redis=\"main\"") && both.contains("redis=\"spare\""), "{both}");
    scraper.now += Duration::from_secs(16);
    let left = text(&*scraper.body(&snapshot).await);
    assert!(!left.contains("redis=\"main\"") && left.contains("redis=\"spare\""), "{left}");
    scraper.now += Duration::from_secs(16);
    assert_eq!(text(&*scraper.body(&snapshot).await), "");
}

#[tokio::test]
async fn servers_come_and_go() {
    let scraper = Scraper::new();
    let one = of_one(scraper.now, "orders");
    let two = with(&one, "spare", &of_one(scraper.now, "payments"));
    let has = |body: &Body, stream: &str| text(body).contains(&format!("stream=\"{stream}\""));
    assert!(!has(&*scraper.body(&one).await, "payments"));
    assert!(has(&*scraper.body(&two).await, "payments"));
    assert!(!has(&*scraper.body(&one).await, "payments"));
    // The same poll under another name is another body.
    let renamed = Server { name: "renamed".into(), ..Server::clone(&one.servers[0]) };
    let renamed = Arc::new(Snapshot { servers: vec![Arc::new(renamed)], ..Snapshot::default() });
    let body = scraper.body(&renamed).await;
    assert!(text(&body).contains("redis=\"renamed\"") && !text(&body).contains("redis=\"main\""));
}

#[tokio::test]
async fn newer_polls_let_go_of_older_ones_and_their_text() {
    let scraper = Scraper::new();
    let (publish, snapshots) = tokio::sync::watch::channel(of_one(scraper.now, "orders"));
    let stop = tokio_util::sync::CancellationToken::new();
    let following = tokio::spawn(follow(scraper.expositions.clone(), snapshots, stop.clone()));
    let body = Arc::downgrade(&scraper.body(&publish.borrow().clone()).await);
    let poll = publish.borrow().servers[0].poll.as_ref().map(Arc::downgrade).unwrap();
    assert!(body.upgrade().is_some(), "it lies ready");
    publish.send_replace(of_one(scraper.now, "payments"));
    while body.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
    assert!(poll.upgrade().is_none());
    stop.cancel();
    following.await.unwrap();
}
