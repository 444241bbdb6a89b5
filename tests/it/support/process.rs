//! A child process that never outlives its test.

use std::{
    fs::{self, File},
    io::{Seek as _, Write as _},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use super::wait;

/// A running process; killed on drop. What it writes goes to files: it never blocks, and all that it has written can
/// be read at once.
pub struct Process {
    child: Child,
    pub stdout: Written,
    pub stderr: Written,
}

/// What a process has written so far.
pub struct Written(NamedTempFile);

impl Written {
    fn new() -> Written {
        Written(NamedTempFile::new().unwrap())
    }

    fn sink(&self) -> File {
        self.0.reopen().unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.0.path()).unwrap()).into_owned()
    }

    /// The lines that are complete.
    pub fn lines(&self) -> Vec<String> {
        let text = self.text();
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        complete.split('\n').filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

impl Process {
    pub fn spawn(mut command: Command) -> Process {
        let (stdout, stderr) = (Written::new(), Written::new());
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout.sink())
            .stderr(stderr.sink())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Process { child, stdout, stderr }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Ends it at once; it may have ended already.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn wait(&mut self) -> ExitStatus {
        wait::until("the process to end", || self.exit_status().ok_or_else(|| self.stderr.text()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end, with this on its standard input.
pub fn run(mut command: Command, stdin: &[u8]) -> Output {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(stdin).unwrap();
    input.rewind().unwrap();
    let (stdout, stderr) = (Written::new(), Written::new());
    command.stdin(input).stdout(stdout.sink()).stderr(stderr.sink());
    let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut process = Process { child, stdout, stderr };
    Output {
        status: process.wait(),
        stdout: fs::read(process.stdout.0.path()).unwrap(),
        stderr: fs::read(process.stderr.0.path()).unwrap(),
    }
}

/// Lets this process have so many open files, where it may.
pub fn allow_open_files(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < count) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum })
            .expect("so many connections need as many open files: raise the hard limit (ulimit -Hn)");
    }
}
