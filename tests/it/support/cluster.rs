//! A real Redis Cluster of one's own.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use redis::Value;

use tempfile::TempDir;

use super::{
    pki::Authority,
    redis::{RedisServer, free_port},
    wait,
};

/// Slots of a cluster.
const SLOTS: usize = 16384;

/// The nodes of a cluster: primaries first, then replicas.
pub struct Cluster {
    pub nodes: Vec<RedisServer>,
    /// Ports by which the nodes know each other: those of TLS, if they speak it.
    ports: Vec<u16>,
    binary: PathBuf,
    /// Certificates of nodes that speak TLS.
    tls: Option<TempDir>,
}

/// What makes a server a node.
pub const MODE: &[&str] = &["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"];

/// A dead node costs the others nothing, and none is taken for dead on a busy machine.
pub const CALM: &[&str] = &["--cluster-node-timeout", "15000", "--cluster-require-full-coverage", "no"];

/// A dead node costs the others nothing, and is soon noticed.
pub const HASTY: &[&str] = &["--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no"];

impl Cluster {
    /// So many primaries that share the slots, and replicas of each.
    pub fn start(primaries: usize, replicas: usize) -> Cluster {
        Cluster::with("redis-server".as_ref(), primaries, replicas, CALM)
    }

    /// Of another version, or with other arguments.
    pub fn with(binary: &Path, primaries: usize, replicas: usize, arguments: &[&str]) -> Cluster {
        Cluster::built(binary, None, primaries, replicas, arguments)
    }

    /// Of nodes that speak TLS with each other and with clients; the tests themselves use their other ports. Returns the
    /// file with the certificate of the authority, too.
    pub fn secured() -> (Cluster, String) {
        let (authority, tls) = (Authority::new("redis-ca"), TempDir::new().unwrap());
        authority.server("127.0.0.1").write(tls.path());
        let client = tls.path().join("client");
        fs::create_dir(&client).unwrap();
        authority.client("node").write(&client);
        fs::write(tls.path().join("ca.crt"), &authority.certificate).unwrap();
        let ca = tls.path().join("ca.crt").to_str().unwrap().to_owned();
        (Cluster::built("redis-server".as_ref(), Some(tls), 3, 0, CALM), ca)
    }

