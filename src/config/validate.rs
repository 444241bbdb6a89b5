//! From checked values to a [`Config`]: what the table of settings cannot say (URLs, globs, names that must be unique).
//!
//! A value that is wrong leaves a problem behind and something harmless in its place, so that the rest is checked too.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use url::Url;

use super::{
    Address, Budget, Config, ExpectedGroup, Filter, ListenAddress, Log, Password, Problem, Protocol,
    RedisServer,
    kubernetes::kubernetes,
    section::{Section, Sections},
    tree::Place,
    typed::Typed,
};
use crate::model::{
    lag::{BoundedPolicy, MissingGroupPolicy, Policy},
    name::Name,
    pattern::Pattern,
};

/// Paths of the web port that have a meaning of their own.
const TAKEN_PATHS: &[&str] = &["/", "/-/healthy", "/-/ready", "/healthz", "/readyz", "/livez"];

pub(super) fn config(sections: &Sections, problems: &mut Vec<Problem>) -> Config {
    let (globals, servers) = (&sections.globals, sections.of("redis[]"));
    let poll_interval = globals.duration("poll.interval");
    let telemetry_path = globals.text("web.telemetry_path").unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    if !telemetry_path.starts_with('/') || !telemetry_path.chars().all(plain) {
        let message = format!("expected a path like /metrics, found {telemetry_path:?}");
        problems.push(globals.problem("web.telemetry_path", message));
    } else if TAKEN_PATHS.contains(&telemetry_path.as_str()) || telemetry_path.starts_with("/api/") {
        problems.push(
            globals.problem("web.telemetry_path", format!("{telemetry_path} is taken: choose another path")),
        );
    }
    let mut config = Config {
        poll_interval,
        stale_after: poll_interval * u32::try_from(globals.count("poll.stale_after")).unwrap_or(1),
        budget: Budget {
            entries_per_group: globals.size("lag.entries_per_group"),
            bytes_per_group: globals.size("lag.bytes_per_group"),
            entries_per_poll: globals.size("lag.entries_per_poll"),
            bytes_per_poll: globals.size("lag.bytes_per_poll"),
        },
        policy: policy(globals, "lag.bounded", "lag.missing_group", Policy::default()),
        listen: globals.list("web.listen_address", problems, listen_address),
        telemetry_path,
        log: Log {
            level: globals
                .text("log.level")
                .and_then(|level| level.parse().ok())
                .unwrap_or(tracing::Level::INFO),
            json: globals.text("log.format").is_some_and(|format| format == "json"),
        },
        servers: servers.iter().map(|section| server(section, problems)).collect(),
        kubernetes: None,
    };
    // What is wrong already has no name to compare: neither given, nor made of a URL.
    let is_wrong = |path: &str| problems.iter().any(|problem| problem.path == path);
    let is_sound = |section: &Section| {
        let prefix = &section.prefix;
        !is_wrong(section.path())
            && !is_wrong(&format!("{prefix}name"))
            && (section.get("redis[].name").is_some() || !is_wrong(&format!("{prefix}url")))
    };
    let named: Vec<_> =
        servers.iter().zip(&config.servers).filter(|(section, _)| is_sound(section)).collect();
    for (index, (section, server)) in named.iter().enumerate() {
        if named[..index].iter().any(|(_, other)| other.name == server.name) {
            let place = section.get("redis[].name").map(|name| name.place.clone());
            let place = place.or_else(|| section.place.clone()).unwrap_or(Place::Default);
            let message =
                format!("another server is named \"{}\" too: give each a name of its own", server.name);
            problems.push(section.problem_at(place, "redis[].name", message));
        }
    }
    let names = (named.len() == servers.len())
        .then(|| config.servers.iter().map(|server| server.name.clone()).collect::<Vec<_>>());
    config.kubernetes = kubernetes(sections, names.as_deref(), config.policy, problems);
    config
}

