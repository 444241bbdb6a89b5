//! Where the demo works: its redis-server outlives a demo that is killed, as tests do with whatever they have started.

use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A place for the demo's files (`TMPDIR`). What still works in it at the end of a test is ended with it.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The processes whose working directory it is. Command lines would not do: redis-server changes its own.
    pub fn processes(&self) -> Vec<Pid> {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let here = processes.filter(|process| {
            fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(self.path()))
        });
        here.filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?)).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for process in self.processes() {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}
