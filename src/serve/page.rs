//! `/`: a page for people, made on the server, without scripts. Names from Redis are escaped by maud.

use std::time::Instant;

use maud::{DOCTYPE, Markup, html};

use super::report::{self, GroupReport, Report, StreamReport};
use crate::model::{share::Part, snapshot::Snapshot};

/// Most groups on the page; all of them are in the JSON.
const MOST_ROWS: usize = 500;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --faint: #888; --bad: #c22; --good: #282; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 75rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; white-space: nowrap; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.state { min-width: 12rem; }
td.name { overflow-wrap: anywhere; min-width: 6rem; white-space: pre-wrap; }
.faint { color: var(--faint); }
.bad { color: var(--bad); }
.good { color: var(--good); }
nav a { margin-right: 1rem; }
";

/// The page as the snapshot stands at `now`.
#[must_use]
pub fn page(snapshot: &Snapshot, now: Instant, telemetry_path: &str) -> Markup {
    let report = report::report(snapshot, now);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content="5";
                title { "streamgauge" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { "streamgauge" }
                p.faint { "Redis Streams consumer groups, measured truthfully. Version " (env!("CARGO_PKG_VERSION")) "." }
                nav {
                    a href=(telemetry_path) { "Metrics" }
                    a href="/api/v1/groups" { "JSON" }
                    a href="/-/ready" { "Ready?" }
                }
                (share(&snapshot.part))
                h2 { "Servers" }
                (servers(&report))
                (streams(&report, Listed::Unreadable))
                (streams(&report, Listed::InPart))
                h2 { "Groups" }
                (groups(&report))
                (streams(&report, Listed::WithoutGroups))
            }
        }
    }
}

/// Which of the streams are here, where that is not all of them.
fn share(part: &Part) -> Markup {
    html! {
        @match part {
            Part::All => {},
            Part::Share(share) => p { "Shard " (share) ": the streams of other shards are on their pages." },
            Part::Unknown(why) => p.bad { "Nothing is measured, for it is not known yet which streams to measure: " (why) },
        }
    }
}

fn servers(report: &Report<'_>) -> Markup {
    html! {
        div.wide { table {
            tr {
                th { "Redis" } th { "State" } th { "Version" } th.n { "Streams" }
                th.n title="Time since the latest poll that succeeded began" { "Polled" }
                th.n title="How long that poll took" { "Poll took" }
            }
            @for server in &report.servers {
                tr {
                    td.name { (server.redis) }
                    td {
                        @match &server.error {
                            None => span.good { "up" },
                            Some(error) if server.up => span.bad { "up, but not whole: " (error) },
                            Some(error) => span.bad { "down: " (error) },
                        }
                    }
                    td { (server.version.unwrap_or("-")) }
                    td.n { @if server.polled_at.is_some() { (server.streams.len()) } @else { "-" } }
                    td.n { (ago(server.poll_age_seconds)) }
                    td.n { @if let Some(seconds) = server.poll_duration_seconds { (format!("{:.1} ms", seconds * 1e3)) } @else { "-" } }
                }
            }
        } }
    }
}

