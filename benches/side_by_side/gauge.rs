//! streamgauge under measurement: one poll when its turn comes, and scrapes of the snapshot that the poll made.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    Result,
    http::{self, Client},
    measured::Process,
    prose,
    server::{Server, Told},
};

/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Turns that it has until one is a poll's and no more.
const TRIES: usize = 5;

/// So soon before its next poll it is not paused.
const NEAR: Duration = Duration::from_millis(500);

/// The exporter. Where it is measured in turns, it is paused but for these.
pub struct Gauge {
    pub process: Process,
    pub address: SocketAddr,
    pub client: Client,
    /// Where its log is.
    pub log: PathBuf,
    /// From its start until `/-/ready` said so.
    pub ready: Duration,
    streams: usize,
    interval: Duration,
    /// When its latest poll began, as far as can be seen from outside.
    begun: Instant,
}

/// One poll.
#[derive(Clone, Copy, Debug)]
pub struct Poll {
    /// By the exporter's own metric.
    pub time: Duration,
    pub cpu: Duration,
    pub redis_cpu: Duration,
    pub told: Told,
    /// The first scrape of its snapshot.
    pub scrape: Scrape,
    /// Samples of that.
    pub samples: usize,
}

/// One scrape.
#[derive(Clone, Copy, Debug)]
pub struct Scrape {
    pub time: Duration,
    pub cpu: Duration,
    /// Bytes of the body as it came.
    pub bytes: usize,
}

/// What the image has: another C library and another allocator than `cargo build` would give it.
pub fn program() -> Result<PathBuf> {
    crate::program("STREAMGAUGE_TEST_IMAGE_BINARY")
}

impl Gauge {
    /// Starts it on this server, where so many streams are, and waits for its first poll. It polls at this interval.
    pub fn start(
        url: &str,
        streams: usize,
        interval: Duration,
        directory: &Path,
        arguments: &[&str],
    ) -> Result<Gauge> {
        let log = directory.join("streamgauge.log");
        let program = program()?;
        let interval_text = format!("{}ms", interval.as_millis());
        let mut all: Vec<_> =
            ["serve", "--redis.url", url, "--redis.name", "main", "--log.format", "json"].into();
        all.extend(["--web.listen-address", "127.0.0.1:0", "--poll.interval", &interval_text]);
        // A poll whose turn is long after the one before is as good as any other.
        all.extend(prose::GAUGE_FLAGS.iter().flat_map(|(flag, value)| [*flag, *value]));
        all.extend(arguments);
        let all: Vec<_> = all.into_iter().map(str::to_owned).collect();
        let started = Instant::now();
        let mut process = Process::spawn(&program, &all, &log)?;
        let address = loop {
            process.check_alive(&log)?;
            if let Some(address) = told_in(&log, "serving")? {
                break address;
            }
            thread::sleep(Duration::from_millis(1));
        };
        let mut client = Client::of(address);
        while client.get("/-/ready", "identity")?.status != 200 {
            if started.elapsed() > PATIENCE {
                return Err(format!("streamgauge is not ready: {}", fs::read_to_string(&log)?).into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        let ready = started.elapsed();
        Ok(Gauge { process, address, client, log, ready, streams, interval, begun: started })
    }

    /// It waits for its first turn. From now on its interval must be longer than a turn.
    pub fn settle(&mut self) -> Result<()> {
        Process::wait_quiet(&[&self.process], PATIENCE)?;
        self.process.pause()
    }

    /// Its turn begins: it polls once, and is scraped. It goes on running. `mark` is called right before
    /// the poll and right after it. Where other work on
    /// the machine delays it until the next poll is due, the turn is not counted, and it has another one.
    pub fn poll(&mut self, server: &mut Server, mut mark: impl FnMut()) -> Result<Poll> {
        for _ in 0..TRIES {
            if let Some(poll) = self.try_poll(server, &mut mark)? {
                return Ok(poll);
            }
            self.pause()?;
        }
        Err(format!("no poll ends within {:?}: other programs keep the machine busy", self.interval).into())
    }

    fn try_poll(&mut self, server: &mut Server, mark: &mut impl FnMut()) -> Result<Option<Poll>> {
        Process::wait_quiet(&[&server.process], PATIENCE)?;
        let (redis, before) = (server.mark()?, self.process.cpu()?);
        let resumed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        mark();
        self.process.resume()?;
        // Woken up it looks at its clocks first, and may find that it is not yet time to poll.
        let deadline = Instant::now() + self.interval + PATIENCE;
        let mut busy_since = before;
        let (cpu, told) = loop {
            self.process.wait_busy(busy_since, self.interval + PATIENCE)?;
            self.begun = Instant::now();
            Process::wait_quiet(&[&self.process, &server.process], PATIENCE)?;
            let cpu = self.process.cpu()?;
            let told = server.told()?;
            if told.calls > self.streams as u64 {
                break (cpu - before, told);
            }
            if Instant::now() > deadline {
                return Err(format!("no poll: {}", fs::read_to_string(&self.log)?).into());
            }
            busy_since = cpu;
        };
        let used = server.used(&redis)?;
        if self.begun.elapsed() > self.interval {
            return Ok(None);
        }
        mark();
        let scrape = self.scrape("gzip")?;
        let metrics = self.client.get("/metrics", "gzip")?.text()?;
        let time = http::value(&metrics, "streamgauge_poll_duration_seconds{redis=\"main\"}")?;
        let ended = http::value(&metrics, "streamgauge_poll_last_success_timestamp_seconds{redis=\"main\"}")?;
        if ended < resumed || http::value(&metrics, "redis_up{redis=\"main\"}")? != 1.0 {
            return Err(format!("the poll has failed: {}", fs::read_to_string(&self.log)?).into());
        }
        let time = Duration::from_secs_f64(time);
        Ok(Some(Poll { time, cpu, redis_cpu: used.by(time), told, scrape, samples: http::samples(&metrics) }))
    }

    /// Scrapes, and measures that.
    pub fn scrape(&mut self, encoding: &str) -> Result<Scrape> {
        let before = self.process.cpu()?;
        let answer = self.client.get("/metrics", encoding)?;
        if answer.status != 200 {
            return Err(format!("/metrics answers {}", answer.status).into());
        }
        let (time, bytes) = (answer.time, answer.raw.len());
        // What is done after the last byte belongs to it as well.
        thread::sleep(Duration::from_millis(5));
        Ok(Scrape { time, cpu: self.process.cpu()? - before, bytes })
    }

    /// Its turn ends: not in the midst of a poll, which would fail when it is resumed.
    pub fn pause(&self) -> Result<()> {
        if self.begun.elapsed() + NEAR > self.interval {
            self.process.wait_busy(self.process.cpu()?, self.interval)?;
            Process::wait_quiet(&[&self.process], PATIENCE)?;
        }
        self.process.pause()
    }
}

/// The address in the log line with this message, once it is there.
pub fn told_in(log: &Path, message: &str) -> Result<Option<SocketAddr>> {
    let message = format!("\"message\":\"{message}\"");
    let text = fs::read_to_string(log)?;
    let line = text.lines().find(|line| line.contains(&message) && line.ends_with('}'));
    let Some(line) = line else { return Ok(None) };
    let line: serde_json::Value = serde_json::from_str(line)?;
    Ok(Some(line["address"].as_str().ok_or("a log line without an address")?.parse()?))
}
