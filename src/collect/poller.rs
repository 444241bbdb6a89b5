//! The loop of one server: poll, publish, wait. One task for each server, so that a slow one delays nobody else.
//!
//! A poll never overlaps itself, and its cost does not grow with the number of readers: they all read the snapshot.

use std::{
    collections::{BTreeSet, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::join_all;
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    journal::Journal,
    keyspace::{Gathered, Keyspace},
    locate::Locator,
};
use crate::{
    config::{Budget, Config, RedisServer, Tls},
    model::{
        fault::{Fault, FaultKind},
        lag::{Lag, Policy},
        snapshot::{Counters, Incomplete, Poll, Server, Snapshot, StreamEntry},
        time::UnixMicros,
    },
};

/// Polls one server until it is cancelled.
pub struct Poller {
    config: RedisServer,
    policy: Policy,
    interval: Duration,
    /// Longest time that a poll may take.
    timeout: Duration,
    backoff: Backoff,
    /// Place of the server in the snapshot.
    index: usize,
    snapshot: watch::Sender<Arc<Snapshot>>,
    budget: Budget,
    locator: Locator,
    keyspaces: Vec<Keyspace>,
    /// The server as last published.
    server: Server,
    journal: Journal,
}

impl Poller {
    /// One poller for each configured server, and what they publish.
    #[must_use]
    pub fn for_all(config: Config) -> (Vec<Poller>, watch::Receiver<Arc<Snapshot>>) {
        let nothing_yet = |server: &RedisServer| Server::new(server.name.clone(), config.stale_after);
        let servers = config.servers.iter().map(|server| Arc::new(nothing_yet(server))).collect();
        let (publish, snapshot) = watch::channel(Arc::new(Snapshot { servers }));
        let timeout = config.poll_timeout.unwrap_or(config.stale_after);
        let keyspace = |database: &u32, server: &RedisServer| {
            Keyspace::new(*database, server, server.timeout.min(timeout / 2))
        };
        let pollers = config.servers.iter().enumerate().map(|(index, server)| Poller {
            policy: config.policy,
            interval: config.poll_interval,
            timeout,
            backoff: Backoff::new(config.poll_interval, config.max_backoff),
            index,
            snapshot: publish.clone(),
            budget: config.budget,
            locator: Locator::default(),
            keyspaces: server.databases.iter().map(|database| keyspace(database, server)).collect(),
            server: nothing_yet(server),
            journal: Journal::new(server.name.clone()),
            config: server.clone(),
        });
        (pollers.collect(), snapshot)
    }

    /// Polls at every interval. A poll that takes longer delays the next one; none is made up for. One that found nobody
    /// delays it too.
    pub async fn run(mut self, cancel: CancellationToken) {
        if matches!(&self.config.tls, Some(Tls { verify: false, .. })) {
            let redis = &*self.config.name;
            tracing::warn!(redis, "the certificate of redis is not verified");
        }
        let mut ticks = tokio::time::interval(self.interval);
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
            let latest = self.server.latest.as_ref().unwrap_or(&Ok(()));
            // Every hasher of the standard library has a key of its own.
            if let Some(wait) = self.backoff.after(latest, RandomState::new().hash_one(())) {
                ticks.reset_after(wait);
            }
        }
    }

    /// Polls until all keys are searched and all lags are known, as long as counting gets on, and at most so often.
    pub async fn rounds(&mut self, most: usize) {
        for _ in 0..most {
            let before = self.server.counters.lag_entries_read;
            self.round().await;
            let gets_on = self.server.counters.lag_entries_read > before;
            let bounded = |poll: &Arc<Poll>| {
                let mut groups = poll.streams.iter().flat_map(StreamEntry::groups);
                groups.any(|group| matches!(group.lag, Lag::Bounded { .. }))
            };
            let is_searching = |poll: &Arc<Poll>| {
                poll.incomplete.iter().any(|part| part.fault.kind == FaultKind::Unfinished)
            };
            let poll = self.server.poll.as_ref().filter(|_| self.server.latest == Some(Ok(())));
            if !poll.is_some_and(|poll| is_searching(poll) || gets_on && bounded(poll)) {
                return;
            }
        }
    }

    /// Polls once and publishes what came of it.
    pub async fn round(&mut self) {
        let latest = match tokio::time::timeout(self.timeout, self.poll()).await {
            Ok(latest) => latest,
            Err(_) => Err(self.took_too_long()),
        };
        if let Err(fault) = &latest {
            self.server.counters.count(fault.kind);
        }
        self.journal.ended(&latest, self.server.poll.as_deref());
        self.server.latest = Some(latest);
        let server = Arc::new(self.server.clone());
        self.snapshot.send_modify(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            next.servers[self.index] = server;
            *snapshot = Arc::new(next);
        });
    }

    /// Whatever was under way is dropped, and connections that were in use with it: replies may be in flight.
    fn took_too_long(&self) -> Fault {
        let timeout = humantime::format_duration(self.timeout);
        let message =
            format!("the poll took longer than {timeout} (poll.timeout, else poll.stale_after intervals)");
        Fault::new(FaultKind::Timeout, message)
    }

    async fn poll(&mut self) -> Result<(), Fault> {
        let started = Instant::now();
        let located = self.locator.locate(&self.config).await?;
        let (config, journal, budget) = (&self.config, &self.journal, self.budget);
        let gathered = self.keyspaces.iter_mut().map(|keyspace| {
            keyspace.settle(&located, budget);
            keyspace.poll(config, journal)
        });
        let gathered = join_all(gathered).await;
        self.server.counters.commands += gathered.iter().map(|gathered| gathered.commands).sum::<u64>();
        if gathered.iter().all(|gathered| gathered.is_down)
            && let Some(fault) = gathered.iter().find_map(|gathered| gathered.incomplete.clone())
        {
            return Err(fault);
        }
        let poll = merged(gathered, started, self.policy, &mut self.server.counters);
        for cut in poll.cuts() {
            self.server.counters.left_out[cut.limit as usize] += cut.left_out;
        }
        self.server.counters.lag_disagreements += self.journal.measured(&poll);
        self.server.poll = Some(Arc::new(poll));
        Ok(())
    }
}

/// One poll of all databases, in order.
fn merged(all: Vec<Gathered>, started: Instant, policy: Policy, counters: &mut Counters) -> Poll {
    let (mut versions, mut streams) = (BTreeSet::new(), Vec::new());
    let (mut incomplete, mut cuts) = (Vec::new(), Vec::new());
    for mut gathered in all {
        let faults = gathered.streams.iter().flat_map(StreamEntry::faults).chain(&gathered.incomplete);
        faults.for_each(|fault| counters.count(fault.kind));
        counters.faults[FaultKind::Vanished as usize] += gathered.vanished;
        counters.lag_entries_read += gathered.entries_read;
        versions.append(&mut gathered.versions);
        streams.append(&mut gathered.streams);
        cuts.extend(gathered.cut);
        let fault = gathered.incomplete;
        incomplete.extend(fault.map(|fault| Incomplete { db: gathered.database, fault }));
    }
    Poll {
        started,
        duration: started.elapsed(),
        ended_at: UnixMicros::of(SystemTime::now()),
        version: versions.into_iter().collect::<Vec<_>>().join(", ").into(),
        policy,
        incomplete,
        cuts,
        streams,
    }
}