/// What stands for lags that are not one proved number, as two settings say; where they do not, as otherwise.
pub(super) fn policy(section: &Section, bounded: &str, missing_group: &str, otherwise: Policy) -> Policy {
    Policy {
        bounded: match section.text(bounded).as_deref() {
            Some("estimate") => BoundedPolicy::Estimate,
            Some("lower") => BoundedPolicy::Lower,
            Some("upper") => BoundedPolicy::Upper,
            Some("absent") => BoundedPolicy::Absent,
            _ => otherwise.bounded,
        },
        missing_group: match section.text(missing_group).as_deref() {
            Some("length") => MissingGroupPolicy::Length,
            Some("zero") => MissingGroupPolicy::Zero,
            Some("absent") => MissingGroupPolicy::Absent,
            _ => otherwise.missing_group,
        },
    }
}

fn server(section: &Section, problems: &mut Vec<Problem>) -> RedisServer {
    let url = section.text("redis[].url").unwrap_or_default();
    let parts = match parse_url(&url) {
        Ok(parts) => {
            let on_command_line = matches!(section.get("redis[].url"), Some(url) if url.place == Place::Given("--redis.url".into()));
            if parts.password.is_some() && on_command_line {
                problems.push(section.problem(
                    "redis[].url",
                    "must not hold a password: every process can read the command line; use STREAMGAUGE_REDIS_URL, STREAMGAUGE_REDIS_PASSWORD or --redis.password-file",
                ));
            }
            parts
        }
        Err(message) => {
            problems.push(section.problem("redis[].url", message));
            UrlParts::default()
        }
    };
    let name = section.text("redis[].name");
    if name.as_deref() == Some("") {
        problems.push(section.problem("redis[].name", "is empty: leave it out for host:port"));
    }
    let database = section.get("redis[].database").map(|_| section.count("redis[].database"));
    if let (Some(of_url), Some(database)) = (parts.database, database)
        && i64::from(of_url) != database
    {
        problems.push(
            section.problem(
                "redis[].database",
                format!("contradicts the URL, which says {of_url}: leave one out"),
            ),
        );
    }
    RedisServer {
        name: name.map_or_else(|| Arc::from(parts.address.to_string()), Arc::from),
        username: either(section, "redis[].username", parts.username, problems),
        password: password(section, parts.password, problems),
        database: parts.database.or(database.and_then(|n| u32::try_from(n).ok())).unwrap_or(0),
        protocol: parts.protocol,
        address: parts.address,
        timeout: section.duration("redis[].timeout"),
        streams: section.list("redis[].streams", problems, pattern),
        groups: Filter {
            include: section.list("redis[].groups.include", problems, pattern),
            exclude: section.list("redis[].groups.exclude", problems, pattern),
        },
        expected: section.list("redis[].groups.expect", problems, expected_group),
        consumers: matches!(section.get("redis[].consumers").map(|c| &c.value), Some(Typed::Bool(true))),
    }
}

/// Credentials may stand in the URL or apart. Another tool's variable gives way to either.
fn either(
    section: &Section,
    path: &str,
    of_url: Option<String>,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let apart = section.text(path);
    let is_fallback =
        matches!(section.get(path), Some(checked) if matches!(checked.place, Place::Fallback(_)));
    if of_url.is_some() && apart.is_some() && !is_fallback {
        problems.push(section.problem(path, "is in the URL too: leave one out"));
    }
    of_url.or(apart)
}

fn password(section: &Section, of_url: Option<String>, problems: &mut Vec<Problem>) -> Option<Password> {
    let Some(file) = section.text("redis[].password_file").map(PathBuf::from) else {
        return either(section, "redis[].password", of_url, problems)
            .map(|text| Password::Inline(text.into()));
    };
    let given =
        section.get("redis[].password").is_some_and(|checked| !matches!(checked.place, Place::Fallback(_)));
    if of_url.is_some() || given {
        problems.push(
            section.problem("redis[].password_file", "there is a password besides the file: leave one out"),
        );
    }
    // Read at every connection; a file that is not there at the start is a mistake, not a rotation.
    must_be_readable(section, "redis[].password_file", &file, problems);
    Some(Password::File(file))
}

