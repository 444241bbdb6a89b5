//! What `streamgauge groups` prints.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    model::{
        fault::{Fault, FaultKind},
        lag::Lag,
        snapshot::{Group, Server, Snapshot, StreamEntry},
    },
    serve::{
        report::report,
        test_support::{assert_golden, everything, group_of, of_streams, stream_of},
    },
};

#[test]
fn the_table() {
    let (snapshot, now) = everything();
    assert_golden!("table", render(&report(&snapshot, now)));
}

#[test]
fn the_json() {
    let (snapshot, now) = everything();
    let json = serde_json::to_string_pretty(&report(&snapshot, now)).unwrap();
    assert_golden!("groups-json", json);
}

#[test]
fn without_streams_there_are_headings_only() {
    let table = render(&report(&Snapshot::default(), Instant::now()));
    assert_eq!(table.lines().count(), 1);
    assert!(table.starts_with("REDIS  DB  STREAM"));
}

/// A server that never answered, by its name.
fn down(name: &str) -> Arc<Server> {
    let fault = Fault::new(FaultKind::Connect, "cannot connect to 127.0.0.1:7000: refused");
    Arc::new(Server { latest: Some(Err(fault)), ..Server::new(name.into(), Duration::from_secs(15)) })
}

#[test]
fn headings_alone_are_not_printed_where_it_is_not_known_that_nothing_is_there() {
    let snapshot = Snapshot { servers: vec![down("main")], ..Snapshot::default() };
    assert_eq!(render(&report(&snapshot, Instant::now())), "");
    let now = Instant::now();
    let mut snapshot = of_streams(now, vec![stream_of("s", vec![])]);
    snapshot.servers.push(down("other"));
    assert_eq!(render(&report(&snapshot, now)).lines().count(), 2);
}

#[test]
fn an_address_is_said_once() {
    let said = |name| {
        let snapshot = Snapshot { servers: vec![down(name)], ..Snapshot::default() };
        report(&snapshot, Instant::now()).errors().collect::<Vec<_>>()
    };
    assert_eq!(said("127.0.0.1:7000"), ["cannot connect to 127.0.0.1:7000: refused"]);
    assert_eq!(said("main"), ["main: cannot connect to 127.0.0.1:7000: refused"]);
}

#[test]
fn an_error_stands_at_its_group_and_widens_no_column() {
    let now = Instant::now();
    let message = "XPENDING: NOPERM this user has no permissions to run the 'xpending' command";
    let fault = || Fault::new(FaultKind::NoPerm, message);
    let bad = Group { oldest_pending: Err(fault()), ..group_of("bad", Lag::derived(0)) };
    let failed = StreamEntry { state: Err(fault()), ..stream_of("failed", vec![]) };
    let stream = stream_of("s", vec![bad, group_of("good", Lag::derived(0))]);
    let table = render(&report(&of_streams(now, vec![failed, stream]), now));
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(
        lines.iter().map(|line| line.ends_with(message)).collect::<Vec<_>>(),
        [false, true, true, false]
    );
    assert!(lines[0].ends_with("STATE  REASON"), "{table}");
    let starts = [lines[1], lines[2]].map(|line| line.find(message));
    assert_eq!(starts, [lines[0].find("REASON"); 2], "{table}");
    let sound = render(&report(&of_streams(now, vec![stream_of("s", vec![])]), now));
    assert!(!sound.contains("REASON"), "{sound}");
}

#[test]
fn nothing_that_redis_says_reaches_the_terminal_as_control() {
    const FORGED: &str = "\u{1b}]0;title\u{7}\r\n\u{202e}";
    let now = Instant::now();
    // Redis quotes the key in some of its errors.
    let failed = StreamEntry {
        db: 0,
        name: "failed".into(),
        state: Err(Fault::new(FaultKind::Vanished, format!("NOGROUP No such key '{FORGED}'"))),
        missing_groups: vec![],
    };
    let named = stream_of(FORGED, vec![group_of(FORGED, Lag::derived(0))]);
    let table = render(&report(&of_streams(now, vec![failed, named]), now));
    assert_eq!(table.lines().count(), 3);
    let control = table.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
    assert_eq!(control, None, "{table:?}");
}

#[test]
fn columns_line_up_with_wide_characters() {
    let now = Instant::now();
    let stream = |name: &str| stream_of(name, vec![group_of("g", Lag::derived(0))]);
    let table = render(&report(&of_streams(now, vec![stream("注文"), stream("orders")]), now));
    let columns: Vec<_> =
        table.lines().skip(1).map(|line| line[..line.find(" g ").unwrap()].width()).collect();
    assert_eq!(columns.len(), 2);
    assert_eq!(columns[0], columns[1], "{table}");
}
