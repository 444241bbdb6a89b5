//! Everything that answers: /metrics, the page, its JSON, health, and the tables on the terminal.
//!
//! Each answer is made from the snapshot of that moment; nothing here talks to Redis or imports `collect`.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::requests::Requests;
use crate::model::snapshot::Snapshot;

pub mod findings;
pub mod http;
pub mod kubernetes;
pub mod listener;
pub mod page;
pub mod process;
pub mod prometheus;
pub mod report;
pub mod requests;
pub mod scaling;
pub mod table;
pub mod tls;

#[cfg(test)]
mod test_support;

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct App {
    /// What was measured.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Cancelled once the end was asked for: then nothing is ready.
    pub draining: CancellationToken,
    /// Path of the metrics.
    pub telemetry_path: Arc<str>,
    /// What the adapters were asked.
    pub requests: Arc<Requests>,
}

impl App {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }
}
