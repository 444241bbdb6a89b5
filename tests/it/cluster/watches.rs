//! When pods are watched, and for how long.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use streamgauge::cluster::Limits;

use super::{Bench, patient};
use crate::support::{
    apiserver::{ApiServer, Failure},
    wait,
};

#[test]
fn a_crowd_of_callers_begins_one_watch() {
    let bench = Bench::new();
    bench.server.set_pod("shop", "a", &[]);
    let callers = (0..200).map(|_| {
        let cluster = bench.cluster.clone();
        bench.runtime.spawn(async move { cluster.pods("shop", |_| true).await })
    });
    for answer in bench.runtime.block_on(join_all(callers)) {
        assert_eq!(answer.unwrap().unwrap(), ["a"]);
    }
    bench.until_watches("/shop/", 1);
    assert_eq!(bench.server.requests("").len(), 2, "one list and one watch");
}

#[test]
fn a_namespace_that_nobody_asks_about_is_watched_no_more() {
    let bench = Bench::new();
    for namespace in ["shop", "bank"] {
        bench.until_pods(namespace, &[]);
    }
    bench.until_watches("", 2);
    let idle = Limits::default().idle;
    bench.cluster.sweep(Instant::now());
    bench.cluster.sweep(Instant::now() + idle - Duration::from_secs(60));
    assert_eq!(bench.server.open_watches(""), 2);
    bench.cluster.sweep(Instant::now() + idle);
    bench.until_watches("", 0);
    bench.server.set_pod("shop", "a", &[]);
    bench.until_pods("shop", &["a"]);
    bench.until_watches("", 1);
}

#[test]
fn the_namespace_that_was_not_asked_about_for_longest_makes_room() {
    let bench = Bench::with(Limits { namespaces: 2, ..patient() });
    for namespace in ["a", "b", "a", "c"] {
        bench.until_pods(namespace, &[]);
    }
    bench.until_watches("/c/", 1);
    bench.until_watches("/b/", 0);
    bench.until_watches("/a/", 1);
    bench.until_pods("b", &[]);
    bench.until_watches("/a/", 0);
}

#[test]
fn all_ends_with_the_last_clone() {
    let Bench { server, cluster, runtime } = Bench::new();
    let clone = cluster.clone();
    drop(cluster);
    for namespace in ["shop", "bank"] {
        assert_eq!(runtime.block_on(clone.pods(namespace, |_| true)).unwrap(), Vec::<String>::new());
    }
    wait::until_true("two watches", || server.open_watches("") == 2);
    drop(clone);
    wait::until("everything to end", || {
        match (server.open_watches(""), runtime.metrics().num_alive_tasks()) {
            (0, 0) => Ok(()),
            left => Err(format!("watches and tasks left: {left:?}")),
        }
    });
}

/// They are closed every few minutes, and the version that was reached may be forgotten meanwhile.
#[test]
fn a_watch_that_was_closed_is_no_failure() {
    for (meanwhile, lists) in [
        ((|_| {}) as fn(&ApiServer), 1),
        (ApiServer::bookmark, 1),
        // Only what was forgotten is listed anew.
        (ApiServer::expire, 2),
    ] {
        let bench = Bench::new();
        bench.server.set_pod("shop", "a", &[]);
        bench.until_pods("shop", &["a"]);
        bench.until_watches("", 1);
        meanwhile(&bench.server);
        bench.server.close_watches();
        bench.server.delete_pod("shop", "a");
        bench.until_pods("shop", &[]);
        bench.until_watches("", 1);
        bench.server.set_pod("shop", "b", &[]);
        bench.until_pods("shop", &["b"]);
        assert_eq!(bench.server.requests("list ").len(), lists);
    }
}

/// It may say so in the middle of a watch, too, or as its answer.
#[test]
fn a_version_that_is_forgotten_is_no_failure() {
    for how in [Failure::InWatch(410), Failure::Status(410)] {
        let bench = Bench::new();
        bench.until_pods("shop", &[]);
        bench.until_watches("", 1);
        bench.server.fail("watch ", how);
        bench.server.close_watches();
        bench.server.set_pod("shop", "a", &[]);
        bench.until_pods("shop", &["a"]);
        bench.server.mend();
        bench.until_watches("", 1);
        bench.server.set_pod("shop", "b", &[]);
        bench.until_pods("shop", &["a", "b"]);
    }
}
