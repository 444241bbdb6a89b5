//! The command line: one set of flags from the table of settings, and the subcommands.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::{
    Arg, ArgAction, ArgMatches, Command,
    builder::PossibleValuesParser,
    error::{ContextKind, ContextValue},
    value_parser,
};

use crate::config::{
    Sources,
    settings::{self, Kind, Setting},
};

/// What the user asked for.
#[derive(Debug)]
pub struct Invocation {
    /// What to do.
    pub action: Action,
    /// The settings that were given.
    pub sources: Sources,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run the exporter.
    Serve,
    /// Print the groups.
    Groups {
        /// As JSON in place of a table.
        json: bool,
        /// Print again after this time, until interrupted.
        watch: Option<Duration>,
    },
    /// Look whether everything is as it should be, and say what is not.
    Check {
        /// As JSON in place of text.
        json: bool,
    },
    /// Start a private Redis with a sample workload and serve on it.
    Demo,
}

/// Reads the command line and the environment.
///
/// # Errors
/// A command line that clap refuses, or `--help` and `--version`; the caller prints it and exits with its code.
pub fn parse(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Invocation, clap::Error> {
    let matches = command().try_get_matches_from(arguments).map_err(without_urls)?;
    let (action, matches) = match matches.subcommand() {
        Some(("groups", matches)) => {
            let watch = matches.get_one("watch").copied();
            (Action::Groups { json: is_json(matches), watch }, matches)
        }
        Some(("check", matches)) => (Action::Check { json: is_json(matches) }, matches),
        Some(("demo", matches)) => (Action::Demo, matches),
        Some((_, matches)) => (Action::Serve, matches),
        None => (Action::Serve, &matches),
    };
    let variables: BTreeMap<_, _> = variables.into_iter().collect();
    let flag = matches.try_get_one::<PathBuf>(CONFIG_FILE).ok().flatten().cloned();
    let variable =
        variables.get("STREAMGAUGE_CONFIG_FILE").filter(|text| !text.is_empty()).map(PathBuf::from);
    // The demo has a Redis of its own: a file for another one is none of its business.
    let file = flag.or(variable.filter(|_| action != Action::Demo));
    Ok(Invocation { action, sources: Sources { flags: given(matches), variables, file } })
}

const CONFIG_FILE: &str = "config.file";

fn is_json(matches: &ArgMatches) -> bool {
    matches.get_one::<String>("output").is_some_and(|output| output == "json")
}

/// An argument that nobody expected may be a URL with a password: it is not repeated.
fn without_urls(mut error: clap::Error) -> clap::Error {
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue] {
        if matches!(error.get(kind), Some(ContextValue::String(text)) if text.contains(['@', '/'])) {
            error.insert(kind, ContextValue::String("…".into()));
        }
    }
    error
}

/// Shortest time between two looks of `groups --watch`: it must not become a loop without a pause.
const SHORTEST_WATCH: Duration = Duration::from_millis(100);

fn watch_interval(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .ok()
        .filter(|interval| *interval >= SHORTEST_WATCH)
        .ok_or_else(|| "expected a duration of at least 100ms, as 500ms, 5s or 1m".to_owned())
}

fn given(matches: &ArgMatches) -> BTreeMap<String, Vec<String>> {
    let flags = settings::all().filter_map(|setting| setting.flag);
    flags
        .filter_map(|flag| {
            let values = matches.try_get_many::<String>(flag).ok()??;
            Some((flag.to_owned(), values.cloned().collect()))
        })
        .collect()
}

/// The whole command line, for parsing, `--help` and the docs.
#[must_use]
pub fn command() -> Command {
    let all = |_: &Setting| true;
    let serve =
        Command::new("serve").about("Run the exporter (the default)").args(flags(all)).arg(config_file());
    let groups = Command::new("groups")
        .about("Print the consumer groups once as a table; exit code 1 if a Redis cannot be read")
        .arg(output(["table", "json"]))
        .arg(
            Arg::new("watch")
                .long("watch")
                .short('w')
                .value_name("INTERVAL")
                .num_args(0..=1)
                .default_missing_value("2s")
                .value_parser(watch_interval)
                .help("Print again at every interval (2s by default), until interrupted"),
        )
        .args(flags(|setting| {
            let of_share = ["sharding.shard", "sharding.total_shards"].contains(&setting.path);
            of_share || ["redis[]", "lag.", "health."].iter().any(|section| setting.path.starts_with(section))
        }))
        .arg(config_file());
    let check = Command::new("check")
        .about("Look at configuration, connections, rights and streams; exit code 1 if something fails")
        .arg(output(["text", "json"]))
        .args(flags(all))
        .arg(config_file());
    let demo = Command::new("demo")
        .about("Start a private redis-server with a sample workload and serve on it")
        .args(flags(|setting| {
            let of_others = ["redis[]", "kubernetes.", "sharding.", "web.enable_lifecycle"];
            !of_others.iter().any(|of| setting.path.starts_with(of))
        }));
    Command::new(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .about("Measures Redis Streams consumer groups truthfully")
        .after_help(
            "Secrets are not flags: set STREAMGAUGE_REDIS_PASSWORD (or REDIS_PASSWORD), --redis.password-file, or the \
             configuration file.",
        )
        .args(flags(all))
        .arg(config_file())
        .args_conflicts_with_subcommands(true)
        .subcommands([serve, check, groups, demo])
}

/// The first of the formats is the default.
fn output(formats: [&'static str; 2]) -> Arg {
    Arg::new("output")
        .long("output")
        .short('o')
        .value_name("FORMAT")
        .value_parser(formats)
        .default_value(formats[0])
        .help("Format of the output")
}

fn config_file() -> Arg {
    Arg::new(CONFIG_FILE)
        .long(CONFIG_FILE)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Configuration file (YAML) [env: STREAMGAUGE_CONFIG_FILE]")
}

fn flags(wanted: impl Fn(&Setting) -> bool) -> Vec<Arg> {
    settings::all().filter(|setting| wanted(setting)).filter_map(arg).collect()
}

/// Values are checked with all the others, in `config`: clap would stop at the first. Only choices are its own.
fn arg(setting: &'static Setting) -> Option<Arg> {
    let (flag, variable) = (setting.flag?, setting.variable()?);
    let fallback = setting.fallback.map(|name| format!(", {name}")).unwrap_or_default();
    let default = setting.default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
    let arg = Arg::new(flag)
        .long(flag)
        .help(format!("{}{default} [env: {variable}{fallback}]", setting.help))
        .action(if setting.kind == Kind::List { ArgAction::Append } else { ArgAction::Set });
    Some(match setting.kind {
        Kind::Choice(words) => arg
            .value_name(words.join("|"))
            .value_parser(PossibleValuesParser::new(words))
            .hide_possible_values(true),
        // As Prometheus takes it: alone it is true.
        Kind::Bool => arg.value_name("true|false").num_args(0..=1).default_missing_value("true"),
        Kind::Count(..) => arg.value_name("N"),
        Kind::Counts(..) => arg.value_name("N,…"),
        Kind::Duration(..) => arg.value_name("DURATION"),
        Kind::List => arg.value_name("LIST"),
        Kind::File => arg.value_name("FILE"),
        Kind::Text | Kind::Secret | Kind::Form(_) | Kind::Metric => arg.value_name("TEXT"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }
}
