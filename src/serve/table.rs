//! `streamgauge groups`: the report as a table for a terminal.

use unicode_width::UnicodeWidthStr as _;

use super::report::{GroupReport, Report, StreamReport};

const HEADINGS: [&str; 11] =
    ["REDIS", "DB", "STREAM", "GROUP", "LENGTH", "LAG", "SOURCE", "PENDING", "CONSUMERS", "STATE", "REASON"];

/// Columns of numbers, which stand to the right.
const NUMBERS: [bool; 11] = [false, true, false, false, true, true, false, true, true, false, false];

/// The table: a line for each group, and one for each stream without groups or that cannot be read. Reasons come
/// last, where their length does no harm, and their column only where there are any.
#[must_use]
pub fn render(report: &Report<'_>) -> String {
    let mut rows = Vec::new();
    for server in &report.servers {
        for stream in &server.streams {
            let length = stream.length.map_or_else(|| "-".to_owned(), |length| length.to_string());
            let row = |[group, lag, source, pending, consumers, state]: [String; 6],
                       reason: Option<String>| {
                let (redis, db, name) =
                    (server.redis.to_owned(), stream.db.to_string(), stream.name.to_string());
                let reason = reason.unwrap_or_default();
                [redis, db, name, group, length.clone(), lag, source, pending, consumers, state, reason]
            };
            if stream.groups.is_empty() {
                rows.push(row(no_groups(stream), stream.error.map(str::to_owned)));
            }
            rows.extend(stream.groups.iter().map(|group| row(group_cells(group), reason(group))));
        }
    }
    // Headings alone say that nothing is there, and that must be known.
    if rows.is_empty() && report.servers.iter().any(|server| server.error.is_some()) {
        return String::new();
    }
    let mut headings = HEADINGS;
    if rows.iter().all(|[.., reason]| reason.is_empty()) {
        headings[10] = "";
    }
    rows.insert(0, headings.map(str::to_owned));
    align(&rows)
}

fn group_cells(group: &GroupReport<'_>) -> [String; 6] {
    let lag = group.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string());
    let (lag, source) = match group.uncertain() {
        None => (lag, group.lag_source.to_owned()),
        Some((lower, upper)) => (format!("~{lag}"), format!("{} {lower}..{upper}", group.lag_source)),
    };
    let [pending, consumers] = [group.pending, group.consumers].map(|number| number.to_string());
    [group.name.to_string(), lag, source, pending, consumers, group.state.to_owned()]
}

/// What the group's numbers suffer from, or why its state is what it is. Where all is well, the state says it all.
fn reason(group: &GroupReport<'_>) -> Option<String> {
    let is_plain = !group.is_bad && group.state != "unknown";
    group.error.map(str::to_owned).or_else(|| (!is_plain).then(|| group.state_reason.to_string()))
}

fn no_groups(stream: &StreamReport<'_>) -> [String; 6] {
    let note = match stream.exists {
        None => "(cannot be read)",
        Some(false) => "(no such stream)",
        Some(true) => "(no groups)",
    };
    [note, "-", "-", "-", "-", "-"].map(str::to_owned)
}

fn align(rows: &[[String; 11]]) -> String {
    let mut widths = [0; 11];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, width), number) in row.iter().zip(widths).zip(NUMBERS) {
            let space = " ".repeat(width - cell.width());
            let (before, after) = if number { (space.as_str(), "") } else { ("", space.as_str()) };
            line += &format!("{before}{cell}{after}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
