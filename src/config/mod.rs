//! Configuration: from flags, variables and a YAML file to a [`Config`] that is known to be sound.
//!
//! `tree` reads what was written, with its place; `resolve` checks it against the table in `settings` and sorts it into
//! sections; `validate` gives it meaning. Every problem is found in one go, and each names its place and its mend.

use std::{collections::BTreeMap, fmt, fs, path::Path, path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;

use crate::model::{lag::Policy, name::Name, pattern::Pattern};

mod kubernetes;
pub mod reference;
pub mod resolve;
pub mod section;
pub mod settings;
pub mod spelling;
pub mod tree;
pub mod typed;
mod validate;

pub use kubernetes::{Kubernetes, RequestHeader, TlsFiles};
use settings::Setting;
use tree::{Node, Place, Value};

/// A sound configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Time between two polls.
    pub poll_interval: Duration,
    /// Age at which a measurement is stale.
    pub stale_after: Duration,
    /// What is read in order to count lags.
    pub budget: Budget,
    /// What is published where a lag is not one proved number.
    pub policy: Policy,
    /// Where to serve.
    pub listen: Vec<ListenAddress>,
    /// Path of the metrics.
    pub telemetry_path: String,
    /// The log.
    pub log: Log,
    /// The Redis servers, at least one, with unique names.
    pub servers: Vec<RedisServer>,
    /// The Kubernetes metrics adapter; `None` where it is off.
    pub kubernetes: Option<Kubernetes>,
}

/// What may be read in one poll in order to count lags.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Most entries for one group.
    pub entries_per_group: u64,
    /// Most bytes for one group.
    pub bytes_per_group: u64,
    /// Most entries for one server.
    pub entries_per_poll: u64,
    /// Most bytes for one server.
    pub bytes_per_poll: u64,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// Least severe messages to write.
    pub level: tracing::Level,
    /// JSON in place of text.
    pub json: bool,
}

/// One Redis server and what to measure on it.
#[derive(Clone, Debug)]
pub struct RedisServer {
    /// The `redis` label.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// ACL user.
    pub username: Option<String>,
    /// Where the password is.
    pub password: Option<Password>,
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

/// Host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_host_port(f, &self.host, self.port)
    }
}

/// An address to serve on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// Name or IP address, without brackets; `None` is all addresses.
    pub host: Option<String>,
    /// TCP port; 0 lets the system choose.
    pub port: u16,
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_host_port(f, self.host.as_deref().unwrap_or_default(), self.port)
    }
}

fn write_host_port(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
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

/// Where a password is.
#[derive(Clone, Debug)]
pub enum Password {
    /// Here. Its `Debug` output is redacted.
    Inline(SecretString),
    /// In a file.
    File(PathBuf),
}

/// A password file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the password file {}: {source}", path.display())]
pub struct PasswordError {
    path: PathBuf,
    source: std::io::Error,
}

impl Password {
    /// The password as it is now: a file is read anew.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> Result<SecretString, PasswordError> {
        match self {
            Password::Inline(secret) => Ok(secret.clone()),
            Password::File(path) => match fs::read_to_string(path) {
                Ok(text) => Ok(text
                    .strip_suffix('\n')
                    .map(|t| t.strip_suffix('\r').unwrap_or(t))
                    .unwrap_or(&text)
                    .into()),
                Err(source) => Err(PasswordError { path: path.clone(), source }),
            },
        }
    }
}

/// Which names are in.
#[derive(Clone, Debug)]
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

/// What flags and variables say.
#[derive(Default)]
pub struct Sources {
    /// Values of flags, by flag name without dashes.
    pub flags: BTreeMap<String, Vec<String>>,
    /// The environment; an empty variable is the same as none.
    pub variables: BTreeMap<String, String>,
    /// The configuration file, where one is named.
    pub file: Option<PathBuf>,
}

/// The names only: any value may be or hold a secret.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("flags", &self.flags.keys())
            .field("variables", &self.variables.keys())
            .field("file", &self.file)
            .finish()
    }
}

impl Sources {
    /// What the flag of a setting says, else its variable.
    fn given(&self, setting: &Setting) -> Option<Node> {
        let flag = setting.flag.and_then(|flag| Some((format!("--{flag}"), self.flags.get(flag)?.join(","))));
        let (name, text) = flag.or_else(|| {
            let name = setting.variable()?;
            let text = self.variables.get(&name).filter(|text| !text.is_empty())?.clone();
            Some((name, text))
        })?;
        Some(Node { place: Place::Given(name), value: Value::Raw(text) })
    }

    /// What another tool's variable says of a setting.
    fn fallback(&self, setting: &Setting) -> Option<Node> {
        let name = setting.fallback?;
        let text = self.variables.get(name).filter(|text| !text.is_empty())?;
        Some(Node { place: Place::Fallback(name), value: Value::Raw(text.clone()) })
    }
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub place: Place,
    /// The setting, as `redis[0].url`; empty where it is none.
    pub path: String,
    /// What is wrong and how to mend it. Never holds a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            // A flag names its setting already.
            Place::Given(_) | Place::Fallback(_) => write!(f, "{}: {}", self.place, self.message),
            _ if self.path.is_empty() => write!(f, "{}: {}", self.place, self.message),
            _ => write!(f, "{}: {}: {}", self.place, self.path, self.message),
        }
    }
}

/// A configuration that is not sound: everything that is wrong with it.
#[derive(Debug)]
pub struct ConfigError(pub Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Loads the configuration.
///
/// # Errors
/// Every problem there is with what was written.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let file =
        sources.file.as_deref().map(read_file).transpose().map_err(|problem| ConfigError(vec![problem]))?;
    let mut problems = Vec::new();
    let sections = resolve::resolve(sources, file.as_ref(), &mut problems);
    let config = validate::config(&sections, &mut problems);
    if problems.is_empty() {
        Ok(config)
    } else {
        // As they stand in the file, after those of flags and variables.
        problems.sort_by_key(|problem| match problem.place {
            Place::File(_, line, column) => (line, column),
            _ => (0, 0),
        });
        Err(ConfigError(problems))
    }
}

fn read_file(path: &Path) -> Result<Node, Problem> {
    let at = |place, message| Problem { place, path: String::new(), message };
    let start = || Place::Given(path.display().to_string());
    let text = fs::read(path)
        .map_err(|error| at(start(), format!("cannot read the configuration file: {error}")))?;
    let text =
        String::from_utf8(text).map_err(|_| at(start(), "the configuration file is not UTF-8".into()))?;
    tree::parse(path, &text).map_err(|(place, message)| at(place, message))
}

#[cfg(test)]
mod tests;
