//! Asking for streams that other shards measure: whoever needs them says so, and waits for the poll that brings them.
//!
//! `serve` talks to nobody: a wish is data, which `collect` follows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, watch};

use super::scaling::Refusal;
use crate::model::{
    guests::{Wish, Wishes},
    snapshot::Snapshot,
};

/// Longest time to wait. The API server gives up on a request after 10 s or more, and so does the HPA.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most requests that wait at once; further ones are told so, and do not keep those from being answered that need not wait.
const MOST_WAITING: usize = 24;

/// What a question needs of other shards: the server, and the streams.
pub type Need = (Arc<str>, Wish);

/// Where wishes go.
#[derive(Debug)]
pub struct Asking {
    wishes: watch::Sender<Wishes>,
    waiting: Semaphore,
}

impl Asking {
    /// To whoever listens.
    #[must_use]
    pub fn new(wishes: watch::Sender<Wishes>) -> Asking {
        Asking { wishes, waiting: Semaphore::new(MOST_WAITING) }
    }

    /// A snapshot that has all that a question needs; or, after some time, the one that there is then.
    ///
    /// # Errors
    /// Others ask for so much that there is no room.
    pub async fn snapshot(
        &self,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        needs: impl Fn(&Snapshot) -> Vec<Need>,
    ) -> Result<Arc<Snapshot>, Refusal> {
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut waiting = None;
        loop {
            let snapshot = snapshots.borrow_and_update().clone();
            let now = Instant::now();
            let needs = needs(&snapshot);
            self.ask(&needs, &snapshot, now)?;
            if needs.iter().all(|need| is_heard(need, &snapshot, now)) {
                return Ok(snapshot);
            }
            waiting = waiting.or_else(|| self.waiting.try_acquire().ok());
            let is_over = waiting.is_none()
                || !matches!(tokio::time::timeout_at(until, snapshots.changed()).await, Ok(Ok(())));
            if is_over {
                return Ok(snapshots.borrow_and_update().clone());
            }
        }
    }

    /// Utters wishes, or keeps them alive.
    fn ask(&self, needs: &[Need], snapshot: &Snapshot, now: Instant) -> Result<(), Refusal> {
        if needs.is_empty() {
            return Ok(());
        }
        let mut crowded = None;
        self.wishes.send_if_modified(|wishes| {
            let mut is_news = false;
            for (redis, wish) in needs {
                let known = snapshot.server(redis).and_then(|server| server.guests.as_deref());
                match wishes.ask(redis, wish, known, now) {
                    Ok(news) => is_news |= news,
                    Err(fault) => crowded = Some(fault),
                }
            }
            is_news
        });
        crowded.map_or(Ok(()), |fault| Err(Refusal::Unavailable(fault.message.clone())))
    }
}

/// Whether it is known what came of it.
fn is_heard((redis, wish): &Need, snapshot: &Snapshot, now: Instant) -> bool {
    snapshot.server(redis).is_none_or(|server| server.guests_for(wish, now).is_some())
}
