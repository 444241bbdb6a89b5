//! `streamgauge check`: what it says of whatever can be wrong, and that it says nothing where nothing is.

use std::process::Output;

use serde_json::Value;

use crate::support::exporter::Launch;

mod kubernetes;
mod others;
mod rights;
mod roles;
mod streams;
mod told;
mod way;

/// What a check said.
#[derive(Debug)]
pub struct Checked {
    pub code: i32,
    pub said: Value,
    pub text: String,
}

/// One statement.
#[derive(Clone, Debug)]
pub struct Line {
    pub check: String,
    pub status: String,
    pub message: String,
    pub advice: Option<String>,
}

impl Checked {
    /// Of one server, named main.
    #[track_caller]
    pub fn of(url: &str, arguments: &[&str]) -> Checked {
        let launch = Launch::new("check").args(&["--redis.url", url, "--redis.name", "main"]).args(arguments);
        Checked::by(launch)
    }

    #[track_caller]
    pub fn by(launch: Launch) -> Checked {
        let Output { status, stdout, stderr } = launch.args(&["--output", "json"]).output();
        let (text, errors) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!(errors, "", "{text}");
        let said: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let checked = Checked { code: status.code().unwrap(), said, text };
        let failed = checked.lines().iter().any(|line| line.status == "fail");
        assert_eq!(
            (checked.code, &checked.said["ok"]),
            (i32::from(failed), &(!failed).into()),
            "{}",
            checked.text
        );
        checked
    }

    pub fn lines(&self) -> Vec<Line> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let lines = self.said["checks"].as_array().unwrap().iter();
        lines
            .map(|line| Line {
                check: text(&line["check"]).unwrap(),
                status: text(&line["status"]).unwrap(),
                message: text(&line["message"]).unwrap(),
                advice: text(&line["advice"]),
            })
            .collect()
    }

    pub fn all(&self, check: &str) -> Vec<Line> {
        self.lines().into_iter().filter(|line| line.check == check).collect()
    }

    /// The only statement of a check, which has this status.
    #[track_caller]
    pub fn one(&self, check: &str, status: &str) -> Line {
        let mut all = self.all(check);
        let line = all.pop().unwrap_or_else(|| panic!("no {check}: {}", self.text));
        assert!(all.is_empty() && line.status == status, "{check} {status}: {}", self.text);
        line
    }

    /// Everything that is neither well nor skipped.
    pub fn wrong(&self) -> Vec<Line> {
        self.lines().into_iter().filter(|line| !["ok", "skip"].contains(&&*line.status)).collect()
    }

    #[track_caller]
    pub fn all_ok(&self) {
        assert!(self.lines().iter().all(|line| line.status == "ok"), "{}", self.text);
    }

    /// This fails, nothing before it does, and nothing after it was looked at.
    #[track_caller]
    pub fn ends_at(&self, check: &str) -> Line {
        let lines = self.lines();
        let place =
            lines.iter().position(|line| line.check == check).unwrap_or_else(|| panic!("{}", self.text));
        assert!(lines[..place].iter().all(|line| line.status == "ok"), "{}", self.text);
        let reason = format!("not looked at: {check} failed");
        let after = &lines[place + 1..];
        assert!(!after.is_empty(), "{}", self.text);
        assert!(
            after.iter().all(|line| line.status == "skip" && line.message == reason && line.advice.is_none()),
            "{}",
            self.text
        );
        self.one(check, "fail")
    }
}

impl Line {
    /// What is found and what is advised hold these words.
    #[track_caller]
    pub fn says(&self, message: &str, advice: &str) {
        let advised = self.advice.as_deref().unwrap_or_default();
        assert!(self.message.contains(message) && advised.contains(advice), "{self:?}");
    }
}
