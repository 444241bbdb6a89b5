//! The streams of one database, on whichever nodes they are: each node is searched, every name goes to the node that
//! owns it, and all nodes are measured side by side. As long as searches find nothing new, they go on beside the
//! measurement, and it is done once more after one that does. A stream that a node of a cluster does not have is asked for
//! where it sends us, within the same poll.
//!
//! A node that cannot be measured costs only its own streams: they have its fault in the place of their numbers. Whether
//! there are others besides nobody knows then, and the poll says so.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::{
    cluster::Redirect,
    connect::Peer,
    journal::Journal,
    locate::Located,
    measure::{Answer, Order, entry},
    node::{Node, Visit},
    roll::Scope,
    search::{Members, Search},
    survey::{Survey, of},
};
use crate::{
    config::{Address, Budget, RedisServer, Topology},
    model::{
        fault::{Fault, FaultKind},
        guests::Heard,
        name::Name,
        snapshot::StreamEntry,
    },
};

pub mod gathered;

use gathered::Gathered;

/// How often streams are asked for in one poll: at the node that should have them, and then wherever that sends us. A
/// replica may send us to its primary, that to another one, and that to the one which the stream is on its way to.
const ROUNDS: usize = 5;

/// One database, and what is remembered of it between polls.
pub struct Keyspace {
    database: u32,
    budget: Budget,
    search: Search,
    /// Those that should have streams, and those to which others have sent us.
    nodes: Vec<Node>,
    /// How the cluster was found; `None` where there is none.
    survey: Option<Survey>,
    /// When nodes of a cluster must have answered, if ever.
    until: Option<Instant>,
}

/// Streams to ask for, by node and by how they are asked for.
type Errands<'n> = BTreeMap<(usize, Visit), Vec<&'n Name>>;

impl Keyspace {
    /// Nothing is known of it yet.
    #[must_use]
    pub fn new(
        database: u32,
        server: &RedisServer,
        scope: &Scope,
        budget: Budget,
        search_time: Duration,
    ) -> Self {
        Keyspace {
            database,
            budget,
            search: Search::new(server, scope, search_time),
            nodes: Vec::new(),
            survey: None,
            until: None,
        }
    }

    /// Its nodes from now on, where it is not in a cluster. What is remembered of those that stay, stays.
    pub fn settle(&mut self, located: &Located) {
        if self.survey.is_none() {
            let peers: Vec<_> = located.peers(self.database).collect();
            self.nodes.retain(|node| peers.contains(&node.peer));
            peers.into_iter().for_each(|peer| _ = self.node(peer));
        }
    }

    /// From the next poll on, over new connections.
    pub fn disconnect(&mut self) {
        self.nodes.iter_mut().for_each(Node::disconnect);
    }

    /// From the next poll on, these streams; all of them are searched for, if need be or `anew`.
    pub fn look_for(&mut self, server: &RedisServer, scope: &Scope, anew: bool) {
        if self.search.look_for(server, scope, anew) {
            self.nodes.iter_mut().for_each(Node::search_anew);
        }
    }

