//! What `streamgauge groups` prints.

use std::time::Instant;

use super::*;
use crate::{
    model::{
        fault::{Fault, FaultKind},
        lag::Lag,
        snapshot::{Snapshot, StreamEntry},
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
