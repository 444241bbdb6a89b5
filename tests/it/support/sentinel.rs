//! A service: a primary with its replicas, and the Sentinels that watch them.

use std::{collections::BTreeMap, fs, process::Command};

use redis::{
    Client, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError,
};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    process::Process,
    redis::{RedisServer, free_port},
    wait,
};

/// What the Sentinels call it.
pub const SERVICE: &str = "shop";

/// One Sentinel.
pub struct SentinelServer {
    process: Process,
    pub port: u16,
    pub password: Option<String>,
    directory: TempDir,
}

/// How a service is set up.
#[derive(Default)]
pub struct Setup<'a> {
    /// Arguments of all servers.
    pub servers: &'a [&'a str],
    /// Lines in the configuration of all Sentinels, before the service.
    pub sentinels: &'a [String],
    /// Host by which the primary is known.
    pub host: Option<&'a str>,
    /// Ports with TLS, of three servers and three Sentinels, by which they are known.
    pub tls_ports: Option<[u16; 6]>,
    /// What the Sentinels' default user needs.
    pub password: Option<&'a str>,
}

/// All of them.
pub struct Service {
    /// The first one is the primary at the beginning.
    pub servers: Vec<RedisServer>,
    pub sentinels: Vec<SentinelServer>,
    /// By which the servers are known.
    pub ports: Vec<u16>,
}

impl SentinelServer {
    /// Watches what stands on a port; the lines come before that.
    pub fn start(
        host: &str,
        port: u16,
        quorum: usize,
        lines: &[String],
        password: Option<&str>,
    ) -> SentinelServer {
        let (directory, own) = (tempfile::tempdir().unwrap(), free_port());
        let password_line =
            password.map(|password| format!("requirepass {password}\nsentinel sentinel-pass {password}\n"));
        let configuration = format!(
            "port {own}\nbind 127.0.0.1\ndir {}\n{}\n{}\n\
             sentinel monitor {SERVICE} {host} {port} {quorum}\n\
             sentinel down-after-milliseconds {SERVICE} 1000\n\
             sentinel failover-timeout {SERVICE} 10000\n",
            directory.path().display(),
            password_line.unwrap_or_default(),
            lines.join("\n"),
        );
        fs::write(directory.path().join("sentinel.conf"), configuration).unwrap();
        let process = spawn(&directory);
        let sentinel =
            SentinelServer { process, port: own, password: password.map(str::to_owned), directory };
        sentinel.wait_until_it_answers();
        sentinel
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it, if need be, and starts it again with what it knew.
    pub fn restart(&mut self) {
        self.kill();
        self.process = spawn(&self.directory);
        self.wait_until_it_answers();
    }

    /// It hangs: connections stay open, nothing is answered.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    fn wait_until_it_answers(&self) {
        let ours = format!("process_id:{}", self.process.id());
        wait::until("a sentinel to answer", || {
            let info: String = self.try_ask(&["INFO", "server"])?;
            if info.contains(&ours) { Ok(()) } else { Err(info) }
        });
    }

    pub fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> Result<T, String> {
        let ask = || -> Result<T, RedisError> {
            let mut settings = RedisConnectionInfo::default();
            if let Some(password) = &self.password {
                settings = settings.set_password(password);
            }
            let address = ConnectionAddr::Tcp("127.0.0.1".into(), self.port);
            let client = Client::open(address.into_connection_info()?.set_redis_settings(settings))?;
            let (first, rest) =
                words.split_first().ok_or(RedisError::from((ErrorKind::Client, "no words")))?;
            redis::cmd(first).arg(rest).query(&mut client.get_connection()?)
        };
        ask().map_err(|error| error.to_string())
    }

    #[track_caller]
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The port of the primary, as it says.
    pub fn primary(&self) -> Result<u16, String> {
        let (_, port): (String, u16) = self.try_ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE])?;
        Ok(port)
    }

    /// How many replicas and how many other Sentinels it knows.
    fn knows(&self) -> Result<(u32, u32), String> {
        let fields: BTreeMap<String, String> = self.try_ask(&["SENTINEL", "MASTER", SERVICE])?;
        Ok((fields["num-slaves"].parse().unwrap(), fields["num-other-sentinels"].parse().unwrap()))
    }
}

