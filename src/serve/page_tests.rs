//! The page: all of it once, hostile names, and very many groups.

use super::*;
use crate::{
    model::{
        fault::{Fault, FaultKind},
        lag::Lag,
        snapshot::{Group, StreamEntry},
    },
    serve::test_support::{assert_golden, everything, group_of, of_streams, stream_of},
};

/// The page, but for its style and its version.
fn shown(snapshot: &Snapshot, now: Instant) -> String {
    page(snapshot, now, "/metrics")
        .into_string()
        .replace(STYLE, "…")
        .replace(concat!("Version ", env!("CARGO_PKG_VERSION"), "."), "Version ….")
}

/// A line for each element, so that a difference can be read.
fn in_lines(html: &str) -> String {
    ["<tr", "<h1", "<h2", "<p", "<nav", "<div", "<a", "<td", "</table"]
        .iter()
        .fold(html.to_owned(), |html, tag| html.replace(tag, &format!("\n{tag}")))
}

#[test]
fn the_page() {
    let (snapshot, now) = everything();
    assert_golden!("page", in_lines(&shown(&snapshot, now)));
}

#[test]
fn names_are_text_and_never_markup() {
    let (snapshot, now) = everything();
    let html = shown(&snapshot, now);
    assert!(!html.contains("<script"));
    // The stream and its group; consumers are not on the page.
    assert_eq!(html.matches("&lt;script&gt;").count(), 2);
}

#[test]
fn a_fault_stands_at_the_group_that_has_it() {
    let (snapshot, now) = everything();
    let html = shown(&snapshot, now);
    let fault = "<br><span class=\"bad\">XPENDING: NOGROUP no such consumer group</span>";
    assert_eq!(html.matches(fault).count(), 1);
    assert!(html.contains(&format!("unreadable{fault}")));
}

#[test]
fn what_is_missing_stands_above_the_groups_unless_a_group_tells_it() {
    let now = Instant::now();
    let fault = || Fault::new(FaultKind::NoPerm, "NOPERM");
    let failed = StreamEntry { state: Err(fault()), ..stream_of("failed", vec![]) };
    let mut in_part = stream_of("in-part", vec![group_of("g", Lag::derived(1))]);
    if let Ok(Some(stream)) = &mut in_part.state {
        stream.counting = Err(fault());
    }
    let bad = Group { oldest_pending: Err(fault()), ..group_of("bad", Lag::derived(1)) };
    let html = shown(&of_streams(now, vec![failed, in_part, stream_of("told", vec![bad])]), now);
    let headings: Vec<_> =
        html.split("<h2>").skip(1).map(|part| part.split("</h2>").next().unwrap_or_default()).collect();
    assert_eq!(
        headings,
        ["Servers", "Streams that cannot be read", "Streams that are not read as a whole", "Groups"]
    );
    let rows = |name: &str| html.matches(&format!(">{name}<")).count();
    assert_eq!(["failed", "in-part", "told"].map(rows), [1, 2, 1]);
}

#[test]
fn a_backlog_is_as_uncertain_as_its_lag() {
    let now = Instant::now();
    let lag = Lag::Bounded { lower: 1, upper: 41, estimate: 20 };
    let group = Group { pending: 5, ..group_of("g", lag) };
    let html = shown(&of_streams(now, vec![stream_of("s", vec![group])]), now);
    assert!(html.contains("≈ 25</td><td class=\"n\">≈ 20</td>"), "{html}");
}

#[test]
fn the_path_of_the_metrics_cannot_leave_its_attribute() {
    let html = page(&Snapshot::default(), Instant::now(), "/\"><script>").into_string();
    assert!(!html.contains("<script"));
}

#[test]
fn nothing_found_is_said() {
    let html = shown(&Snapshot::default(), Instant::now());
    assert!(html.contains("No group was found."));
    assert!(!html.contains("Streams without groups"));
}

#[test]
fn many_groups_are_cut_to_those_with_the_largest_backlog() {
    let now = Instant::now();
    let of_groups = |count: usize| {
        let groups = (1..=count).map(|lag| group_of(format!("g{lag}.").as_str(), Lag::derived(lag as u64)));
        shown(&of_streams(now, vec![stream_of("s", groups.collect())]), now)
    };
    let html = of_groups(MOST_ROWS);
    assert!(html.contains(">g1.<") && !html.contains("groups with the largest backlog"));
    let html = of_groups(MOST_ROWS + 1);
    assert!(html.contains("The 500 groups with the largest backlog, of 501."));
    assert!(!html.contains(">g1.<") && html.contains(">g2.<"));
    assert!(html.find(">g501.<") < html.find(">g500.<"));
}

#[test]
fn many_streams_without_groups_are_cut() {
    let now = Instant::now();
    let of_streams = |count: usize| {
        let streams = (1..=count).map(|n| stream_of(format!("s{n:03}.").as_str(), vec![]));
        shown(&of_streams(now, streams.collect()), now)
    };
    let html = of_streams(MOST_ROWS);
    assert!(html.contains(">s500.<") && !html.contains("The first"));
    let html = of_streams(MOST_ROWS + 1);
    assert!(html.contains("The first 500 of 501."));
    assert!(html.contains(">s500.<") && !html.contains(">s501.<"));
}

#[test]
fn times_are_rounded_for_people() {
    for (value, expected) in [
        (None, "-"),
        (Some(0.04), "0.0 s"),
        (Some(9.94), "9.9 s"),
        (Some(119.0), "119 s"),
        (Some(120.0), "2 min"),
        (Some(7199.0), "120 min"),
        (Some(7200.0), "2 h"),
    ] {
        assert_eq!(seconds(value), expected);
    }
}
