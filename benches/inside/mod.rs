//! streamgauge inside this process: it polls a private redis-server, and is asked through the routes of its web port.

use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use http_body_util::BodyExt as _;
use streamgauge::{
    catalogue::exporter::Loads,
    collect::poller::Poller,
    config::{self, Config, Sources},
    model::{guests::Wishes, snapshot::Snapshot, time::UnixMicros},
    serve::{App, asking::Asking, http, prometheus::Expositions},
};
use tokio::{
    runtime::{Handle, Runtime},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

#[path = "../side_by_side/data.rs"]
#[allow(dead_code, reason = "the comparison needs more of it")]
pub mod data;
#[path = "../side_by_side/measured.rs"]
#[allow(dead_code, reason = "the comparison needs more of it")]
pub mod measured;
#[path = "../side_by_side/server.rs"]
#[allow(dead_code, reason = "the comparison needs more of it")]
mod server;

use data::Data;
use server::Server;

/// The result of whatever may go wrong.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A server with streams, who polls it, and what was published.
pub struct Inside {
    pub runtime: Runtime,
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    data: Data,
    server: Server,
    poller: Poller,
    /// How often the streams have gone on.
    rounds: usize,
    _directory: tempfile::TempDir,
}

impl Inside {
    pub fn start(data: Data) -> Result<Inside> {
        let directory = tempfile::tempdir()?;
        let mut server = Server::start(Path::new("redis-server"), directory.path())?;
        data.fill(server.connection())?;
        let flags = [
            ("redis.url", server.url()),
            ("limits.streams", "1000000".to_owned()),
            ("poll.stale-after", "1000".to_owned()),
        ];
        let flags = flags.map(|(flag, value)| (flag.to_owned(), vec![value]));
        let sources = Sources { flags: flags.into(), variables: BTreeMap::new(), file: None };
        let config: Config = config::load(&sources)?;
        let (mut pollers, snapshot) = Poller::for_all(&config);
        let poller = pollers.pop().ok_or("no server is configured")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut inside = Inside { runtime, snapshot, data, server, poller, rounds: 0, _directory: directory };
        // The first polls get to know the streams.
        for _ in 0..3 {
            inside.go_on()?;
            inside.poll()?;
        }
        Ok(inside)
    }

    /// Each stream gets an entry.
    pub fn go_on(&mut self) -> Result<()> {
        self.rounds += 1;
        self.data.go_on(self.server.connection(), self.rounds)
    }

    /// Polls once, and publishes.
    pub fn poll(&mut self) -> Result<()> {
        self.runtime.block_on(self.poller.round());
        match self.snapshot.borrow().servers.first().and_then(|server| server.latest.clone()) {
            Some(Ok(())) => Ok(()),
            failed => Err(format!("the poll has failed: {failed:?}").into()),
        }
    }
}

/// The routes of the web port, over what somebody publishes.
pub fn web(snapshot: watch::Receiver<Arc<Snapshot>>) -> Router {
    let loads = Loads { latest_succeeded: true, succeeded_at: UnixMicros(0) };
    http::router(App {
        snapshot,
        asking: Arc::new(Asking::new(watch::channel(Wishes::new(0)).0)),
        draining: CancellationToken::new(),
        telemetry_path: "/metrics".into(),
        expositions: Arc::new(Expositions::new(Handle::current())),
        aside: Handle::current(),
        requests: Arc::default(),
        loads: watch::channel(loads).1,
        reload: None,
    })
}

/// What /metrics answers in an encoding: the size of the body.
pub async fn scrape(web: &Router, encoding: &str) -> Result<usize> {
    let request = Request::get("/metrics").header("accept-encoding", encoding).body(Body::empty())?;
    let answer = tokio::time::timeout(Duration::from_secs(60), web.clone().oneshot(request)).await??;
    if answer.status() != 200 {
        return Err(format!("/metrics answers {}", answer.status()).into());
    }
    Ok(answer.into_body().collect().await?.to_bytes().len())
}
