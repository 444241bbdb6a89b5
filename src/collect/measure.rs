//! Measuring one process: ask about all of its streams, then about all of their groups.
//!
//! The number of round trips depends on the number of questions only through the size of a pipeline. Whatever cannot be
//! read about one stream becomes a fault in its place; only a fault that concerns the whole process ends it all.

use super::{
    ask::{self, Ask, StreamAnswer},
    cluster::Redirect,
    connect::{Link, Peer},
    decode::GroupInfo,
    lags::{First, Lags, Measured, Waiting},
    resp::Reply,
    trust::{Identity, ServerInfo},
};
use crate::{
    config::{Address, RedisServer},
    model::{
        fault::{Fault, FaultKind},
        health::Health,
        lag::{Lag, tracker::CounterTrust},
        limits::{Cut, Limit, keep},
        name::{Name, Names},
        snapshot::{Consumer, Group, OldestPending, Stream, StreamEntry},
        time::UnixMicros,
    },
};

/// What one process said of the streams that were asked for.
#[derive(Debug)]
pub struct Answer {
    /// Version that it states.
    pub version: String,
    /// Which process it is.
    pub identity: Option<Identity>,
    /// Whether it is a node of a cluster.
    pub is_cluster_node: bool,
    /// In the order of the names. A stream that does not exist has the fault `Vanished`.
    pub streams: Vec<StreamEntry>,
    /// For each of them, the node of the cluster that should be asked instead.
    pub redirects: Vec<Option<Redirect>>,
    /// Groups that were deleted between two commands.
    pub vanished: u64,
    /// Entries read in order to count them.
    pub entries_read: u64,
}

/// Measures streams of a process, whose names come in order.
///
/// # Errors
/// A fault that concerns the whole process: nothing was measured.
pub async fn measure(
    link: &mut Link,
    lags: &mut Lags,
    server: &RedisServer,
    peer: &Peer,
    names: &[&Name],
) -> Result<Answer, Fault> {
    let (info, redis_time) = link.identify_as(peer).await?;
    info.up_to_date()?;
    lags.begin(&info, redis_time, names);
    let (first, redirects) = ask_streams(link, lags, &info, peer, names).await?.into_iter().unzip();
    let (measured, entries_read) = lags.measure(link, names, first).await?;
    let states = names
        .iter()
        .zip(measured)
        .map(|(name, measured)| Ok(Some(stream(name, measured?, redis_time, &info, server))));
    let entries = names.iter().zip(states).map(|(name, state)| entry(name, state, peer.database, server));
    let mut streams = entries.collect::<Vec<_>>();
    let hidden = info.trust.hidden_deletions;
    let vanished = ask_groups(link, &mut lags.names, &mut streams, server, peer.read_only, hidden).await?;
    lags.names.sweep();
    let is_cluster_node = info.is_cluster_node();
    let (version, identity) = (info.version, info.identity);
    Ok(Answer { version, identity, is_cluster_node, streams, redirects, vanished, entries_read })
}

/// What a process said of a stream, and where it sends us for it.
type Said = (First, Option<Redirect>);

/// Asks for streams and their groups. Of one whose large entries have not changed, only for the groups.
async fn ask_streams(
    link: &mut Link,
    lags: &mut Lags,
    info: &ServerInfo,
    peer: &Peer,
    names: &[&Name],
) -> Result<Vec<Said>, Fault> {
    if info.tells_changes && !link.is_asking && lags.has_large() {
        link.begin_tracking().await?;
    }
    link.take_changes();
    link.tracking.keep(names);
    let foreseen: Vec<_> = names.iter().map(|name| lags.foreseen(name)).collect();
    let foreseen = names.iter().zip(&foreseen);
    let asks: Vec<_> = foreseen.map(|(name, wish)| lags.ask(name, wish.as_slice(), &link.tracking)).collect();
    let mut said = ask_once(link, lags, peer, &asks).await?;
    // Those that have changed meanwhile are asked for once more, and so are those where too much was asked for.
    let open: Vec<_> = (0..said.len()).filter(|place| said[*place].is_none()).collect();
    open.iter().for_each(|place| lags.foresee_nothing(names[*place]));
    let again: Vec<_> = open.iter().map(|place| Ask::Stream(names[*place], &[], 0)).collect();
    for (place, now) in open.into_iter().zip(ask_once(link, lags, peer, &again).await?) {
        said[place] = now;
    }
    Ok(said.into_iter().flatten().collect())
}

