//! A Redis server: what is configured of it, and what the table of settings cannot say about that.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Problem, TlsFiles,
    address::{Target, UrlParts, parse_url},
    section::Section,
    tree::Place,
    typed::Typed,
    validate::{must_be_readable, pattern},
    write_host_port,
};
use crate::model::{name::Name, pattern::Pattern};

/// One Redis server and what to measure on it.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisServer {
    /// The `redis` label.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// ACL user.
    pub username: Option<Credential>,
    /// Where the password is.
    pub password: Option<Credential>,
    /// Number of the database.
    pub database: u32,
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
}

/// A group that should exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedGroup {
    /// Key of its stream.
    pub stream: Name,
    /// Its name.
    pub group: Name,
}

/// Where a server is, and in which way it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Over TCP, in the clear.
    Tcp(HostPort),
    /// Over TCP with TLS.
    Tls(HostPort, Tls),
    /// A socket on this machine.
    Unix(PathBuf),
}

/// Host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(HostPort { host, port }) | Address::Tls(HostPort { host, port }, _) => {
                write_host_port(f, host, *port)
            }
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

/// How TLS is spoken with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whom to believe, in PEM; `None` is whom the system believes.
    pub ca_file: Option<PathBuf>,
    /// What to show to a server that asks who we are.
    pub client: Option<TlsFiles>,
    /// The name that must stand in the server's certificate.
    pub server_name: ServerName<'static>,
    /// Whether the server's certificate is verified at all.
    pub verify: bool,
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
    let parts = url_parts(section, problems);
    let address = address(section, parts.target, problems);
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
    const USERNAME: [&str; 2] = ["redis[].username", "redis[].username_file"];
    const PASSWORD: [&str; 2] = ["redis[].password", "redis[].password_file"];
    RedisServer {
        name: name.map_or_else(|| Arc::from(address.to_string()), Arc::from),
        username: credential(section, "username", USERNAME, parts.username, problems),
        password: credential(section, "password", PASSWORD, parts.password, problems),
        database: parts.database.or(database.and_then(|n| u32::try_from(n).ok())).unwrap_or(0),
        protocol: parts.protocol,
        address,
        timeout: section.duration("redis[].timeout"),
        streams: section.list("redis[].streams", problems, pattern),
        groups: Filter {
            include: section.list("redis[].groups.include", problems, pattern),
            exclude: section.list("redis[].groups.exclude", problems, pattern),
        },
        expected: section.list("redis[].groups.expect", problems, expected_group),
        consumers: is_true(section, "redis[].consumers"),
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

const CA_FILE: &str = "redis[].tls.ca_file";
const PAIR: [&str; 2] = ["redis[].tls.cert_file", "redis[].tls.key_file"];
const SERVER_NAME: &str = "redis[].tls.server_name";
const SKIP_VERIFY: &str = "redis[].tls.insecure_skip_verify";

/// The address with its TLS, or the problem that there is TLS for none.
fn address(section: &Section, target: Option<Target>, problems: &mut Vec<Problem>) -> Address {
    let address = match target {
        Some(Target::Tls(host_port)) => {
            return match tls(section, &host_port.host, problems) {
                Some(tls) => Address::Tls(host_port, tls),
                None => Address::Tcp(host_port),
            };
        }
        Some(Target::Tcp(host_port)) => Address::Tcp(host_port),
        Some(Target::Unix(path)) => Address::Unix(path),
        // Which settings fit an address that is wrong cannot be told.
        None => return Address::Tcp(HostPort { host: String::new(), port: 0 }),
    };
    for path in [CA_FILE, PAIR[0], PAIR[1], SERVER_NAME, SKIP_VERIFY] {
        if section.get(path).is_some_and(|checked| checked.place != Place::Default) {
            let message =
                "is for TLS, which the URL does not ask for: write rediss:// there, or leave this out";
            problems.push(section.problem(path, message));
        }
    }
    address
}

/// `None` where there is no name that a certificate could have: that is a problem.
fn tls(section: &Section, host: &str, problems: &mut Vec<Problem>) -> Option<Tls> {
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
    let server_name = match section.text(SERVER_NAME) {
        Some(name) => ServerName::try_from(name.clone())
            .map_err(|_| (SERVER_NAME, format!("expected a DNS name or an IP address, found {name:?}"))),
        None => ServerName::try_from(host.to_owned()).map_err(|_| {
            let mend = section.key(SERVER_NAME);
            ("redis[].url", format!("the host is no name that a certificate can have: set {mend}"))
        }),
    };
    let server_name =
        server_name.map_err(|(path, message)| problems.push(section.problem(path, message))).ok()?;
    let client = certificate.zip(private_key);
    let client = client.map(|(certificate, private_key)| TlsFiles { certificate, private_key });
    Some(Tls { ca_file, client, server_name, verify })
}

/// A credential may stand in the URL, apart, or in a file: in one of them. Another tool's variable gives way to each.
fn credential(
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
