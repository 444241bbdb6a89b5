//! The URL of a server: where it is, and what else may stand in it. Messages never quote it: it may hold a password.

use std::path::PathBuf;

use url::Url;

use super::{HostPort, Protocol};

/// What a URL says.
#[derive(Default)]
pub(super) struct UrlParts {
    /// Where the server is; `None` where that is wrong.
    pub target: Option<Target>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub database: Option<u32>,
    pub protocol: Protocol,
}

/// Where a server is, and in which way it is reached.
pub(super) enum Target {
    Tcp(HostPort),
    Tls(HostPort),
    Unix(PathBuf),
}

/// The ways to reach a server.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Tcp,
    Tls,
    Unix,
}

/// Schemes, each with the way that it stands for.
const SCHEMES: &[(&str, Way)] =
    &[("redis", Way::Tcp), ("rediss", Way::Tls), ("redis+unix", Way::Unix), ("unix", Way::Unix)];

/// What a URL looks like.
const FORM: &str = "expected redis://[username[:password]@]host[:port][/database], the same with rediss:// for TLS, \
                    redis+unix:///path/to/socket[?db=database], or host:port";

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
    let way = match SCHEMES.iter().find(|(known, _)| *known == scheme) {
        Some((_, way)) => *way,
        None if !scheme.chars().all(plain) => return Err(format!("not a URL: {FORM}")),
        None => return Err(format!("the scheme {scheme}:// is not supported: {FORM}")),
    };
    match way {
        Way::Unix => of_socket(rest),
        way => of_host(rest, way == Way::Tls),
    }
}

/// Reads what follows `redis://` or `rediss://`.
fn of_host(rest: &str, is_tls: bool) -> Result<UrlParts, String> {
    let url = parsed(rest)?;
    let host =
        url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| format!("there is no host: {FORM}"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let host_port = HostPort { host, port: url.port().unwrap_or(6379) };
    let database = match url.path().trim_start_matches('/') {
        "" => None,
        digits => Some(
            digits
                .parse::<u16>()
                .map_err(|_| "the path must be the number of a database, 0 to 65535, as in redis://host/0")?
                .into(),
        ),
    };
    let mut parts = credentials(&url)?;
    for (key, value) in url.query_pairs() {
        parts.protocol = (key == "protocol")
            .then(|| protocol(&value))
            .flatten()
            .ok_or("the only parameter is protocol, resp2 or resp3")?;
    }
    parts.database = database;
    parts.target = Some(if is_tls { Target::Tls(host_port) } else { Target::Tcp(host_port) });
    Ok(parts)
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
