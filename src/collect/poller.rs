//! The loop of one server: poll, publish, wait. One task for each server, so that a slow one delays nobody else.
//!
//! A poll never overlaps itself, and its cost does not grow with the number of readers: they all read the snapshot.
//! Newer orders are followed between two polls.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    assignment::{Assignment, has_same_streams, is_reached_alike},
    connect::Link,
    credentials::Credentials,
    discover::Discovery,
    journal::Journal,
    lags::Lags,
    poll::{self, Memory, Outcome},
    renewal::Renewal,
};
use crate::{
    config::{Address, Config, RedisServer, Tls},
    model::{
        fault::{Fault, FaultKind},
        lag::{Lag, Policy},
        snapshot::{Poll, Server, Snapshot, StreamEntry},
    },
};

/// Polls one server until it is cancelled.
pub struct Poller {
    config: RedisServer,
    policy: Policy,
    interval: Duration,
    snapshot: watch::Sender<Arc<Snapshot>>,
    /// Cancelled once it has to end: from then on it publishes nothing.
    retired: CancellationToken,
    link: Option<Link>,
    renewal: Renewal,
    memory: Memory,
    /// The server as last published.
    server: Server,
    journal: Journal,
}

impl Poller {
    /// One that has not polled yet. `server` is what the snapshot has of its server.
    #[must_use]
    pub fn new(
        assignment: &Assignment,
        server: Server,
        snapshot: watch::Sender<Arc<Snapshot>>,
        retired: CancellationToken,
    ) -> Poller {
        let of = &assignment.server;
        Poller {
            policy: assignment.policy,
            interval: assignment.interval,
            snapshot,
            retired,
            link: None,
            renewal: Renewal::default(),
            memory: Memory { discovery: Discovery::new(of), lags: Lags::new(assignment.budget) },
            server,
            journal: Journal::new(of.name.clone()),
            config: of.clone(),
        }
    }

    /// One poller for each configured server, for a look at once, and what they publish.
    #[must_use]
    pub fn for_all(config: &Config) -> (Vec<Poller>, watch::Receiver<Arc<Snapshot>>) {
        let servers = Assignment::all(config).map(|assignment| Arc::new(assignment.unpolled())).collect();
        let (publish, snapshot) = watch::channel(Arc::new(Snapshot { servers, ..Snapshot::default() }));
        let poller = |assignment: Assignment| {
            Poller::new(&assignment, assignment.unpolled(), publish.clone(), CancellationToken::new())
        };
        (Assignment::all(config).map(poller).collect(), snapshot)
    }

    /// Polls at every interval until it is retired, and at once when its orders change. A poll that takes longer delays
    /// the next one; none is made up for.
    pub async fn run(mut self, mut orders: watch::Receiver<Assignment>) {
        let retired = self.retired.clone();
        if matches!(&self.config.address, Address::Tls(_, Tls { verify: false, .. })) {
            let redis = &*self.config.name;
            tracing::warn!(redis, "the certificate of redis is not verified");
        }
        let mut ticks = every(self.interval);
        loop {
            tokio::select! {
                biased;
                () = retired.cancelled() => return,
                newer = orders.changed() => {
                    if newer.is_err() {
                        return;
                    }
                    self.apply(&orders.borrow_and_update());
                    ticks = every(self.interval);
                    continue;
                }
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = retired.cancelled() => return,
                () = self.round() => {}
            }
        }
    }

    /// Takes over newer orders for the same server. What was published stays until the next poll, and so does the age at
    /// which it is stale.
    fn apply(&mut self, newer: &Assignment) {
        if !is_reached_alike(&self.config, &newer.server) {
            self.link = None;
        }
        if !has_same_streams(&self.config, &newer.server) {
            self.memory.discovery = Discovery::new(&newer.server);
        }
        self.memory.lags.limit(newer.budget);
        self.config = newer.server.clone();
        (self.policy, self.interval) = (newer.policy, newer.interval);
        self.server.stale_after = newer.stale_after;
    }

