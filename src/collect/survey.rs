//! Looking round in a cluster, which begins each poll: all nodes that are known are asked what they know, and so are those
//! that are heard of, until none is new. Those in the configuration are asked where no other is in reach.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use tokio::time::{Instant, timeout_at};

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

/// Time that other seeds have after the first one has answered, to tell of another cluster.
const GRACE: Duration = Duration::from_millis(200);

/// What to mend where nodes of different clusters are named.
const MEND_SEEDS: &str = "name nodes of one cluster in the URL, and give each cluster a server of its own";

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
                // Where those that are known have become strangers, the cluster was made anew.
                let known = ids.as_ref().filter(|_| !heard.values().any(is_stranger));
                let (seed, view) = first_of(seeds, server, known, commands).await?;
                ids = Some(view.ids.clone());
                heard.insert(seed, Ok(view));
            }
            let views = heard.iter().filter_map(|(place, view)| Some((place, view.as_ref().ok()?)));
            let known = views.clone().flat_map(|(_, view)| view.ids.iter().cloned()).collect();
            let route = Route::by(views);
            let readers: Vec<_> =
                route.shards().iter().map(|shard| reader(shard, nodes, server, &heard)).collect();
            let is_new = |peer: &&Peer| place_of(peer).is_some_and(|place| !heard.contains_key(place));
            let next = readers.iter().zip(route.shards()).filter_map(|(reader, shard)| {
                let chosen = reader.as_ref().ok().filter(is_new)?;
                // Where one has failed, the others are asked side by side: each may hang.
                let all = candidates(shard, server);
                let has_failed =
                    all.iter().any(|peer| place_of(peer).is_some_and(|place| heard.contains_key(place)));
                let asked = if has_failed { all } else { vec![chosen.clone()] };
                Some(asked.into_iter().filter(|peer| is_new(&peer)))
            });
            asked = next.flatten().collect();
            rounds += 1;
            if asked.is_empty() || rounds == ROUNDS {
                return Ok(Survey { route, readers, ids: known });
            }
        }
    }

    /// What is wrong with the seeds, each of which should lead to this cluster.
    pub async fn bad_seeds(&self, seeds: &[HostPort], server: &RedisServer) -> Vec<Fault> {
        let count = AtomicU64::new(0);
        let asked = seeds.iter().map(async |seed| (seed, ask_seed(seed, server, &count).await));
        let bad = join_all(asked).await.into_iter().filter_map(|(seed, view)| match view {
            Ok(view) if self.ids.is_disjoint(&view.ids) => {
                let message = format!("{seed} belongs to another cluster");
                Some(Fault::new(FaultKind::Redirected, message).advising(MEND_SEEDS))
            }
            Ok(_) => None,
            Err(fault) => Some(fault),
        });
        bad.collect()
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
            Some(ids) if ids.is_disjoint(&view.ids) => Err(stranger(place)),
            _ => Ok(view),
        });
        heard.insert(place.clone(), view);
    }
}

fn stranger(place: &HostPort) -> Fault {
    Fault::new(FaultKind::Redirected, format!("{place} belongs to another cluster now"))
}

/// Whether a node that was known answers for another cluster.
fn is_stranger(view: &Result<View, Fault>) -> bool {
    view.as_ref().is_err_and(|fault| fault.kind == FaultKind::Redirected)
}

/// Asks a seed, over a connection for that purpose.
async fn ask_seed(seed: &HostPort, server: &RedisServer, count: &AtomicU64) -> Result<View, Fault> {
    let peer = Peer { address: Address::Tcp(seed.clone()), database: 0, read_only: false, role: None };
    let credentials = Credentials::read(server).map_err(|fault| of(fault, seed))?;
    let mut link = Link::open(server, &peer, credentials).await?;
    let view = View::ask(&mut link, seed).await.map_err(|fault| of(fault, seed));
    count.fetch_add(link.sent.take(), Ordering::Relaxed);
    view
}

/// Asks all seeds side by side; the first one that knows the cluster will do. `known` are IDs of the cluster that was
/// measured before: another one is not to take its place while it is silent.
async fn first_of(
    seeds: &[HostPort],
    server: &RedisServer,
    known: Option<&BTreeSet<String>>,
    commands: &mut u64,
) -> Result<(HostPort, View), Fault> {
    let count = AtomicU64::new(0);
    let asked = seeds
        .iter()
        .enumerate()
        .map(async |(place, seed)| (place, seed, ask_seed(seed, server, &count).await));
    let mut answers: FuturesUnordered<_> = asked.collect();
    let (mut faults, mut found) = (Vec::new(), None::<(HostPort, View)>);
    let mut until = None;
    loop {
        let next = match until {
            None => answers.next().await,
            Some(until) => timeout_at(until, answers.next()).await.unwrap_or(None),
        };
        let Some((place, seed, view)) = next else { break };
        match (view, &found) {
            (Ok(view), _) if known.is_some_and(|known| known.is_disjoint(&view.ids)) => {
                let message = format!(
                    "{seed} belongs to another cluster than the one that was measured, which is silent"
                );
                let mend = "take it out of the URL; if the cluster was made anew, restart streamgauge";
                faults.push((place, Fault::new(FaultKind::Redirected, message).advising(mend)));
            }
            (Ok(view), None) => {
                found = Some((seed.clone(), view));
                // One that was measured before is sure.
                until = Some(Instant::now() + if known.is_some() { Duration::ZERO } else { GRACE });
            }
            (Ok(view), Some((other, first))) if first.ids.is_disjoint(&view.ids) => {
                // In the same words each time, for the log.
                let (one, another) = if other < seed { (other, seed) } else { (seed, other) };
                let message = format!("{one} and {another} belong to different clusters");
                return Err(Fault::new(FaultKind::Connect, message).advising(MEND_SEEDS));
            }
            (Ok(_), Some(_)) => {}
            (Err(fault), _) => faults.push((place, fault)),
        }
    }
    drop(answers);
    *commands += count.load(Ordering::Relaxed);
    if let Some(found) = found {
        return Ok(found);
    }
    // The same one each time, for the log: one that can be mended here before what may pass.
    let first = faults.into_iter().min_by_key(|(place, fault)| (fault.kind != FaultKind::Redirected, *place));
    let (_, fault) =
        first.unwrap_or_else(|| (0, Fault::new(FaultKind::Connect, "the configuration has no node")));
    Err(fault)
}

/// All who can be asked for the keys of a shard.
fn candidates(shard: &Shard, server: &RedisServer) -> Vec<Peer> {
    // Nobody names the replicas of one that has no slots.
    let is_idle = shard.is_idle && !shard.has_slots;
    let peer = |place: &HostPort, read_only| Peer {
        address: Address::Tcp(place.clone()),
        database: 0,
        read_only,
        role: None,
    };
    if server.read_from == ReadFrom::Replica && !is_idle {
        shard.replicas.iter().map(|replica| peer(replica, true)).collect()
    } else {
        vec![peer(&shard.primary, false)]
    }
}

/// Whom to ask for the keys of a shard: the one that was asked before, if it can still be.
fn reader(shard: &Shard, nodes: &[Node], server: &RedisServer, heard: &Heard) -> Result<Peer, Fault> {
    let mut candidates = candidates(shard, server);
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
