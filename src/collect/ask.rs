//! The questions that are put to Redis: about one key, or which keys there are.

use std::time::Duration;

use super::{
    commands::{self, Command},
    decode,
    request::{Arg, Requests},
    resp::Reply,
};
use crate::model::{
    consumers::Consumers,
    fault::{Fault, FaultKind},
    lag::pages::Wish,
    name::{Name, Names},
    pattern::Glob,
    snapshot::OldestPending,
};

/// Bytes that a reply is expected to have, by earlier ones; 0 where nothing is known.
pub type Bytes = u64;

/// One question.
#[derive(Clone, Debug)]
pub enum Ask {
    /// `XINFO STREAM` and `XINFO GROUPS` as one atomic snapshot. Read apart, 2 to 6 % of snapshots under load
    /// contradict themselves, and a group ahead of its stream is a false zero. With them, from the same moment, the IDs of
    /// ranges of entries.
    Stream(Name, Vec<Wish>, Bytes),
    /// The same, and Redis tells when the stream changes.
    Tracked(Name, Vec<Wish>, Bytes),
    /// `XINFO GROUPS` of a stream that has so many, and of which the rest is known.
    Groups(Name, u64),
    /// `XINFO CONSUMERS` of a group, which has so many.
    Consumers(Name, Name, u64),
    /// So many of the pending entries with the lowest IDs. Never with `IDLE`, which scans every pending entry.
    Pending(Name, Name, u64),
    /// `SCAN` for streams from a cursor on, over so many keys; Redis matches them where there is one glob.
    Keys(u64, Option<Glob>, u64),
}

/// Bytes of a group in a reply, with a name of usual length.
pub(super) const BYTES_OF_GROUP: Bytes = 160;

/// Bytes of a consumer or of a pending entry in a reply, with a name of usual length.
const BYTES_OF_ITEM: Bytes = 128;

/// The answer to [`Ask::Pending`].
#[derive(Debug)]
pub struct PendingAnswer {
    /// The one with the lowest ID.
    pub oldest: Option<OldestPending>,
    /// Who owns pending entries, each with how many; `None` where there may be more entries than were asked for.
    pub owners: Option<Consumers>,
}

/// The answer to [`Ask::Stream`].
#[derive(Debug)]
pub struct StreamAnswer {
    /// The stream.
    pub stream: decode::StreamInfo,
    /// Its groups.
    pub groups: Vec<decode::GroupInfo>,
    /// The ranges of entries that were asked for.
    pub pages: Vec<(Wish, decode::Page)>,
}

impl Ask {
    /// Adds the question's commands to those to be sent.
    pub fn push(&self, requests: &mut Requests) {
        match self {
            Ask::Stream(key, wishes, _) => transaction(requests, key, wishes),
            Ask::Tracked(key, wishes, _) => {
                requests.add(&commands::CLIENT_CACHING, &["YES".into()]);
                transaction(requests, key, wishes);
            }
            Ask::Groups(key, _) => requests.add(&commands::XINFO_GROUPS, &[key.into()]),
            Ask::Consumers(key, group, _) => {
                requests.add(&commands::XINFO_CONSUMERS, &[key.into(), group.into()]);
            }
            Ask::Pending(key, group, most) => {
                let args = [key.into(), group.into(), "-".into(), "+".into(), (*most).into()];
                requests.add(&commands::XPENDING, &args);
            }
            Ask::Keys(cursor, glob, keys) => {
                let matching = glob.iter().flat_map(|glob| ["MATCH", glob.text()].map(Arg::from));
                let of_streams = [Arg::from("COUNT"), (*keys).into(), "TYPE".into(), "stream".into()];
                let args: Vec<_> = [(*cursor).into()].into_iter().chain(matching).chain(of_streams).collect();
                requests.add(&commands::SCAN, &args);
            }
        }
    }

    /// Its commands alone.
    #[must_use]
    pub fn requests(&self) -> Requests {
        let mut requests = Requests::default();
        self.push(&mut requests);
        requests
    }

    /// The key that it is about, if it is one.
    #[must_use]
    pub fn key(&self) -> Option<&Name> {
        match self {
            Ask::Stream(key, ..) | Ask::Tracked(key, ..) | Ask::Groups(key, _) => Some(key),
            Ask::Consumers(key, ..) | Ask::Pending(key, ..) => Some(key),
            Ask::Keys(..) => None,
        }
    }