/// `None` is of a stream of which too little is known by now, or an entry may not be read that was foreseen.
async fn ask_once(
    link: &mut Link,
    lags: &mut Lags,
    peer: &Peer,
    asks: &[Ask<'_>],
) -> Result<Vec<Option<Said>>, Fault> {
    enum Heard {
        All(First),
        Tracked(Result<StreamAnswer, Fault>, bool),
        Groups(Result<Vec<GroupInfo>, Fault>),
        Refused,
    }
    let read = |ask: &Ask<'_>, replies: &[Reply<'_>]| {
        let heard = match ask {
            Ask::Groups(..) => Heard::Groups(ask::groups_answer(ask, replies, &mut lags.names)),
            Ask::Tracked(..) => {
                let (answer, is_tracked) = ask::tracked_answer(ask, replies, &mut lags.names);
                Heard::Tracked(answer, is_tracked)
            }
            _ => match ask::stream_answer(ask, replies, &mut lags.names) {
                Err(fault) if fault.kind == FaultKind::NoPerm && !ask.wishes().is_empty() => Heard::Refused,
                answer => Heard::All(lags.take_first(ask.key(), answer)),
            },
        };
        (heard, redirect(replies, &peer.address))
    };
    let heard = link.ask(asks, read).await?;
    for (ask, (heard, _)) in asks.iter().zip(&heard) {
        match heard {
            Heard::Tracked(Ok(answer), true) => link.tracking.learn(ask.key(), &answer.stream),
            Heard::Tracked(_, false) => link.tracking.give_up(),
            Heard::Groups(Ok(_)) => {}
            _ => link.tracking.forget(ask.key()),
        }
    }
    link.take_changes();
    let said = asks.iter().zip(heard).map(|(ask, (heard, redirect))| {
        let first = match heard {
            Heard::All(first) => first,
            Heard::Refused => return None,
            Heard::Tracked(answer, _) => lags.take_first(ask.key(), answer),
            Heard::Groups(Err(fault)) => lags.take_first(ask.key(), Err(fault)),
            Heard::Groups(Ok(groups)) => {
                let stream = link.tracking.with_groups(ask.key(), &groups)?;
                lags.take_first(ask.key(), Ok(StreamAnswer { stream, groups, pages: Vec::new() }))
            }
        };
        Some((first, redirect))
    });
    Ok(said.collect())
}

/// What a configuration expects of a stream in this state goes with it.
pub fn entry(
    name: &Name,
    state: Result<Option<Stream>, Fault>,
    database: u32,
    server: &RedisServer,
) -> StreamEntry {
    let missing_groups = missing_groups(name, &state, server);
    StreamEntry { db: database, name: name.clone(), state, missing_groups }
}

/// Where a stream is that this node of a cluster does not have.
fn redirect(replies: &[Reply<'_>], asked: &Address) -> Option<Redirect> {
    match asked {
        Address::Tcp(place) => Redirect::of(replies, place),
        Address::Unix(_) => None,
    }
}

fn stream(
    name: &Name,
    measured: Measured,
    redis_time: UnixMicros,
    process: &ServerInfo,
    server: &RedisServer,
) -> Stream {
    let info = measured.answer.stream;
    let is_expected = |group: &Name| expected(name, server).any(|expected| expected == group);
    let mut included: Vec<_> = measured.answer.groups.into_iter().zip(measured.waiting).collect();
    included.retain(|(info, _)| server.groups.includes(&info.name) || is_expected(&info.name));
    let names: Vec<_> = included.iter().map(|(info, _)| &info.name).collect();
    let most = server.limits.groups_per_stream;
    let kept = keep(&names, |group| is_expected(group), most);
    let count = included.len();
    let kept = included.into_iter().zip(kept).filter(|(_, kept)| *kept);
    let mut groups: Vec<_> = kept.map(|((info, waiting), _)| group(info, waiting, server)).collect();
    // It was made where the longer list of what they were read from had been.
    groups.shrink_to_fit();
    groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let left_out = count - groups.len();
    let cut = (left_out > 0).then(|| {
        let what = format!("the stream has {count} groups, more than {most}: {left_out} left out");
        Cut::new(Limit::Groups, left_out as u64, &what)
    });
    Stream {
        redis_time,
        length: info.length,
        radix_tree_keys: info.radix_tree_keys,
        radix_tree_nodes: info.radix_tree_nodes,
        last_generated_id: info.last_generated_id,
        max_deleted_entry_id: info.max_deleted_entry_id,
        entries_added: info.entries_added,
        has_own_counters: process.trust.counter != CounterTrust::Never,
        group_count: info.groups,
        ends: info.ends,
        counting: measured.counting,
        groups,
        cut,
    }
}

fn group(info: GroupInfo, (lag, oldest_undelivered): Waiting, server: &RedisServer) -> Group {
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
        consumers: server.consumers.then(|| Ok(Vec::new())),
        cut: None,
        health: Health::default(),
    }
}

/// The groups that a stream should have: they are shown whatever the filter says.
fn expected<'a>(stream: &'a Name, server: &'a RedisServer) -> impl Iterator<Item = &'a Name> {
    server.expected.iter().filter(move |expected| expected.stream == *stream).map(|expected| &expected.group)
}

