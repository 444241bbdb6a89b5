//! The loop of the guests of one server: streams of other shards, measured as long as somebody asks for them.
//!
//! What is new is measured at once, the rest at every interval. While nobody asks for anything, there is no connection.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    assignment::Assignment,
    backoff::Backoff,
    gauge::Gauge,
    invited::Invitation,
    journal::Journal,
    poller::{Board, every},
    roll::Scope,
};
use crate::model::{
    fault::Fault,
    guests::{Guests, Heard, IDLE, Wishes},
    pattern::Pattern,
    share::{Part, Share},
    snapshot::Poll,
};

/// Shortest time between two polls, however many wishes come.
const BREATH: Duration = Duration::from_millis(100);

/// Measures the guests of one server until it is retired.
pub struct Host {
    assignment: Assignment,
    board: Board,
    part: watch::Receiver<Part>,
    wishes: watch::Receiver<Wishes>,
    gauge: Gauge,
    backoff: Backoff,
    /// Who is measured; `None` while there is nobody.
    guests: Option<Arc<Invitation>>,
    /// Since when a wish is refused: it may mean fewer streams by now.
    refused_since: Option<Instant>,
    /// Whether it was logged that the guests cannot be polled.
    is_in_trouble: bool,
}

impl Host {
    /// One that has not measured anything yet.
    #[must_use]
    pub fn new(
        assignment: Assignment,
        board: Board,
        part: watch::Receiver<Part>,
        wishes: watch::Receiver<Wishes>,
    ) -> Host {
        let journal = Journal::of_guests(assignment.server.name.clone());
        Host {
            gauge: Gauge::new(&assignment, nobody(), journal),
            backoff: Backoff::new(assignment.interval, assignment.max_backoff),
            assignment,
            board,
            part,
            wishes,
            guests: None,
            refused_since: None,
            is_in_trouble: false,
        }
    }

    /// Polls at every interval while there are guests, and at once when there are new ones, until it is retired.
    pub async fn run(mut self, mut orders: watch::Receiver<Assignment>) {
        let retired = self.board.retired.clone();
        let mut ticks = every(self.assignment.interval);
        loop {
            let is_due = tokio::select! {
                biased;
                () = retired.cancelled() => return,
                newer = orders.changed() => {
                    if newer.is_err() {
                        return;
                    }
                    self.apply(&orders.borrow_and_update());
                    ticks = every(self.assignment.interval);
                    continue;
                }
                _ = ticks.tick() => true,
                Ok(()) = self.part.changed() => false,
                Ok(()) = self.wishes.changed() => false,
            };
            let is_news = self.look_round(Instant::now());
            let Some(invitation) = self.guests.clone().filter(|_| is_due || is_news) else { continue };
            let latest = tokio::select! {
                () = retired.cancelled() => return,
                latest = self.round(&invitation) => latest,
            };
            match self.backoff.pause(&latest, self.gauge.is_guided()) {
                Some(wait) => ticks.reset_after(wait),
                None if !is_due => ticks.reset(),
                None => {}
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Takes over newer orders for the same server.
    fn apply(&mut self, newer: &Assignment) {
        self.gauge.apply(newer);
        self.backoff = Backoff::new(newer.interval, newer.max_backoff);
        self.assignment = newer.clone();
    }

    /// Looks who is to be measured from now on; says whether that is news.
    fn look_round(&mut self, now: Instant) -> bool {
        let share = self.part.borrow_and_update().share();
        let (wishes, most) = {
            let wishes = self.wishes.borrow_and_update();
            (wishes.of(&self.assignment.server.name, now), wishes.most())
        };
        let Some(share) = share.filter(|_| !wishes.is_empty()) else {
            self.rest();
            return false;
        };
        let invitation = Invitation { share, wishes, most };
        let is_news = self.guests.as_deref() != Some(&invitation);
        let anew = self.refused_since.is_some_and(|since| now.saturating_duration_since(since) >= IDLE);
        if is_news || anew {
            let invitation = Arc::new(invitation);
            self.gauge.look_for(Scope::Guests(invitation.clone()), anew);
            self.guests = Some(invitation);
            self.refused_since = self.refused_since.filter(|_| !anew);
        }
        is_news
    }

    /// Nobody asks for anything.
    fn rest(&mut self) {
        if self.guests.take().is_some() {
            self.gauge.look_for(nobody(), false);
            self.gauge.disconnect();
            self.refused_since = None;
            self.board.publish(&self.assignment.server.name, |server| server.guests = None);
        }
    }

    /// Polls once and publishes what came of it.
    async fn round(&mut self, invitation: &Invitation) -> Result<(), Fault> {
        let polled = self.gauge.poll().await.map(Arc::new);
        let mut heard = self.gauge.heard();
        if let Ok(poll) = &polled {
            count(&mut heard, poll, &self.assignment.server.name);
        }
        let is_refused = heard.iter().any(|heard| heard.refused.is_some());
        self.refused_since = is_refused.then(|| self.refused_since.unwrap_or_else(Instant::now));
        let latest = polled.as_ref().map(|_| ()).map_err(Clone::clone);
        self.tell(&latest);
        let counted = self.gauge.take_counters();
        let taken = self.gauge.taken();
        let guests = Guests { share: invitation.share, heard, taken, poll: polled };
        self.board.publish(&self.assignment.server.name, |server| {
            server.guests = Some(Arc::new(guests));
            server.counters.add(&counted);
        });
        latest
    }

    /// Logs what changes.
    fn tell(&mut self, latest: &Result<(), Fault>) {
        let redis = &*self.assignment.server.name;
        match latest {
            Err(fault) if !self.is_in_trouble => {
                let reason = &fault.message;
                tracing::warn!(redis, reason, "streams of other shards cannot be polled");
            }
            Ok(()) if self.is_in_trouble => {
                tracing::info!(redis, "streams of other shards can be polled again");
            }
            _ => {}
        }
        self.is_in_trouble = latest.is_err();
    }
}

fn nobody() -> Scope {
    let share = Share { shard: 0, total: 1 };
    Scope::Guests(Arc::new(Invitation { share, wishes: Vec::new(), most: 0 }))
}

/// Counts what is known of each wish.
fn count(heard: &mut [Heard], poll: &Poll, redis: &str) {
    let names: BTreeSet<_> = poll.streams.iter().map(|entry| &entry.name).collect();
    for heard in heard {
        heard.found = match &heard.wish.streams {
            Pattern::Exact(name) => usize::from(names.contains(name)),
            Pattern::Glob(_) => names.iter().filter(|name| heard.wish.includes(redis, name)).count(),
        };
    }
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