    /// What came of the wishes of a scope that has some.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.search.known.heard()
    }

    /// Streams that are asked for.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.search.known.names().len()
    }

    /// From the next poll on, within this budget, and with so much time for a search.
    pub fn limit(&mut self, budget: Budget, search_time: Duration) {
        self.budget = budget;
        self.search.limit(search_time);
        self.nodes.iter_mut().for_each(|node| node.limit(budget));
    }

    /// Polls all nodes once.
    pub async fn poll(&mut self, server: &RedisServer, journal: &Journal, timeout: Duration) -> Gathered {
        // One node of several that takes too long is not to cost the others their numbers, as the end of the poll would.
        self.until = Instant::now().checked_add(timeout / 10 * 9);
        let mut gathered = Gathered { database: self.database, ..Gathered::default() };
        join_all(self.nodes.iter_mut().map(|node| node.begin(server, journal))).await;
        match self.look_round(server, &mut gathered).await {
            Ok(()) => self.gather(server, &mut gathered).await,
            Err(fault) => {
                self.search.doubt();
                gathered.is_down = true;
                gathered.incomplete = Some(fault);
            }
        }
        gathered.commands += self.nodes.iter_mut().map(Node::count_commands).sum::<u64>();
        // Those that were of no use in this poll.
        let peers: Option<Vec<_>> = self.survey.as_ref().map(|survey| survey.peers().cloned().collect());
        self.nodes.retain_mut(|node| {
            let is_visited = std::mem::take(&mut node.is_visited);
            is_visited || peers.as_ref().is_none_or(|peers| peers.contains(&node.peer))
        });
        gathered
    }

    /// Finds the nodes of a cluster.
    async fn look_round(&mut self, server: &RedisServer, gathered: &mut Gathered) -> Result<(), Fault> {
        if let Topology::Cluster(seeds) = &server.topology {
            let before = self.survey.as_ref();
            let commands = &mut gathered.commands;
            let found = Survey::look(before, &mut self.nodes, server, seeds, self.budget, commands).await?;
            found.peers().cloned().collect::<Vec<_>>().into_iter().for_each(|peer| _ = self.node(peer));
            self.survey = Some(found);
        }
        Ok(())
    }

    async fn gather(&mut self, server: &RedisServer, gathered: &mut Gathered) {
        let mut members: Members = match &self.survey {
            Some(survey) => survey.peers().filter_map(|peer| Some((self.place(peer)?, None))).collect(),
            None => (0..self.nodes.len()).map(|place| (place, None)).collect(),
        };
        gathered.incomplete = self.survey.as_ref().and_then(Survey::gap);
        let is_cluster = self.survey.is_some();
        let (until, known) = (self.search.until(), self.search.known.names());
        let is_beside = self.search.goes_beside(&self.nodes, is_cluster);
        if is_beside {
            self.measure(server, &mut members, gathered, &known, Order::Beside(until)).await;
        }
        let processes = self.processes();
        gathered.cut = self
            .search
            .run(server, &mut self.nodes, &mut members, &mut gathered.incomplete, is_cluster, until)
            .await;
        let unfinished = self.search.unfinished(&self.nodes, &members, is_cluster);
        let names = self.search.known.names();
        let is_same = names == known;
        self.search.is_still = is_same && gathered.incomplete.is_none();
        if !is_beside {
            self.measure(server, &mut members, gathered, &names, Order::After).await;
        } else if !is_same || self.processes() != processes {
            gathered.streams.clear();
            gathered.versions.clear();
            self.measure(server, &mut members, gathered, &names, Order::Again).await;
        }
        gathered.is_down = members.values().all(Option::is_some);
        let incomplete = members.into_values().flatten().next().or(gathered.incomplete.take()).or(unfinished);
        gathered.incomplete = incomplete.or(gathered.cut.as_ref().map(|cut| cut.fault.clone()));
        self.resolve(server, gathered);
        gathered.streams.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    }

    /// Changes where a node turns out to be, or may be, another process.
    fn processes(&self) -> u64 {
        self.nodes.iter().map(|node| node.processes).sum()
    }

    /// Measures streams, each at the node that has it.
    async fn measure(
        &mut self,
        server: &RedisServer,
        members: &mut Members,
        gathered: &mut Gathered,
        names: &[Name],
        order: Order,
    ) {
        let up = members.iter().filter(|(_, fault)| fault.is_none());
        let mut errands: Errands<'_> = up.map(|(place, _)| ((*place, Visit::Own), Vec::new())).collect();
        for name in names {
            let errand = self.owner(name).and_then(|place| match members.get(&place) {
                Some(Some(fault)) => Err(fault.clone()),
                _ => Ok(place),
            });
            match errand {
                Ok(place) => errands.entry((place, Visit::Own)).or_default().push(name),
                Err(fault) => gathered.streams.push(entry(name, Err(fault), self.database, server)),
            }
        }
        for round in 1..=ROUNDS {
            let mut next = Errands::new();
            for ((place, visit), answer) in self.run(server, &errands, order).await {
                let names = errands.remove(&(place, visit)).unwrap_or_default();
                let answer = match answer {
                    Ok(answer) => answer,
                    Err(fault) => {
                        let fault = self.at(place, fault);
                        let unknown = |name: &&Name| entry(name, Err(fault.clone()), self.database, server);
                        gathered.streams.extend(names.iter().map(unknown));
                        if visit == Visit::Own {
                            members.insert(place, Some(fault));
                        }
                        continue;
                    }
                };
                gathered.take_in(&answer);
                if answer.is_cluster_node && self.survey.is_none() && !self.search.known.globs().is_empty() {
                    gathered.incomplete = Some(a_node_only());
                }
                gathered.streams.reserve_exact(names.len());
                let entries = names.into_iter().zip(answer.streams).zip(answer.redirects);
                for ((name, entry), redirect) in entries {
                    let errand = self.elsewhere(place, &entry, redirect, gathered);
                    match errand.filter(|_| round < ROUNDS) {
                        Some(errand) => next.entry(errand).or_default().push(name),
                        None => gathered.streams.push(entry),
                    }
                }
            }
            if next.is_empty() {
                return;
            }
            // Streams are measured in their order.
            next.values_mut().for_each(|names| names.sort_unstable());
            errands = next;
        }
    }

    /// Runs errands, those of different nodes side by side.
    async fn run(
        &mut self,
        server: &RedisServer,
        errands: &Errands<'_>,
        order: Order,
    ) -> Vec<((usize, Visit), Result<Answer, Fault>)> {
        let until = self.until.filter(|_| self.survey.is_some());
        let known = &self.search.known;
        let of_nodes = self.nodes.iter_mut().enumerate().map(async |(place, node)| {
            let mut answers = Vec::new();
            for visit in Visit::ALL {
                if let Some(names) = errands.get(&(place, visit)) {
                    let measured = node.measure(server, names, visit, order, known);
                    let answer = match until {
                        Some(until) => {
                            timeout_at(until, measured).await.unwrap_or_else(|_| Err(took_too_long()))
                        }
                        None => measured.await,
                    };
                    answers.push(((place, visit), answer));
                }
            }
            answers
        });
        join_all(of_nodes).await.into_iter().flatten().collect()
    }

    /// The node to ask for a stream after the answer of one.
    fn elsewhere(
        &mut self,
        asked: usize,
        entry: &StreamEntry,
        redirect: Option<Redirect>,
        gathered: &mut Gathered,
    ) -> Option<(usize, Visit)> {
        let survey = self.survey.as_ref()?;
        let is_gone = entry.state.as_ref().is_err_and(|fault| fault.kind == FaultKind::Vanished);
        let (to, visit) = match redirect {
            Some(Redirect { to, is_asking: true }) => (to, Visit::Asking),
            Some(Redirect { to, is_asking: false }) => (to, Visit::Guest),
            // A replica may have lost it to another node, of which it has not heard yet.
            None if is_gone && self.nodes[asked].peer.read_only => {
                (survey.primary_for(&entry.name)?.clone(), Visit::Guest)
            }
            None => return None,
        };
        if !survey.covers(&to) {
            let message = format!("{to} has joined the cluster meanwhile, and was not searched yet");
            gathered.incomplete = Some(Fault::new(FaultKind::Redirected, message));
            self.search.doubt();
        }
        let peer = Peer { address: Address::Tcp(to), database: 0, read_only: false, role: None };
        let place = self.node(peer);
        self.nodes[place].is_visited = true;
        Some((place, visit))
    }

    /// The place of the node that a name is asked for at.
    fn owner(&self, name: &Name) -> Result<usize, Fault> {
        match &self.survey {
            Some(survey) => Ok(self.place(survey.peer_for(name)?).unwrap_or_default()),
            None => Ok(0),
        }
    }

    fn place(&self, peer: &Peer) -> Option<usize> {
        self.nodes.iter().position(|node| node.peer == *peer)
    }

    /// The place of a node, which is a new one if there is none.
    fn node(&mut self, peer: Peer) -> usize {
        self.place(&peer).unwrap_or_else(|| {
            self.nodes.push(Node::new(peer, self.budget));
            self.nodes.len() - 1
        })
    }

    /// A fault says at which of several nodes it was met.
    fn at(&self, place: usize, fault: Fault) -> Fault {
        if self.survey.is_some() { of(fault, &self.nodes[place].peer.address) } else { fault }
    }

    /// A stream that is gone is forgotten, or shown as missing where it is configured. A key of another type was no
    /// stream that was found.
    fn resolve(&mut self, server: &RedisServer, gathered: &mut Gathered) {
        let mut refused: Option<Fault> = None;
        gathered.streams.retain_mut(|stream| {
            let kind = stream.state.as_ref().err().map(|fault| fault.kind);
            let is_configured = self.search.known.is_configured(&stream.name);
            match kind {
                Some(FaultKind::Vanished) if is_configured => {
                    *stream = entry(&stream.name, Ok(None), self.database, server);
                }
                Some(FaultKind::Vanished | FaultKind::WrongType) if !is_configured => {
                    self.search.known.forget(&stream.name);
                    return false;
                }
                Some(FaultKind::Redirected) if self.survey.is_none() => {
                    stream.state = stream.state.clone().map_err(|fault| fault.advising(A_NODE));
                }
                Some(FaultKind::ClusterDown) => {
                    refused = refused.take().or(stream.state.as_ref().err().cloned())
                }
                _ => {}
            }
            true
        });
        // It is told once, not for each stream, and beside what it may come from: a dead node.
        gathered.incomplete = match (gathered.incomplete.take(), refused) {
            (Some(first), Some(refused)) if first.kind != FaultKind::ClusterDown => {
                let (reason, advice) = refused.parts();
                let both = Fault::new(first.kind, format!("{}; {reason}", first.message));
                Some(advice.into_iter().fold(both, Fault::advising))
            }
            (first, refused) => first.or(refused),
        };
    }
}

fn took_too_long() -> Fault {
    Fault::new(FaultKind::Timeout, "the node took longer than nine tenths of poll.timeout")
}

/// What to do about a node of a cluster that is taken for a server of its own.
const A_NODE: &str = "this is a node of a cluster: write redis+cluster:// in the URL";

fn a_node_only() -> Fault {
    Fault::new(FaultKind::Redirected, "what a glob means may be on other nodes, too").advising(A_NODE)
}
