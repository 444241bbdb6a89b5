//! The example workers and the producer, each a process.

use std::{path::PathBuf, process::Command};

use rustix::process::Signal;

use super::DIRECTORY;
use crate::support::{
    process::{self, Process},
    tool::require_folder,
    wait,
};

/// What a worker is written in.
#[derive(Clone, Copy, Debug)]
pub enum Language {
    Python,
    Go,
}

/// Tests of a scenario, one in each language, on every server version that there is.
macro_rules! in_each_language {
    ($($scenario:ident),+) => {
        mod python {
            $(#[test] fn $scenario() {
                $crate::examples::scene::on_each_version(|scene| super::$scenario(super::Language::Python, scene));
            })+
        }
        mod go {
            $(#[test] fn $scenario() {
                $crate::examples::scene::on_each_version(|scene| super::$scenario(super::Language::Go, scene));
            })+
        }
    };
}
pub(super) use in_each_language;

/// What runs them, made ready by `scripts/test-examples`.
pub struct Programs(PathBuf);

impl Programs {
    /// None where it is not ready: then the test must return.
    #[must_use]
    pub fn find() -> Option<Programs> {
        require_folder("STREAMGAUGE_TEST_EXAMPLES", "scripts/test-examples").map(Programs)
    }

    fn python(&self, script: &str) -> Command {
        let mut command = Command::new(self.0.join("venv/bin/python"));
        command.arg(script).env("PYTHONDONTWRITEBYTECODE", "1");
        command.current_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(DIRECTORY).join("python"));
        command
    }

    /// A worker with the settings that the examples have, but for these.
    pub fn worker(&self, language: Language, redis: &str, name: &str, settings: &[(&str, &str)]) -> Worker {
        let mut command = match language {
            Language::Python => self.python("worker.py"),
            Language::Go => Command::new(self.0.join("order-processor")),
        };
        command.env("REDIS_URL", redis).env("CONSUMER_NAME", name);
        // Nobody is to wait long for what does not come; what is abandoned is claimed only where a test wants it.
        command.env("BLOCK_MS", "100").env("CLAIM_IDLE_MS", "3600000").env("WORK_MS", "0");
        command.envs(settings.iter().copied());
        Worker(Process::spawn(command))
    }

    /// A producer that goes on until it is dropped.
    pub fn producer(&self, redis: &str) -> Process {
        let mut command = self.python("producer.py");
        command.env("REDIS_URL", redis).env("RATE", "500");
        Process::spawn(command)
    }

    /// A producer that adds so many orders, to its end.
    #[track_caller]
    pub fn produce(&self, redis: &str, count: usize) {
        let mut command = self.python("producer.py");
        command.env("REDIS_URL", redis).env("RATE", "10000").env("COUNT", count.to_string());
        let output = process::run(command, b"");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A running worker; killed on drop.
pub struct Worker(Process);

impl Worker {
    /// It stands still in the middle of whatever it does.
    pub fn freeze(&self) {
        self.0.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.0.signal(Signal::CONT);
    }

    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Asks it to stop, as Kubernetes does, and waits until it has.
    #[track_caller]
    pub fn stop(&mut self) {
        self.0.signal(Signal::TERM);
        let status = self.0.wait();
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// What it has said.
    pub fn log(&self) -> String {
        self.0.stderr.text()
    }

    /// Waits for something that it does; it must not end meanwhile.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut attempt: impl FnMut() -> Result<(), String>) {
        wait::until(what, || {
            let ended = self.0.exit_status();
            assert!(ended.is_none(), "it ended, {ended:?}: {}", self.log());
            attempt().map_err(|last| format!("{last}\n{}", self.log()))
        });
    }
}
