//! The loop of one server: poll, publish, wait. One task for each server, so that a slow one delays nobody else.
//!
//! A poll never overlaps itself, and its cost does not grow with the number of readers: they all read the snapshot.
//! Newer orders are followed between two polls, and so is another share. Until it is known which share it is, nothing is
//! polled.

use std::{mem, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{assignment::Assignment, backoff::Backoff, gauge::Gauge, journal::Journal, roll::Scope};
use crate::{
    config::{Config, Tls},
    model::{
        counters::Counters,
        fault::FaultKind,
        lag::Lag,
        share::Part,
        snapshot::{Poll, Server, Snapshot, StreamEntry},
    },
};

/// Polls one server until it is cancelled.
pub struct Poller {
    interval: Duration,
    backoff: Backoff,
    board: Board,
    /// What of the streams is measured here.
    part: watch::Receiver<Part>,
    /// The server as last published, but for its counters and guests.
    server: Server,
    /// The poll before its latest one, while somebody reads it: to free it is not for those who have to answer.
    former: Option<Arc<Poll>>,
    gauge: Gauge,
}

/// Where a server is published: its place in the snapshot.
#[derive(Clone)]
pub struct Board {
    /// What is published.
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    /// Cancelled once whoever publishes has to end: from then on nothing is.
    pub retired: CancellationToken,
}

impl Board {
    /// Changes what the snapshot has of a server, unless that is no longer ours to tell of: a poll that was under way when
    /// the server was removed, or became another one, brings nothing back. Whoever reads the snapshot waits for `change`.
    pub fn publish(&self, name: &str, change: impl FnOnce(&mut Server)) {
        let mut former = None;
        self.snapshot.send_if_modified(|snapshot| {
            let place = snapshot.servers.iter().position(|other| *other.name == *name);
            let Some(place) = place.filter(|_| !self.retired.is_cancelled()) else { return false };
            let mut next = Snapshot::clone(snapshot);
            change(Arc::make_mut(&mut next.servers[place]));
            former = Some(mem::replace(snapshot, Arc::new(next)));
            true
        });
        // To free a poll takes its time: nobody waits for that any more.
        drop(former);
    }
}

impl Poller {
    /// One that has not polled yet. `server` is what the snapshot has of its server.
    #[must_use]
    pub fn new(assignment: &Assignment, server: Server, board: Board, part: watch::Receiver<Part>) -> Poller {
        let journal = Journal::new(assignment.server.name.clone());
        let scope = Scope::Own(part.borrow().share());
        Poller {
            interval: assignment.interval,
            backoff: Backoff::new(assignment.interval, assignment.max_backoff),
            board,
            part,
            server,
            former: None,
            gauge: Gauge::new(assignment, scope, journal),
        }
    }

    /// One poller for each configured server, for a look at once, and what they publish.
    #[must_use]
    pub fn for_all(config: &Config) -> (Vec<Poller>, watch::Receiver<Arc<Snapshot>>) {
        let servers = Assignment::all(config).map(|assignment| Arc::new(assignment.unpolled())).collect();
        let part = config.fixed_part();
        let unpolled = Snapshot { servers, part: part.clone(), ..Snapshot::default() };
        let (publish, snapshot) = watch::channel(Arc::new(unpolled));
        let part = watch::channel(part).1;
        let poller = |assignment: Assignment| {
            let board = Board { snapshot: publish.clone(), retired: CancellationToken::new() };
            Poller::new(&assignment, assignment.unpolled(), board, part.clone())
        };
        (Assignment::all(config).map(poller).collect(), snapshot)
    }

    /// Polls at every interval until it is retired, and at once when its orders or its share change. A poll that takes
    /// longer delays the next one; none is made up for. One that found nobody delays it too.
    pub async fn run(mut self, mut orders: watch::Receiver<Assignment>) {
        let retired = self.board.retired.clone();
        if matches!(&self.gauge.config.tls, Some(Tls { verify: false, .. })) {
            let redis = &*self.gauge.config.name;
            tracing::warn!(redis, "the certificate of redis is not verified");
        }
        let mut ticks = every(self.interval);
        loop {
            let is_known = !matches!(*self.part.borrow(), Part::Unknown(_));
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
                Ok(()) = self.part.changed() => {
                    let share = self.part.borrow_and_update().share();
                    self.gauge.look_for(Scope::Own(share), false);
                    ticks = every(self.interval);
                    continue;
                }
                _ = ticks.tick(), if is_known => {}
            }
            tokio::select! {
                () = retired.cancelled() => return,
                _ = self.round() => {}
            }
            let latest = self.server.latest.as_ref().unwrap_or(&Ok(()));
            if let Some(wait) = self.backoff.pause(latest, self.gauge.is_guided()) {
                ticks.reset_after(wait);
            }
        }
    }

    /// Takes over newer orders for the same server. What was published stays until the next poll, and so does the age at
    /// which it is stale.
    fn apply(&mut self, newer: &Assignment) {
        self.gauge.apply(newer);
        self.interval = newer.interval;
        self.backoff = Backoff::new(newer.interval, newer.max_backoff);
        self.server.stale_after = newer.stale_after;
    }

    /// Polls until all keys are searched and all lags are known, as long as counting gets on, and at most so often.
    pub async fn rounds(&mut self, most: usize) {
        for _ in 0..most {
            let gets_on = self.round().await > 0;
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

    /// Polls once and publishes what came of it. Returns the number of entries that were read in order to count them.
    pub async fn round(&mut self) -> u64 {
        self.former = None;
        let latest = self.gauge.poll().await.map(|poll| {
            self.former = self.server.poll.replace(Arc::new(poll));
        });
        self.gauge.journal.ended(&latest, self.server.poll.as_deref());
        self.server.latest = Some(latest);
        let counted = self.gauge.take_counters();
        self.publish(&counted);
        self.former.take_if(|former| Arc::strong_count(former) == 1);
        counted.lag_entries_read
    }

    /// Publishes the server as it is now, with what was counted since it last was.
    pub(super) fn publish(&self, counted: &Counters) {
        let mut server = self.server.clone();
        self.board.publish(&self.server.name, |published| {
            server.guests = published.guests.take();
            server.counters = mem::take(&mut published.counters);
            server.counters.add(counted);
            *published = server;
        });
    }
}

/// The moments of polls, from now on.
pub(super) fn every(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
