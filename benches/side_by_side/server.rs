//! A private redis-server, and what it says of its own cost.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{Result, measured::Process};

/// The server; ended on drop.
pub struct Server {
    pub process: Process,
    pub port: u16,
    /// The program beside it that `--pipe` is fed to.
    pub client: PathBuf,
    connection: redis::Connection,
    /// Whether what it tells is reset before each turn.
    is_reset: bool,
    /// What it had told when it was marked.
    before: Told,
}

/// How long it is watched for what it uses while nothing is asked of it.
const IDLE: Duration = Duration::from_millis(100);

/// A moment from which on its CPU is counted.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: Instant,
    cpu: Duration,
    /// What it uses of a CPU while nothing is asked of it.
    idle: f64,
}

/// What of its CPU was used since then.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    cpu: Duration,
    passed: Duration,
    idle: f64,
}

impl Used {
    /// By what was asked of it for so long: without what it used while nothing was.
    pub fn by(&self, asked: Duration) -> Duration {
        self.cpu.saturating_sub(self.passed.saturating_sub(asked).mul_f64(self.idle))
    }
}

/// What Redis says of the time between a mark and now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Execution of commands, by INFO commandstats.
    pub commands: Duration,
    /// Longest cycle of the event loop, by INFO debug; only after a reset.
    pub block: Option<Duration>,
    /// Number of commands, but for EXEC.
    pub calls: u64,
    /// The same, and EXEC.
    pub executed: u64,
    /// Most commands in one cycle of the event loop, by INFO debug; only after a reset.
    pub together: Option<u64>,
}

impl Server {
    /// Starts this program in a directory of its own.
    pub fn start(program: &Path, directory: &Path) -> Result<Server> {
        let (port, log) = (free_port()?, directory.join("redis.log"));
        let arguments =
            ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let mut arguments: Vec<_> = arguments.map(str::to_owned).into();
        arguments.extend(["--dir".to_owned(), directory.display().to_string()]);
        let mut process = Process::spawn(program, &arguments, &log)?;
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
        let deadline = Instant::now() + Duration::from_secs(10);
        let connection = loop {
            process.check_alive(&log)?;
            match client.get_connection() {
                Ok(connection) => break connection,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        };
        let client = program.with_file_name("redis-cli");
        Ok(Server { process, port, client, connection, is_reset: true, before: Told::default() })
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection for what is not measured.
    pub fn connection(&mut self) -> &mut redis::Connection {
        &mut self.connection
    }

    /// It is never reset: streamgauge would read anew what it knows of streams.
    pub fn never_reset(&mut self) {
        self.is_reset = false;
    }

    /// From now on its CPU is counted, and what it tells ([`Server::told`]). A reset is a cycle of its event loop, of some
    /// 0.1 ms.
    pub fn mark(&mut self) -> Result<Mark> {
        let (started, before) = (Instant::now(), self.process.cpu()?);
        thread::sleep(IDLE);
        let idle = (self.process.cpu()? - before).as_secs_f64() / started.elapsed().as_secs_f64();
        self.before = Told::default();
        if self.is_reset {
            redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut self.connection)?;
        } else {
            self.before = self.told()?;
        }
        Ok(Mark { at: Instant::now(), cpu: self.process.cpu()?, idle })
    }

    /// Its CPU since then.
    pub fn used(&self, since: &Mark) -> Result<Used> {
        Ok(Used { cpu: self.process.cpu()? - since.cpu, passed: since.at.elapsed(), idle: since.idle })
    }

    /// What it cost since it was marked.
    pub fn told(&mut self) -> Result<Told> {
        let ask = redis::cmd("INFO").arg("commandstats").arg("debug").query(&mut self.connection);
        let info: String = ask?;
        let (mut commands, mut calls, mut executed) = (0, 0, 0);
        for line in info.lines().filter_map(|line| line.strip_prefix("cmdstat_")) {
            let (name, figures) = line.split_once(':').ok_or("a line of commandstats without a name")?;
            let of = |key: &str| -> Result<u64> {
                let figure = figures.split(',').find_map(|figure| figure.strip_prefix(key));
                Ok(figure.ok_or("a line of commandstats without a figure")?.parse()?)
            };
            executed += of("calls=")?;
            // Neither the reset's own, nor once more what a transaction executes.
            if !name.starts_with("config") && name != "exec" {
                commands += of("usec=")?;
                calls += of("calls=")?;
            }
        }
        let of_cycle = |name: &str| -> Result<u64> {
            let lacks = || format!("this Redis does not tell {name} in INFO debug: use 7.2 or later");
            Ok(field(&info, name).ok_or_else(lacks)?.parse()?)
        };
        Ok(Told {
            commands: Duration::from_micros(commands) - self.before.commands,
            block: Some(Duration::from_micros(of_cycle("eventloop_duration_max")?)).filter(|_| self.is_reset),
            calls: calls - self.before.calls,
            executed: executed - self.before.executed,
            together: Some(of_cycle("eventloop_cmd_per_cycle_max")?).filter(|_| self.is_reset),
        })
    }
}

/// A port that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A field of INFO.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}