/// The groups that should exist and do not. Where the stream could not be read, nothing is known of them.
fn missing_groups(name: &Name, state: &Result<Option<Stream>, Fault>, server: &RedisServer) -> Vec<Group> {
    let Ok(stream) = state else { return Vec::new() };
    let lag = stream.as_ref().map_or(Lag::NoStream, |stream| Lag::NoGroup { length: stream.length });
    let exists = |group: &Name| {
        stream.as_ref().is_some_and(|stream| stream.groups.iter().any(|other| other.name == *group))
    };
    expected(name, server)
        .filter(|group| !exists(group))
        .map(|group| Group::missing(group.clone(), lag))
        .collect()
}

/// Asks for the oldest pending entry and the consumers of every group that has any; of a group with too many consumers,
/// for those that own pending entries. Returns how many groups are gone. On a replica in a cluster, it may as well be the
/// stream that is gone, to another node.
async fn ask_groups(
    link: &mut Link,
    known: &mut Names,
    streams: &mut [StreamEntry],
    server: &RedisServer,
    read_only: bool,
    hidden_deletions: bool,
) -> Result<u64, Fault> {
    let most = server.limits.consumers_per_group;
    // XPENDING without a range names all owners at once, however many: its cost has no bound.
    let has_owners = |group: &Group| server.consumers && group.consumer_count > most && group.pending < most;
    let asks = groups(streams).flat_map(|(key, group)| {
        let entries = if has_owners(group) { most } else { 1 };
        let pending = (group.pending > 0).then_some(Ask::Pending(key, &group.name, entries));
        let is_asked = server.consumers && (1..=most).contains(&group.consumer_count);
        let consumers = is_asked.then_some(Ask::Consumers(key, &group.name, group.consumer_count));
        [pending, consumers].into_iter().flatten()
    });
    let (mut pending, mut consumers) = (Vec::new(), Vec::new());
    let read = |ask: &Ask<'_>, replies: &[Reply<'_>]| match ask {
        Ask::Pending(..) => pending.push(ask::pending_answer(ask, replies)),
        _ => consumers.push(ask::consumers_answer(ask, replies, known)),
    };
    link.ask(&asks.collect::<Vec<_>>(), read).await?;
    let (mut pending, mut consumers) = (pending.into_iter(), consumers.into_iter());

    // The answers come in the order of the questions, and those in the order of the groups.
    let mut vanished = 0;
    for entry in streams {
        let Ok(Some(stream)) = &mut entry.state else {
            continue;
        };
        // One that is expected and was deleted meanwhile is missing from now on, not from sums over this poll.
        let (mut missing, before, facts) = (Vec::new(), stream.groups.len(), stream.facts());
        // What was gone from the snapshot is gone; what is pending by now and was added since, it does not tell of.
        let is_deleted = |id| facts.still_has(id, hidden_deletions).map(|exists| !exists);
        stream.groups.retain_mut(|group| {
            let mut owners = (group.pending == 0).then(Vec::new);
            if group.pending > 0
                && let Some(answer) = pending.next()
            {
                group.oldest_pending = answer.map(|answer| {
                    owners = answer.owners;
                    let judged =
                        |oldest: OldestPending| OldestPending { is_deleted: is_deleted(oldest.id), ..oldest };
                    answer.oldest.map(judged)
                });
            }
            if server.consumers && group.consumer_count > most {
                limit_consumers(group, owners, most);
            } else if server.consumers && group.consumer_count > 0 {
                group.consumers = consumers.next();
            }
            let gone = group.faults().any(|fault| fault.kind == FaultKind::Vanished);
            vanished += u64::from(gone);
            if gone && expected(&entry.name, server).any(|name| *name == group.name) {
                missing.push(Group::missing(group.name.clone(), Lag::NoGroup { length: stream.length }));
            }
            !gone
        });
        entry.missing_groups.extend(missing);
        if read_only && stream.groups.len() < before {
            entry.state = Err(Fault::new(FaultKind::Vanished, "a group is gone, or the whole stream"));
            entry.missing_groups.clear();
        }
    }
    Ok(vanished)
}

/// Of too many consumers, only those that own pending entries are shown, where they are known.
fn limit_consumers(group: &mut Group, owners: Option<Vec<Consumer>>, most: u64) {
    let count = group.consumer_count;
    let shown = owners.as_ref().map_or(0, Vec::len);
    let what = match owners {
        Some(_) => format!("only those that own pending entries are shown, which are {shown}"),
        None => "none is shown, since the pending entries are too many too, or could not be read".to_owned(),
    };
    let what = format!("the group has {count} consumers, more than {most}: {what}");
    group.cut = Some(Cut::new(Limit::Consumers, count.saturating_sub(shown as u64), &what));
    group.consumers = owners.map(Ok);
}

fn groups(streams: &[StreamEntry]) -> impl Iterator<Item = (&Name, &Group)> {
    streams
        .iter()
        .filter_map(|entry| Some((&entry.name, entry.stream()?)))
        .flat_map(|(key, stream)| stream.groups.iter().map(move |group| (key, group)))
}
