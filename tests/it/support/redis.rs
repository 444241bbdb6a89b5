//! A real redis-server of one's own.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
};

use redis::{
    Client, Cmd, Connection, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _, RedisConnectionInfo,
    Value,
};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{process::Process, wait};

/// A redis-server process on a free port, with a directory of its own; killed on drop.
pub struct RedisServer {
    binary: PathBuf,
    process: Process,
    port: u16,
    password: Option<String>,
    directory: TempDir,
}

impl RedisServer {
    pub fn start() -> RedisServer {
        RedisServer::with(&[])
    }

    /// With more arguments than the usual ones.
    pub fn with(arguments: &[&str]) -> RedisServer {
        RedisServer::on(free_port(), arguments)
    }

    /// On a port that [`free_port`] gave.
    pub fn on(port: u16, arguments: &[&str]) -> RedisServer {
        RedisServer::of(Path::new("redis-server"), port, arguments)
    }

    /// Of another version: the program to run.
    pub fn of(binary: &Path, port: u16, arguments: &[&str]) -> RedisServer {
        let directory = tempfile::tempdir().unwrap();
        let password = arguments.iter().skip_while(|argument| **argument != "--requirepass").nth(1);
        let server = RedisServer {
            process: spawn(binary, port, &directory, arguments),
            binary: binary.to_owned(),
            port,
            password: password.map(|password| (*password).to_owned()),
            directory,
        };
        server.wait_until_it_answers();
        server
    }

    /// Ends the process and starts it again, on the same port and directory.
    pub fn restart(&mut self, arguments: &[&str]) {
        self.kill();
        self.process = spawn(&self.binary, self.port, &self.directory, arguments);
        self.wait_until_it_answers();
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// The process stops in the middle of whatever it does: connections stay open, nothing is answered.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// That it is loading its data is an answer too. The port may have gone to another process: that is none.
    fn wait_until_it_answers(&self) {
        let ours = format!("process_id:{}", self.process.id());
        wait::until("redis-server to answer", || {
            let info: String = self.try_ask(&["INFO", "server"])?;
            if info.contains(&ours) { Ok(()) } else { Err(info) }
        });
    }

    /// A file that lives as long as the server does: its path. Whoever reads it meanwhile reads all of it, or all of what
    /// was there before.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.directory.path().join(name);
        let new = path.with_extension("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(&new, &path).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Major and minor version.
    pub fn version(&self) -> (u32, u32) {
        let info: String = self.ask(&["INFO", "server"]);
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap();
        let mut parts = version.split('.').map(|part| part.parse().unwrap());
        (parts.next().unwrap(), parts.next().unwrap())
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What opens connections, also when this is borrowed elsewhere.
    pub fn client(&self) -> Result<Client, redis::RedisError> {
        let mut settings = RedisConnectionInfo::default();
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        let address = ConnectionAddr::Tcp("127.0.0.1".into(), self.port);
        Client::open(address.into_connection_info()?.set_redis_settings(settings))
    }

    /// A connection of one's own.
    pub fn connection(&self) -> Result<Connection, redis::RedisError> {
        self.client()?.get_connection()
    }

    /// Sends one command.
    pub fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> Result<T, String> {
        command(words)
            .query(&mut self.connection().map_err(|error| error.to_string())?)
            .map_err(|error| error.to_string())
    }

    /// Sends one command that must succeed.
    #[track_caller]
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Sends commands that must succeed, each as it is written at a terminal, without quotes.
    #[track_caller]
    pub fn run(&self, commands: &[&str]) {
        self.run_on(0, commands);
    }

    /// The same on another database.
    #[track_caller]
    pub fn run_on(&self, database: u32, commands: &[&str]) {
        let mut connection = self.connection().unwrap();
        command(&["SELECT", &database.to_string()]).exec(&mut connection).unwrap();
        for text in commands {
            let words: Vec<_> = text.split(' ').collect();
            let done = command(&words).exec(&mut connection);
            done.unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }

    /// Sends one command with words of any bytes.
    #[track_caller]
    pub fn run_bytes(&self, words: &[&[u8]]) {
        let mut command = Cmd::new();
        words.iter().for_each(|word| _ = command.arg(*word));
        command.exec(&mut self.connection().unwrap()).unwrap();
    }

    /// Adds that many entries.
    #[track_caller]
    pub fn add(&self, stream: &str, count: usize) {
        let mut pipeline = redis::pipe();
        (0..count).for_each(|number| _ = pipeline.cmd("XADD").arg(stream).arg("*").arg("n").arg(number));
        pipeline.exec(&mut self.connection().unwrap()).unwrap();
    }

    /// `XINFO GROUPS`, by group.
    pub fn groups(&self, stream: &str) -> BTreeMap<String, Fields> {
        by_name(self.ask(&["XINFO", "GROUPS", stream]))
    }

    /// `XINFO CONSUMERS`, by consumer.
    pub fn consumers(&self, stream: &str, group: &str) -> BTreeMap<String, Fields> {
        by_name(self.ask(&["XINFO", "CONSUMERS", stream, group]))
    }

    /// `XINFO STREAM`.
    pub fn stream(&self, stream: &str) -> Fields {
        self.ask(&["XINFO", "STREAM", stream])
    }

    /// Redis's own count of the calls of every command, since it started. Subcommands, which only newer servers tell
    /// apart, are added up.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        let info: String = self.ask(&["INFO", "commandstats"]);
        let lines = info.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
        let mut calls = BTreeMap::new();
        for (name, rest) in lines {
            let command = name.split('|').next().unwrap();
            let count: u64 = rest.split(',').next().unwrap().parse().unwrap();
            *calls.entry(command.to_owned()).or_default() += count;
        }
        calls
    }
}

/// The fields of one object in an XINFO reply.
pub type Fields = BTreeMap<String, Value>;

/// An integer among the fields; `None` for nil, and where the server does not have it.
pub fn integer(fields: &Fields, field: &str) -> Option<f64> {
    match fields.get(field)? {
        Value::Int(number) => Some(*number as f64),
        Value::Nil => None,
        other => panic!("{field} is {other:?}"),
    }
}

/// The millisecond part of an ID among the fields.
pub fn id_ms(fields: &Fields, field: &str) -> Option<f64> {
    let id = match fields.get(field)? {
        Value::Array(entry) => &entry[0],
        id => id,
    };
    let id: String = FromRedisValue::from_redis_value(id.clone()).unwrap();
    Some(id.split('-').next().unwrap().parse().unwrap())
}

fn by_name(items: Vec<Fields>) -> BTreeMap<String, Fields> {
    let name = |item: &Fields| FromRedisValue::from_redis_value(item["name"].clone()).unwrap();
    items.into_iter().map(|item| (name(&item), item)).collect()
}

fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    words.iter().for_each(|word| _ = command.arg(*word));
    command
}

fn spawn(binary: &Path, port: u16, directory: &TempDir, arguments: &[&str]) -> Process {
    let mut command = Command::new(binary);
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(directory.path())
        .args(arguments);
    Process::spawn(command)
}

/// A free port below those that the system gives to connections: none of them takes it between a kill and a restart.
pub fn free_port() -> u16 {
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 15_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    loop {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
