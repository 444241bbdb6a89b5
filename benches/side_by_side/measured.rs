//! A process under measurement: started with what ends it when the bench ends, stopped while another one's turn is, and
//! asked how much of a CPU and of memory it has used.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CpuSet, sched_setaffinity},
};

use crate::Result;

/// How long a process must have used next to nothing for its work to be over: longer than any round trip here.
const QUIET: Duration = Duration::from_millis(150);

/// What a process uses at most while it only waits, within [`QUIET`]: Redis looks at its clients and keys ten times a second.
const IDLE: Duration = Duration::from_micros(2500);

/// A running process; killed on drop, and by the system if the bench dies before.
pub struct Process {
    child: Child,
    /// Nanoseconds that each of its threads has used so far.
    threads: Mutex<HashMap<OsString, u64>>,
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
        Ok(Process { child, threads: Mutex::default(), name: program.display().to_string() })
    }

    /// CPU time of all its threads so far, user and system, as the scheduler counts it: in nanoseconds. What a thread has used
    /// that has ended is what it had used when it was last looked at.
    pub fn cpu(&self) -> Result<Duration> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let thread = thread?;
            // It may have ended since the directory was read.
            let Ok(stat) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let used = stat.split(' ').next().ok_or("a thread without its time")?.parse()?;
            threads.insert(thread.file_name(), used);
        }
        Ok(Duration::from_nanos(threads.values().sum()))
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

    /// Its threads run on these CPUs only, and so do those that they start.
    pub fn keep_to(&self, cpus: &CpuSet) -> Result<()> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let thread = thread?.file_name().to_string_lossy().parse()?;
            sched_setaffinity(Some(Pid::from_raw(thread).ok_or("no such thread")?), cpus)?;
        }
        Ok(())
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

    /// Waits until the work of all of these is over: none uses the CPU, and none waits for it on a busy machine.
    pub fn wait_quiet(all: &[&Process], most: Duration) -> Result<()> {
        let used = || all.iter().map(|one| one.cpu()).sum::<Result<Duration>>();
        let deadline = Instant::now() + most;
        let (mut since, mut then) = (Instant::now(), used()?);
        while since.elapsed() < QUIET {
            if Instant::now() > deadline {
                let names: Vec<_> = all.iter().map(|one| &*one.name).collect();
                return Err(format!("{} is still busy after {most:?}", names.join(" or ")).into());
            }
            // To look takes a CPU that who is measured may need.
            thread::sleep(Duration::from_millis(10));
            let now = used()?;
            if now.saturating_sub(then) > IDLE || all.iter().any(|one| one.is_runnable()) {
                (since, then) = (Instant::now(), now);
            }
        }
        Ok(())
    }

    /// Whether one of its threads runs, or would if there were a CPU for it.
    fn is_runnable(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        // The state comes after the name in brackets.
        threads
            .filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok())
            .any(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R')))
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
