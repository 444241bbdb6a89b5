//! The URL of a server: where it is, and what else may stand in it. Messages never quote it: it may hold a password.

use std::path::PathBuf;

use url::Url;

use super::{HostPort, Protocol};

/// What a URL says.
#[derive(Default)]
pub(super) struct UrlParts {
    /// What it points at; `None` where that is wrong.
    pub target: Option<Target>,
    pub is_tls: bool,
    pub username: Option<String>,
    pub password: Option<String>,
    pub database: Option<u32>,
    pub protocol: Protocol,
}

/// What a URL points at.
pub(super) enum Target {
    Host(HostPort),
    Unix(PathBuf),
    Sentinel { seeds: Vec<HostPort>, service: String },
    Cluster(Vec<HostPort>),
}

impl Target {
    /// The hosts in it.
    pub fn hosts(&self) -> impl Iterator<Item = &HostPort> {
        match self {
            Target::Host(host) => std::slice::from_ref(host),
            Target::Unix(_) => &[],
            Target::Sentinel { seeds, .. } | Target::Cluster(seeds) => seeds,
        }
        .iter()
    }
}

/// What a scheme stands for.
#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Host,
    Unix,
    Sentinel,
    Cluster,
}

/// Schemes, each with what it stands for, and whether TLS is spoken there.
const SCHEMES: &[(&str, Sort, bool)] = &[
    ("redis", Sort::Host, false),
    ("rediss", Sort::Host, true),
    ("redis+unix", Sort::Unix, false),
    ("unix", Sort::Unix, false),
    ("redis+sentinel", Sort::Sentinel, false),
    ("rediss+sentinel", Sort::Sentinel, true),
    ("redis+cluster", Sort::Cluster, false),
    ("rediss+cluster", Sort::Cluster, true),
];

/// What a URL looks like.
const FORM: &str = "expected redis://[username[:password]@]host[:port][/database], \
                    redis+unix:///path/to/socket[?db=database], redis+sentinel://host[:port],…/service[/database], \
                    redis+cluster://host[:port],…, the same with rediss in place of redis for TLS, or host:port";

/// Reads a URL, or `host:port`.
pub(super) fn parse_url(text: &str) -> Result<UrlParts, String> {
    if text.contains('#') {
        return Err("has a \"#\": in a password write it as %23".into());
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => ("redis".to_owned(), text),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let (sort, is_tls) = match SCHEMES.iter().find(|(known, ..)| *known == scheme) {
        Some((_, sort, is_tls)) => (*sort, *is_tls),
        None if !scheme.chars().all(plain) => return Err(format!("not a URL: {FORM}")),
        None => return Err(format!("the scheme {scheme}:// is not supported: {FORM}")),
    };
    let parts = match sort {
        Sort::Unix => of_socket(rest),
        sort => of_hosts(rest, sort),
    };
    parts.map(|parts| UrlParts { is_tls, ..parts })
}

/// Reads what follows the scheme where there are hosts: one, or several separated by commas.
fn of_hosts(rest: &str, sort: Sort) -> Result<UrlParts, String> {
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let port = if sort == Sort::Sentinel { 26379 } else { 6379 };
    let mut seeds = hosts.split(',').map(|host| seed(host, port)).collect::<Result<Vec<_>, _>>()?;
    // The parser of URLs takes one host.
    let url = parsed(&format!("{user}host{tail}"))?;
    let mut parts = credentials(&url)?;
    for (key, value) in url.query_pairs() {
        parts.protocol = (key == "protocol")
            .then(|| protocol(&value))
            .flatten()
            .ok_or("the only parameter is protocol, resp2 or resp3")?;
    }
    let path = url.path().strip_prefix('/').unwrap_or_default();
    let database = match sort {
        Sort::Cluster if !path.is_empty() => {
            return Err("a cluster has one database and no path: leave it out".into());
        }
        Sort::Sentinel => {
            let (service, database) = path.split_once('/').unwrap_or((path, ""));
            let service = decode(service).ok_or("the service is not UTF-8 when decoded")?;
            if service.is_empty() {
                return Err("the path must name the service that the Sentinels watch, as in redis+sentinel://host/mymaster".into());
            }
            parts.target = Some(Target::Sentinel { seeds, service });
            database
        }
        Sort::Cluster => {
            parts.target = Some(Target::Cluster(seeds));
            path
        }
        Sort::Host | Sort::Unix => {
            if seeds.len() > 1 {
                return Err("there are several hosts: write redis+cluster:// or redis+sentinel://".into());
            }
            parts.target = seeds.pop().map(Target::Host);
            path
        }
    };
    if !database.is_empty() {
        let number = database.parse::<u16>().map_err(|_| match sort {
            Sort::Sentinel => {
                "after the service comes the number of a database, 0 to 65535, as in redis+sentinel://host/mymaster/0"
            }
            _ => "the path must be the number of a database, 0 to 65535, as in redis://host/0",
        })?;
        parts.database = Some(number.into());
    }
    Ok(parts)
}

/// Reads one host, with a port or without.
fn seed(text: &str, port: u16) -> Result<HostPort, String> {
    let url = parsed(text)?;
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| format!("there is no host: {FORM}"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(HostPort { host, port: url.port().unwrap_or(port) })
}

/// Reads what follows `unix://`: credentials, if any, and an absolute path.
fn of_socket(rest: &str) -> Result<UrlParts, String> {
    const PARAMETERS: &str = "the only parameters are db, the number of a database from 0 to 65535, and protocol, \
                              resp2 or resp3";
    let (before, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !before.is_empty() && !before.ends_with('@') {
        return Err(
            "a socket has a path and no host: write three slashes, as in redis+unix:///run/redis.sock".into(),
        );
    }
    // The parser of URLs takes no credentials without a host.
    let url = parsed(&format!("{before}socket/{path}"))?;
    let mut parts = credentials(&url)?;
    for (key, value) in url.query_pairs() {
        match &*key {
            "db" => parts.database = Some(value.parse::<u16>().map_err(|_| PARAMETERS)?.into()),
            "protocol" => parts.protocol = protocol(&value).ok_or(PARAMETERS)?,
            _ => return Err(PARAMETERS.into()),
        }
    }
    let path = decode(url.path()).ok_or("the path is not UTF-8 when decoded")?;
    if path.ends_with('/') || path.contains('\0') {
        return Err(format!("there is no path of a socket: {FORM}"));
    }
    parts.target = Some(Target::Unix(path.into()));
    Ok(parts)
}

fn parsed(rest: &str) -> Result<Url, String> {
    Url::parse(&format!("redis://{rest}")).map_err(|error| format!("not a URL ({error}): {FORM}"))
}

fn credentials(url: &Url) -> Result<UrlParts, String> {
    let decoded = |text| decode(text).ok_or("the credentials are not UTF-8 when decoded");
    Ok(UrlParts {
        username: Some(url.username()).filter(|name| !name.is_empty()).map(decoded).transpose()?,
        password: url.password().map(decoded).transpose()?,
        ..UrlParts::default()
    })
}

/// Replaces %xx; a plus sign is one.
fn decode(text: &str) -> Option<String> {
    let encoded = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
    let (_, decoded) = url::form_urlencoded::parse(encoded.as_bytes()).next()?;
    Some(decoded.into_owned()).filter(|text| !text.contains('\u{fffd}'))
}

fn protocol(value: &str) -> Option<Protocol> {
    match value {
        "resp2" => Some(Protocol::Resp2),
        "resp3" => Some(Protocol::Resp3),
        _ => None,
    }
}