    fn built(
        binary: &Path,
        tls: Option<TempDir>,
        primaries: usize,
        replicas: usize,
        arguments: &[&str],
    ) -> Cluster {
        let count = primaries * (1 + replicas);
        let mut cluster = Cluster { nodes: Vec::new(), ports: Vec::new(), binary: binary.to_owned(), tls };
        (0..count).for_each(|_| cluster.start_node(arguments));
        for (place, node) in cluster.nodes.iter().enumerate() {
            let _: () = node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()]);
        }
        for place in 0..primaries {
            let slots = place * SLOTS / primaries..(place + 1) * SLOTS / primaries;
            let slots: Vec<_> = slots.map(|slot| slot.to_string()).collect();
            let words = ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str));
            let _: () = cluster.nodes[place].ask(&words.collect::<Vec<_>>());
        }
        (1..count).for_each(|place| cluster.meet(place));
        cluster.wait_until_all_know(count);
        for place in primaries..count {
            let _: () = cluster.nodes[place].ask(&["CLUSTER", "REPLICATE", &cluster.id(place % primaries)]);
        }
        cluster.wait_until_replicas_follow();
        wait::until("all replicas to be known", || {
            for node in &cluster.nodes {
                let ranges: Vec<Vec<Value>> = node.try_ask(&["CLUSTER", "SLOTS"])?;
                if ranges.iter().any(|range| range.len() != 3 + replicas) {
                    return Err(format!("{ranges:?}"));
                }
            }
            Ok(())
        });
        cluster.wait_until_all_agree();
        cluster
    }

    /// Another node, without slots. Returns its place.
    pub fn add(&mut self, arguments: &[&str]) -> usize {
        self.start_node(arguments);
        let place = self.nodes.len() - 1;
        self.meet(place);
        self.wait_until_all_know(self.nodes.len());
        self.wait_until_all_agree();
        place
    }

    /// Takes the latest node, which has no slots any more, out of the cluster.
    pub fn remove(&mut self) -> RedisServer {
        let id = self.id(self.nodes.len() - 1);
        let gone = self.nodes.pop().unwrap();
        self.ports.pop();
        for node in &self.nodes {
            let _: () = node.ask(&["CLUSTER", "FORGET", &id]);
        }
        let _: () = gone.ask(&["CLUSTER", "RESET", "HARD"]);
        gone
    }

    fn start_node(&mut self, arguments: &[&str]) {
        let port = cluster_port();
        let file =
            |name: &str| self.tls.as_ref().map(|tls| tls.path().join(name).to_str().unwrap().to_owned());
        let files = [
            ("--tls-cert-file", "tls.crt"),
            ("--tls-key-file", "tls.key"),
            ("--tls-ca-cert-file", "ca.crt"),
            // Nodes show each other certificates of clients.
            ("--tls-client-cert-file", "client/tls.crt"),
            ("--tls-client-key-file", "client/tls.key"),
        ]
        .map(|(argument, name)| (argument, file(name)));
        let text = port.to_string();
        let mut all = [MODE, arguments].concat();
        if self.tls.is_some() {
            all.extend(["--tls-cluster", "yes", "--tls-port", &text, "--tls-auth-clients", "no"]);
            files.iter().for_each(|(argument, file)| all.extend([argument, file.as_deref().unwrap()]));
        }
        let own = if self.tls.is_some() { free_port() } else { port };
        self.nodes.push(RedisServer::of(&self.binary, own, &all));
        self.ports.push(port);
    }

    fn meet(&self, place: usize) {
        let port = self.ports[place].to_string();
        let _: () = self.nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port]);
    }

    fn wait_until_all_know(&self, count: usize) {
        wait::until("all nodes to know each other", || {
            for node in &self.nodes {
                let known: String = node.try_ask(&["CLUSTER", "NODES"])?;
                let met = known.lines().filter(|line| !line.contains("handshake")).count();
                if met != count {
                    return Err(known);
                }
            }
            Ok(())
        });
    }

    fn wait_until_replicas_follow(&self) {
        wait::until("the replicas to follow", || {
            for node in &self.nodes {
                let info: String = node.try_ask(&["INFO", "replication"])?;
                if info.contains("role:slave") && !info.contains("master_link_status:up") {
                    return Err(info);
                }
            }
            Ok(())
        });
    }

    /// Waits until all nodes that answer have the same view, and none is about to fail.
    pub fn wait_until_all_agree(&self) {
        wait::until("all nodes to agree", || {
            let views: Vec<_> = self.nodes.iter().filter_map(|node| view(node).ok()).collect();
            let is_ok = |node: &RedisServer| {
                let info = node.try_ask::<String>(&["CLUSTER", "INFO"]);
                info.is_ok_and(|info| info.contains("cluster_state:ok"))
            };
            let all_ok = self.nodes.iter().filter(|node| view(node).is_ok()).all(is_ok);
            if all_ok && views.windows(2).all(|pair| pair[0] == pair[1]) {
                Ok(())
            } else {
                Err(format!("{views:#?}"))
            }
        });
    }

    /// A URL with one node in it.
    pub fn url(&self) -> String {
        self.url_of(&[0])
    }

    /// A URL with these nodes in it.
    pub fn url_of(&self, places: &[usize]) -> String {
        let hosts: Vec<_> = places.iter().map(|place| self.address(*place)).collect();
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}+cluster://{}", hosts.join(","))
    }

    /// Host and port by which a node is known.
    pub fn address(&self, place: usize) -> String {
        format!("127.0.0.1:{}", self.ports[place])
    }

    pub fn id(&self, place: usize) -> String {
        self.nodes[place].ask(&["CLUSTER", "MYID"])
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        self.nodes.iter().find_map(|node| node.try_ask(&["CLUSTER", "KEYSLOT", key]).ok()).unwrap()
    }

    /// The place of the primary that has a key, now and for good.
    #[track_caller]
    pub fn place_of(&self, key: &str) -> usize {
        wait::until("a node to have the key", || {
            let has = |node: &RedisServer| node.try_ask::<u64>(&["EXISTS", key]).is_ok();
            self.nodes.iter().position(has).ok_or_else(|| format!("nobody has {key}"))
        })
    }

    #[track_caller]
    pub fn node_of(&self, key: &str) -> &RedisServer {
        &self.nodes[self.place_of(key)]
    }

    /// A key of a slot that a node has: one that begins so.
    pub fn key_on(&self, place: usize, beginning: &str) -> String {
        let keys = (0..1000).map(|number| format!("{beginning}{number}"));
        let has = |key: &String| self.nodes[place].try_ask::<u64>(&["EXISTS", key]).is_ok();
        keys.into_iter().find(has).unwrap()
    }

    /// A stream of entries `1-0` to `count-0`, a group that has read none of them, and one that has read half.
    #[track_caller]
    pub fn fill(&self, stream: &str, count: usize) {
        fill(self.node_of(stream), &[(stream, count)]);
    }

    /// The slot is about to go from one node to another: keys that are not there any more are asked for here.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let _: () = self.nodes[to].ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.id(from)]);
        let _: () = self.nodes[from].ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.id(to)]);
    }

    /// Moves a key of a slot that is about to go.
    pub fn move_key(&self, key: &str, from: usize, to: usize) {
        let port = self.ports[to].to_string();
        let _: () = self.nodes[from].ask(&["MIGRATE", "127.0.0.1", &port, key, "0", "10000"]);
    }

    /// All keys have moved: so has the slot.
    pub fn end_move(&self, slot: u16, from: usize, to: usize) {
        let (slot, id) = (slot.to_string(), self.id(to));
        let words = ["CLUSTER", "SETSLOT", &slot, "NODE", &id];
        let _: () = self.nodes[to].ask(&words);
        // One that has given away its last slot may have become a replica already.
        let done = self.nodes[from].try_ask::<()>(&words);
        assert!(
            done.as_ref().is_err_and(|error| error.contains("only with masters")) || done.is_ok(),
            "{done:?}"
        );
    }

    /// Moves a slot with all of its keys, some at a time.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.begin_move(slot, from, to);
        let (text, port) = (slot.to_string(), self.ports[to].to_string());
        loop {
            let keys: Vec<String> = self.nodes[from].ask(&["CLUSTER", "GETKEYSINSLOT", &text, "10"]);
            if keys.is_empty() {
                break;
            }
            let words = ["MIGRATE", "127.0.0.1", &port, "", "0", "10000", "KEYS"];
            let words: Vec<_> = words.into_iter().chain(keys.iter().map(String::as_str)).collect();
            let _: () = self.nodes[from].ask(&words);
        }
        self.end_move(slot, from, to);
        // Who moves another one before all have heard of it may lose both, by the rules of Redis.
        self.wait_until_all_agree();
    }
}