/// Largest backlog first: that is what people come for.
fn groups(report: &Report<'_>) -> Markup {
    let mut rows: Vec<(&str, &StreamReport<'_>, &GroupReport<'_>)> = report
        .servers
        .iter()
        .flat_map(|server| server.streams.iter().map(move |stream| (server.redis, stream)))
        .flat_map(|(redis, stream)| stream.groups.iter().map(move |group| (redis, stream, group)))
        .collect();
    rows.sort_by_key(|(.., group)| std::cmp::Reverse(group.backlog));
    html! {
        @if rows.is_empty() { p.faint { "No group was found." } }
        @else {
            div.wide { table {
                tr {
                    th { "Redis" } th { "Stream" } th { "Group" } th { "State" } th.n { "Backlog" } th.n { "Lag" } th { "Lag is" }
                    th.n { "Pending" }
                    th.n title="Time since the oldest pending entry was last delivered" { "Oldest idle" }
                    th.n { "Consumers" } th.n { "Length" }
                }
                @for (redis, stream, group) in rows.iter().take(MOST_ROWS) {
                    tr {
                        td.name { (redis) @if stream.db > 0 { " db" (stream.db) } }
                        td.name { (stream.stream) }
                        td.name { (group.group) @if let Some(error) = group.error { br; span.bad { (error) } } }
                        td.state { (state(group)) }
                        @if let Some((lower, upper)) = group.uncertain() {
                            td.n { (about(group.backlog)) }
                            td.n { (about(group.lag)) }
                            td { (lower) " to " (upper) }
                        } @else {
                            td.n { (number(group.backlog)) }
                            td.n { (number(group.lag)) }
                            td { (certainty(group.lag_source)) }
                        }
                        td.n { (group.pending) }
                        td.n { (seconds(group.oldest_pending_idle_seconds)) }
                        td.n { (group.consumers) }
                        td.n { (number(stream.length)) }
                    }
                }
            } }
            p.faint { "Backlog is lag plus pending. Oldest idle is the time since the oldest pending entry was last delivered." }
            @if rows.len() > MOST_ROWS {
                p.faint { "The " (MOST_ROWS) " groups with the largest backlog, of " (rows.len()) ". All are in the " a href="/api/v1/groups" { "JSON" } "." }
            }
        }
    }
}

/// A stream that has a table besides that of the groups.
#[derive(Clone, Copy, PartialEq)]
enum Listed {
    Unreadable,
    /// Numbers are missing, and no group says which.
    InPart,
    WithoutGroups,
}

impl Listed {
    fn of(stream: &StreamReport<'_>) -> Option<Listed> {
        let is_told = || stream.groups.iter().any(|group| group.error == stream.error);
        match stream.error {
            Some(_) if stream.exists.is_none() => Some(Listed::Unreadable),
            Some(_) if !is_told() => Some(Listed::InPart),
            _ => stream.groups.is_empty().then_some(Listed::WithoutGroups),
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Listed::Unreadable => "Streams that cannot be read",
            Listed::InPart => "Streams that are not read as a whole",
            Listed::WithoutGroups => "Streams without groups",
        }
    }
}

/// The word, and the reason where somebody should look or nobody can tell.
fn state(group: &GroupReport<'_>) -> Markup {
    let word = group.state.replace('_', " ");
    html! {
        @if group.is_bad { span.bad { (word) } br; (group.state_reason) }
        @else if group.state == "unknown" { span.faint { (word) } br; (group.state_reason) }
        @else { span.good title=(group.state_reason) { (word) } }
    }
}

fn streams(report: &Report<'_>, listed: Listed) -> Markup {
    let streams = report
        .servers
        .iter()
        .flat_map(|server| server.streams.iter().map(move |stream| (server.redis, stream)));
    let rows: Vec<_> = streams.filter(|(_, stream)| Listed::of(stream) == Some(listed)).collect();
    html! {
        @if !rows.is_empty() {
            h2 { (listed.heading()) }
            div.wide { table {
                tr { th { "Redis" } th { "Stream" } th { "State" } th.n { "Length" } }
                @for (redis, stream) in rows.iter().take(MOST_ROWS) {
                    tr {
                        td.name { (redis) @if stream.db > 0 { " db" (stream.db) } }
                        td.name { (stream.stream) }
                        td {
                            @if let Some(error) = stream.error { span.bad { (error) } }
                            @else if stream.exists == Some(false) { span.bad { "does not exist" } }
                            @else { span.faint { "no groups" } }
                        }
                        td.n { (number(stream.length)) }
                    }
                }
            } }
            @if rows.len() > MOST_ROWS { p.faint { "The first " (MOST_ROWS) " of " (rows.len()) "." } }
        }
    }
}

/// What a person needs to know of a lag's source.
fn certainty(source: &'static str) -> &'static str {
    match source {
        "derived" | "counted" => "exact",
        "no_group" => "group does not exist",
        "no_stream" => "stream does not exist",
        source => source,
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn about(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("≈ {value}"))
}

fn ago(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{} ago", seconds(Some(value))))
}

fn seconds(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(seconds) if seconds < 10.0 => format!("{seconds:.1} s"),
        Some(seconds) if seconds < 120.0 => format!("{seconds:.0} s"),
        Some(seconds) if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        Some(seconds) => format!("{:.0} h", seconds / 3600.0),
    }
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
