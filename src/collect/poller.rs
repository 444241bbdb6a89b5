//! The loop of one server: poll, publish, wait. One task for each server, so that a slow one delays nobody else.
//!
//! A poll never overlaps itself, and its cost does not grow with the number of readers: they all read the snapshot.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{
    connect::Link,
    discover::Discovery,
    poll::{self, Outcome},
};
use crate::{
    config::RedisServer,
    model::{
        fault::Fault,
        name::Name,
        snapshot::{Server, Snapshot},
    },
};

/// Polls one server until it is cancelled.
pub struct Poller {
    config: RedisServer,
    /// Place of the server in the snapshot.
    index: usize,
    snapshot: watch::Sender<Arc<Snapshot>>,
    link: Option<Link>,
    discovery: Discovery,
    /// The server as last published.
    server: Server,
    /// Streams that could not be read in the latest poll, with the reason: what is logged is the change.
    failing: BTreeMap<Name, String>,
}

impl Poller {
    /// A poller that publishes to the place `index` of the snapshot.
    #[must_use]
    pub fn new(
        config: RedisServer,
        index: usize,
        stale_after: Duration,
        snapshot: watch::Sender<Arc<Snapshot>>,
    ) -> Self {
        Poller {
            discovery: Discovery::new(&config.streams),
            server: Server::new(config.name.clone(), stale_after),
            config,
            index,
            snapshot,
            link: None,
            failing: BTreeMap::new(),
        }
    }

    /// Polls at every `interval`. A poll that takes longer delays the next one; none is made up for.
    pub async fn run(mut self, interval: Duration, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.round() => {}
            }
        }
    }

    /// Polls once and publishes what came of it.
    pub async fn round(&mut self) {
        let outcome = self.poll().await;
        match outcome {
            Ok(outcome) => self.record(outcome),
            Err(fault) => {
                // Replies may still be in flight on this connection.
                self.link = None;
                self.server.counters.count(fault.kind);
                self.set_latest(Err(fault));
            }
        }
        let server = Arc::new(self.server.clone());
        self.snapshot.send_modify(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            next.servers[self.index] = server;
            *snapshot = Arc::new(next);
        });
    }

    async fn poll(&mut self) -> Result<Outcome, Fault> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => {
                self.discovery.restart();
                Link::open(&self.config).await?
            }
        };
        let outcome = poll::poll(&mut link, &mut self.discovery, &self.config).await;
        self.server.counters.commands += std::mem::take(&mut link.commands);
        self.link = Some(link);
        outcome
    }

    fn record(&mut self, outcome: Outcome) {
        let counters = &mut self.server.counters;
        for fault in outcome
            .poll
            .streams
            .iter()
            .flat_map(|entry| entry.faults())
            .chain(outcome.discovery.as_ref().err())
        {
            counters.count(fault.kind);
        }
        (0..outcome.vanished).for_each(|_| counters.count(crate::model::fault::FaultKind::Vanished));

        let mut failing = BTreeMap::new();
        for entry in &outcome.poll.streams {
            if let Some(fault) = entry.faults().next() {
                failing.insert(entry.name.clone(), fault.message.clone());
            }
        }
        let redis = &*self.server.name;
        for (stream, reason) in &failing {
            if self.failing.get(stream) != Some(reason) {
                tracing::warn!(redis, %stream, %reason, "stream cannot be read");
            }
        }
        for stream in self.failing.keys().filter(|stream| !failing.contains_key(*stream)) {
            tracing::info!(redis, %stream, "stream can be read again, or is gone");
        }
        self.failing = failing;

        let streams = outcome.poll.streams.len();
        self.server.poll = Some(Arc::new(outcome.poll));
        if self.set_latest(outcome.discovery) {
            let version = self.link.as_ref().map(|link| &*link.version);
            tracing::info!(redis = &*self.server.name, address = %self.config.address, version, streams, "redis is up");
        }
    }

    /// Sets how the latest poll ended and logs a change for the worse; true where it changed for the better.
    fn set_latest(&mut self, latest: Result<(), Fault>) -> bool {
        let reason = |latest: &Option<Result<(), Fault>>| {
            latest.as_ref().and_then(|l| l.as_ref().err()).map(|f| f.message.clone())
        };
        let (before, was_up) = (reason(&self.server.latest), matches!(self.server.latest, Some(Ok(()))));
        self.server.latest = Some(latest);
        match reason(&self.server.latest) {
            Some(reason) if before.as_ref() != Some(&reason) => {
                tracing::warn!(redis = &*self.server.name, %reason, "redis cannot be polled");
                false
            }
            Some(_) => false,
            None => !was_up,
        }
    }
}