impl Service {
    /// Three servers and three Sentinels who know each other.
    pub fn with(setup: &Setup<'_>) -> Service {
        let host = setup.host.unwrap_or("127.0.0.1");
        let own = [(); 3].map(|()| free_port());
        let ports = setup.tls_ports.map_or(own, |ports| [ports[0], ports[1], ports[2]]);
        let primary = ports[0].to_string();
        let servers: Vec<_> = (0..3)
            .map(|place| {
                let tls_port = setup.tls_ports.map(|ports| ports[place].to_string());
                let mut arguments = setup.servers.to_vec();
                if let Some(port) = &tls_port {
                    arguments.extend(["--tls-port", port]);
                }
                if place > 0 {
                    arguments.extend(["--replicaof", host, &primary]);
                }
                RedisServer::on(own[place], &arguments)
            })
            .collect();
        wait::until("the replicas to be there", || {
            let info: String = servers[0].try_ask(&["INFO", "replication"])?;
            if info.matches("state=online").count() == 2 { Ok(()) } else { Err(info) }
        });
        let sentinels: Vec<_> = (0..3)
            .map(|place| {
                let tls_port = setup.tls_ports.map(|ports| format!("tls-port {}", ports[3 + place]));
                let lines: Vec<_> = setup.sentinels.iter().cloned().chain(tls_port).collect();
                SentinelServer::start(host, ports[0], 2, &lines, setup.password)
            })
            .collect();
        let service = Service { servers, sentinels, ports: ports.to_vec() };
        wait::until("the sentinels to know all", || {
            let known = service.sentinels.iter().map(SentinelServer::knows).collect::<Result<Vec<_>, _>>()?;
            let replicas = |sentinel: &SentinelServer| -> Result<usize, String> {
                let all: Vec<BTreeMap<String, String>> =
                    sentinel.try_ask(&["SENTINEL", "REPLICAS", SERVICE])?;
                Ok(all.iter().filter(|replica| replica["flags"] == "slave").count())
            };
            let fit = service.sentinels.iter().map(replicas).collect::<Result<Vec<_>, _>>()?;
            if known == [(2, 2); 3] && fit == [2; 3] { Ok(()) } else { Err(format!("{known:?} {fit:?}")) }
        });
        service
    }

    pub fn url(&self) -> String {
        let seeds = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port));
        format!("redis+sentinel://{}/{SERVICE}", seeds.collect::<Vec<_>>().join(","))
    }

    /// The place of the server that all Sentinels name, once it is not this one.
    #[track_caller]
    pub fn agreed_besides(&self, old: usize) -> usize {
        wait::until("the sentinels to agree on another primary", || {
            let named = self.sentinels.iter().map(SentinelServer::primary).collect::<Result<Vec<_>, _>>()?;
            let all_name = |port: &u16| named.iter().all(|named| named == port);
            let place = self.ports.iter().position(all_name);
            place.filter(|place| *place != old).ok_or_else(|| format!("{named:?} of {:?}", self.ports))
        })
    }

    /// Has the Sentinels make another server the primary.
    #[track_caller]
    pub fn fail_over(&self, old: usize) -> usize {
        wait::until("a sentinel to begin", || {
            self.sentinels[0].try_ask::<()>(&["SENTINEL", "FAILOVER", SERVICE])
        });
        self.agreed_besides(old)
    }

    /// Everything that was written is with all replicas that are there.
    #[track_caller]
    pub fn replicated(&self, primary: usize, replicas: u32) {
        let mut connection = self.servers[primary].connection().unwrap();
        // WAIT counts for what was written over the same connection.
        redis::cmd("SET").arg("written").arg(1).exec(&mut connection).unwrap();
        let reached: u32 = redis::cmd("WAIT").arg(replicas).arg(60_000).query(&mut connection).unwrap();
        assert!(reached >= replicas, "only {reached} replicas are there");
    }

    /// How many connections a user has to a server.
    pub fn connections(&self, place: usize, user: &str) -> Result<usize, String> {
        let clients: String = self.servers[place].try_ask(&["CLIENT", "LIST"])?;
        Ok(clients.matches(&format!(" user={user} ")).count())
    }
}

fn spawn(directory: &TempDir) -> Process {
    let mut command = Command::new("redis-server");
    command.arg(directory.path().join("sentinel.conf")).arg("--sentinel");
    Process::spawn(command)
}
