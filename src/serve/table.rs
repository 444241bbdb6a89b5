//! `streamgauge groups`: the report as a table for a terminal.

use unicode_width::UnicodeWidthStr as _;

use super::report::{GroupReport, Report, StreamReport};
const HEADINGS: [&str; 10] =
    ["REDIS", "DB", "STREAM", "GROUP", "LENGTH", "LAG", "SOURCE", "PENDING", "CONSUMERS", "STATE"];

/// Columns of numbers, which stand to the right.
const NUMBERS: [bool; 10] = [false, true, false, false, true, true, false, true, true, false];

/// The table: a line for each group, and one for each stream without groups or that cannot be read.
#[must_use]
pub fn render(report: &Report<'_>) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    for server in &report.servers {
        for stream in &server.streams {
            let length = stream.length.map_or_else(|| "-".to_owned(), |length| length.to_string());
            let row = |[group, lag, source, pending, consumers, state]: [String; 6]| {
                let (redis, db, name) =
                    (server.redis.to_owned(), stream.db.to_string(), stream.name.to_string());
                [redis, db, name, group, length.clone(), lag, source, pending, consumers, state]
            };
            if stream.groups.is_empty() {
                rows.push(row(no_groups(stream)));
            }
            rows.extend(stream.groups.iter().map(|group| row(group_cells(group))));
        }
    }
    align(&rows)
}

fn group_cells(group: &GroupReport<'_>) -> [String; 6] {
    let lag = group.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string());
    let (lag, source) = match group.uncertain() {
        None => (lag, group.lag_source.to_owned()),
        Some((lower, upper)) => (format!("~{lag}"), format!("{} {lower}..{upper}", group.lag_source)),
    };
    // Where all is well the word says it all.
    let state = match group.is_bad || group.state == "unknown" {
        true => format!("{}: {}", group.state, group.state_reason),
        false => group.state.to_owned(),
    };
    [group.name.to_string(), lag, source, group.pending.to_string(), group.consumers.to_string(), state]
}

fn no_groups(stream: &StreamReport<'_>) -> [String; 6] {
    let note = match (stream.error, stream.exists) {
        (Some(error), _) => format!("({error})"),
        (None, Some(false)) => "(no such stream)".to_owned(),
        _ => "(no groups)".to_owned(),
    };
    let [lag, source, pending, consumers, state] = ["-"; 5].map(str::to_owned);
    [note, lag, source, pending, consumers, state]
}

fn align(rows: &[[String; 10]]) -> String {
    let mut widths = [0; 10];
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
