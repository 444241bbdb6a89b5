//! Measuring one process: ask about all of its streams, and about the groups of each as soon as it is known which.
//!
//! The number of round trips depends on the number of questions only through the size of a pipeline. Whatever cannot be
//! read about one stream becomes a fault in its place; only a fault that concerns the whole process ends it all.

use std::{collections::VecDeque, iter, mem};

use tokio::time::Instant;

use super::{
    ask::{self, Ask, StreamAnswer},
    cluster::Redirect,
    connect::{Link, Peer},
    decode::{GroupInfo, StreamInfo},
    discover::Beside,
    lags::{First, Lags, Measured, Open},
    resp::Reply,
    trust::{Identity, ServerInfo},
};
use crate::{
    config::{Address, RedisServer},
    model::{
        fault::{Fault, FaultKind},
        lag::{Lag, tracker::CounterTrust},
        limits::{Cut, Limit, keep},
        name::{Name, Names},
        snapshot::{Group, Stream, StreamEntry},
        time::UnixMicros,
    },
};

mod groups;

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

/// How a measurement stands to the search of its poll.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It follows the search.
    After,
    /// The search goes on beside it, until then.
    Beside(Instant),
    /// It follows one beside which the search has found something new, and takes its place: were only that measured now, a
    /// stream that was renamed meanwhile would be shown twice.
    Again,
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
    order: Order,
    beside: Option<Beside<'_>>,
) -> Result<Answer, Fault> {
    let (info, redis_time) = link.identify_as(peer).await?;
    info.up_to_date()?;
    lags.begin(&info, redis_time, names, order == Order::Again);
    let mut round = Round {
        names,
        server,
        peer,
        info: &info,
        redis_time,
        streams: names.iter().map(|_| None).collect(),
        redirects: vec![None; names.len()],
        open: Vec::new(),
        further: VecDeque::new(),
        of_groups: VecDeque::new(),
        beside,
        entries_read: 0,
    };
    round.ask_all(link, lags).await?;
    round.count(link, lags).await?;
    let Round { streams, redirects, entries_read, .. } = round;
    lags.names.sweep();
    #[expect(
        clippy::filter_map_identity,
        reason = "flatten would make a second list, this stays in its place"
    )]
    let mut streams: Vec<_> = streams.into_iter().filter_map(|stream| stream).collect();
    let vanished = streams.iter_mut().map(|entry| groups::take_out_vanished(entry, peer.read_only, server));
    let vanished = vanished.sum();
    let is_cluster_node = info.is_cluster_node();
    let (version, identity) = (info.version, info.identity);
    Ok(Answer { version, identity, is_cluster_node, streams, redirects, vanished, entries_read })
}

/// One measurement under way: a stream is settled once its lags are told, and its groups are asked for from then on.
struct Round<'a> {
    names: &'a [&'a Name],
    server: &'a RedisServer,
    peer: &'a Peer,
    info: &'a ServerInfo,
    redis_time: UnixMicros,
    /// In the order of the names: those that are settled.
    streams: Vec<Option<StreamEntry>>,
    redirects: Vec<Option<Redirect>>,
    /// Those that wish to read entries first.
    open: Vec<Open>,
    /// What is to be asked of groups, and is not on its way.
    further: VecDeque<Ask>,
    /// Places of the streams and groups that are asked for, in the order of the questions.
    of_groups: VecDeque<(usize, usize)>,
    /// The search that goes on meanwhile.
    beside: Option<Beside<'a>>,
    entries_read: u64,
}