/// Streams of entries `1-0` to `count-0`, each with a group that has read none of them, and one that has read half.
pub fn fill(node: &RedisServer, streams: &[(&str, usize)]) {
    let mut pipeline = redis::pipe();
    for (stream, count) in streams {
        (1..=*count)
            .for_each(|ms| _ = pipeline.cmd("XADD").arg(stream).arg(format!("{ms}-0")).arg("n").arg(ms));
        for (group, from) in [("workers", 0), ("half", count / 2)] {
            pipeline
                .cmd("XGROUP")
                .arg("CREATE")
                .arg(stream)
                .arg(group)
                .arg(format!("{from}-0"))
                .arg("MKSTREAM");
        }
    }
    pipeline.exec(&mut node.connection().unwrap()).unwrap();
}

/// Who has what, as a node sees it, in an order of its own.
fn view(node: &RedisServer) -> Result<Vec<String>, String> {
    let ranges: Vec<Vec<Value>> = node.try_ask(&["CLUSTER", "SLOTS"])?;
    let mut view: Vec<_> = ranges
        .iter()
        .map(|range| {
            let mut replicas: Vec<_> = range[3..].iter().map(|replica| format!("{replica:?}")).collect();
            replicas.sort();
            format!("{:?} {replicas:?}", &range[..3])
        })
        .collect();
    view.sort();
    Ok(view)
}

/// A free port whose bus port, 10,000 higher, is free as well, and neither one that other tests take nor one that the
/// system gives to connections.
fn cluster_port() -> u16 {
    let fits = |port: &u16| {
        (20_000..22_768).contains(port) && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok()
    };
    std::iter::repeat_with(free_port).find(fits).unwrap()
}
