//! Who asks while polls go on: scrapers of /metrics, and autoscalers.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    autoscaler::{Autoscaler, FRONT_PROXY},
    data::Data,
    gauge::{Gauge, told_in},
    http::{Answer, Client},
    series::Series,
    server::Server,
};

/// Streams that are scraped: they have 80,000 series.
pub const SCRAPED_STREAMS: usize = 888;

/// How long either load lasts.
pub const LASTS: Duration = Duration::from_secs(15);

/// Between two scrapes that meet polls as often as may be, and the pause between those polls.
pub const SCRAPED_EVERY: Duration = Duration::from_millis(100);
pub const POLLED_EVERY: Duration = Duration::from_millis(500);

/// Requests of autoscalers a second, and the interval of polls and scrapes meanwhile.
pub const ASKED_PER_SECOND: u32 = 200;
pub const INTERVAL: Duration = Duration::from_secs(5);

/// How long requests took. An error counts as an answer that never comes.
#[derive(Debug)]
pub struct Load {
    /// Time of each scrape of a snapshot that was scraped before.
    pub scrapes: Series,
    /// The same of those that were the first of theirs.
    pub first_scrapes: Series,
    /// Time of each answer to an autoscaler, from when it should have been asked for.
    pub answers: Series,
}

/// Scrapes while one poll follows the other.
pub fn scrapes(data: Data, redis: &Path, directory: &Path) -> Result<Load> {
    let mut server = Server::start(redis, directory)?;
    data.fill(server.connection())?;
    let gauge = Gauge::start(&server.url(), data.streams, POLLED_EVERY, directory, &[])?;
    let is_over = AtomicBool::new(false);
    let [first_scrapes, scrapes] = scrape(gauge.address, "identity", SCRAPED_EVERY, snapshot_of, &is_over)?;
    Ok(Load { scrapes, first_scrapes, answers: Series::default() })
}

/// Autoscalers ask for the backlogs of groups by their labels, while polls and scrapes go on.
pub fn autoscalers(data: Data, redis: &Path, directory: &Path) -> Result<Load> {
    let mut server = Server::start(redis, directory)?;
    data.fill(server.connection())?;
    let autoscaler = Autoscaler::new()?;
    let ca = directory.join("ca.crt");
    fs::write(&ca, &autoscaler.authority)?;
    let arguments = [
        "--kubernetes.listen-address=127.0.0.1:0",
        &format!("--kubernetes.requestheader-client-ca-file={}", ca.display()),
        &format!("--kubernetes.requestheader-allowed-names={FRONT_PROXY}"),
    ];
    let gauge = Gauge::start(&server.url(), data.streams, INTERVAL, directory, &arguments)?;
    let adapter = told_in(&gauge.log, "serving the kubernetes adapter")?.ok_or("there is no adapter")?;
    let (is_over, address) = (Arc::new(AtomicBool::new(false)), gauge.address);
    let scraper = {
        let is_over = Arc::clone(&is_over);
        // As Prometheus does. Which snapshot that is of, this does not ask: to unpack it would take long.
        thread::spawn(move || scrape(address, "gzip", INTERVAL, |_| Ok(String::new()), &is_over))
    };
    let answers = autoscaler.ask(adapter, data, ASKED_PER_SECOND, LASTS);
    is_over.store(true, Ordering::Relaxed);
    let [first_scrapes, scrapes] = scraper.join().map_err(|_| "the scraper has panicked")??;
    Ok(Load { scrapes, first_scrapes, answers: answers? })
}

/// Scrapes with this encoding at this interval until it is over, at the latest after [`LASTS`]. Returns how long each took: the
/// first ones of their snapshots, and the later ones.
fn scrape(
    address: SocketAddr,
    encoding: &str,
    interval: Duration,
    snapshot: fn(&Answer<'_>) -> Result<String>,
    is_over: &AtomicBool,
) -> Result<[Series; 2]> {
    let (mut client, mut times) = (Client::of(address), [Series::default(), Series::default()]);
    let mut latest = String::new();
    let started = Instant::now();
    while started.elapsed() < LASTS && !is_over.load(Ordering::Relaxed) {
        let answer = client.get("/metrics", encoding)?;
        if answer.status == 200 {
            let scraped = snapshot(&answer)?;
            times[usize::from(scraped == latest)].push(answer.time.as_secs_f64());
            latest = scraped;
        } else {
            times[1].push(f64::INFINITY);
        }
        thread::sleep(interval.saturating_sub(answer.time));
    }
    Ok(times)
}

/// What tells one snapshot from the next.
fn snapshot_of(answer: &Answer<'_>) -> Result<String> {
    let (text, polled) = (answer.text()?, "\nstreamgauge_poll_last_success_timestamp_seconds{");
    let line = text.split_once(polled).and_then(|(_, rest)| rest.lines().next());
    Ok(line.ok_or("a scrape without the time of the poll")?.to_owned())
}
