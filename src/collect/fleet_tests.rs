//! What a newer configuration makes of the snapshot, before any poll: no task runs between two lines of these tests.

use std::time::Duration;

use super::*;
use crate::{
    config::{self, Sources},
    model::{
        counters::Counters,
        fault::{Fault, FaultKind},
    },
};

fn config(yaml: &str) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), yaml).unwrap();
    config::load(&Sources { file: Some(file.path().into()), ..Sources::default() }).unwrap()
}

/// Servers of these names, with these settings besides.
fn servers(servers: &[(&str, &str)]) -> Config {
    let server = |(name, settings): &(&str, &str)| format!("  - {{name: {name}, {settings}}}\n");
    config(&format!("redis:\n{}", servers.iter().map(server).collect::<String>()))
}

/// A fleet, and the poller of each of its servers in hand, as it would be in its task.
fn started(config: &Config) -> (Fleet, watch::Receiver<Arc<Snapshot>>) {
    let sharing = Sharing { part: watch::channel(Part::All).1, wishes: watch::channel(Wishes::new(100)).1 };
    Fleet::start(config, sharing, TaskTracker::new(), CancellationToken::new())
}

fn names(snapshot: &watch::Receiver<Arc<Snapshot>>) -> Vec<String> {
    snapshot.borrow().servers.iter().map(|server| server.name.to_string()).collect()
}

/// As if a server had been polled: with this many commands.
fn polled(fleet: &Fleet, name: &str, commands: u64) {
    let fault = Fault::new(FaultKind::Timeout, "late");
    poller(fleet, name, |server| server.latest = Some(Err(fault.clone()))).publish(&sent(commands));
}

/// So many commands.
fn sent(commands: u64) -> Counters {
    Counters { commands, ..Counters::default() }
}

/// What the task of a server has.
fn poller(fleet: &Fleet, name: &str, change: impl Fn(&mut Server)) -> Poller {
    let member = &fleet.members[name];
    let mut server = Server::clone(fleet.snapshot.borrow().server(name).unwrap());
    change(&mut server);
    let assignment = member.orders.borrow().clone();
    let board = Board { snapshot: fleet.snapshot.clone(), retired: member.retired.clone() };
    Poller::new(&assignment, server, board, fleet.sharing.part.clone())
}

fn commands(snapshot: &watch::Receiver<Arc<Snapshot>>, name: &str) -> Option<u64> {
    snapshot.borrow().server(name).map(|server| server.counters.commands)
}

fn changes(added: usize, changed: usize, removed: usize) -> Changes {
    Changes { added, changed, removed }
}

#[tokio::test]
async fn the_snapshot_has_the_servers_of_the_configuration_in_its_order() {
    let (mut fleet, snapshot) = started(&servers(&[("a", "url: h:1"), ("b", "url: h:2")]));
    assert_eq!(names(&snapshot), ["a", "b"]);
    let newer = servers(&[("c", "url: h:3"), ("b", "url: h:2"), ("a", "url: h:1")]);
    assert_eq!(fleet.apply(&newer), changes(1, 0, 0));
    assert_eq!(names(&snapshot), ["c", "b", "a"]);
    assert_eq!(fleet.apply(&newer), Changes::default());
    assert_eq!(fleet.apply(&servers(&[("b", "url: h:2")])), changes(0, 0, 2));
    assert_eq!(names(&snapshot), ["b"]);
    assert_eq!(fleet.members.len(), 1);
}

#[tokio::test]
async fn only_what_changed_gets_news() {
    let (mut fleet, snapshot) = started(&servers(&[("a", "url: h:1"), ("b", "url: h:2")]));
    polled(&fleet, "a", 7);
    polled(&fleet, "b", 8);
    let (a, b) = (fleet.members["a"].orders.subscribe(), fleet.members["b"].orders.subscribe());
    let newer = servers(&[("a", "url: h:1, streams: [x]"), ("b", "url: h:2")]);
    assert_eq!(fleet.apply(&newer), changes(0, 1, 0));
    assert!(a.has_changed().unwrap() && !b.has_changed().unwrap());
    assert_eq!((commands(&snapshot, "a"), commands(&snapshot, "b")), (Some(7), Some(8)));
    assert!(snapshot.borrow().waiting().next().is_none(), "what was published stays");
    // What is said for all concerns all.
    let yaml = "redis: [{name: a, url: 'h:1', streams: [x]}, {name: b, url: 'h:2'}]\n";
    for (number, more) in [
        "poll: {interval: 1s}",
        "poll: {stale_after: 4}",
        "lag: {bounded: upper}",
        "lag: {entries_per_group: 1}",
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(fleet.apply(&config(&format!("{yaml}{more}"))), changes(0, 2, 0), "{number}: {more}");
        assert!(a.has_changed().is_ok() && b.has_changed().is_ok(), "both go on");
    }
    assert_eq!(fleet.apply(&newer), changes(0, 2, 0));
    assert_eq!(commands(&snapshot, "a"), Some(7));
}

