//! A configuration that changes while the exporter runs: what asks for a reload, and what becomes of the servers.

use std::{fs, path::PathBuf};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    exporter::{Launch, Streamgauge},
    http::{self, Answer},
    wait,
};

mod cost;
mod servers;
mod settings;
mod triggers;

const SUCCESSFUL: &str = "streamgauge_config_last_reload_successful";
const SUCCEEDED_AT: &str = "streamgauge_config_last_reload_success_timestamp_seconds";
const IN_USE: &str = "configuration is in use";
const OF_NO_USE: &str = "configuration is of no use: the one before stays";

/// An exporter whose configuration file is the test's to write.
struct Reloadable {
    gauge: Streamgauge,
    file: PathBuf,
    _directory: TempDir,
}

impl Reloadable {
    #[track_caller]
    fn start(yaml: &str) -> Reloadable {
        Reloadable::with(yaml, |launch| launch.args(&["--web.enable-lifecycle"]))
    }

    #[track_caller]
    fn with(yaml: &str, more: impl Fn(Launch) -> Launch) -> Reloadable {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("streamgauge.yaml");
        fs::write(&file, yaml).unwrap();
        let gauge = more(Launch::new("serve").args(&["--config.file", file.to_str().unwrap()])).start();
        gauge.wait_ready();
        Reloadable { gauge, file, _directory: directory }
    }

    fn write(&self, yaml: &str) {
        fs::write(&self.file, yaml).unwrap();
    }

    fn post(&self) -> Answer {
        http::request("POST", self.gauge.address, "/-/reload", &[]).unwrap()
    }

    /// Goes over to a file, which must be sound.
    #[track_caller]
    fn reload(&self, yaml: &str) {
        self.write(yaml);
        let answer = self.post();
        assert_eq!((answer.status, answer.text()), (200, "reloaded\n"));
    }

    /// A file that is refused; what is told.
    #[track_caller]
    fn refused(&self, yaml: &str) -> String {
        self.write(yaml);
        let answer = self.post();
        assert_eq!(answer.status, 500, "{}", answer.text());
        let told = answer.text().strip_prefix("failed to reload config:\n").unwrap();
        told.replace(&format!("{}:", self.file.display()), "")
    }

    /// Has it reload by a signal; the line of the log that tells what came of it.
    #[track_caller]
    fn hang_up(&self, message: &str) -> Value {
        let before = self.gauge.logged(message).len();
        self.gauge.process.signal(Signal::HUP);
        self.next(message, before)
    }

    /// The line of the log that comes after so many of its kind.
    #[track_caller]
    fn next(&self, message: &str, before: usize) -> Value {
        wait::until(message, || match &self.gauge.logged(message)[before..] {
            [] => Err(self.gauge.process.stderr.text()),
            [line, ..] => Ok(line.clone()),
        })
    }
}

/// A file with these servers: names, URLs, and what else is said of each.
fn servers(servers: &[(&str, &str, &str)]) -> String {
    let mut yaml = "redis:\n".to_owned();
    for (name, url, more) in servers {
        let comma = if more.is_empty() { "" } else { ", " };
        yaml += &format!("  - {{name: {name}, url: '{url}'{comma}{more}}}\n");
    }
    yaml
}
