//! The page: all of it once, hostile names, and very many groups.

use super::*;
use crate::{
    model::lag::Lag,
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
        let streams = (1..=count).map(|n| stream_of(format!("s{n}.").as_str(), vec![]));
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
