//! Where a server is: one process, or several of which others know where they are; and how each of them is spoken with.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use rustls::pki_types::ServerName;

use super::{
    Problem, TlsFiles,
    address::{Target, UrlParts},
    section::Section,
    server::{Credential, credential, is_true},
    tree::Place,
    validate::must_be_readable,
    write_host_port,
};

/// The processes that one configured server consists of.
#[derive(Clone, Debug, PartialEq)]
pub enum Topology {
    /// One, here.
    Single(Address),
    /// A primary and its replicas; Sentinels know which is which.
    Sentinel(Sentinel),
    /// The nodes of a cluster, of which these are some.
    Cluster(Vec<HostPort>),
}

/// Who knows where the primary of a service is.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentinel {
    /// Some of the Sentinels, at least one.
    pub seeds: Vec<HostPort>,
    /// Name of what they watch.
    pub service: String,
    /// ACL user for the Sentinels.
    pub username: Option<Credential>,
    /// Their password.
    pub password: Option<Credential>,
}

/// Where a process is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// Over TCP.
    Tcp(HostPort),
    /// A socket on this machine.
    Unix(PathBuf),
}

/// Host and port of a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// How TLS is spoken with each process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whom to believe, in PEM; `None` is whom the system believes.
    pub ca_file: Option<PathBuf>,
    /// What to show to a server that asks who we are.
    pub client: Option<TlsFiles>,
    /// The name that must stand in the certificate; `None` is the host of the address.
    pub server_name: Option<ServerName<'static>>,
    /// Whether the certificate is verified at all.
    pub verify: bool,
}

/// Whom to ask where there are several processes with the same data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The primary.
    Primary,
    /// One of its replicas.
    Replica,
}

impl fmt::Display for Topology {
    /// What a server is called that has no name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topology::Single(address) => address.fmt(f),
            Topology::Sentinel(sentinel) => f.write_str(&sentinel.service),
            Topology::Cluster(seeds) => seeds.first().map_or(Ok(()), |seed| seed.fmt(f)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(place) => place.fmt(f),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_host_port(f, &self.host, self.port)
    }
}

impl Tls {
    /// The name that must stand in the certificate of a host; `None` where no certificate can be for it.
    #[must_use]
    pub fn name_of(&self, host: &str) -> Option<ServerName<'static>> {
        self.server_name.clone().or_else(|| ServerName::try_from(host.to_owned()).ok())
    }
}

const SENTINEL_USERNAME: [&str; 2] = ["redis[].sentinel.username", "redis[].sentinel.username_file"];
const SENTINEL_PASSWORD: [&str; 2] = ["redis[].sentinel.password", "redis[].sentinel.password_file"];

pub(super) fn topology(section: &Section, parts: &UrlParts, problems: &mut Vec<Problem>) -> Topology {
    if !matches!(parts.target, Some(Target::Sentinel { .. }) | None) {
        for path in SENTINEL_USERNAME.into_iter().chain(SENTINEL_PASSWORD) {
            if section.get(path).is_some() {
                let message = "is for Sentinels, of which the URL has none: write redis+sentinel:// there, or leave this out";
                problems.push(section.problem(path, message));
            }
        }
    }
    match &parts.target {
        Some(Target::Host(place)) => Topology::Single(Address::Tcp(place.clone())),
        Some(Target::Unix(path)) => Topology::Single(Address::Unix(path.clone())),
        Some(Target::Cluster(seeds)) => Topology::Cluster(seeds.clone()),
        Some(Target::Sentinel { seeds, service }) => Topology::Sentinel(Sentinel {
            seeds: seeds.clone(),
            service: service.clone(),
            username: credential(section, "username", SENTINEL_USERNAME, None, problems),
            password: credential(section, "password", SENTINEL_PASSWORD, None, problems),
        }),
        // That the URL is wrong is a problem already.
        None => Topology::Single(Address::Tcp(HostPort { host: String::new(), port: 0 })),
    }
}

