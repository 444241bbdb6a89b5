//! redis_exporter under measurement. It asks Redis when it is scraped, so its scrape is its poll.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    http::{self, Client},
    measured::Process,
    prose,
    server::{Server, Told, free_port},
};

/// How long a scrape may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(110);

/// The exporter.
pub struct Peer {
    pub process: Process,
    client: Client,
}

/// One scrape, from the connection to the last byte.
#[derive(Clone, Copy, Debug)]
pub struct Scrape {
    pub time: Duration,
    pub cpu: Duration,
    pub redis_cpu: Duration,
    pub told: Told,
    pub samples: usize,
}

impl Peer {
    pub fn start(program: &Path, url: &str, directory: &Path) -> Result<Peer> {
        let (log, address) =
            (directory.join("redis_exporter.log"), SocketAddr::from(([127, 0, 0, 1], free_port()?)));
        let mut arguments: Vec<_> = prose::FLAGS.map(str::to_owned).into();
        arguments.extend([format!("-redis.addr={url}"), format!("-web.listen-address={address}")]);
        let mut process = Process::spawn(program, &arguments, &log)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = TcpStream::connect(address) {
            process.check_alive(&log)?;
            if Instant::now() > deadline {
                return Err(error.into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Peer { process, client: Client::of(address) })
    }

    /// Scrapes once. It must have told all groups.
    pub fn scrape(&mut self, server: &mut Server, groups: usize) -> Result<Scrape> {
        Process::wait_quiet(&[&server.process], PATIENCE)?;
        let (mark, before) = (server.mark()?, self.process.cpu()?);
        let answer = self.client.get("/metrics", "identity")?;
        let (time, text) = (answer.time, answer.text()?);
        Process::wait_quiet(&[&self.process, &server.process], PATIENCE)?;
        let cpu = self.process.cpu()? - before;
        let redis_cpu = server.used(&mark)?.by(time);
        let told = server.told()?;
        let found = text.lines().filter(|line| line.starts_with("redis_stream_group_lag{")).count();
        if found != groups {
            return Err(format!("redis_exporter tells {found} groups instead of {groups}").into());
        }
        Ok(Scrape { time, cpu, redis_cpu, told, samples: http::samples(&text) })
    }
}
