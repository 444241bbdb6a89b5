//! A Redis server: what is configured of it, and what the table of settings cannot say about that.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Problem,
    address::{UrlParts, parse_url},
    section::Section,
    topology::{ReadFrom, Tls, Topology, databases, read_from, tls, topology},
    tree::Place,
    typed::Typed,
    validate::{must_be_readable, pattern},
};
use crate::model::{name::Name, pattern::Pattern};

/// One Redis server and what to measure on it.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisServer {
    /// The `redis` label.
    pub name: Arc<str>,
    /// Where it is, or who knows that.
    pub topology: Topology,
    /// TLS, to each process of it; `None` is in the clear.
    pub tls: Option<Tls>,
    /// Whom to ask where there are several.
    pub read_from: ReadFrom,
    /// ACL user.
    pub username: Option<Credential>,
    /// Where the password is.
    pub password: Option<Credential>,
    /// Numbers of the databases, at least one.
    pub databases: BTreeSet<u32>,
    /// Protocol to ask for.
    pub protocol: Protocol,
    /// Longest time to wait for a connection or a reply.
    pub timeout: Duration,
    /// Streams to measure.
    pub streams: Vec<Pattern>,
    /// Groups to measure.
    pub groups: Filter,
    /// Groups that should exist.
    pub expected: Vec<ExpectedGroup>,
    /// Whether each consumer is measured.
    pub consumers: bool,
    /// How much of it is measured and shown.
    pub limits: Limits,
}

impl RedisServer {
    /// The streams that are named, one by one: they are shown even if they do not exist.
    #[must_use]
    pub fn exact_streams(&self) -> BTreeSet<Name> {
        let named = self.streams.iter().filter_map(|pattern| match pattern {
            Pattern::Exact(name) => Some(name),
            Pattern::Glob(_) => None,
        });
        named.chain(self.expected.iter().map(|expected| &expected.stream)).cloned().collect()
    }
}

/// How much of a server is measured and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most streams of a database; those that are named are measured in any case.
    pub streams: usize,
    /// Most groups of a stream; those that are expected are shown in any case.
    pub groups_per_stream: usize,
    /// Most consumers of a group that are asked for.
    pub consumers_per_group: u64,
}

/// A group that should exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedGroup {
    /// Key of its stream.
    pub stream: Name,
    /// Its name.
    pub group: Name,
}

/// Version of Redis's protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Understood by every server.
    #[default]
    Resp2,
    /// Redis 6.0 and later.
    Resp3,
}

/// Where a username or a password is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Here. Its `Debug` output is redacted.
    Inline(SecretString),
    /// In a file.
    File(PathBuf),
}

impl PartialEq for Credential {
    fn eq(&self, other: &Credential) -> bool {
        match (self, other) {
            (Credential::Inline(a), Credential::Inline(b)) => a.expose_secret() == b.expose_secret(),
            (Credential::File(a), Credential::File(b)) => a == b,
            _ => false,
        }
    }
}

/// A file of a credential that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
pub struct CredentialError {
    path: PathBuf,
    source: std::io::Error,
}

impl Credential {
    /// The credential as it is now: a file is read anew, and a newline at its end does not count.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> Result<SecretString, CredentialError> {
        match self {
            Credential::Inline(secret) => Ok(secret.clone()),
            Credential::File(path) => match fs::read_to_string(path) {
                Ok(text) => Ok(text
                    .strip_suffix('\n')
                    .map(|t| t.strip_suffix('\r').unwrap_or(t))
                    .unwrap_or(&text)
                    .into()),
                Err(source) => Err(CredentialError { path: path.clone(), source }),
            },
        }
    }
}

/// Which names are in.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// One of these must fit.
    pub include: Vec<Pattern>,
    /// None of these may.
    pub exclude: Vec<Pattern>,
}

impl Filter {
    /// Whether a name is in.
    #[must_use]
    pub fn includes(&self, name: &Name) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        any(&self.include) && !any(&self.exclude)
    }
}

