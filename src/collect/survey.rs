//! Looking round in a cluster, which begins each poll: all nodes that are known are asked what they know, and so are those
//! that are heard of, until none is new. Those in the configuration are asked where no other is in reach.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};

use super::{
    cluster::{self, View},
    connect::{Link, Peer},
    credentials::Credentials,
    node::Node,
    route::{Route, Shard},
};
use crate::{
    config::{Address, Budget, HostPort, ReadFrom, RedisServer},
    model::{
        fault::{Fault, FaultKind},
        name::Name,
    },
};

/// Most times that nodes are asked which were only just heard of.
const ROUNDS: usize = 4;

/// A cluster as it was found.
pub struct Survey {
    route: Route,
    /// Whom to ask for the keys of each shard; why nobody, where that is so.
    readers: Vec<Result<Peer, Fault>>,
    /// IDs of all nodes: whoever knows none of them belongs to another cluster.
    ids: BTreeSet<String>,
}

/// What each node said that was asked.
type Heard = BTreeMap<HostPort, Result<View, Fault>>;

impl Survey {
    /// Looks round, with what was found before.
    ///
    /// # Errors
    /// Nobody can be asked.
    pub async fn look(
        before: Option<&Survey>,
        nodes: &mut Vec<Node>,
        server: &RedisServer,
        seeds: &[HostPort],
        budget: Budget,
        commands: &mut u64,
    ) -> Result<Survey, Fault> {
        let mut ids = before.map(|before| before.ids.clone());
        let mut asked: Vec<_> = before.into_iter().flat_map(|before| before.peers().cloned()).collect();
        let mut heard = Heard::new();
        let mut rounds = 0;
        loop {
            hear(&asked, nodes, server, budget, ids.as_ref(), &mut heard).await;
            if !heard.values().any(Result::is_ok) {
                let (seed, view) = first_of(seeds, server, commands).await?;
                ids = Some(view.ids.clone());
                heard.insert(seed, Ok(view));
            }
            let views = heard.iter().filter_map(|(place, view)| Some((place, view.as_ref().ok()?)));
            let known = views.clone().flat_map(|(_, view)| view.ids.iter().cloned()).collect();
            let route = Route::by(views);
            let readers: Vec<_> =
                route.shards().iter().map(|shard| reader(shard, nodes, server, &heard)).collect();
            let is_new = |peer: &&Peer| place_of(peer).is_some_and(|place| !heard.contains_key(place));
            asked = readers.iter().flatten().filter(is_new).cloned().collect();
            rounds += 1;
            if asked.is_empty() || rounds == ROUNDS {
                return Ok(Survey { route, readers, ids: known });
            }
        }
    }

    /// Those to ask for keys.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.readers_of_keys().filter_map(|reader| reader.as_ref().ok())
    }

    /// Why streams of some shard or slot cannot be had, nor be searched for.
    #[must_use]
    pub fn gap(&self) -> Option<Fault> {
        let silent = self.readers_of_keys().find_map(|reader| reader.as_ref().err().cloned());
        silent.or_else(|| self.route.gap())
    }

    /// Whom to ask for a stream.
    ///
    /// # Errors
    /// Nobody has it, or nobody who can be asked.
    pub fn peer_for(&self, name: &Name) -> Result<&Peer, Fault> {
        let owner = self.route.owner(cluster::slot(name))?;
        self.readers[owner].as_ref().map_err(Clone::clone)
    }

    /// Who has a stream, whoever is asked for it.
    #[must_use]
    pub fn primary_for(&self, name: &Name) -> Option<&HostPort> {
        let owner = self.route.owner(cluster::slot(name)).ok()?;
        Some(&self.route.shards()[owner].primary)
    }

    /// Whether the keys of a primary are searched.
    #[must_use]
    pub fn covers(&self, primary: &HostPort) -> bool {
        self.route.shards().iter().any(|shard| shard.has_keys() && shard.primary == *primary)
    }

    fn readers_of_keys(&self) -> impl Iterator<Item = &Result<Peer, Fault>> {
        let shards = self.route.shards().iter().zip(&self.readers);
        shards.filter(|(shard, _)| shard.has_keys()).map(|(_, reader)| reader)
    }
}

