//! From checked values to a [`Config`]: what the table of settings cannot say (URLs, globs, names that must be unique).
//!
//! A value that is wrong leaves a problem behind and something harmless in its place, so that the rest is checked too.

use std::{fs, path::Path};

use super::{
    Budget, Config, ListenAddress, Log, Problem,
    kubernetes::kubernetes,
    section::{Section, Sections},
    server::{is_true, server},
    sharding::sharding,
    startup::Startup,
    tree::Place,
};
use crate::model::{
    health::Rules,
    lag::{BoundedPolicy, MissingGroupPolicy, Policy},
    pattern::Pattern,
};

/// Paths of the web port that have a meaning of their own.
const TAKEN_PATHS: &[&str] = &["/", "/-/healthy", "/-/ready", "/healthz", "/readyz", "/livez", "/-/reload"];

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
        poll_timeout: globals.given_duration("poll.timeout"),
        max_backoff: globals.duration("poll.max_backoff"),
        budget: Budget {
            entries_per_group: globals.size("lag.entries_per_group"),
            bytes_per_group: globals.size("lag.bytes_per_group"),
            entries_per_poll: globals.size("lag.entries_per_poll"),
            bytes_per_poll: globals.size("lag.bytes_per_poll"),
        },
        policy: policy(globals, "lag.bounded", "lag.missing_group", Policy::default()),
        rules: Rules {
            window: globals.duration("health.window"),
            claim_time: globals.duration("health.claim_time"),
            ghost_after: globals.duration("health.ghost_after"),
            floor: globals.size("health.floor"),
        },
        listen: globals.list("web.listen_address", problems, listen_address),
        telemetry_path,
        enable_lifecycle: is_true(globals, "web.enable_lifecycle"),
        log: Log {
            level: globals
                .text("log.level")
                .and_then(|level| level.parse().ok())
                .unwrap_or(tracing::Level::INFO),
            json: globals.text("log.format").is_some_and(|format| format == "json"),
        },
        servers: servers.iter().map(|section| server(section, problems)).collect(),
        kubernetes: None,
        sharding: sharding(globals, problems),
        guest_streams: usize::try_from(globals.count("sharding.guest_streams")).unwrap_or(1),
        startup: Startup::of(globals),
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

pub(super) fn must_be_readable(section: &Section, path: &str, file: &Path, problems: &mut Vec<Problem>) {
    if let Err(error) = fs::read_to_string(file) {
        problems.push(section.problem(path, format!("cannot read {}: {error}", file.display())));
    }
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

pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|error| format!("the name or glob {text:?} {error}"))
}
