//! Bodies of expositions: each is written once for the same polls, when the first scraper asks for it, and shared by all.
//!
//! Those who come while it is being written wait for it, and nobody else does. It is forgotten once newer polls are there,
//! and written anew then where somebody has asked for it and there is one server: that scraper will come again, and does not
//! have to wait. Of several servers each poll would write all of it anew.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::{
    runtime::Handle,
    sync::{OnceCell, watch},
};
use tokio_util::sync::CancellationToken;

use super::{Body, Coding, Format};
use crate::model::snapshot::{Poll, Snapshot};

/// Bodies of the latest polls.
#[derive(Debug)]
pub struct Expositions {
    latest: Mutex<Arc<OfPolls>>,
    /// Where they are written.
    threads: Handle,
}

/// Bodies of the same polls.
#[derive(Debug, Default)]
struct OfPolls {
    /// Those that were fresh, with the names of their servers. It does not keep them: newer ones take their place.
    polls: Vec<(Arc<str>, Weak<Poll>)>,
    /// By format and coding.
    bodies: [[OnceCell<Arc<Body>>; 2]; 2],
    /// Which of them somebody has asked for.
    scraped: [[AtomicBool; 2]; 2],
}

impl Expositions {
    /// None yet; they are written by threads of their own, so that nobody else waits.
    #[must_use]
    pub fn new(threads: Handle) -> Expositions {
        Expositions { latest: Mutex::default(), threads }
    }

    /// The body of an exposition of what is fresh at `now`.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn body(
        &self,
        snapshot: &Arc<Snapshot>,
        now: Instant,
        format: Format,
        coding: Coding,
    ) -> io::Result<Arc<Body>> {
        let of_polls = self.of_polls(snapshot, now);
        place(&of_polls.scraped, format, coding).store(true, Ordering::Relaxed);
        self.written(&of_polls, snapshot, now, format, coding).await
    }

    async fn written(
        &self,
        of_polls: &OfPolls,
        snapshot: &Arc<Snapshot>,
        now: Instant,
        format: Format,
        coding: Coding,
    ) -> io::Result<Arc<Body>> {
        let cell = of_polls.cell(format, coding);
        let write = async || {
            let text = of_polls.cell(format, Coding::Identity).get().cloned();
            let snapshot = snapshot.clone();
            let written = self.threads.spawn_blocking(move || match text {
                Some(text) if coding == Coding::Gzip => text.gzip(),
                _ => Body::new(&snapshot, now, format, coding),
            });
            written.await?.map(Arc::new).map_err(io::Error::other)
        };
        cell.get_or_try_init(write).await.cloned()
    }

    fn of_polls(&self, snapshot: &Snapshot, now: Instant) -> Arc<OfPolls> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if !latest.is_of(snapshot, now) {
            let polls = fresh(snapshot, now).map(|(name, poll)| (name.clone(), Arc::downgrade(poll)));
            *latest = Arc::new(OfPolls { polls: polls.collect(), ..OfPolls::default() });
        }
        latest.clone()
    }

    /// Forgets what is not of this snapshot; returns it.
    fn forget(&self, snapshot: &Snapshot) -> Option<Arc<OfPolls>> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = |(name, poll): &(Arc<str>, Weak<Poll>)| {
            let known = snapshot.server(name).and_then(|server| server.poll.as_ref());
            known.is_some_and(|known| poll.as_ptr() == Arc::as_ptr(known))
        };
        let is_former = !latest.polls.iter().all(is_there);
        is_former.then(|| std::mem::take(&mut *latest))
    }

    /// Writes what was asked for of former polls.
    async fn write_ahead(&self, former: &OfPolls, snapshot: &Arc<Snapshot>) {
        let now = Instant::now();
        let of_polls = self.of_polls(snapshot, now);
        for format in [Format::Text, Format::OpenMetrics] {
            for coding in [Coding::Identity, Coding::Gzip] {
                if place(&former.scraped, format, coding).load(Ordering::Relaxed) {
                    // Whoever asks for it is told what goes wrong.
                    _ = self.written(&of_polls, snapshot, now, format, coding).await;
                }
            }
        }
    }
}

fn place<T>(of_each: &[[T; 2]; 2], format: Format, coding: Coding) -> &T {
    &of_each[usize::from(format == Format::OpenMetrics)][usize::from(coding == Coding::Gzip)]
}

impl OfPolls {
    fn cell(&self, format: Format, coding: Coding) -> &OnceCell<Arc<Body>> {
        place(&self.bodies, format, coding)
    }

    /// Whether these polls, and no others, are fresh at `now`.
    fn is_of(&self, snapshot: &Snapshot, now: Instant) -> bool {
        let known = self.polls.iter().map(|(name, poll)| (&**name, poll.as_ptr()));
        known.eq(fresh(snapshot, now).map(|(name, poll)| (&**name, Arc::as_ptr(poll))))
    }
}

/// The polls that are fresh at `now`, and the names of their servers.
fn fresh(snapshot: &Snapshot, now: Instant) -> impl Iterator<Item = (&Arc<str>, &Arc<Poll>)> {
    let servers = snapshot.servers.iter().filter(move |server| server.fresh(now).is_some());
    servers.filter_map(|server| Some((&server.name, server.poll.as_ref()?)))
}

/// Forgets the bodies of former polls as soon as there are newer ones: many megabytes may hang on them. Writes those that will
/// be asked for.
pub async fn follow(
    expositions: Arc<Expositions>,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    cancel: CancellationToken,
) {
    while let Some(Ok(())) = cancel.run_until_cancelled(snapshots.changed()).await {
        let snapshot = snapshots.borrow_and_update().clone();
        let former = expositions.forget(&snapshot);
        if let (Some(former), [_]) = (former, &snapshot.servers[..]) {
            expositions.write_ahead(&former, &snapshot).await;
        }
    }
}
