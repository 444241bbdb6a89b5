//! `streamgauge check`: what was found, a line each for people, or JSON.

use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use crate::model::{
    finding::{Check, Finding, Status},
    name::Name,
};

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    checks: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    redis: Option<&'a str>,
    check: &'static str,
    status: &'static str,
    message: &'a str,
    advice: Option<&'a str>,
}

/// Whether nothing failed.
#[must_use]
pub fn is_ok(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.status != Status::Fail)
}

/// All findings as one JSON object.
///
/// # Errors
/// None in practice: there is nothing in it that JSON cannot say.
pub fn json(findings: &[Finding]) -> serde_json::Result<String> {
    let lines = findings.iter().map(|finding| Line {
        redis: finding.redis.as_deref(),
        check: finding.check.label(),
        status: finding.status.label(),
        message: &finding.message,
        advice: finding.advice.as_deref(),
    });
    let report = Report { ok: is_ok(findings), checks: lines.collect() };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

/// All findings, aligned, with what to do below each; and how it ended.
#[must_use]
pub fn text(findings: &[Finding]) -> String {
    let rows: Vec<[String; 3]> = findings.iter().map(start).collect();
    let mut widths = [0; 3];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let mut text = String::new();
    for (finding, row) in findings.iter().zip(&rows) {
        let mut indent = 0;
        // A column with nothing in it is none.
        for (cell, width) in row.iter().zip(widths).filter(|(_, width)| *width > 0) {
            text += &format!("{cell}{}  ", " ".repeat(width - cell.width()));
            indent += width + 2;
        }
        text += &format!("{}\n", finding.message);
        if let Some(advice) = &finding.advice {
            text += &format!("{}-> {advice}\n", " ".repeat(indent));
        }
    }
    text + &end(findings)
}

fn start(finding: &Finding) -> [String; 3] {
    let subject = match (&finding.redis, finding.check) {
        // It may hold what a terminal would obey.
        (Some(redis), _) => Name::from(&**redis).to_string(),
        (None, Check::Config) => String::new(),
        (None, _) => "kubernetes".to_owned(),
    };
    [finding.status.label().to_owned(), subject, finding.check.label().to_owned()]
}

fn end(findings: &[Finding]) -> String {
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let warnings = match count(Status::Warn) {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        warnings => format!(", {warnings} warnings"),
    };
    match count(Status::Fail) {
        0 => format!("\nok{warnings}\n"),
        failed => format!("\n{failed} failed{warnings}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_stands_below_what_it_is_for() {
        let redis = "m\u{1b}ain".into();
        let findings = [
            Finding::ok(Check::Config, "1 server"),
            Finding::fail(Check::Acl, "XPENDING: NOPERM", "grant +xpending").about(&redis),
            Finding::skip(Check::Streams, "not looked at").about(&redis),
        ];
        let expected = format!(
            "ok{}config   1 server\nfail  m\\x1bain  acl      XPENDING: NOPERM\n{}-> grant +xpending\n\
             skip  m\\x1bain  streams  not looked at\n\n1 failed\n",
            " ".repeat(14),
            " ".repeat(25)
        );
        assert_eq!(text(&findings), expected);
        assert_eq!(text(&findings[..1]), "ok  config  1 server\n\nok\n");
        assert!(!is_ok(&findings) && is_ok(&findings[..1]));
        let json: serde_json::Value = serde_json::from_str(&json(&findings).unwrap()).unwrap();
        let line = serde_json::json!({
            "redis": "m\u{1b}ain", "check": "acl", "status": "fail", "message": "XPENDING: NOPERM", "advice": "grant +xpending",
        });
        assert_eq!((&json["ok"], &json["checks"][1]), (&false.into(), &line));
        assert_eq!(json["checks"][0]["redis"], serde_json::Value::Null);
    }
}
