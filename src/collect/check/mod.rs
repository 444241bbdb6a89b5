//! `streamgauge check`: each server, step by step, over the very code that polls it; what is found is told, not logged.
//!
//! `process` takes the steps to one process, `acl` tries the commands there; `others` are those who may take its place,
//! and the Sentinels. Then one poll tells of its `streams`.
//! Only commands of the table are sent, as often as a poll or two would.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{
    connect::{MEND_LOGIN, Peer},
    error::MEND_CLUSTER,
    journal::Journal,
    locate::Locator,
    poller::Poller,
    survey::Survey,
};
use crate::{
    config::{Budget, Config, RedisServer, Topology},
    model::{
        fault::{Fault, FaultKind},
        finding::{Check, Finding, Status},
        snapshot::Snapshot,
    },
};

mod acl;
mod others;
mod process;
mod streams;

/// What every server needs besides its own configuration.
#[derive(Clone, Copy)]
struct Terms {
    budget: Budget,
}

/// Looks at all servers side by side. What is found, in the order of the configuration; and what one poll measured.
pub async fn check(config: Config) -> (Vec<Finding>, Arc<Snapshot>) {
    let (servers, budget) = (config.servers.clone(), config.budget);
    let (mut pollers, snapshot) = Poller::for_all(&config);
    let all = servers.iter().zip(&mut pollers).enumerate().map(async |(index, (server, poller))| {
        let (mut findings, promise) = way(server, budget).await;
        if let Some(promise) = promise {
            poller.round().await;
            let measured = snapshot.borrow().servers[index].clone();
            findings.extend(streams::findings(server, &measured, promise, &findings));
        }
        skipped(&mut findings, &[Check::Streams, Check::Groups, Check::Lag]);
        findings.into_iter().map(|finding| finding.about(&server.name)).collect::<Vec<_>>()
    });
    let findings = join_all(all).await.concat();
    let snapshot = snapshot.borrow().clone();
    (findings, snapshot)
}

/// The way to all processes of a server. What its lags can be; `None` where it cannot be polled.
async fn way(server: &RedisServer, budget: Budget) -> (Vec<Finding>, Option<&'static str>) {
    // Rights and clocks do not differ between databases: the last one is as good as any, and needs SELECT if any does.
    let database = server.databases.last().copied().unwrap_or_default();
    let (peers, gaps) = match peers(server, database, budget).await {
        Ok(found) => found,
        Err(fault) => return (vec![Finding::of_fault(Check::Topology, &fault, mend(fault.kind))], None),
    };
    let (mut findings, sentinels) = others::sentinels(server).await;
    let has_gap = gaps.iter().any(|gap| gap.status == Status::Fail);
    findings.extend(gaps);
    if !has_gap && !matches!(server.topology, Topology::Single(_)) {
        let addresses: Vec<_> = peers.iter().map(|peer| peer.address.to_string()).collect();
        let sentinels = sentinels.map(|well| format!("; {well}")).unwrap_or_default();
        let message = format!("measured at {}{sentinels}", addresses.join(", "));
        findings.push(Finding::ok(Check::Topology, message));
    }
    let terms = Terms { budget };
    let steps = join_all(peers.iter().map(|peer| process::steps(server, peer, terms))).await;
    let mut promise = None;
    for (peer, (mut found, promised)) in peers.iter().zip(steps) {
        if peers.len() > 1 {
            let place = &peer.address;
            found.iter_mut().for_each(|finding| finding.message = format!("{place}: {}", finding.message));
        }
        findings.append(&mut found);
        promise = promise.or(promised);
    }
    (findings, promise)
}

/// The processes that are measured, and why there may be others.
async fn peers(
    server: &RedisServer,
    database: u32,
    budget: Budget,
) -> Result<(Vec<Peer>, Vec<Finding>), Fault> {
    let topology = |fault: Fault| Finding::of_fault(Check::Topology, &fault, mend(fault.kind));
    if let Topology::Cluster(seeds) = &server.topology {
        let found = Survey::look(None, &mut Vec::new(), server, seeds, budget, &mut 0).await?;
        let mut findings: Vec<_> = found.gap().map(topology).into_iter().collect();
        for fault in found.bad_seeds(seeds, server).await {
            // Another one leads to the cluster as well.
            let is_wrong = fault.kind == FaultKind::Redirected;
            let mut finding = topology(fault);
            finding.status = if is_wrong { Status::Fail } else { Status::Warn };
            if !findings.iter().any(|other| other.message == finding.message) {
                findings.push(finding);
            }
        }
        return Ok((found.peers().cloned().collect(), findings));
    }
    let mut journal = Journal::new(server.name.clone());
    let located = Locator::default().locate(server, &mut journal).await?;
    Ok((located.peers(database).collect(), Vec::new()))
}

/// What was not looked at, and after what.
fn skipped(findings: &mut Vec<Finding>, checks: &[Check]) {
    let failed = findings.iter().find(|finding| finding.status == Status::Fail).map(|finding| finding.check);
    let Some(failed) = failed else { return };
    for check in checks {
        if !findings.iter().any(|finding| finding.check == *check) {
            let reason = format!("not looked at: {} failed", failed.label());
            findings.push(Finding::skip(*check, reason));
        }
    }
}

/// What to do about a fault that does not say that itself.
fn mend(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Connect | FaultKind::Disconnected => {
            "look whether Redis runs there, and what stands between: its log, a proxy, a firewall"
        }
        FaultKind::Auth => MEND_LOGIN,
        FaultKind::Timeout => {
            "look whether Redis hangs (redis-cli --latency, SLOWLOG GET); if it is only slow, raise redis[].timeout"
        }
        FaultKind::Loading => "wait until Redis has read its data",
        FaultKind::Busy => "wait until the script has ended, or end it: SCRIPT KILL, FUNCTION KILL",
        FaultKind::MasterDown => "mend the replica's connection to its primary, or measure the primary",
        FaultKind::WrongRole => {
            "wait until the failover has ended; look at what the Sentinels say: SENTINEL MASTER"
        }
        FaultKind::ClusterDown => MEND_CLUSTER,
        FaultKind::Redirected => "check again: a slot of the cluster moves just now",
        FaultKind::NoPerm => "grant the right (docs/redis-acl.md)",
        FaultKind::WrongType => "take it out of redis[].streams, or name the stream that was meant",
        FaultKind::TooMany => {
            "raise the limit in redis[].limits, or measure less: redis[].streams, redis[].groups, consumers: false; consumers that \
             are gone go with XGROUP DELCONSUMER"
        }
        FaultKind::Unfinished => "nothing: a large key space is searched in several polls",
        FaultKind::Vanished => "check again: it was deleted just now",
        FaultKind::Unexpected => {
            "look whether this is a Redis at all; if it is, please report it, with its version"
        }
        FaultKind::Server => "do what Redis's own message says",
    }
}

/// The fault of a step that took too long.
async fn in_time<T>(server: &RedisServer, step: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match tokio::time::timeout(server.timeout, step).await {
        Ok(done) => done,
        Err(_) => Err(super::connect::no_answer(server)),
    }
}
