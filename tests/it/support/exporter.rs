//! The real program.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    process::{Command, Output},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use super::{
    http::{self, Answer},
    process::{self, Process},
    samples::Samples,
    wait,
};

/// A command line that is being put together. It polls fast, also what is down, and no measurement goes stale but where a test says so:
/// a busy machine must not look like a hanging Redis.
pub struct Launch(Command);

impl Launch {
    pub fn new(subcommand: &str) -> Launch {
        let mut launch = Launch::bare();
        launch.0.arg(subcommand);
        if subcommand == "groups" {
            launch.0.env_remove("STREAMGAUGE_WEB_LISTEN_ADDRESS");
        } else {
            launch.0.env("STREAMGAUGE_LOG_FORMAT", "json");
            launch.0.env("STREAMGAUGE_POLL_INTERVAL", "100ms");
            launch.0.env("STREAMGAUGE_POLL_STALE_AFTER", "1000");
            launch.0.env("STREAMGAUGE_POLL_MAX_BACKOFF", "100ms");
        }
        launch
    }

    /// Without any argument or setting, but that it serves on a free port.
    pub fn bare() -> Launch {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("STREAMGAUGE_") || name.starts_with("REDIS_") {
                command.env_remove(&variable);
            }
        }
        command.env("STREAMGAUGE_WEB_LISTEN_ADDRESS", "127.0.0.1:0");
        Launch(command)
    }

    pub fn args(mut self, arguments: &[&str]) -> Launch {
        self.0.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Launch {
        self.0.env(name, value);
        self
    }

    /// Starts the exporter and waits until it serves.
    #[track_caller]
    pub fn start(self) -> Streamgauge {
        Streamgauge::new(self.0)
    }

    /// Starts the process, and waits for nothing.
    pub fn spawn(self) -> Process {
        Process::spawn(self.0)
    }

    /// Runs it to its end.
    pub fn output(self) -> Output {
        process::run(self.0, b"")
    }
}

/// A running exporter; killed on drop.
pub struct Streamgauge {
    pub process: Process,
    pub address: SocketAddr,
}

impl Streamgauge {
    /// An exporter of one server; the arguments add to its command line.
    #[track_caller]
    pub fn of(url: &str, arguments: &[&str]) -> Streamgauge {
        let gauge =
            Launch::new("serve").args(&["--redis.url", url, "--redis.name", "main"]).args(arguments).start();
        gauge.wait_ready();
        gauge
    }

    /// An exporter with a configuration file.
    #[track_caller]
    pub fn with_file(yaml: &str) -> Streamgauge {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        let gauge = Launch::new("serve").args(&["--config.file", file.path().to_str().unwrap()]).start();
        gauge.wait_ready();
        gauge
    }

    #[track_caller]
    fn new(command: Command) -> Streamgauge {
        let mut process = Process::spawn(command);
        let address = wait::until("the exporter to serve", || {
            let log = process.stderr.lines();
            let address = log.iter().find_map(|line| address_served(line));
            let ended = process.exit_status();
            assert!(ended.is_none() || address.is_some(), "it ended: {}", log.join("\n"));
            address.ok_or_else(|| log.join("\n"))
        });
        Streamgauge { process, address }
    }

    /// Memory of the process in KiB, by the name that it has in `/proc/…/status`.
    #[track_caller]
    pub fn memory_kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        value.unwrap().parse().unwrap()
    }

    #[track_caller]
    pub fn wait_ready(&self) {
        wait::until("the exporter to be ready", || match http::get(self.address, "/readyz", &[])? {
            answer if answer.status == 200 => Ok(()),
            answer => Err(answer.text().to_owned()),
        });
    }

    #[track_caller]
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        http::get(self.address, path, headers)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.process.stderr.text()))
    }

    /// The metrics as they stand.
    #[track_caller]
    pub fn metrics(&self) -> Samples {
        let answer = self.get("/metrics", &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        Samples::parse(answer.text())
    }

    /// The metrics of a poll that began after this call: the second one to end, for the first may have begun before.
    #[track_caller]
    pub fn poll(&self) -> Samples {
        self.polled("streamgauge_poll_last_success_timestamp_seconds")
    }

    /// The same of one of several servers.
    #[track_caller]
    pub fn poll_of(&self, redis: &str) -> Samples {
        self.polled(&format!("streamgauge_poll_last_success_timestamp_seconds{{redis=\"{redis}\"}}"))
    }

    #[track_caller]
    fn polled(&self, ended: &str) -> Samples {
        let asked = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let (first, _) = self.poll_that_ended_after(ended, asked);
        self.poll_that_ended_after(ended, first).1
    }

    #[track_caller]
    fn poll_that_ended_after(&self, ended: &str, time: f64) -> (f64, Samples) {
        wait::until("a poll to end", || {
            let metrics = self.metrics();
            match metrics.value(ended) {
                Some(ended) if ended > time => Ok((ended, metrics)),
                _ => Err(format!("{}\n{}", metrics.redis_lines(), self.process.stderr.text())),
            }
        })
    }

    /// Waits until one series has this value; `None` is that it is absent.
    #[track_caller]
    pub fn until(&self, selector: &str, value: Option<f64>) -> Samples {
        wait::until(&format!("{selector} to be {value:?}"), || {
            let metrics = self.metrics();
            if metrics.value(selector) == value {
                Ok(metrics)
            } else {
                Err(format!("{}\n{}", metrics.redis_lines(), self.process.stderr.text()))
            }
        })
    }

    /// `/api/v1/groups`.
    #[track_caller]
    pub fn groups(&self) -> Value {
        self.get("/api/v1/groups", &[]).json()
    }

    /// The log lines with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let lines = self.process.stderr.lines();
        let lines = lines.iter().map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not a log line: {line:?}"))
        });
        lines.filter(|line| line["message"] == message).collect()
    }
}

/// The address in the log line that tells it, in either format.
fn address_served(line: &str) -> Option<SocketAddr> {
    match serde_json::from_str::<Value>(line) {
        Ok(line) if line["message"] == "serving" => line["address"].as_str()?.parse().ok(),
        Ok(_) => None,
        Err(_) => line.split_once("serving address=")?.1.split(' ').next()?.parse().ok(),
    }
}