    /// Polls until all lags are known, as long as counting gets on, and at most so often.
    pub async fn rounds(&mut self, most: usize) {
        for _ in 0..most {
            let before = self.server.counters.lag_entries_read;
            self.round().await;
            let gets_on = self.server.counters.lag_entries_read > before;
            let bounded = |poll: &Arc<Poll>| {
                let mut groups = poll.streams.iter().flat_map(StreamEntry::groups);
                groups.any(|group| matches!(group.lag, Lag::Bounded { .. }))
            };
            if !gets_on || !self.server.poll.as_ref().is_some_and(bounded) {
                return;
            }
        }
    }

    /// Polls once and publishes what came of it.
    pub async fn round(&mut self) {
        let latest = self.poll().await.and_then(|outcome| self.record(outcome));
        if let Err(fault) = &latest {
            self.server.counters.count(fault.kind);
        }
        self.journal.ended(&latest, self.server.poll.as_deref());
        self.server.latest = Some(latest);
        self.publish();
    }

    /// Puts its server into the snapshot, unless that is no longer its to tell of: a poll that was under way when the
    /// server was removed, or became another one, brings nothing back.
    pub(super) fn publish(&self) {
        let server = Arc::new(self.server.clone());
        self.snapshot.send_if_modified(|snapshot| {
            let place = snapshot.servers.iter().position(|other| other.name == server.name);
            let Some(place) = place.filter(|_| !self.retired.is_cancelled()) else { return false };
            let mut next = Snapshot::clone(snapshot);
            next.servers[place] = server;
            *snapshot = Arc::new(next);
            true
        });
    }

    /// A connection that was kept may have been closed meanwhile, by a timeout of Redis or of something in between: that
    /// is found out only now, and is no failure of Redis.
    async fn poll(&mut self) -> Result<Outcome, Fault> {
        if let Some(link) = self.link.take() {
            let link = self.renewed(link).await;
            match self.poll_over(link).await {
                Err(fault) if fault.kind == FaultKind::Disconnected => {}
                outcome => return outcome,
            }
        }
        self.memory.discovery.restart();
        self.memory.lags.forget_all();
        let credentials = self.credentials()?;
        let link = Link::open(&self.config, credentials).await?;
        self.poll_over(link).await
    }

    fn credentials(&self) -> Result<Credentials, Fault> {
        let place = format!("cannot connect to {}", self.config.address);
        Credentials::read(&self.config).map_err(|fault| fault.during(place))
    }

    /// A new connection to the same server in place of one whose credentials are no longer those of the files; the one
    /// there is, as long as that cannot be had. What was proved stays: whether the server is the same, each poll looks.
    async fn renewed(&mut self, link: Link) -> Link {
        let (read, now) = (self.credentials(), Instant::now());
        if !self.renewal.is_due(&link.credentials, &read, now) {
            return link;
        }
        let opened = match read.clone() {
            Ok(credentials) => Link::open(&self.config, credentials).await,
            Err(fault) => Err(fault),
        };
        match opened {
            Ok(new) => {
                self.journal.renewed();
                self.memory.discovery.restart();
                new
            }
            Err(fault) => {
                if self.renewal.failed(read, &fault, now) {
                    self.journal.not_renewed(&fault);
                }
                link
            }
        }
    }

    async fn poll_over(&mut self, mut link: Link) -> Result<Outcome, Fault> {
        let outcome = poll::poll(&mut link, &mut self.memory, &self.config, self.policy).await;
        self.server.counters.commands += std::mem::take(&mut link.commands);
        // After a failure replies may still be in flight: such a connection is not used again.
        if outcome.is_ok() {
            self.link = Some(link);
        }
        outcome
    }

    /// Takes in what was measured; says whether all streams could be looked for.
    fn record(&mut self, outcome: Outcome) -> Result<(), Fault> {
        let counters = &mut self.server.counters;
        for fault in outcome.poll.streams.iter().flat_map(|entry| entry.faults()) {
            counters.count(fault.kind);
        }
        counters.faults[FaultKind::Vanished as usize] += outcome.vanished;
        counters.lag_entries_read += outcome.entries_read;
        counters.lag_disagreements += self.journal.measured(&outcome.poll);
        self.server.poll = Some(Arc::new(outcome.poll));
        outcome.discovery
    }
}

fn every(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
