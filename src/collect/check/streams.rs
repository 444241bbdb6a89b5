//! What one poll tells of the streams and groups: what there is, what is missing, and what cannot be read.

use std::{cmp::Reverse, collections::BTreeMap};

use super::mend;
use crate::{
    config::RedisServer,
    model::{
        fault::{Fault, FaultKind},
        finding::{Check, Finding, Status},
        pattern::Pattern,
        snapshot::{Group, Poll, Server, StreamEntry},
    },
};

/// Most statements of one sort: who has a thousand streams that do not exist needs no thousand lines.
const MOST: usize = 20;

/// What a poll of the server tells. `promise` is what its lags can be; `told` is what was found before.
#[must_use]
pub fn findings(server: &RedisServer, measured: &Server, promise: &str, told: &[Finding]) -> Vec<Finding> {
    // A refusal of a command shows in every stream: it was told once.
    let told_by = |fault: &Fault| {
        let advice = fault.parts().1?;
        Some(told.iter().find(|finding| finding.advice.as_deref() == Some(advice))?.check)
    };
    let down = measured.latest.as_ref().and_then(|latest| latest.as_ref().err());
    let Some(poll) = measured.poll.as_deref().filter(|_| down.is_none()) else {
        return down.map(|fault| of_fault(fault, None, &told_by)).into_iter().collect();
    };
    let mut findings = Vec::new();
    let incomplete = poll.incomplete.iter().map(|part| of_fault(&part.fault, None, &told_by));
    findings.extend(incomplete);
    let faults = poll.streams.iter().flat_map(|entry| {
        let all = entry.faults().chain(entry.cuts().map(|cut| &cut.fault));
        all.map(move |fault| (entry, fault))
    });
    let mut unreadable: Vec<_> =
        faults.map(|(entry, fault)| of_fault(fault, Some(entry), &told_by)).collect();
    // What several commands were refused for, is told once.
    unreadable.dedup_by(|a, b| {
        a.advice.is_some() && a.advice == b.advice && a.check == Check::Acl && a.check == b.check
    });
    let is_skip = |finding: &Finding| finding.status == Status::Skip;
    let lost = unreadable.iter().filter(|finding| is_skip(finding)).count();
    unreadable.retain(|finding| !is_skip(finding));
    findings.append(&mut bounded(unreadable));
    if lost > 0 && !findings.iter().any(|finding| finding.check == Check::Streams) {
        findings.push(Finding::skip(Check::Streams, "not all can be read: see what failed above"));
    }
    findings.append(&mut bounded(missing(server, poll)));
    findings.extend(found(poll, &findings));
    let is_seen = poll.streams.iter().any(|entry| entry.state.is_ok()) || poll.streams.is_empty();
    if is_seen {
        findings.append(&mut groups(poll));
        findings.push(lag(poll, promise));
    } else {
        let checks = [Check::Groups, Check::Lag];
        findings.extend(checks.map(|check| Finding::skip(check, "not known: no stream can be read")));
    }
    // Rights belong to those that were told before.
    findings.sort_by_key(|finding| finding.check);
    findings
}

/// A fault of the server, or of one of its streams.
fn of_fault(
    fault: &Fault,
    entry: Option<&StreamEntry>,
    told_by: &dyn Fn(&Fault) -> Option<Check>,
) -> Finding {
    if let Some(check) = told_by(fault) {
        return Finding::skip(Check::Streams, format!("not known: see {}", check.label()));
    }
    let check = if fault.kind == FaultKind::NoPerm { Check::Acl } else { Check::Streams };
    let mut finding = Finding::of_fault(check, fault, mend(fault.kind));
    if fault.kind == FaultKind::TooMany {
        finding.status = Status::Warn;
    }
    if let Some(entry) = entry {
        finding.message = format!("{}: {}", shown(entry), finding.message);
    }
    finding
}

/// How a stream is called. Database 0 goes without saying.
fn shown(entry: &StreamEntry) -> String {
    match entry.db {
        0 => format!("stream {}", entry.name),
        db => format!("stream {} of database {db}", entry.name),
    }
}

