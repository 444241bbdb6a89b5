//! The streams of one database, on whichever nodes they are: each node is searched, every name goes to the node that
//! owns it, and all nodes are measured side by side.
//!
//! A node that cannot be measured costs only its own streams: they have its fault in the place of their numbers. Whether
//! there are others besides nobody knows then, and the poll says so.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;

use super::{
    discover::Known,
    journal::Journal,
    locate::Located,
    measure::{Answer, entry},
    node::Node,
};
use crate::{
    config::{Budget, RedisServer},
    model::{
        fault::{Fault, FaultKind},
        limits::{Cut, Limit},
        name::Name,
        snapshot::StreamEntry,
    },
};

/// One database, and what is remembered of it between polls.
pub struct Keyspace {
    database: u32,
    /// Longest time to search in one poll: it must leave some to measure in.
    search_time: Duration,
    known: Known,
    nodes: Vec<Node>,
}

/// What a poll of a database brought.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Number of the database.
    pub database: u32,
    /// Every stream, in order.
    pub streams: Vec<StreamEntry>,
    /// Versions that the nodes state.
    pub versions: BTreeSet<String>,
    /// Why there may be streams that are not among them.
    pub incomplete: Option<Fault>,
    /// What the limit on streams leaves out.
    pub cut: Option<Cut>,
    /// Whether no node could be measured.
    pub is_down: bool,
    /// Groups that were deleted between two commands.
    pub vanished: u64,
    /// Entries read in order to count them.
    pub entries_read: u64,
    /// Commands sent.
    pub commands: u64,
}

impl Keyspace {
    /// Nothing is known of it yet.
    #[must_use]
    pub fn new(database: u32, server: &RedisServer, search_time: Duration) -> Self {
        Keyspace { database, search_time, known: Known::new(server), nodes: Vec::new() }
    }

    /// Its nodes from now on. What is remembered of those that stay, stays.
    pub fn settle(&mut self, located: &Located, budget: Budget) {
        let mut before = std::mem::take(&mut self.nodes);
        self.nodes = located
            .peers(self.database)
            .map(|peer| match before.iter().position(|node| node.peer == peer) {
                Some(place) => before.swap_remove(place),
                None => Node::new(peer, budget),
            })
            .collect();
    }

    /// From the next poll on, over new connections.
    pub fn disconnect(&mut self) {
        self.nodes.iter_mut().for_each(Node::disconnect);
    }

    /// From the next poll on, the streams that a newer configuration names.
    pub fn look_for(&mut self, server: &RedisServer) {
        self.known = Known::new(server);
        self.nodes.iter_mut().for_each(Node::search_anew);
    }

    /// From the next poll on, within this budget, and with so much time for a search.
    pub fn limit(&mut self, budget: Budget, search_time: Duration) {
        self.search_time = search_time;
        self.nodes.iter_mut().for_each(|node| node.limit(budget));
    }

    /// Polls all nodes once.
    pub async fn poll(&mut self, server: &RedisServer, journal: &Journal) -> Gathered {
        let mut gathered = Gathered { database: self.database, ..Gathered::default() };
        // Faults of nodes that concern all of their streams.
        let mut down = self.search(server, journal, &mut gathered).await;
        let names = self.known.names();
        let owned = self.owned(&names);
        let (nodes, faults) = (self.nodes.iter_mut(), down.iter());
        let answers = nodes.zip(&owned).zip(faults).map(async |((node, names), fault)| match fault {
            None => node.measure(server, names).await,
            Some(fault) => Err(fault.clone()),
        });
        let answers = join_all(answers).await;
        for ((answer, names), down) in answers.into_iter().zip(&owned).zip(&mut down) {
            match answer {
                Ok(answer) => gathered.take_in(answer),
                Err(fault) => {
                    let unknown = |name: &&Name| entry(name, Err(fault.clone()), self.database, server);
                    gathered.streams.extend(names.iter().map(unknown));
                    *down = Some(fault);
                }
            }
        }
        gathered.is_down = down.iter().all(Option::is_some);
        let is_searching =
            !self.known.globs().is_empty() && !self.nodes.iter().all(|node| node.scan.is_complete());
        let cut = gathered.cut.as_ref().map(|cut| cut.fault.clone());
        let incomplete = down.into_iter().flatten().next().or(gathered.incomplete);
        gathered.incomplete = incomplete.or_else(|| is_searching.then(|| self.searching())).or(cut);
        self.resolve(server, &mut gathered);
        gathered.streams.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        gathered.commands = self.nodes.iter_mut().map(Node::count_commands).sum();
        gathered
    }

    /// Searches all nodes; the fault of each that cannot be asked anything.
    async fn search(
        &mut self,
        server: &RedisServer,
        journal: &Journal,
        gathered: &mut Gathered,
    ) -> Vec<Option<Fault>> {
        let (globs, time) = (self.known.globs(), self.search_time);
        let searches = self.nodes.iter_mut().map(|node| node.search(server, globs, time, journal));
        let searches = join_all(searches).await;
        let mut down = Vec::with_capacity(searches.len());
        let mut left_out = 0;
        for (searched, node) in searches.into_iter().zip(&mut self.nodes) {
            let above = self.known.extend(node.scan.take_found());
            left_out += node.scan.leave_out(above);
            down.push(match searched {
                Ok(()) => None,
                Err(fault) if fault.kind.is_server_wide() => Some(fault),
                Err(fault) => {
                    gathered.incomplete = Some(fault);
                    None
                }
            });
        }
        gathered.cut = (left_out > 0).then(|| {
            let most = server.limits.streams;
            let what =
                format!("there are more streams than limits.streams lets in, {most}: {left_out} left out");
            Cut::new(Limit::Streams, left_out, &what)
        });
        down
    }

    fn searching(&self) -> Fault {
        let keys: u64 = self.nodes.iter().map(|node| node.scan.keys()).sum();
        let message =
            format!("the keys are still being searched for streams: about {keys} were looked at so far");
        Fault::new(FaultKind::Unfinished, message)
    }

    /// The names that each node has to answer for, in order.
    fn owned<'n>(&self, names: &'n [Name]) -> Vec<Vec<&'n Name>> {
        let mut owned = vec![Vec::new(); self.nodes.len()];
        if let Some(all) = owned.first_mut() {
            all.extend(names);
        }
        owned
    }

    /// A stream that is gone is forgotten, or shown as missing where it is configured. A key of another type was no
    /// stream that was found.
    fn resolve(&mut self, server: &RedisServer, gathered: &mut Gathered) {
        gathered.streams.retain_mut(|stream| {
            let kind = stream.state.as_ref().err().map(|fault| fault.kind);
            let is_configured = self.known.is_configured(&stream.name);
            match kind {
                Some(FaultKind::Vanished) if is_configured => {
                    *stream = entry(&stream.name, Ok(None), self.database, server);
                }
                Some(FaultKind::Vanished | FaultKind::WrongType) if !is_configured => {
                    self.known.forget(&stream.name);
                    return false;
                }
                _ => {}
            }
            true
        });
    }
}

impl Gathered {
    fn take_in(&mut self, answer: Answer) {
        self.streams.extend(answer.streams);
        self.versions.insert(answer.version);
        self.vanished += answer.vanished;
        self.entries_read += answer.entries_read;
    }
}
