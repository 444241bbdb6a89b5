//! The floor: `redis-cli --pipe`, fed with the commands of one poll, byte for byte as streamgauge sent them.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Result,
    measured::Process,
    server::{Server, Told},
};

/// What a poll sends.
pub struct Floor {
    file: PathBuf,
    commands: usize,
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// From the start of redis-cli to its end.
    pub time: Duration,
    pub redis_cpu: Duration,
    pub told: Told,
}

impl Floor {
    pub fn of(requests: &[u8], file: PathBuf) -> Result<Floor> {
        let (commands, requests) = without_client(requests)?;
        fs::write(&file, requests)?;
        Ok(Floor { file, commands })
    }

    /// Sends them to this port, and reads all replies.
    pub fn run(&self, server: &mut Server, port: u16) -> Result<Run> {
        Process::wait_quiet(&[&server.process], Duration::from_secs(60))?;
        let mark = server.mark()?;
        let mut command = Command::new(&server.client);
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "--pipe"]);
        command.stdin(Stdio::from(File::open(&self.file)?));
        let started = Instant::now();
        let output = command.output()?;
        let time = started.elapsed();
        let redis_cpu = server.used(&mark)?.by(time);
        let told = server.told()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let expected = format!("errors: 0, replies: {}", self.commands);
        if !output.status.success() || !said.contains(&expected) {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!("redis-cli --pipe says, instead of \"{expected}\": {said}{errors}").into());
        }
        Ok(Run { time, redis_cpu, told })
    }
}

/// Commands without those about the connection itself (`CLIENT CACHING`, of which redis-cli has no use), and how many they
/// are: arrays of bulk strings, and nothing after the last.
fn without_client(mut rest: &[u8]) -> Result<(usize, Vec<u8>)> {
    let (mut commands, mut kept) = (0, Vec::new());
    while !rest.is_empty() {
        let command = rest;
        let mut name = None;
        for _ in 0..number(&mut rest, b'*')? {
            let length = number(&mut rest, b'$')?;
            name = name.or(rest.get(..length));
            rest = rest.get(length + 2..).ok_or("a word is cut off")?;
        }
        if name != Some(b"CLIENT") {
            kept.extend_from_slice(&command[..command.len() - rest.len()]);
            commands += 1;
        }
    }
    Ok((commands, kept))
}

/// The number in the line that comes next, which must begin with this byte.
fn number(rest: &mut &[u8], begin: u8) -> Result<usize> {
    let end = rest.windows(2).position(|window| window == b"\r\n").ok_or("a line without an end")?;
    let (line, after) = (&rest[..end], &rest[end + 2..]);
    let digits = line.strip_prefix(&[begin]).ok_or("not the RESP of a command")?;
    *rest = after;
    Ok(str::from_utf8(digits)?.parse()?)
}