/// Asks nodes side by side what they know.
async fn hear(
    peers: &[Peer],
    nodes: &mut Vec<Node>,
    server: &RedisServer,
    budget: Budget,
    ids: Option<&BTreeSet<String>>,
    heard: &mut Heard,
) {
    for peer in peers {
        if !nodes.iter().any(|node| node.peer == *peer) {
            nodes.push(Node::new(peer.clone(), budget));
        }
    }
    let asked = nodes.iter_mut().filter(|node| peers.contains(&node.peer));
    let views = asked.map(async |node| (node.peer.clone(), node.view(server).await));
    for (peer, view) in join_all(views).await {
        let Some(place) = place_of(&peer) else { continue };
        let view = view.map_err(|fault| of(fault, place)).and_then(|view| match ids {
            Some(ids) if ids.is_disjoint(&view.ids) => {
                let message = format!("{place} belongs to another cluster now");
                Err(Fault::new(FaultKind::Connect, message))
            }
            _ => Ok(view),
        });
        heard.insert(place.clone(), view);
    }
}

/// Asks all seeds side by side, each over a connection for that purpose; the first one that knows the cluster will do.
async fn first_of(
    seeds: &[HostPort],
    server: &RedisServer,
    commands: &mut u64,
) -> Result<(HostPort, View), Fault> {
    let count = AtomicU64::new(0);
    let ask = async |place: usize, seed: &HostPort| {
        let peer = Peer { address: Address::Tcp(seed.clone()), database: 0, read_only: false, role: None };
        let view = async {
            let credentials = Credentials::read(server).map_err(|fault| of(fault, seed))?;
            let mut link = Link::open(server, &peer, credentials).await?;
            let view = View::ask(&mut link, seed).await.map_err(|fault| of(fault, seed));
            count.fetch_add(link.sent.take(), Ordering::Relaxed);
            view
        };
        view.await.map(|view| (seed.clone(), view)).map_err(|fault| (place, fault))
    };
    let mut answers: FuturesUnordered<_> =
        seeds.iter().enumerate().map(|(place, seed)| ask(place, seed)).collect();
    let (mut faults, mut found) = (Vec::new(), None);
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(view) => {
                found = Some(view);
                break;
            }
            Err(fault) => faults.push(fault),
        }
    }
    *commands += count.load(Ordering::Relaxed);
    if let Some(found) = found {
        return Ok(found);
    }
    // The same one each time, for the log.
    let first = faults.into_iter().min_by_key(|(place, _)| *place);
    let (_, fault) =
        first.unwrap_or_else(|| (0, Fault::new(FaultKind::Connect, "the configuration has no node")));
    Err(fault)
}

/// Whom to ask for the keys of a shard: the one that was asked before, if it can still be.
fn reader(shard: &Shard, nodes: &[Node], server: &RedisServer, heard: &Heard) -> Result<Peer, Fault> {
    // Nobody names the replicas of one that has no slots.
    let is_idle = shard.is_idle && !shard.has_slots;
    let peer = |place: &HostPort, read_only| Peer {
        address: Address::Tcp(place.clone()),
        database: 0,
        read_only,
        role: None,
    };
    let mut candidates: Vec<_> = if server.read_from == ReadFrom::Replica && !is_idle {
        shard.replicas.iter().map(|replica| peer(replica, true)).collect()
    } else {
        vec![peer(&shard.primary, false)]
    };
    candidates.sort_by_key(|peer| !nodes.iter().any(|node| node.peer == *peer));
    let mut fault = None;
    for peer in candidates {
        match place_of(&peer).and_then(|place| heard.get(place)) {
            Some(Err(why)) => fault = Some(why.clone()),
            Some(Ok(_)) | None => return Ok(peer),
        }
    }
    Err(fault.unwrap_or_else(|| {
        let message = format!("{} has no replica that is in reach, and read_from is replica", shard.primary);
        Fault::new(FaultKind::Connect, message)
    }))
}

fn place_of(peer: &Peer) -> Option<&HostPort> {
    match &peer.address {
        Address::Tcp(place) => Some(place),
        Address::Unix(_) => None,
    }
}

/// A fault says at which of several nodes it was met.
pub fn of(fault: Fault, node: &impl ToString) -> Fault {
    let node = node.to_string();
    if fault.message.contains(&node) { fault } else { fault.during(node) }
}