pub(super) fn must_be_readable(section: &Section, path: &str, file: &Path, problems: &mut Vec<Problem>) {
    if let Err(error) = fs::read_to_string(file) {
        problems.push(section.problem(path, format!("cannot read {}: {error}", file.display())));
    }
}

struct UrlParts {
    address: Address,
    username: Option<String>,
    password: Option<String>,
    database: Option<u32>,
    protocol: Protocol,
}

impl Default for UrlParts {
    fn default() -> Self {
        let address = Address { host: String::new(), port: 0 };
        UrlParts { address, username: None, password: None, database: None, protocol: Protocol::Resp2 }
    }
}

/// Reads `redis://[username[:password]@]host[:port][/database][?protocol=resp3]`, or `host:port`.
/// Messages never quote the URL: it may hold a password.
fn parse_url(text: &str) -> Result<UrlParts, String> {
    const FORM: &str = "expected redis://[username[:password]@]host[:port][/database] or host:port";
    if text.contains('#') {
        return Err("has a \"#\": in a password write it as %23".into());
    }
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("redis://{text}") };
    let url = Url::parse(&with_scheme).map_err(|error| format!("not a URL ({error}): {FORM}"))?;
    if url.scheme() != "redis" {
        return Err(format!("the scheme {}:// is not supported: {FORM}", url.scheme()));
    }
    let decode = |text: &str| -> Result<String, String> {
        let encoded = text.replace('+', "%2B").replace('&', "%26");
        let decoded = url::form_urlencoded::parse(format!("v={encoded}").as_bytes())
            .next()
            .map(|(_, v)| v.into_owned());
        decoded
            .filter(|text| !text.contains('\u{fffd}'))
            .ok_or_else(|| "the credentials are not UTF-8 when decoded".into())
    };
    let host =
        url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| format!("there is no host: {FORM}"))?;
    let database = match url.path().trim_start_matches('/') {
        "" => None,
        digits => Some(
            digits
                .parse::<u16>()
                .map_err(|_| "the path must be the number of a database, 0 to 65535, as in redis://host/0")?
                .into(),
        ),
    };
    let mut protocol = Protocol::Resp2;
    for (key, value) in url.query_pairs() {
        protocol = match (&*key, &*value) {
            ("protocol", "resp2") => Protocol::Resp2,
            ("protocol", "resp3") => Protocol::Resp3,
            _ => return Err("the only parameter is protocol, resp2 or resp3".into()),
        };
    }
    Ok(UrlParts {
        address: Address {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(6379),
        },
        username: Some(url.username()).filter(|name| !name.is_empty()).map(decode).transpose()?,
        password: url.password().map(decode).transpose()?,
        database,
        protocol,
    })
}

pub(super) fn listen_address(text: &str) -> Result<ListenAddress, String> {
    let wrong = || format!("expected host:port or :port, found {text:?}");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(host) => host,
        // Without brackets, the last group of an IPv6 address would be taken for the port.
        None if host.contains(':') => return Err(format!("{}; an IPv6 address goes in brackets", wrong())),
        None => host,
    };
    let port = port.parse().map_err(|_| wrong())?;
    Ok(ListenAddress { host: Some(host).filter(|host| !host.is_empty()).map(str::to_owned), port })
}

/// Reads `stream=group`, where `\=` is an equals sign within a name.
fn expected_group(text: &str) -> Result<ExpectedGroup, String> {
    let mut names = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, names.last_mut()) {
            ('\\', Some(name)) if rest.peek() == Some(&'=') => name.extend(rest.next()),
            ('=', _) => names.push(String::new()),
            (c, Some(name)) => name.push(c),
            (_, None) => {}
        }
    }
    match &names[..] {
        [stream, group] if !stream.is_empty() && !group.is_empty() => {
            Ok(ExpectedGroup { stream: Name::from(stream.as_str()), group: Name::from(group.as_str()) })
        }
        _ => Err(format!("expected stream=group, found {text:?}")),
    }
}

pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|error| format!("the name or glob {text:?} {error}"))
}