/// What was measured by different ones can be told apart; what is no news keeps what it is.
#[tokio::test]
async fn orders_are_numbered() {
    let (mut fleet, _snapshot) = started(&servers(&[("a", "url: h:1"), ("b", "url: h:2")]));
    let numbers = |fleet: &Fleet| ["a", "b"].map(|name| fleet.members[name].orders.borrow().number);
    let newer = servers(&[("a", "url: h:1, streams: [x]"), ("b", "url: h:2")]);
    fleet.apply(&newer);
    assert_eq!(numbers(&fleet), [1, 0]);
    assert_eq!(fleet.apply(&newer), Changes::default());
    fleet.apply(&servers(&[("a", "url: h:1"), ("b", "url: h:2, streams: [y]")]));
    assert_eq!(numbers(&fleet), [2, 1]);
}

#[tokio::test]
async fn another_server_of_the_same_name_starts_anew_but_for_its_counters() {
    let password = tempfile::NamedTempFile::new().unwrap();
    let of_file = format!("url: h:2, password_file: {}", password.path().display());
    let (mut fleet, snapshot) = started(&servers(&[("a", "url: h:1")]));
    for (number, settings) in [
        "url: h:2",
        "url: rediss://h:2",
        "url: redis+unix:///h",
        "url: h:2, database: 3",
        "url: h:2, username: u",
        "url: h:2, username: w",
        "url: h:2, password: p",
        "url: h:2, password: q",
        &of_file,
    ]
    .iter()
    .enumerate()
    {
        polled(&fleet, "a", u64::from(number > 0));
        let late = poller(&fleet, "a", |_| {});
        assert_eq!(fleet.apply(&servers(&[("a", settings)])), changes(0, 1, 0), "{settings}");
        assert_eq!(commands(&snapshot, "a"), Some(number as u64), "{settings}");
        // A poll of the server before, which was under way.
        late.publish(&sent(1000));
        assert!(snapshot.borrow().server("a").unwrap().latest.is_none(), "{settings}");
        assert_eq!(commands(&snapshot, "a"), Some(number as u64), "{settings}");
    }
}

#[tokio::test]
async fn a_poll_under_way_does_not_bring_back_what_was_removed() {
    let (mut fleet, snapshot) = started(&servers(&[("a", "url: h:1"), ("b", "url: h:2")]));
    let late = poller(&fleet, "a", |_| {});
    fleet.apply(&servers(&[("b", "url: h:2")]));
    late.publish(&sent(1000));
    assert_eq!(names(&snapshot), ["b"]);
    // Nor does it speak for one of its name that came later.
    fleet.apply(&servers(&[("a", "url: h:1"), ("b", "url: h:2")]));
    polled(&fleet, "b", 5);
    late.publish(&sent(1000));
    assert_eq!((commands(&snapshot, "a"), commands(&snapshot, "b")), (Some(0), Some(5)));
    assert!(snapshot.borrow().server("a").unwrap().latest.is_none());
}

#[tokio::test]
async fn what_waits_for_its_first_poll_holds_up_nobody_once_all_had_theirs() {
    let (mut fleet, snapshot) = started(&servers(&[("a", "url: h:1")]));
    let two = servers(&[("a", "url: h:1"), ("b", "url: h:2")]);
    fleet.apply(&two);
    assert!(!snapshot.borrow().was_complete, "it had not begun");
    polled(&fleet, "a", 1);
    fleet.apply(&servers(&[("a", "url: h:1")]));
    assert!(!snapshot.borrow().was_complete, "b still waited");
    fleet.apply(&two);
    assert!(snapshot.borrow().was_complete);
    fleet.apply(&servers(&[("c", "url: h:3")]));
    assert!(snapshot.borrow().was_complete);
}

#[tokio::test]
async fn an_age_is_that_of_the_poll_that_was_made_by_it() {
    let (mut fleet, snapshot) = started(&servers(&[("a", "url: h:1")]));
    let stale_after = || snapshot.borrow().server("a").unwrap().stale_after;
    assert_eq!(stale_after(), Duration::from_secs(15));
    fleet.apply(&config("redis: [{name: a, url: 'h:1'}]\npoll: {interval: 1s}"));
    assert_eq!(stale_after(), Duration::from_secs(15));
    fleet.apply(&config("redis: [{name: a, url: 'h:2'}]\npoll: {interval: 1s}"));
    assert_eq!(stale_after(), Duration::from_secs(3));
}
