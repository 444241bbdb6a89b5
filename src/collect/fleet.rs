//! The pollers of all servers, one for each, as the configuration names them: started, given newer orders, and retired.
//!
//! A server that a newer configuration leaves as it was goes on untouched. One that is only to be measured otherwise keeps
//! its poller, and with it the connection, what was proved, and what was published. One that is elsewhere, or looked at as
//! another user, gets a new poller: of the old one only the counters go on. The snapshot has the servers of the latest
//! configuration and no others, in its order.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    assignment::{Assignment, is_same_server},
    host::Host,
    poller::{Board, Poller},
};
use crate::{
    config::Config,
    model::{
        guests::Wishes,
        share::Part,
        snapshot::{Server, Snapshot},
    },
};

/// What a process among several has to know of the others.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// What of the streams is measured here; it may change.
    pub part: watch::Receiver<Part>,
    /// What is asked for besides.
    pub wishes: watch::Receiver<Wishes>,
}

/// All pollers that run.
pub struct Fleet {
    snapshot: watch::Sender<Arc<Snapshot>>,
    sharing: Sharing,
    members: BTreeMap<Arc<str>, Member>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A poller that runs.
struct Member {
    orders: watch::Sender<Assignment>,
    /// Cancelled once it has to end: from then on it publishes nothing.
    retired: CancellationToken,
}

/// How many servers a newer configuration concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// There are new.
    pub added: usize,
    /// Are elsewhere, looked at as another user, or measured otherwise.
    pub changed: usize,
    /// Are no more.
    pub removed: usize,
}

impl Fleet {
    /// Starts a poller for each server, as one of `tasks`, until `stop`; and what they publish.
    #[must_use]
    pub fn start(
        config: &Config,
        sharing: Sharing,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> (Fleet, watch::Receiver<Arc<Snapshot>>) {
        let part = sharing.part.borrow().clone();
        let (publish, snapshot) = watch::channel(Arc::new(Snapshot { part, ..Snapshot::default() }));
        let mut fleet = Fleet { snapshot: publish, sharing, members: BTreeMap::new(), tasks, stop };
        fleet.tasks.spawn(show_part(fleet.sharing.part.clone(), fleet.snapshot.clone(), fleet.stop.clone()));
        fleet.apply(config);
        (fleet, snapshot)
    }

    /// Goes over to a newer configuration. The snapshot is that of its servers at once; what is measured follows with the
    /// next poll of each, which is now for those that changed.
    pub fn apply(&mut self, config: &Config) -> Changes {
        let mut before = std::mem::take(&mut self.members);
        let (mut changes, mut starting) = (Changes::default(), Vec::new());
        for assignment in Assignment::all(config) {
            let name = assignment.server.name.clone();
            match before.remove(&name) {
                Some(member) if is_same_server(&member.orders.borrow().server, &assignment.server) => {
                    changes.changed += usize::from(member.order(assignment));
                    self.members.insert(name, member);
                }
                Some(other) => {
                    other.retired.cancel();
                    changes.changed += 1;
                    starting.push(assignment);
                }
                None => {
                    changes.added += 1;
                    starting.push(assignment);
                }
            }
        }
        changes.removed = before.len();
        before.values().for_each(|member| member.retired.cancel());

        // Whoever is retired publishes nothing from here on: see `Poller::publish`.
        self.snapshot.send_modify(|snapshot| *snapshot = Arc::new(snapshot_of(config, &starting, snapshot)));
        starting.into_iter().for_each(|assignment| self.poll(assignment));
        changes
    }

    /// Starts a poller for a server of the snapshot.
    fn poll(&mut self, assignment: Assignment) {
        let name = assignment.server.name.clone();
        let retired = self.stop.child_token();
        let known = self.snapshot.borrow().server(&name).cloned();
        let server = known.map_or_else(|| assignment.unpolled(), Arc::unwrap_or_clone);
        let board = Board { snapshot: self.snapshot.clone(), retired: retired.clone() };
        let Sharing { part, wishes } = self.sharing.clone();
        let is_shared = *part.borrow() != Part::All;
        let poller = Poller::new(&assignment, server, board.clone(), part.clone());
        let (orders, to_follow) = watch::channel(assignment.clone());
        self.tasks.spawn(poller.run(to_follow));
        if is_shared {
            let host = Host::new(assignment, board, part, wishes);
            self.tasks.spawn(host.run(orders.subscribe()));
        }
        self.members.insert(name, Member { orders, retired });
    }
}

impl Member {
    /// Gives it these orders, unless it has them; says whether they were news.
    fn order(&self, newer: Assignment) -> bool {
        self.orders.send_if_modified(|orders| {
            let newer = Assignment { number: orders.number, ..newer };
            let is_news = *orders != newer;
            if is_news {
                *orders = Assignment { number: orders.number + 1, ..newer };
            }
            is_news
        })
    }
}

/// The servers of a configuration: as they are known, but those that start now.
fn snapshot_of(config: &Config, starting: &[Assignment], before: &Snapshot) -> Snapshot {
    let servers = config.servers.iter().filter_map(|server| {
        let known = before.server(&server.name);
        let Some(assignment) = starting.iter().find(|starting| starting.server.name == server.name) else {
            return known.cloned();
        };
        let counters = known.map(|known| known.counters.clone()).unwrap_or_default();
        Some(Arc::new(Server { counters, ..assignment.unpolled() }))
    });
    let is_complete = !before.servers.is_empty() && before.waiting().next().is_none();
    Snapshot {
        servers: servers.collect(),
        was_complete: before.was_complete || is_complete,
        part: before.part.clone(),
    }
}

/// Shows in the snapshot what of the streams is measured here, whenever that changes.
async fn show_part(
    mut part: watch::Receiver<Part>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = part.changed() => {
                if changed.is_err() {
                    return;
                }
                let part = part.borrow_and_update().clone();
                snapshot.send_modify(|snapshot| Arc::make_mut(snapshot).part = part);
            }
        }
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