impl Round<'_> {
    /// Asks for all streams. Of one whose large entries have not changed, only for the groups.
    async fn ask_all(&mut self, link: &mut Link, lags: &mut Lags) -> Result<(), Fault> {
        if self.info.tells_changes && !link.is_asking && lags.has_large() {
            link.begin_tracking().await?;
        }
        link.take_changes();
        link.tracking.keep(self.names);
        let first = self.beside.as_ref().and_then(Beside::page);
        let of_streams = (0..self.names.len()).map(|place| lags.ask(place, &link.tracking));
        let asks = first.into_iter().chain(of_streams).collect();
        let again = self.ask(link, lags, asks, 0..self.names.len()).await?;
        // Those that have changed meanwhile are asked for once more, and so are those where too much was asked for.
        let asks = again.iter().map(|place| {
            lags.foresee_nothing(*place);
            Ask::Stream(self.names[*place].clone(), Vec::new(), 0)
        });
        let asks = asks.collect();
        self.ask(link, lags, asks, again.into_iter()).await?;
        Ok(())
    }

    /// Reads entries for those that wish to, and settles them.
    async fn count(&mut self, link: &mut Link, lags: &mut Lags) -> Result<(), Fault> {
        let mut open = mem::take(&mut self.open);
        open.sort_unstable_by_key(|open| open.place);
        self.entries_read += lags.count(link, &mut open).await?;
        let mut further = mem::take(&mut self.further);
        for Open { place, measured, .. } in open {
            self.settle(place, measured, &mut further);
        }
        self.ask(link, lags, further, iter::empty()).await?;
        Ok(())
    }

    /// Asks for streams, whose places are told, and for all groups that are to be. Returns the places of streams of which
    /// too little is known by now, or of which an entry may not be read that was foreseen.
    async fn ask(
        &mut self,
        link: &mut Link,
        lags: &mut Lags,
        mut asks: VecDeque<Ask>,
        mut places: impl Iterator<Item = usize>,
    ) -> Result<Vec<usize>, Fault> {
        enum Heard {
            /// All of it, if it could be read, which was taken in already; and whether Redis tells of changes.
            Tracked(Option<StreamInfo>, bool),
            Groups(Result<Vec<GroupInfo>, Fault>),
            Refused,
        }
        asks.append(&mut self.further);
        let all = asks.iter().filter(|ask| matches!(ask, Ask::Stream(..)));
        all.filter_map(Ask::key).for_each(|key| link.tracking.forget(key));
        let mut later = Vec::new();
        let read = |ask: &Ask, replies: &[Reply<'_>], further: &mut VecDeque<Ask>| {
            match ask {
                Ask::Pending(..) | Ask::Consumers(..) => {
                    return self.hear_group(ask, replies, &mut lags.names);
                }
                Ask::Keys(..) => {
                    return self.beside.iter_mut().for_each(|beside| beside.hear(ask, replies, further));
                }
                _ => {}
            }
            let Some(place) = places.next() else { return };
            self.redirects[place] = redirect(replies, &self.peer.address);
            let (answer, is_tracked) = match ask {
                Ask::Groups(..) => {
                    let groups = ask::groups_answer(ask, replies, &mut lags.names);
                    return later.push((place, Heard::Groups(groups)));
                }
                Ask::Tracked(..) => {
                    let (answer, is_tracked) = ask::tracked_answer(ask, replies, &mut lags.names);
                    (answer, Some(is_tracked))
                }
                _ => (ask::stream_answer(ask, replies, &mut lags.names), None),
            };
            let refused = answer.as_ref().is_err_and(|fault| fault.kind == FaultKind::NoPerm);
            if refused && !ask.wishes().is_empty() {
                return later.push((place, Heard::Refused));
            }
            if let Some(is_tracked) = is_tracked {
                let stream = answer.as_ref().ok().map(|answer| answer.stream.clone());
                later.push((place, Heard::Tracked(stream, is_tracked)));
            }
            self.take(place, lags, answer, further);
        };
        link.ask(asks, read).await?;
        for (place, heard) in &later {
            match heard {
                Heard::Tracked(Some(stream), true) => link.tracking.learn(self.names[*place], stream),
                Heard::Tracked(_, false) => link.tracking.give_up(),
                Heard::Groups(Ok(_)) | Heard::Refused => {}
                _ => link.tracking.forget(self.names[*place]),
            }
        }
        if later.iter().any(|(_, heard)| !matches!(heard, Heard::Refused)) {
            link.notice_untold().await?;
        }
        link.take_changes();
        let (mut again, mut further) = (Vec::new(), VecDeque::new());
        for (place, heard) in later {
            let answer = match heard {
                Heard::Tracked(..) => continue,
                Heard::Refused => None,
                Heard::Groups(Err(fault)) => Some(Err(fault)),
                Heard::Groups(Ok(groups)) => {
                    let known = link.tracking.with_groups(self.names[place], &groups);
                    known.map(|stream| Ok(StreamAnswer { stream, groups, pages: Vec::new() }))
                }
            };
            match answer {
                Some(answer) => self.take(place, lags, answer, &mut further),
                None => again.push(place),
            }
        }
        self.further = further;
        Ok(again)
    }

    /// Takes in what the first question about a stream brought.
    fn take(
        &mut self,
        place: usize,
        lags: &mut Lags,
        answer: Result<StreamAnswer, Fault>,
        further: &mut VecDeque<Ask>,
    ) {
        let First { measured, wishes, read } = lags.take_first(place, answer);
        self.entries_read += read;
        if wishes.is_empty() {
            self.settle(place, measured, further);
        } else {
            self.open.push(Open { place, measured, wishes });
        }
    }

    /// The lags of a stream are told: its groups are what is to be asked for now.
    fn settle(&mut self, place: usize, measured: Result<Measured, Fault>, further: &mut VecDeque<Ask>) {
        let name = self.names[place];
        let state = measured.map(|measured| {
            let mut stream = self.stream(name, measured);
            for (index, group) in stream.groups.iter_mut().enumerate() {
                for ask in groups::questions(name, group, self.server) {
                    further.push_back(ask);
                    self.of_groups.push_back((place, index));
                }
            }
            Some(stream)
        });
        self.streams[place] = Some(entry(name, state, self.peer.database, self.server));
    }

    /// Takes in what was said of a group.
    fn hear_group(&mut self, ask: &Ask, replies: &[Reply<'_>], known: &mut Names) {
        let Some((place, index)) = self.of_groups.pop_front() else { return };
        let Some(StreamEntry { state: Ok(Some(stream)), .. }) = &mut self.streams[place] else { return };
        let facts = stream.facts();
        let group = &mut stream.groups[index];
        if let Ask::Consumers(..) = ask {
            group.consumers = Some(ask::consumers_answer(ask, replies, known));
        } else {
            let answer = ask::pending_answer(ask, replies, known);
            let hidden_deletions = self.info.trust.hidden_deletions;
            groups::hear_pending(group, answer, &facts, hidden_deletions, self.server);
        }
    }

    fn stream(&self, name: &Name, measured: Measured) -> Stream {
        let server = self.server;
        let info = measured.answer.stream;
        let is_expected = |group: &Name| expected(name, server).any(|expected| expected == group);
        let is_included = |name: &Name| server.groups.includes(name) || is_expected(name);
        let mut groups = Vec::with_capacity(measured.answer.groups.len());
        for (info, waiting) in measured.answer.groups.into_iter().zip(measured.waiting) {
            if is_included(&info.name) {
                groups.push(groups::group(info, waiting, server));
            }
        }
        let (most, count) = (server.limits.groups_per_stream, groups.len());
        if count > most {
            let names: Vec<_> = groups.iter().map(|group| &group.name).collect();
            let mut kept = keep(&names, |group| is_expected(group), most).into_iter();
            groups.retain(|_| kept.next() == Some(true));
        }
        groups.shrink_to_fit();
        groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let left_out = count - groups.len();
        let cut = (left_out > 0).then(|| {
            let what = format!("the stream has {count} groups, more than {most}: {left_out} left out");
            Box::new(Cut::new(Limit::Groups, left_out as u64, &what))
        });
        Stream {
            redis_time: self.redis_time,
            length: info.length,
            radix_tree_keys: info.radix_tree_keys,
            radix_tree_nodes: info.radix_tree_nodes,
            last_generated_id: info.last_generated_id,
            max_deleted_entry_id: info.max_deleted_entry_id,
            entries_added: info.entries_added,
            has_own_counters: self.info.trust.counter != CounterTrust::Never,
            group_count: info.groups,
            ends: info.ends,
            counting: measured.counting,
            groups,
            cut,
        }
    }
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
