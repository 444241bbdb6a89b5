//! Whether the user may do what the configuration needs: each command of the table is sent, on a key that is configured.
//!
//! A command that is allowed does nothing that a poll would not do, and mostly less: the ranges are empty, and the group is
//! one that nobody has. Redis looks at the rights first, so whatever else it answers says that they are there.
//! (`ACL DRYRUN` would need a right of its own, and is not known to Redis 6.)

use super::Terms;
use crate::{
    collect::{
        commands::{COMMANDS, Command, Feature, Lack},
        connect::{Link, Peer},
        discover::Known,
        request::{Arg, Requests},
        resp::Reply,
        tracking,
        trust::ServerInfo,
    },
    config::{RedisServer, Topology},
    model::{
        fault::{Fault, FaultKind},
        finding::{Check, Finding},
        name::Name,
    },
};

/// A group that nobody has.
const NO_GROUP: &str = "streamgauge-check";

/// Most keys that are tried one by one.
const MOST_KEYS: usize = 200;

/// What the user may not do: all of it.
///
/// # Errors
/// No reply, or the server answers nobody now.
pub async fn findings(
    link: &mut Link,
    info: &ServerInfo,
    server: &RedisServer,
    peer: &Peer,
    terms: Terms,
) -> Result<Vec<Finding>, Fault> {
    let is_known = |command: &Command| info.tells_changes || !tracking::COMMANDS.contains(&command.words);
    let used = |command: &&&Command| is_known(command) && is_used(command.feature, server, peer, terms);
    let commands: Vec<&Command> = COMMANDS.iter().filter(used).copied().collect();
    let known = Known::new(server, None);
    let named = known.names();
    let made_up = known.globs().first().map(|glob| fitting(glob.text()));
    let key = named.first().cloned().or(made_up).unwrap_or_else(|| Name::from(NO_GROUP));

    let mut requests = Requests::default();
    for command in &commands {
        add(&mut requests, command, &key, peer.database);
    }
    let replies = link.request(&requests).await?;
    let mut findings = Vec::new();
    let (mut allowed, mut key_fault) = (None, None);
    for (command, reply) in commands.iter().zip(&replies) {
        let keyed = Some(&key).filter(|_| has_key(command));
        match refusal(command, *reply, keyed) {
            Some((Some(Lack::Key), fault)) => {
                allowed = allowed.or(Some(*command));
                key_fault = key_fault.or(Some(fault));
            }
            Some((_, fault)) => findings.push(refused(command, &fault)),
            None if keyed.is_some() => allowed = allowed.or(Some(*command)),
            None => {}
        }
    }
    // What was made up from a glob need not be allowed.
    let mut keys: Vec<_> =
        key_fault.filter(|_| !named.is_empty()).map(|fault| (key, fault)).into_iter().collect();
    if let Some(command) = allowed {
        let others: Vec<_> = named.iter().skip(1).take(MOST_KEYS).collect();
        keys.extend(refused_keys(link, command, &others, peer.database).await?);
    }
    findings.extend(keys.iter().map(|(key, fault)| {
        let (reason, advice) = fault.parts();
        Finding::fail(Check::Acl, format!("stream {key}: {reason}"), advice.unwrap_or_default())
    }));
    let all = format!("all {} commands that this configuration uses are allowed", commands.len());
    if findings.is_empty() {
        findings.push(Finding::ok(Check::Acl, all));
    }
    Ok(findings)
}

/// Whether commands are sent for this. The commands of the login were sent before.
fn is_used(feature: Feature, server: &RedisServer, peer: &Peer, terms: Terms) -> bool {
    match feature {
        Feature::Always => true,
        Feature::Globs => !Known::new(server, None).globs().is_empty(),
        Feature::Consumers => server.consumers,
        Feature::Entries => terms.budget.bytes_per_poll != 0,
        Feature::Database => server.databases.iter().any(|database| *database != 0),
        Feature::Cluster => matches!(server.topology, Topology::Cluster(_)),
        Feature::ClusterReplicas => peer.read_only,
        // Those of Sentinels are sent to none of the processes themselves.
        Feature::Resp3 | Feature::Login | Feature::Sentinel | Feature::SentinelReplicas => false,
    }
}

/// Adds a command with arguments that make it do next to nothing.
fn add(requests: &mut Requests, command: &Command, key: &Name, database: u32) {
    let key = Arg::from(key);
    let args = match command.words {
        "SELECT" => vec![u64::from(database).into()],
        "CLIENT SETINFO" => vec!["LIB-NAME".into(), env!("CARGO_PKG_NAME").into()],
        "CLIENT TRACKING" => vec!["OFF".into()],
        "CLIENT CACHING" => vec!["YES".into()],
        "INFO" => vec!["server".into()],
        "SCAN" => ["0", "COUNT", "1", "TYPE", "stream"].map(Arg::from).to_vec(),
        "XINFO STREAM" | "XINFO GROUPS" => vec![key],
        "XINFO CONSUMERS" => vec![key, NO_GROUP.into()],
        // No entry has this ID.
        "XRANGE" | "XREVRANGE" => vec![key, "0-0".into(), "0-0".into(), "COUNT".into(), "1".into()],
        "XPENDING" => vec![key, NO_GROUP.into(), "-".into(), "+".into(), "1".into()],
        _ => Vec::new(),
    };
    requests.add(command, &args);
}

fn has_key(command: &Command) -> bool {
    command.words.starts_with('X')
}

/// A refusal, and what it is about.
fn refusal(command: &Command, reply: Reply<'_>, key: Option<&Name>) -> Option<(Option<Lack>, Fault)> {
    let error = reply.error()?;
    let fault = command.fault(&error, key);
    (fault.kind == FaultKind::NoPerm)
        .then(|| (Lack::told_by(error.parts().1).filter(|_| key.is_some()), fault))
}

fn refused(command: &Command, fault: &Fault) -> Finding {
    let (reason, advice) = fault.parts();
    let message = format!("{reason} (lost without it: {})", command.without);
    let advice = advice.unwrap_or_default();
    if command.is_reported {
        Finding::fail(Check::Acl, message, advice)
    } else {
        Finding::warn(Check::Acl, message, advice)
    }
}

/// Those of the keys that may not be read, by a command that is allowed.
async fn refused_keys(
    link: &mut Link,
    command: &Command,
    keys: &[&Name],
    database: u32,
) -> Result<Vec<(Name, Fault)>, Fault> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut requests = Requests::default();
    keys.iter().for_each(|key| add(&mut requests, command, key, database));
    let replies = link.request(&requests).await?;
    let refused = keys.iter().zip(&replies).filter_map(|(key, reply)| {
        let (_, fault) = refusal(command, *reply, Some(key))?;
        Some(((*key).clone(), fault))
    });
    Ok(refused.collect())
}

/// A name that a glob fits, mostly: its wildcards are left out.
fn fitting(glob: &str) -> Name {
    let plain: String = glob.chars().filter(|c| !"*?[]^\\".contains(*c)).collect();
    Name::from(plain.as_str())
}