/// What is configured, and is not there.
fn missing(server: &RedisServer, poll: &Poll) -> Vec<Finding> {
    let absent = poll.streams.iter().filter(|entry| matches!(entry.state, Ok(None)));
    let streams = absent.map(|entry| {
        let message = format!("{} does not exist", shown(entry));
        Finding::warn(
            Check::Streams,
            message,
            "if it is yet to come, all is well; else correct redis[].streams",
        )
    });
    let globs = server.streams.iter().filter_map(|pattern| match pattern {
        Pattern::Glob(glob) => Some(glob),
        Pattern::Exact(_) => None,
    });
    let globs = globs.filter(|glob| {
        let mut streams = poll.streams.iter().filter(|entry| !matches!(entry.state, Ok(None)));
        poll.incomplete.is_empty() && !streams.any(|entry| glob.matches(&entry.name))
    });
    let globs = globs.map(|glob| {
        let databases: Vec<_> = server.databases.iter().map(ToString::to_string).collect();
        let message = format!("no stream of database {} matches {}", databases.join(", "), glob.text());
        Finding::warn(
            Check::Streams,
            message,
            "if they are yet to come, all is well; else correct redis[].streams or redis[].database",
        )
    });
    streams.chain(globs).collect()
}

/// What there is, where nothing is wrong with it.
fn found(poll: &Poll, findings: &[Finding]) -> Option<Finding> {
    let count = poll.streams.iter().filter(|entry| entry.stream().is_some()).count();
    let is_whole = !findings.iter().any(|finding| {
        matches!(finding.status, Status::Fail | Status::Skip) && finding.check <= Check::Streams
    });
    (count > 0 && is_whole)
        .then(|| Finding::ok(Check::Streams, format!("{} found and read", counted(count, "stream"))))
}

fn groups(poll: &Poll) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count: usize =
        poll.streams.iter().filter_map(StreamEntry::stream).map(|stream| stream.groups.len()).sum();
    if count > 0 {
        findings.push(Finding::ok(Check::Groups, format!("{} found", counted(count, "group"))));
    } else {
        let mend = "they come with XGROUP CREATE; if there are some, look at redis[].groups";
        findings.push(Finding::warn(Check::Groups, "no group is found, so there is no lag", mend));
    }
    let missing =
        poll.streams.iter().flat_map(|entry| entry.missing_groups.iter().map(move |group| (entry, group)));
    let missing = missing.map(|(entry, group)| {
        let message = format!("group {} of {} does not exist, and is expected", group.name, shown(entry));
        let mend = "let a worker create it (XGROUP CREATE), or correct redis[].groups.expect; until then lag.missing_group \
                    says what its lag is";
        Finding::warn(Check::Groups, message, mend)
    });
    findings.extend(bounded(missing.collect()));
    findings
}

fn lag(poll: &Poll, promise: &str) -> Finding {
    let mut sources = BTreeMap::<_, usize>::new();
    let groups = poll.streams.iter().flat_map(StreamEntry::groups);
    groups
        .map(|group: &Group| group.lag.source())
        .for_each(|source| *sources.entry(source).or_default() += 1);
    let now: Vec<_> = sources.iter().map(|(source, count)| format!("{count} {source}")).collect();
    let now = if now.is_empty() { String::new() } else { format!(" (now: {})", now.join(", ")) };
    Finding::ok(Check::Lag, format!("{promise}{now}"))
}

/// At most so many of a sort, the worst first, and how many more there are.
fn bounded(mut findings: Vec<Finding>) -> Vec<Finding> {
    let all = findings.len();
    findings.sort_by_key(|finding| Reverse(finding.status));
    findings.truncate(MOST);
    if all > MOST
        && let Some(last) = findings.last_mut()
    {
        last.message = format!("{}; and {} more of the kind", last.message, all - MOST);
    }
    findings
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fails decides the exit code: it is never among those that are cut off.
    #[test]
    fn what_fails_is_not_lost_behind_warnings() {
        let mut many: Vec<_> = (0..50).map(|_| Finding::warn(Check::Streams, "odd", "look")).collect();
        many.push(Finding::fail(Check::Streams, "broken", "mend"));
        let told = bounded(many);
        assert_eq!((told.len(), told[0].status), (MOST, Status::Fail));
        assert_eq!(told[MOST - 1].message, "odd; and 31 more of the kind");
        assert_eq!(bounded(told[..3].to_vec()), told[..3]);
    }
}