pub(super) fn databases(section: &Section, parts: &UrlParts, problems: &mut Vec<Problem>) -> BTreeSet<u32> {
    const DATABASE: &str = "redis[].database";
    let of_url = parts.database.map(|database| BTreeSet::from([database]));
    let apart = section.counts(DATABASE);
    if let (Some(of_url), Some(apart)) = (parts.database, &apart)
        && *apart != BTreeSet::from([of_url])
    {
        let message = format!("contradicts the URL, which says {of_url}: leave one out");
        problems.push(section.problem(DATABASE, message));
    }
    let databases = of_url.or(apart).unwrap_or_else(|| BTreeSet::from([0]));
    if matches!(parts.target, Some(Target::Cluster(_))) && databases != BTreeSet::from([0]) {
        problems.push(section.problem(DATABASE, "a cluster has only database 0: leave this out"));
    }
    databases
}

pub(super) fn read_from(section: &Section, topology: &Topology, problems: &mut Vec<Problem>) -> ReadFrom {
    const READ_FROM: &str = "redis[].read_from";
    if section.text(READ_FROM).is_none_or(|whom| whom == "primary") {
        return ReadFrom::Primary;
    }
    if matches!(topology, Topology::Single(_)) {
        let message =
            "is for Sentinels and clusters: where there is one server, write the URL of the replica";
        problems.push(section.problem(READ_FROM, message));
    }
    ReadFrom::Replica
}

const CA_FILE: &str = "redis[].tls.ca_file";
const PAIR: [&str; 2] = ["redis[].tls.cert_file", "redis[].tls.key_file"];
const SERVER_NAME: &str = "redis[].tls.server_name";
const SKIP_VERIFY: &str = "redis[].tls.insecure_skip_verify";

/// `None` where the URL does not ask for TLS.
pub(super) fn tls(section: &Section, parts: &UrlParts, problems: &mut Vec<Problem>) -> Option<Tls> {
    // Which settings fit an address that is wrong cannot be told.
    let target = parts.target.as_ref()?;
    if !parts.is_tls {
        for path in [CA_FILE, PAIR[0], PAIR[1], SERVER_NAME, SKIP_VERIFY] {
            if section.get(path).is_some_and(|checked| checked.place != Place::Default) {
                let message =
                    "is for TLS, which the URL does not ask for: write rediss:// there, or leave this out";
                problems.push(section.problem(path, message));
            }
        }
        return None;
    }
    let verify = !is_true(section, SKIP_VERIFY);
    if !verify && section.get(CA_FILE).is_some() {
        let message = format!("nothing is verified with {}: leave one out", section.key(SKIP_VERIFY));
        problems.push(section.problem(CA_FILE, message));
    }
    for [one, other] in [PAIR, [PAIR[1], PAIR[0]]] {
        if section.get(one).is_some() && section.lacks(other) {
            let message = format!("needs {} besides: give both or neither", section.key(other));
            problems.push(section.problem(one, message));
        }
    }
    let mut file = |path: &str| {
        let file = section.text(path).map(PathBuf::from)?;
        must_be_readable(section, path, &file, problems);
        Some(file)
    };
    let (ca_file, [certificate, private_key]) = (file(CA_FILE), PAIR.map(&mut file));
    let server_name = section.text(SERVER_NAME).and_then(|name| {
        let message = format!("expected a DNS name or an IP address, found {name:?}");
        ServerName::try_from(name).map_err(|_| problems.push(section.problem(SERVER_NAME, message))).ok()
    });
    let client = certificate.zip(private_key);
    let client = client.map(|(certificate, private_key)| TlsFiles { certificate, private_key });
    let tls = Tls { ca_file, client, server_name, verify };
    if section.text(SERVER_NAME).is_none() && target.hosts().any(|host| tls.name_of(&host.host).is_none()) {
        let message =
            format!("the host is no name that a certificate can have: set {}", section.key(SERVER_NAME));
        problems.push(section.problem("redis[].url", message));
    }
    Some(tls)
}
