//! The search of all nodes of a database for streams, a piece of it at each poll.
//!
//! In a cluster, a key that goes from one node to another may be missed at both: it was not there yet when the one was
//! searched, and not there any more when the other was. So the first search goes round twice, and so does the first one
//! after anything was missed: a key would have to move twice, and back, to be missed again. Whatever was found once is known
//! until its owner says that it does not exist.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    node::Node,
    roll::{Roll, Scope},
    survey::of,
};
use crate::{
    config::RedisServer,
    model::{
        fault::{Fault, FaultKind},
        limits::{Cut, Limit},
    },
};

/// As good as for ever, and within what clocks can tell.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Places of the nodes to search, each with the fault that concerns all of its streams.
pub type Members = BTreeMap<usize, Option<Fault>>;

/// Where the search of a database stands.
pub struct Search {
    /// What was found, and what is configured.
    pub known: Roll,
    /// Whether the latest search has failed nowhere, and found nothing new: most often the next one does not either.
    pub is_still: bool,
    /// Longest time to search in one poll: it must leave some to measure in.
    time: Duration,
    rounds: Rounds,
}

/// How often all nodes of a cluster were searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounds {
    /// Not once yet, or something was missed at the latest poll.
    First,
    /// Once: the second time is under way.
    Second,
    /// Nothing was missed.
    Whole,
}

impl Search {
    /// Nothing was searched yet.
    #[must_use]
    pub fn new(server: &RedisServer, scope: &Scope, time: Duration) -> Self {
        Search { known: Roll::new(server, scope), is_still: false, time, rounds: Rounds::First }
    }

    /// Other streams from now on. Returns whether they have to be searched for. What was found stays, as far as it is meant
    /// still, unless all is looked for `anew`.
    pub fn look_for(&mut self, server: &RedisServer, scope: &Scope, anew: bool) -> bool {
        if !anew && self.known.goes_over_to(scope) {
            return false;
        }
        let found = if anew { Vec::new() } else { self.known.take_found() };
        *self = Search::new(server, scope, self.time);
        self.known.extend(found);
        true
    }

    /// So much time from now on.
    pub fn limit(&mut self, time: Duration) {
        self.time = time;
    }

    /// Something was missed.
    pub fn doubt(&mut self) {
        self.rounds = Rounds::First;
    }

    /// Until when to search, from now on.
    #[must_use]
    pub fn until(&self) -> Instant {
        Instant::now() + self.time.min(A_DAY)
    }

    /// Whether the search goes on beside the questions about what is known, in place of coming first: where it is likely to
    /// find nothing new, and all keys have been seen once. In a cluster it comes first, for whom to ask changes with it.
    #[must_use]
    pub fn goes_beside(&self, nodes: &[Node], is_cluster: bool) -> bool {
        !is_cluster && self.is_still && nodes.iter().all(|node| node.scan.is_complete())
    }

    /// Searches nodes, and returns what the limit on streams leaves out. One that cannot be asked anything gets its fault;
    /// any other fault is why the search is incomplete.
    pub async fn run(
        &mut self,
        server: &RedisServer,
        nodes: &mut [Node],
        members: &mut Members,
        incomplete: &mut Option<Fault>,
        is_cluster: bool,
        until: Instant,
    ) -> Option<Cut> {
        let mut left_out = self.once(server, nodes, members, incomplete, until).await;
        if is_cluster {
            if incomplete.is_some() || members.values().any(Option::is_some) {
                self.doubt();
            } else if self.rounds == Rounds::First && self.are_complete(nodes, members) {
                self.rounds = Rounds::Second;
                members.keys().for_each(|place| nodes[*place].search_anew());
                left_out = self.once(server, nodes, members, incomplete, until).await;
            }
            let is_missed = incomplete.is_some() || members.values().any(Option::is_some);
            if self.rounds == Rounds::Second && !is_missed && self.are_complete(nodes, members) {
                self.rounds = Rounds::Whole;
            }
            for (place, fault) in members.iter_mut() {
                *fault = fault.take().map(|fault| of(fault, &nodes[*place].peer.address));
            }
        }
        (left_out > 0).then(|| {
            let most = server.limits.streams;
            let what =
                format!("there are more streams than limits.streams lets in, {most}: {left_out} left out");
            Cut::new(Limit::Streams, left_out, &what)
        })
    }

    /// Searches nodes side by side. Returns how many streams the limit leaves out.
    async fn once(
        &mut self,
        server: &RedisServer,
        nodes: &mut [Node],
        members: &mut Members,
        incomplete: &mut Option<Fault>,
        until: Instant,
    ) -> u64 {
        let known = &self.known;
        let up = |place: &usize| matches!(members.get(place), Some(None));
        let searched = nodes.iter_mut().enumerate().filter(|(place, _)| up(place));
        let searches = searched.map(async |(place, node)| (place, node.search(server, known, until).await));
        let mut left_out = 0;
        for (place, searched) in join_all(searches).await {
            let scan = &mut nodes[place].scan;
            let above = self.known.extend(scan.take_found());
            left_out += scan.leave_out(above);
            match searched {
                Ok(()) => {}
                Err(fault) if fault.kind.is_server_wide() => _ = members.insert(place, Some(fault)),
                Err(fault) => *incomplete = Some(fault),
            }
        }
        left_out
    }

    /// Why there may be more streams, where all that can be searched is not yet.
    #[must_use]
    pub fn unfinished(&self, nodes: &[Node], members: &Members, is_cluster: bool) -> Option<Fault> {
        let is_whole = !is_cluster || self.rounds == Rounds::Whole;
        let is_finished = self.known.globs().is_empty() || is_whole && self.are_complete(nodes, members);
        (!is_finished).then(|| {
            let keys: u64 = members.keys().map(|place| nodes[*place].scan.keys()).sum();
            let message =
                format!("the keys are still being searched for streams: about {keys} were looked at so far");
            Fault::new(FaultKind::Unfinished, message)
        })
    }

    /// Whether all keys were searched. There is nothing to search for without a glob.
    fn are_complete(&self, nodes: &[Node], members: &Members) -> bool {
        self.known.globs().is_empty() || members.keys().all(|place| nodes[*place].scan.is_complete())
    }
}
