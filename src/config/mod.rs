//! Configuration: from flags, variables and a YAML file to a [`Config`] that is known to be sound.
//!
//! `tree` reads what was written, with its place; `resolve` checks it against the table in `settings` and sorts it into
//! sections; `validate` gives it meaning. Every problem is found in one go, and each names its place and its mend.

use std::{collections::BTreeMap, fmt, fs, path::Path, path::PathBuf, time::Duration};

use crate::model::{health::Rules, lag::Policy};

mod address;
mod kubernetes;
pub mod reference;
pub mod resolve;
pub mod section;
mod server;
pub mod settings;
mod sharding;
pub mod spelling;
mod startup;
mod topology;
pub mod tree;
pub mod typed;
mod validate;

pub use kubernetes::{Kubernetes, RequestHeader, TlsFiles};
pub use server::{Credential, CredentialError, ExpectedGroup, Filter, Limits, Protocol, RedisServer};
use settings::Setting;
pub use sharding::Sharding;
pub use startup::Startup;
pub use topology::{Address, HostPort, ReadFrom, Sentinel, Tls, Topology};
use tree::{Node, Place, Value};

/// A sound configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Time between two polls.
    pub poll_interval: Duration,
    /// Age at which a measurement is stale.
    pub stale_after: Duration,
    /// Longest time that a poll may take; without it, until its measurement is stale.
    pub poll_timeout: Option<Duration>,
    /// Longest time between two polls of a server that cannot be reached, but for the interval.
    pub max_backoff: Duration,
    /// What is read in order to count lags.
    pub budget: Budget,
    /// What is published where a lag is not one proved number.
    pub policy: Policy,
    /// By what groups are judged.
    pub rules: Rules,
    /// Where to serve.
    pub listen: Vec<ListenAddress>,
    /// Path of the metrics.
    pub telemetry_path: String,
    /// Whether `POST /-/reload` reloads.
    pub enable_lifecycle: bool,
    /// The log.
    pub log: Log,
    /// The Redis servers, at least one, with unique names.
    pub servers: Vec<RedisServer>,
    /// The Kubernetes metrics adapter; `None` where it is off.
    pub kubernetes: Option<Kubernetes>,
    /// How several processes share the streams; `None` where this one measures all.
    pub sharding: Option<Sharding>,
    /// Most streams of other shards to measure in each database of a server.
    pub guest_streams: usize,
    /// What a reload cannot change.
    pub startup: Startup,
}

/// What may be read in one poll in order to count lags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Least severe messages to write.
    pub level: tracing::Level,
    /// JSON in place of text.
    pub json: bool,
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

/// What the configuration file held when it was read, or why it could not be; `None` where none is named.
pub type Contents = Option<Result<Vec<u8>, String>>;

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
    /// Reads the file.
    #[must_use]
    pub fn read(&self) -> Contents {
        self.file.as_deref().map(|path| fs::read(path).map_err(|error| error.to_string()))
    }

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
    load_read(sources, &sources.read())
}

/// The same with a file that was read already.
///
/// # Errors
/// As above.
pub fn load_read(sources: &Sources, contents: &Contents) -> Result<Config, ConfigError> {
    let file = sources.file.as_deref().zip(contents.as_ref()).map(|(path, contents)| parse(path, contents));
    let file = file.transpose().map_err(|problem| ConfigError(vec![problem]))?;
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

fn parse(path: &Path, contents: &Result<Vec<u8>, String>) -> Result<Node, Problem> {
    let at = |place, message| Problem { place, path: String::new(), message };
    let start = || Place::Given(path.display().to_string());
    let text = contents
        .as_ref()
        .map_err(|error| at(start(), format!("cannot read the configuration file: {error}")))?;
    let text = str::from_utf8(text).map_err(|_| at(start(), "the configuration file is not UTF-8".into()))?;
    tree::parse(path, text).map_err(|(place, message)| at(place, message))
}

#[cfg(test)]
mod tests;
