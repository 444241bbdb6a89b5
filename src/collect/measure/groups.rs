//! What is asked of each group besides its stream: its oldest pending entry, and its consumers.

use super::expected;
use crate::{
    collect::{
        ask::{Ask, PendingAnswer},
        decode::GroupInfo,
        lags::Waiting,
    },
    config::RedisServer,
    model::{
        consumers::Consumers,
        fault::{Fault, FaultKind},
        health::Health,
        lag::{Lag, StreamFacts},
        limits::{Cut, Limit},
        name::Name,
        snapshot::{Group, OldestPending, StreamEntry},
    },
};

/// A group, before anything is asked of it.
pub fn group(info: GroupInfo, (lag, oldest_undelivered): Waiting, server: &RedisServer) -> Group {
    Group {
        name: info.name,
        consumer_count: info.consumers,
        pending: info.pending,
        last_delivered_id: Some(info.last_delivered_id),
        entries_read: info.entries_read,
        reported_lag: info.lag,
        lag,
        oldest_undelivered,
        oldest_pending: Ok(None),
        consumers: server.consumers.then(|| Ok(Consumers::default())),
        cut: None,
        health: Health::default(),
    }
}

/// What is to be asked: for the oldest pending entry and the consumers, where there are any; of a group with too many
/// consumers, for those that own pending entries.
pub fn questions(
    stream: &Name,
    group: &mut Group,
    server: &RedisServer,
) -> impl Iterator<Item = Ask> + use<> {
    let most = server.limits.consumers_per_group;
    let has_too_many = server.consumers && group.consumer_count > most;
    if has_too_many && group.pending == 0 {
        limit_consumers(group, Some(Consumers::default()), most);
    }
    // XPENDING without a range names all owners at once, however many: its cost has no bound.
    let entries = if has_too_many && group.pending < most { most } else { 1 };
    let pending = (group.pending > 0).then(|| Ask::Pending(stream.clone(), group.name.clone(), entries));
    let is_asked = server.consumers && (1..=most).contains(&group.consumer_count);
    let consumers =
        is_asked.then(|| Ask::Consumers(stream.clone(), group.name.clone(), group.consumer_count));
    [pending, consumers].into_iter().flatten()
}

/// Takes in what was said of the pending entries. `stream` is what its stream was before.
pub fn hear_pending(
    group: &mut Group,
    answer: Result<PendingAnswer, Fault>,
    stream: &StreamFacts,
    hidden_deletions: bool,
    server: &RedisServer,
) {
    let mut owners = None;
    group.oldest_pending = answer.map(|answer| {
        owners = answer.owners;
        // What was gone from the snapshot is gone; what is pending by now and was added since, it does not tell of.
        let is_deleted = |id| stream.still_has(id, hidden_deletions).map(|exists| !exists);
        answer.oldest.map(|oldest| OldestPending { is_deleted: is_deleted(oldest.id), ..oldest })
    });
    let most = server.limits.consumers_per_group;
    if server.consumers && group.consumer_count > most {
        limit_consumers(group, owners, most);
    }
}

/// Of too many consumers, only those that own pending entries are shown, where they are known.
fn limit_consumers(group: &mut Group, owners: Option<Consumers>, most: u64) {
    let count = group.consumer_count;
    let shown = owners.as_ref().map_or(0, Consumers::len);
    let what = match owners {
        Some(_) => format!("only those that own pending entries are shown, which are {shown}"),
        None => "none is shown, since the pending entries are too many too, or could not be read".to_owned(),
    };
    let what = format!("the group has {count} consumers, more than {most}: {what}");
    group.cut = Some(Box::new(Cut::new(Limit::Consumers, count.saturating_sub(shown as u64), &what)));
    group.consumers = owners.map(Ok);
}

/// Takes out the groups that were gone when they were asked for; says how many. One that is expected is missing from now
/// on, not from sums over this poll. On a replica in a cluster, it may as well be the stream that is gone, to another node.
pub fn take_out_vanished(entry: &mut StreamEntry, read_only: bool, server: &RedisServer) -> u64 {
    let StreamEntry { name, state, missing_groups, .. } = entry;
    let Ok(Some(stream)) = state else { return 0 };
    let is_gone = |group: &mut Group| group.faults().any(|fault| fault.kind == FaultKind::Vanished);
    let length = stream.length;
    let gone: Vec<_> = stream.groups.extract_if(.., is_gone).collect();
    let is_expected = |group: &Name| expected(name, server).any(|expected| expected == group);
    let missing = gone.iter().filter(|group| is_expected(&group.name));
    missing_groups.extend(missing.map(|group| Group::missing(group.name.clone(), Lag::NoGroup { length })));
    if read_only && !gone.is_empty() {
        *state = Err(Fault::new(FaultKind::Vanished, "a group is gone, or the whole stream"));
        missing_groups.clear();
    }
    gone.len() as u64
}
