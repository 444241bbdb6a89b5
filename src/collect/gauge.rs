//! One server measured once, in all of its databases, wherever its processes are; and what is remembered from one time to
//! the next.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::join_all;

use super::{
    assignment::{Assignment, has_same_streams, is_reached_alike},
    chronicle::Chronicle,
    journal::Journal,
    keyspace::{Keyspace, gathered::Gathered},
    locate::Locator,
    roll::Scope,
    tally::Tally,
};
use crate::{
    config::RedisServer,
    model::{
        counters::Counters,
        fault::{Fault, FaultKind},
        guests::Heard,
        lag::Policy,
        snapshot::{Incomplete, Poll},
        time::UnixMicros,
    },
};

/// Most places in which the processes are looked for within one poll.
const MOST_PLACES: usize = 3;

/// Measures one server, as often as it is told to.
pub struct Gauge {
    /// The server, and what to measure on it.
    pub config: RedisServer,
    /// What is logged.
    pub journal: Journal,
    keyspaces: Vec<Keyspace>,
    scope: Scope,
    policy: Policy,
    /// Number of the orders that are followed.
    orders: u64,
    /// Longest time that a poll may take.
    timeout: Duration,
    locator: Locator,
    chronicle: Chronicle,
    /// What was counted since it was last asked.
    counters: Counters,
}

impl Gauge {
    /// One that has not measured anything yet.
    #[must_use]
    pub fn new(assignment: &Assignment, scope: Scope, journal: Journal) -> Gauge {
        let of = &assignment.server;
        let keyspace = |database: &u32| {
            Keyspace::new(*database, of, &scope, assignment.budget, assignment.search_time())
        };
        Gauge {
            policy: assignment.policy,
            orders: assignment.number,
            timeout: assignment.timeout,
            locator: Locator::default(),
            keyspaces: of.databases.iter().map(keyspace).collect(),
            journal,
            chronicle: Chronicle::new(assignment.rules),
            counters: Counters::default(),
            config: of.clone(),
            scope,
        }
    }

    /// Takes over newer orders for the same server, from the next poll on.
    pub fn apply(&mut self, newer: &Assignment) {
        for keyspace in &mut self.keyspaces {
            if !is_reached_alike(&self.config, &newer.server) {
                keyspace.disconnect();
            }
            if !has_same_streams(&self.config, &newer.server) {
                keyspace.look_for(&newer.server, &self.scope, true);
            }
            keyspace.limit(newer.budget, newer.search_time());
        }
        self.config = newer.server.clone();
        (self.policy, self.timeout, self.orders) = (newer.policy, newer.timeout, newer.number);
        self.chronicle.judge_by(newer.rules);
    }

    /// From the next poll on, the streams of another scope; what it has in common with the one before need not be searched
    /// for again, unless `anew`.
    pub fn look_for(&mut self, scope: Scope, anew: bool) {
        if scope != self.scope || anew {
            for keyspace in &mut self.keyspaces {
                keyspace.look_for(&self.config, &scope, anew);
            }
            self.scope = scope;
        }
    }

    /// Ends all connections; the next poll opens new ones.
    pub fn disconnect(&mut self) {
        self.keyspaces.iter_mut().for_each(Keyspace::disconnect);
    }

    /// Whether somebody else says where the processes are now.
    #[must_use]
    pub fn is_guided(&self) -> bool {
        self.locator.is_guided()
    }

    /// What came of the wishes of a scope that has some, over all databases, but for what is known of their streams.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        let mut heard: Vec<Heard> = Vec::new();
        for keyspace in &self.keyspaces {
            for (place, of_database) in keyspace.heard().into_iter().enumerate() {
                match heard.get_mut(place) {
                    Some(heard) => heard.refused = heard.refused.take().or(of_database.refused),
                    None => heard.push(of_database),
                }
            }
        }
        heard
    }

    /// Streams that are asked for, in the database that has the most.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.keyspaces.iter().map(Keyspace::taken).max().unwrap_or(0)
    }

    /// What was counted since it was last asked.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    /// Measures once.
    ///
    /// # Errors
    /// Nothing could be measured, or not in time.
    pub async fn poll(&mut self) -> Result<Poll, Fault> {
        let polled = match tokio::time::timeout(self.timeout, self.measure()).await {
            Ok(polled) => polled,
            Err(_) => Err(self.took_too_long()),
        };
        if let Err(fault) = &polled {
            self.counters.count(fault.kind);
        }
        polled
    }

    /// Whatever was under way is dropped, and connections that were in use with it: replies may be in flight.
    fn took_too_long(&self) -> Fault {
        let timeout = humantime::format_duration(self.timeout);
        let message =
            format!("the poll took longer than {timeout} (poll.timeout, else poll.stale_after intervals)");
        Fault::new(FaultKind::Timeout, message)
    }

    async fn measure(&mut self) -> Result<Poll, Fault> {
        let started = Instant::now();
        let gathered = self.gather().await;
        self.counters.commands += self.locator.take_commands();
        let mut poll = self.merged(gathered?, started);
        self.chronicle.judge(&mut poll);
        let tally = Tally::of(&poll, &mut self.counters);
        self.counters.lag_disagreements += self.journal.measured(&poll, &tally);
        Ok(poll)
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
            self.counters.commands += gathered.iter().map(|gathered| gathered.commands).sum::<u64>();
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

    /// One poll of all databases, in order.
    fn merged(&mut self, all: Vec<Gathered>, started: Instant) -> Poll {
        let counters = &mut self.counters;
        let (mut versions, mut streams) = (BTreeSet::new(), Vec::new());
        let (mut incomplete, mut cuts) = (Vec::new(), Vec::new());
        for mut gathered in all {
            gathered.incomplete.iter().for_each(|fault| counters.count(fault.kind));
            counters.faults[FaultKind::Vanished as usize] += gathered.vanished;
            counters.lag_entries_read += gathered.entries_read;
            versions.append(&mut gathered.versions);
            // Mostly there is one database: its list is taken as it is.
            match streams.is_empty() {
                true => streams = gathered.streams,
                false => streams.append(&mut gathered.streams),
            }
            cuts.extend(gathered.cut);
            let fault = gathered.incomplete;
            incomplete.extend(fault.map(|fault| Incomplete { db: gathered.database, fault }));
        }
        Poll {
            started,
            duration: started.elapsed(),
            ended_at: UnixMicros::of(SystemTime::now()),
            version: versions.into_iter().collect::<Vec<_>>().join(", ").into(),
            policy: self.policy,
            incomplete,
            cuts,
            share: self.scope.share(),
            orders: self.orders,
            streams,
        }
    }
}

/// Why nothing of this may be published: no database could be polled, or one of them was polled at the wrong process.
fn fault_of_all(gathered: &[Gathered]) -> Option<&Fault> {
    let mut faults = gathered.iter().filter_map(|gathered| gathered.incomplete.as_ref());
    let of_role = faults.clone().find(|fault| fault.kind == FaultKind::WrongRole);
    of_role.or_else(|| faults.next().filter(|_| gathered.iter().all(|gathered| gathered.is_down)))
}
