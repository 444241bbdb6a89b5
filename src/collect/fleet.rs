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
    poller::Poller,
};
use crate::{
    config::Config,
    model::snapshot::{Server, Snapshot},
};

/// All pollers that run.
pub struct Fleet {
    snapshot: watch::Sender<Arc<Snapshot>>,
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
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> (Fleet, watch::Receiver<Arc<Snapshot>>) {
        let (publish, snapshot) = watch::channel(Arc::default());
        let mut fleet = Fleet { snapshot: publish, members: BTreeMap::new(), tasks, stop };
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
        let poller = Poller::new(&assignment, server, self.snapshot.clone(), retired.clone());
        let (orders, to_follow) = watch::channel(assignment);
        self.tasks.spawn(poller.run(to_follow));
        self.members.insert(name, Member { orders, retired });
    }
}

impl Member {
    /// Gives it these orders, unless it has them; says whether they were news.
    fn order(&self, newer: Assignment) -> bool {
        self.orders.send_if_modified(|orders| {
            let is_news = *orders != newer;
            *orders = newer;
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
    Snapshot { servers: servers.collect(), was_complete: before.was_complete || is_complete }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
