//! The loop of one server: poll, publish, wait. One task for each server, so that a slow one delays nobody else.
//!
//! A poll never overlaps itself, and its cost does not grow with the number of readers: they all read the snapshot.
//! Newer orders are followed between two polls.

use std::{
    collections::{BTreeSet, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::join_all;
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    assignment::{Assignment, has_same_streams, is_reached_alike},
    backoff::Backoff,
    chronicle::Chronicle,
    journal::Journal,
    keyspace::{Gathered, Keyspace},
    locate::Locator,
};
use crate::{
    config::{Config, RedisServer, Tls},
    model::{
        fault::{Fault, FaultKind},
        lag::{Lag, Policy},
        snapshot::{Counters, Incomplete, Poll, Server, Snapshot, StreamEntry},
        time::UnixMicros,
    },
};

/// Most places in which the processes are looked for within one poll.
const MOST_PLACES: usize = 3;

/// Polls one server until it is cancelled.
pub struct Poller {
    config: RedisServer,
    policy: Policy,
    interval: Duration,
    /// Longest time that a poll may take.
    timeout: Duration,
    backoff: Backoff,
    snapshot: watch::Sender<Arc<Snapshot>>,
    /// Cancelled once it has to end: from then on it publishes nothing.
    retired: CancellationToken,
    locator: Locator,
    keyspaces: Vec<Keyspace>,
    /// The server as last published.
    server: Server,
    journal: Journal,
    chronicle: Chronicle,
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
        let keyspace =
            |database: &u32| Keyspace::new(*database, of, assignment.budget, assignment.search_time());
        Poller {
            policy: assignment.policy,
            interval: assignment.interval,
            timeout: assignment.timeout,
            backoff: Backoff::new(assignment.interval, assignment.max_backoff),
            snapshot,
            retired,
            locator: Locator::default(),
            keyspaces: of.databases.iter().map(keyspace).collect(),
            server,
            journal: Journal::new(of.name.clone()),
            chronicle: Chronicle::new(assignment.rules),
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
    /// the next one; none is made up for. One that found nobody delays it too.
    pub async fn run(mut self, mut orders: watch::Receiver<Assignment>) {
        let retired = self.retired.clone();
        if matches!(&self.config.tls, Some(Tls { verify: false, .. })) {
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
            let latest = self.server.latest.as_ref().unwrap_or(&Ok(()));
            // Every hasher of the standard library has a key of its own.
            let wait = self.backoff.after(latest, RandomState::new().hash_one(()));
            let is_auth = matches!(latest, Err(fault) if fault.kind == FaultKind::Auth);
            // Another process is about to take the place of one that is down.
            if let Some(wait) = wait.filter(|_| is_auth || !self.locator.is_guided()) {
                ticks.reset_after(wait);
            }
        }
    }

    /// Takes over newer orders for the same server. What was published stays until the next poll, and so does the age at
    /// which it is stale.
    fn apply(&mut self, newer: &Assignment) {
        for keyspace in &mut self.keyspaces {
            if !is_reached_alike(&self.config, &newer.server) {
                keyspace.disconnect();
            }
            if !has_same_streams(&self.config, &newer.server) {
                keyspace.look_for(&newer.server);
            }
            keyspace.limit(newer.budget, newer.search_time());
        }
        self.config = newer.server.clone();
        (self.policy, self.interval, self.timeout) = (newer.policy, newer.interval, newer.timeout);
        self.chronicle.judge_by(newer.rules);
        self.backoff = Backoff::new(newer.interval, newer.max_backoff);
        self.server.stale_after = newer.stale_after;
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

    /// Whatever was under way is dropped, and connections that were in use with it: replies may be in flight.
    fn took_too_long(&self) -> Fault {
        let timeout = humantime::format_duration(self.timeout);
        let message =
            format!("the poll took longer than {timeout} (poll.timeout, else poll.stale_after intervals)");
        Fault::new(FaultKind::Timeout, message)
    }

    async fn poll(&mut self) -> Result<(), Fault> {
        let started = Instant::now();
        let gathered = self.gather().await;
        self.server.counters.commands += self.locator.take_commands();
        let mut poll = merged(gathered?, started, self.policy, &mut self.server.counters);
        self.chronicle.judge(&mut poll);
        for cut in poll.cuts() {
            self.server.counters.left_out[cut.limit as usize] += cut.left_out;
        }
        self.server.counters.lag_disagreements += self.journal.measured(&poll);
        self.server.poll = Some(Arc::new(poll));
        Ok(())
    }

    /// Polls all databases, and does so again where the processes turn out to be elsewhere.
    async fn gather(&mut self) -> Result<Vec<Gathered>, Fault> {
        let config = &self.config;
        let mut located = self.locator.locate(config, &mut self.journal).await?;
        let mut reason = Fault::new(
            FaultKind::WrongRole,
            "the processes change their roles faster than they can be polled",
        );
        for _ in 0..MOST_PLACES {
            let (journal, timeout) = (&self.journal, self.timeout);
            let gathered = self.keyspaces.iter_mut().map(|keyspace| {
                keyspace.settle(&located);
                keyspace.poll(config, journal, timeout)
            });
            let gathered = join_all(gathered).await;
            self.server.counters.commands += gathered.iter().map(|gathered| gathered.commands).sum::<u64>();
            let fault = fault_of_all(&gathered);
            match self.locator.check(config, &mut self.journal, &located, fault).await? {
                Some(elsewhere) => {
                    reason = fault.cloned().unwrap_or(reason);
                    located = elsewhere;
                }
                None => return fault.cloned().map_or(Ok(gathered), Err),
            }
        }
        Err(reason)
    }
}

/// Why nothing of this may be published: no database could be polled, or one of them was polled at the wrong process.
fn fault_of_all(gathered: &[Gathered]) -> Option<&Fault> {
    let mut faults = gathered.iter().filter_map(|gathered| gathered.incomplete.as_ref());
    let of_role = faults.clone().find(|fault| fault.kind == FaultKind::WrongRole);
    of_role.or_else(|| faults.next().filter(|_| gathered.iter().all(|gathered| gathered.is_down)))
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

fn every(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
