//! Pods that cannot be known: never an old list, always the cause, and whole again as soon as it can be.

use std::{thread, time::Duration};

use streamgauge::cluster::Cluster;

use super::{Bench, patient, short};
use crate::support::{
    apiserver::{ApiServer, Failure},
    log::Log,
    wait,
};

/// Between two looks.
const MOMENT: Duration = Duration::from_millis(10);

/// Each case at the same time as the others: what they do most is to wait.
fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        cases.into_iter().for_each(|case| _ = scope.spawn(move || test(case)));
    });
}

const FORBIDDEN: &str = "pods is forbidden: User \"system:serviceaccount:monitoring:streamgauge\" cannot list \
                         resource \"pods\" in API group \"\" in the namespace \"shop\" (grant list and watch on pods)";

#[test]
fn what_cannot_be_listed_is_not_known_and_the_answer_says_why() {
    let cases = [
        (Failure::Status(403), FORBIDDEN),
        (Failure::Status(401), "Unauthorized (the API server does not know our token or certificate)"),
        (
            Failure::Status(500),
            "the API server answered 500: Internal error occurred: etcdserver: request timed out",
        ),
        (Failure::Status(429), "the API server answered 429: too many requests, please try again later"),
        (
            Failure::Text(502, "<h1>Bad\nGateway</h1>"),
            "the API server answered 502: <h1>Bad\\x0aGateway</h1>",
        ),
        (
            Failure::Text(200, "pong"),
            "the API server's answer is not understood: expected value at line 1 column 1",
        ),
    ];
    at_once(cases, |(how, expected)| {
        let bench = Bench::new();
        bench.server.set_pod("shop", "a", &[]);
        bench.server.fail("/pods", how.clone());
        let said = bench.pods("shop").unwrap_err();
        assert_eq!(said, format!("pods of namespace shop cannot be listed: {expected}"), "{how:?}");
        bench.server.mend();
        assert_eq!(bench.until_known("shop"), ["a"], "{how:?}");
    });
}

#[test]
fn a_list_that_does_not_come_is_not_waited_for_without_end() {
    let bench = Bench::with(short());
    bench.server.fail("/pods", Failure::Hang);
    bench.until_unknown(
        "shop",
        "pods of namespace shop cannot be listed: no answer from the API server within",
    );
    bench.server.mend();
    bench.until_known("shop");
}

/// A proof for every moment in which an answer is given: what is deleted while nothing can be watched is not answered.
#[test]
fn an_old_list_is_not_answered() {
    let cases = [
        ("/pods", Failure::Status(403), "pods is forbidden: "),
        ("watch ", Failure::Status(403), "pods is forbidden: "),
        ("watch ", Failure::Status(500), "the API server answered 500"),
        ("watch ", Failure::Hang, "no answer from the API server within 300ms"),
        (
            "/pods",
            Failure::Text(503, "no healthy upstream"),
            "the API server answered 503: no healthy upstream",
        ),
    ];
    at_once(cases, |(what, how, expected)| {
        let bench = Bench::with(short());
        bench.server.set_pod("shop", "a", &[]);
        bench.server.set_pod("shop", "b", &[]);
        bench.until_known("shop");
        bench.server.fail(what, how.clone());
        bench.server.close_watches();
        bench.until_unknown("shop", &format!("pods of namespace shop cannot be watched: {expected}"));

        bench.server.delete_pod("shop", "b");
        assert!(bench.pods("shop").is_err(), "{how:?}");
        // That a watch is open again does not make it the latest: what happened is still to be told.
        bench.server.hold_events();
        bench.server.mend();
        assert_eq!(bench.until_known("shop"), ["a"], "{how:?}");
    });
}

#[test]
fn an_api_server_that_is_gone_is_named_as_the_cause() {
    let mut bench = Bench::with(short());
    bench.until_known("shop");
    bench.server.stop();
    bench.until_unknown(
        "shop",
        "pods of namespace shop cannot be watched: the API server cannot be reached: ",
    );
}

/// What a watch says that is not understood may have been a change: only a new list tells.
#[test]
fn a_watch_that_breaks_off_is_followed_by_a_list() {
    for how in [Failure::InWatch(500), Failure::Text(200, "{\"type\": \"ADDED\", \"object\": {}}\n")] {
        let bench = Bench::new();
        bench.server.set_pod("shop", "a", &[]);
        bench.until_pods("shop", &["a"]);
        bench.until_watches("", 1);
        bench.server.fail("watch ", how);
        bench.server.close_watches();
        wait::until_true("the watch to have been refused", || bench.server.requests("watch ").len() > 1);
        bench.server.delete_pod("shop", "a");
        bench.server.expire();
        bench.until_pods("shop", &[]);
        bench.server.mend();
        bench.until_watches("", 1);
        bench.server.set_pod("shop", "b", &[]);
        bench.until_pods("shop", &["b"]);
    }
}

/// One line when it breaks and one when it is whole, however often it was tried.
#[test]
fn changes_are_logged_and_not_every_failure() {
    let server = ApiServer::start();
    server.fail("/pods", Failure::Status(403));
    let log = Log::new();
    // One thread, so that all of it is heard.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _heard = tracing::subscriber::set_default(log.subscriber());
    runtime.block_on(async {
        let cluster = Cluster::with_limits(Some(&server.kubeconfig()), patient()).await.unwrap();
        let attempts = || server.requests("list ").len();
        while attempts() < 4 {
            assert!(cluster.pods("shop", |_| true).await.is_err());
            tokio::time::sleep(MOMENT).await;
        }
        server.mend();
        while server.open_watches("") == 0 || log.lines("pods can be watched again").is_empty() {
            let _ = cluster.pods("shop", |_| true).await;
            tokio::time::sleep(MOMENT).await;
        }
    });
    let warned = log.lines("pods cannot be watched");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0]["reason"] == FORBIDDEN && warned[0]["namespace"] == "shop", "{warned:?}");
    assert_eq!(log.lines("pods can be watched again").len(), 1);
}
