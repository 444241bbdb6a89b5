//! A process under measurement: started with what ends it when the bench ends, stopped while another one's turn is, and
//! asked how much of a CPU and of memory it has used.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::time::ClockId;
use rustix::process::{Pid, Signal, kill_process};

use crate::Result;

/// How long a process must have used next to nothing for its work to be over: longer than any round trip here.
const QUIET: Duration = Duration::from_millis(150);

/// What a process uses at most while it only waits, within [`QUIET`].
const IDLE: Duration = Duration::from_micros(300);

/// A running process; killed on drop, and by the system if the bench dies before.
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts it, with its output in a file of this name. Only the main thread may do so: the system ends the process
    /// together with the thread that started it.
    pub fn spawn(program: &Path, arguments: &[String], log: &Path) -> Result<Process> {
        let sink = fs::File::create(log)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments).env_clear();
        for kept in ["PATH", "HOME", "LANG"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        let child = command.stdin(Stdio::null()).stdout(sink.try_clone()?).stderr(sink).spawn();
        let child =
            child.map_err(|error| format!("cannot start {} by setpriv: {error}", program.display()))?;
        Ok(Process { child, name: program.display().to_string() })
    }

    /// CPU time of all its threads so far, user and system.
    pub fn cpu(&self) -> Result<Duration> {
        // Linux's name of another process's clock, which counts nanoseconds: the complement of its ID, and 2 for CPU time.
        let clock = !i32::try_from(self.child.id())? << 3 | 2;
        Ok(ClockId::from_raw(clock).now()?.into())
    }

    /// Resident memory now, and the most it ever was, in bytes.
    pub fn memory(&self) -> Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let bytes = |field: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kilobytes = line.and_then(|line| line.trim_end_matches(" kB").trim().parse::<u64>().ok());
            Ok(kilobytes.ok_or_else(|| format!("/proc has no {field} of {}", self.name))? * 1024)
        };
        Ok(Memory { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
    }

    /// It does nothing until it is resumed.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// It goes on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().try_into()?).ok_or("no such process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits until it begins to work, that is, until it has used more since `before` than one that waits.
    pub fn wait_busy(&self, before: Duration, most: Duration) -> Result<()> {
        let deadline = Instant::now() + most;
        while self.cpu()?.saturating_sub(before) < IDLE {
            if Instant::now() > deadline {
                return Err(format!("{} has done nothing for {most:?}", self.name).into());
            }
            thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    /// Waits until its work is over. Returns the CPU time that it had used by then.
    pub fn wait_quiet(&self, most: Duration) -> Result<Duration> {
        let deadline = Instant::now() + most;
        let (mut since, mut then) = (Instant::now(), self.cpu()?);
        while since.elapsed() < QUIET {
            if Instant::now() > deadline {
                return Err(format!("{} is still busy after {most:?}", self.name).into());
            }
            thread::sleep(Duration::from_millis(2));
            let now = self.cpu()?;
            if now.saturating_sub(then) > IDLE {
                (since, then) = (Instant::now(), now);
            }
        }
        self.cpu()
    }

    /// The error that it has ended, if it has.
    pub fn check_alive(&mut self, log: &Path) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let said = fs::read_to_string(log).unwrap_or_default();
                Err(format!("{} has ended, {status}: {said}", self.name).into())
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub now: u64,
    pub peak: u64,
}
