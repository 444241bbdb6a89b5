//! The demo's private redis-server: a child process on a free loopback port, with a temporary directory.

use std::{
    env, fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, RedisResult, aio::MultiplexedConnection};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout, timeout_at},
};
use tracing::debug;

use super::DemoError;

/// Names another program than the `redis-server` of `PATH`.
pub(super) const BINARY_VARIABLE: &str = "STREAMGAUGE_DEMO_REDIS_SERVER";

/// Another process may take the free port before redis-server does: so often is a new one tried.
const PORT_ATTEMPTS: usize = 5;
const START_TIMEOUT: Duration = Duration::from_secs(10);
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
const LOG_LINES_SHOWN: usize = 10;

/// The running process. Dropping it kills the process and removes the directory.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    port: u16,
    client: Client,
    log: PathBuf,
    // Removed after `drop` below has ended the process, which writes into it.
    _directory: TempDir,
}

impl Server {
    /// Starts the process and waits until it answers.
    pub(super) async fn start() -> Result<Server, DemoError> {
        let mut attempt = 1;
        loop {
            match Server::start_on(free_port().map_err(DemoError::Port)?).await {
                Err(DemoError::Exited { log, .. })
                    if attempt < PORT_ATTEMPTS && tells_of_taken_port(&log) =>
                {
                    debug!(attempt, "port taken by another process, trying a new one");
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn start_on(port: u16) -> Result<Server, DemoError> {
        let directory =
            tempfile::Builder::new().prefix("streamgauge-demo-").tempdir().map_err(DemoError::Directory)?;
        let log = directory.path().join("redis.log");
        let child = spawn(port, directory.path(), &log)?;
        let client = Client::open((Ipv4Addr::LOCALHOST.to_string(), port)).map_err(DemoError::Workload)?;

        let mut server = Server { child, port, client, log, _directory: directory };
        server.wait_until_it_answers().await?;
        Ok(server)
    }

    async fn wait_until_it_answers(&mut self) -> Result<(), DemoError> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(DemoError::Exited { status, log: last_lines(&self.log) });
            }
            if timeout_at(deadline, self.answers()).await == Ok(true) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(DemoError::Silent {
                    port: self.port,
                    seconds: START_TIMEOUT.as_secs(),
                    log: last_lines(&self.log),
                });
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether this very server answers. A PING would not do: another Redis that took the port meanwhile would
    /// answer it, and get the workload. Only ours writes its log into our directory.
    async fn answers(&self) -> bool {
        let Ok(mut connection) = connect(&self.client).await else {
            return false;
        };
        let reply: RedisResult<(String, String)> =
            redis::cmd("CONFIG").arg("GET").arg("logfile").query_async(&mut connection).await;
        reply.is_ok_and(|(_, logfile)| Path::new(&logfile) == self.log)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks the process to end and waits for it; `drop` kills it if it does not, and removes the directory.
    pub(super) async fn stop(mut self) {
        let end = async {
            // Only to our own server, never to one that took the port after ours had ended.
            if self.answers().await
                && let Ok(mut connection) = connect(&self.client).await
            {
                // A server that obeys closes the connection instead of replying, so the result says nothing.
                let _: RedisResult<()> =
                    redis::cmd("SHUTDOWN").arg("NOSAVE").query_async(&mut connection).await;
            }
            self.child.wait().await
        };
        if timeout(STOP_TIMEOUT, end).await.is_err() {
            debug!("redis-server did not end when asked to, killing it");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.start_kill().is_err() {
            return; // it has ended and was waited for
        }
        // A killed process is gone within milliseconds. Waiting for that keeps it from writing into a directory
        // that is being removed, and leaves no zombie.
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Opens a connection with time limits that fit a busy laptop.
pub(super) async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    let limit = Some(Duration::from_secs(5));
    let config = AsyncConnectionConfig::new().set_connection_timeout(limit).set_response_timeout(limit);
    client.get_multiplexed_async_connection_with_config(&config).await
}

fn spawn(port: u16, directory: &Path, log: &Path) -> Result<Child, DemoError> {
    // What redis-server prints before it opens its log (wrong option, missing library) goes to the same file.
    let output = fs::OpenOptions::new().create(true).append(true).open(log).map_err(DemoError::Directory)?;
    let errors = output.try_clone().map_err(DemoError::Directory)?;

    let binary =
        env::var_os(BINARY_VARIABLE).filter(|name| !name.is_empty()).unwrap_or_else(|| "redis-server".into());
    Command::new(&binary)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--protected-mode", "yes"])
        .args(["--save", "", "--appendonly", "no"])
        // The workload bounds itself far below this; the laptop is safe even from what others write here.
        .args(["--maxmemory", "128mb", "--maxmemory-policy", "noeviction"])
        .arg("--dir")
        .arg(directory)
        .arg("--logfile")
        .arg(log)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        // Outside the terminal's foreground group: Ctrl-C is for streamgauge, which then stops the server.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| {
            let binary = binary.to_string_lossy().into_owned();
            match source.kind() {
                io::ErrorKind::NotFound => DemoError::ServerNotFound { binary },
                _ => DemoError::Spawn { binary, source },
            }
        })
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn tells_of_taken_port(log: &str) -> bool {
    log.contains("Address already in use") || log.contains("Failed listening on")
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.len() {
        0 => "(the log is empty)".to_owned(),
        count => lines[count.saturating_sub(LOG_LINES_SHOWN)..].join("\n"),
    }
}