    /// The ranges of entries that it asks for.
    #[must_use]
    pub fn wishes(&self) -> &[Wish] {
        match self {
            Ask::Stream(_, wishes, _) | Ask::Tracked(_, wishes, _) => wishes,
            _ => &[],
        }
    }

    /// Most pending entries in the reply.
    fn most(&self) -> u64 {
        match self {
            Ask::Pending(_, _, most) => *most,
            _ => 0,
        }
    }

    /// Bytes that the replies are expected to have, where they can be large.
    #[must_use]
    pub fn expected_bytes(&self) -> Bytes {
        match self {
            Ask::Stream(_, _, bytes) | Ask::Tracked(_, _, bytes) => *bytes,
            Ask::Groups(_, groups) => groups.saturating_mul(BYTES_OF_GROUP),
            Ask::Consumers(_, _, items) | Ask::Pending(_, _, items) => items.saturating_mul(BYTES_OF_ITEM),
            Ask::Keys(..) => 0,
        }
    }

    /// Time that Redis is expected to take, about: what was measured of Redis 7.0 and 8.0 on a common machine, and a
    /// fifth of a nanosecond for each byte of a large reply.
    #[must_use]
    pub fn expected_work(&self) -> Duration {
        let nanos = match self {
            Ask::Groups(_, groups) => 2_000_u64.saturating_add(groups.saturating_mul(1_000)),
            Ask::Stream(_, wishes, _) | Ask::Tracked(_, wishes, _) => {
                let entries = wishes.iter().map(|wish| wish.count).sum::<u64>();
                13_000 + 1_500 * wishes.len() as u64 + entries.saturating_mul(150)
            }
            Ask::Consumers(_, _, items) | Ask::Pending(_, _, items) => {
                2_000_u64.saturating_add(items.saturating_mul(500))
            }
            Ask::Keys(_, _, keys) => keys.saturating_mul(1_500),
        };
        Duration::from_nanos(nanos.saturating_add(self.expected_bytes() / 5))
    }

    /// How many commands, and so replies, the question has.
    #[must_use]
    pub fn replies(&self) -> usize {
        match self {
            Ask::Stream(_, wishes, _) => 4 + wishes.len(),
            Ask::Tracked(_, wishes, _) => 5 + wishes.len(),
            Ask::Groups(..) | Ask::Consumers(..) | Ask::Pending(..) | Ask::Keys(..) => 1,
        }
    }
}

fn transaction(requests: &mut Requests, key: &Name, wishes: &[Wish]) {
    requests.add(&commands::MULTI, &[]);
    requests.add(&commands::XINFO_STREAM, &[key.into()]);
    requests.add(&commands::XINFO_GROUPS, &[key.into()]);
    for wish in wishes {
        // Exclusive ranges came with 6.2: the next ID does the same everywhere.
        let (low, high) = (wish.from.successor().to_string(), wish.to.to_string());
        let (begin, end) = if wish.upwards { (&low, &high) } else { (&high, &low) };
        let args = [key.into(), begin.into(), end.into(), "COUNT".into(), wish.count.into()];
        requests.add(range(wish), &args);
    }
    requests.add(&commands::EXEC, &[]);
}

fn range(wish: &Wish) -> &'static Command {
    if wish.upwards { &commands::XRANGE } else { &commands::XREVRANGE }
}