pub(super) fn server(section: &Section, problems: &mut Vec<Problem>) -> RedisServer {
    let mut parts = url_parts(section, problems);
    let topology = topology(section, &parts, problems);
    let tls = tls(section, &parts, problems);
    let name = section.text("redis[].name");
    if name.as_deref() == Some("") {
        problems.push(section.problem("redis[].name", "is empty: leave it out for host:port"));
    }
    let databases = databases(section, &parts, problems);
    let read_from = read_from(section, &topology, problems);
    const USERNAME: [&str; 2] = ["redis[].username", "redis[].username_file"];
    const PASSWORD: [&str; 2] = ["redis[].password", "redis[].password_file"];
    RedisServer {
        name: name.map_or_else(|| Arc::from(topology.to_string()), Arc::from),
        username: credential(section, "username", USERNAME, parts.username.take(), problems),
        password: credential(section, "password", PASSWORD, parts.password.take(), problems),
        databases,
        protocol: parts.protocol,
        topology,
        tls,
        read_from,
        timeout: section.duration("redis[].timeout"),
        streams: section.list("redis[].streams", problems, pattern),
        groups: Filter {
            include: section.list("redis[].groups.include", problems, pattern),
            exclude: section.list("redis[].groups.exclude", problems, pattern),
        },
        expected: section.list("redis[].groups.expect", problems, expected_group),
        consumers: is_true(section, "redis[].consumers"),
        limits: limits(section),
    }
}

fn limits(section: &Section) -> Limits {
    let most = |path| usize::try_from(section.count(path)).unwrap_or(0);
    Limits {
        streams: most("redis[].limits.streams"),
        groups_per_stream: most("redis[].limits.groups_per_stream"),
        consumers_per_group: section.size("redis[].limits.consumers_per_group"),
    }
}

pub(super) fn is_true(section: &Section, path: &str) -> bool {
    matches!(section.get(path).map(|checked| &checked.value), Some(Typed::Bool(true)))
}

fn url_parts(section: &Section, problems: &mut Vec<Problem>) -> UrlParts {
    const URL: &str = "redis[].url";
    match parse_url(&section.text(URL).unwrap_or_default()) {
        Ok(parts) => {
            let on_command_line =
                matches!(section.get(URL), Some(url) if url.place == Place::Given("--redis.url".into()));
            if parts.password.is_some() && on_command_line {
                problems.push(section.problem(
                    URL,
                    "must not hold a password: every process can read the command line; use STREAMGAUGE_REDIS_URL, STREAMGAUGE_REDIS_PASSWORD or --redis.password-file",
                ));
            }
            parts
        }
        Err(message) => {
            problems.push(section.problem(URL, message));
            UrlParts::default()
        }
    }
}

/// A credential may stand in the URL, apart, or in a file: in one of them. Another tool's variable gives way to each.
pub(super) fn credential(
    section: &Section,
    what: &str,
    [inline, file]: [&str; 2],
    of_url: Option<String>,
    problems: &mut Vec<Problem>,
) -> Option<Credential> {
    let apart = section.text(inline);
    let is_fallback =
        matches!(section.get(inline), Some(checked) if matches!(checked.place, Place::Fallback(_)));
    let is_given = apart.is_some() && !is_fallback;
    let Some(path) = section.text(file).map(PathBuf::from) else {
        if of_url.is_some() && is_given {
            problems.push(section.problem(inline, "is in the URL too: leave one out"));
        }
        return of_url.or(apart).map(|text| Credential::Inline(text.into()));
    };
    if of_url.is_some() || is_given {
        problems.push(section.problem(file, format!("there is a {what} besides the file: leave one out")));
    }
    // Read at every connection; a file that is not there at the start is a mistake, not a rotation.
    must_be_readable(section, file, Path::new(&path), problems);
    Some(Credential::File(path))
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
