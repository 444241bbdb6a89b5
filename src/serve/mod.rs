//! Everything that answers: /metrics, the page, its JSON, health, and the tables on the terminal.
//!
//! Each answer is made from the snapshot of that moment; nothing here talks to Redis or imports `collect`.

use std::sync::Arc;

use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use self::{asking::Asking, lifecycle::ReloadRequest, prometheus::Expositions, requests::Requests};
use crate::{catalogue::exporter::Loads, model::snapshot::Snapshot};

pub mod asking;
pub mod findings;
pub mod http;
pub mod kubernetes;
pub mod lifecycle;
pub mod listener;
pub mod page;
pub mod process;
pub mod prometheus;
pub mod report;
pub mod requests;
pub mod scaling;
pub mod table;
pub mod tls;
pub mod untaken;

#[cfg(test)]
mod test_support;

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct App {
    /// What was measured.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Where to ask for what others measure.
    pub asking: Arc<Asking>,
    /// Cancelled once the end was asked for: then nothing is ready.
    pub draining: CancellationToken,
    /// Path of the metrics.
    pub telemetry_path: Arc<str>,
    /// Threads for what takes long, which let those that answer go first.
    pub aside: Handle,
    /// Expositions that were written, for whoever scrapes next.
    pub expositions: Arc<Expositions>,
    /// What the adapters were asked.
    pub requests: Arc<Requests>,
    /// What came of loading the configuration.
    pub loads: watch::Receiver<Loads>,
    /// Where to ask for a reload; `None` where nobody may.
    pub reload: Option<mpsc::Sender<ReloadRequest>>,
}

impl App {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }
}