/// Reads the replies to [`Ask::Tracked`], and whether Redis tells of changes.
///
/// # Errors
/// See [`stream_answer`].
pub fn tracked_answer(
    ask: &Ask,
    replies: &[Reply<'_>],
    names: &mut Names,
) -> (Result<StreamAnswer, Fault>, bool) {
    match replies {
        [caching, rest @ ..] => (stream_answer(ask, rest, names), caching.error().is_none()),
        [] => (Err(no_reply()), false),
    }
}

/// Reads the reply to [`Ask::Groups`].
///
/// # Errors
/// An error reply, or a reply of unexpected shape.
pub fn groups_answer(
    ask: &Ask,
    replies: &[Reply<'_>],
    names: &mut Names,
) -> Result<Vec<decode::GroupInfo>, Fault> {
    answer(first(replies)?, &commands::XINFO_GROUPS, ask.key(), |reply| decode::groups(reply, names))
}

/// Reads the replies to [`Ask::Stream`].
///
/// # Errors
/// The first error among MULTI, the queued commands and EXEC: what EXEC says of an earlier error is only EXECABORT.
pub fn stream_answer(ask: &Ask, replies: &[Reply<'_>], names: &mut Names) -> Result<StreamAnswer, Fault> {
    let (key, wishes) = (ask.key(), ask.wishes());
    let snapshot = [&commands::MULTI, &commands::XINFO_STREAM, &commands::XINFO_GROUPS];
    let commands = snapshot.into_iter().chain(wishes.iter().map(range)).chain([&commands::EXEC]);
    for (reply, command) in replies.iter().zip(commands) {
        if let Some(error) = reply.error() {
            return Err(command.fault(&error, key));
        }
    }
    let results = replies.last().and_then(|reply| reply.items());
    let Some(mut results) = results.filter(|results| results.len() == 2 + wishes.len()) else {
        return Err(Fault::new(
            FaultKind::Unexpected,
            "EXEC: expected an array with a reply to each command",
        ));
    };
    let mut next = || results.next().ok_or_else(no_reply);
    let stream = answer(next()?, &commands::XINFO_STREAM, key, decode::stream)?;
    let groups = answer(next()?, &commands::XINFO_GROUPS, key, |reply| decode::groups(reply, names))?;
    let page = |wish: &Wish| Ok((*wish, answer(next()?, range(wish), key, decode::page)?));
    let pages = wishes.iter().map(page).collect::<Result<_, Fault>>()?;
    Ok(StreamAnswer { stream, groups, pages })
}

/// Reads the reply to [`Ask::Consumers`].
///
/// # Errors
/// An error reply, or a reply of unexpected shape.
pub fn consumers_answer(ask: &Ask, replies: &[Reply<'_>], names: &mut Names) -> Result<Consumers, Fault> {
    answer(first(replies)?, &commands::XINFO_CONSUMERS, ask.key(), |reply| decode::consumers(reply, names))
}

/// Reads the reply to [`Ask::Pending`].
///
/// # Errors
/// An error reply, or a reply of unexpected shape.
pub fn pending_answer(ask: &Ask, replies: &[Reply<'_>], names: &mut Names) -> Result<PendingAnswer, Fault> {
    answer(first(replies)?, &commands::XPENDING, ask.key(), |reply| {
        let oldest = decode::oldest_pending(reply)?;
        if ask.most() == 1 && oldest.is_some() {
            return Ok(PendingAnswer { oldest, owners: None });
        }
        let owners = decode::owners(reply, names)?;
        let is_whole = owners.iter().map(|owner| owner.pending).sum::<u64>() < ask.most();
        Ok(PendingAnswer { oldest, owners: is_whole.then_some(owners) })
    })
}

/// Reads the reply to [`Ask::Keys`]: the cursor of the next page, and the keys of this one that are `wanted`.
///
/// # Errors
/// An error reply, or a reply of unexpected shape.
pub fn keys_answer(replies: &[Reply<'_>], wanted: impl Fn(&[u8]) -> bool) -> Result<(u64, Vec<Name>), Fault> {
    answer(first(replies)?, &commands::SCAN, None, |reply| decode::scan(reply, wanted))
}

fn first<'a>(replies: &[Reply<'a>]) -> Result<Reply<'a>, Fault> {
    replies.first().copied().ok_or_else(no_reply)
}

fn no_reply() -> Fault {
    Fault::new(FaultKind::Unexpected, "no reply")
}

/// What a reply says, where it is neither an error nor of unexpected shape.
pub(super) fn answer<'a, T>(
    reply: Reply<'a>,
    command: &Command,
    key: Option<&Name>,
    decode: impl FnOnce(Reply<'a>) -> Result<T, decode::Unexpected>,
) -> Result<T, Fault> {
    match reply.error() {
        Some(error) => Err(command.fault(&error, key)),
        None => decode(reply)
            .map_err(|unexpected| Fault::new(FaultKind::Unexpected, unexpected.to_string()).during(command)),
    }
}
