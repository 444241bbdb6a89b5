//! The questions that are put to Redis about one key. Each question knows its key, so that a cluster can route it.

use redis::{Pipeline, Value};

use super::{
    commands::{self, Command},
    decode,
};
use crate::model::{
    fault::{Fault, FaultKind},
    lag::pages::Wish,
    name::Name,
    snapshot::{Consumer, OldestPending},
};

/// Bytes that a reply is expected to have, by earlier ones; 0 where nothing is known.
pub type Bytes = u64;

/// Most commands in one pipeline: one of thousands would run into the response timeout.
const COMMANDS_PER_PIPELINE: usize = 400;

/// Most bytes that the replies to one pipeline should have, by what earlier replies had: they stand in Redis's output
/// buffer and in our memory at once.
const BYTES_PER_PIPELINE: u64 = 4 * 1024 * 1024;

/// One question about one key.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// `XINFO STREAM` and `XINFO GROUPS` as one atomic snapshot. Read apart, 2 to 6 % of snapshots under load
    /// contradict themselves, and a group ahead of its stream is a false zero.
    Stream(&'a Name, Bytes),
    /// The same once more, with the IDs of ranges of entries from the same moment.
    Count(&'a Name, &'a [Wish], Bytes),
    /// `XINFO CONSUMERS` of a group, which has so many.
    Consumers(&'a Name, &'a Name, u64),
    /// So many of the pending entries with the lowest IDs. Never with `IDLE`, which scans every pending entry.
    Pending(&'a Name, &'a Name, u64),
}

/// Bytes of a consumer or of a pending entry in a reply, with a name of usual length.
const BYTES_OF_ITEM: Bytes = 128;

/// The answer to [`Ask::Pending`].
#[derive(Debug)]
pub struct PendingAnswer {
    /// The one with the lowest ID.
    pub oldest: Option<OldestPending>,
    /// Who owns pending entries, each with how many; `None` where there may be more entries than were asked for.
    pub owners: Option<Vec<Consumer>>,
}

/// The answer to [`Ask::Stream`].
#[derive(Debug)]
pub struct StreamAnswer {
    /// The stream.
    pub stream: decode::StreamInfo,
    /// Its groups.
    pub groups: Vec<decode::GroupInfo>,
}

impl Ask<'_> {
    /// Adds the question's commands to a pipeline.
    pub fn push(&self, pipeline: &mut Pipeline) {
        match self {
            Ask::Stream(key, _) => transaction(pipeline, key, &[]),
            Ask::Count(key, wishes, _) => transaction(pipeline, key, wishes),
            Ask::Consumers(key, group, _) => {
                commands::XINFO_CONSUMERS.push(pipeline).arg(key.as_bytes()).arg(group.as_bytes());
            }
            Ask::Pending(key, group, most) => {
                let command = commands::XPENDING.push(pipeline);
                command.arg(key.as_bytes()).arg(group.as_bytes()).arg("-").arg("+").arg(most);
            }
        }
    }

    /// The key that it is about.
    #[must_use]
    pub fn key(&self) -> &Name {
        match self {
            Ask::Stream(key, _) | Ask::Count(key, ..) | Ask::Consumers(key, ..) | Ask::Pending(key, ..) => {
                key
            }
        }
    }

    /// What it wishes to count.
    fn wishes(&self) -> &[Wish] {
        match self {
            Ask::Count(_, wishes, _) => wishes,
            Ask::Stream(..) | Ask::Consumers(..) | Ask::Pending(..) => &[],
        }
    }

    /// Most pending entries in the reply.
    fn most(&self) -> u64 {
        match self {
            Ask::Pending(_, _, most) => *most,
            Ask::Stream(..) | Ask::Count(..) | Ask::Consumers(..) => 0,
        }
    }

    /// Bytes that the replies are expected to have, where they can be large.
    #[must_use]
    pub fn expected_bytes(&self) -> Bytes {
        match self {
            Ask::Stream(_, bytes) | Ask::Count(_, _, bytes) => *bytes,
            Ask::Consumers(_, _, items) | Ask::Pending(_, _, items) => items.saturating_mul(BYTES_OF_ITEM),
        }
    }

    /// How many commands, and so replies, the question has.
    #[must_use]
    pub fn replies(&self) -> usize {
        match self {
            Ask::Stream(..) => 4,
            Ask::Count(_, wishes, _) => 4 + wishes.len(),
            Ask::Consumers(..) | Ask::Pending(..) => 1,
        }
    }
}

/// How many of the questions, of which there is one at least, go into one pipeline.
pub(super) fn fitting(asks: &[Ask<'_>]) -> usize {
    let (mut commands, mut bytes) = (0, 0_u64);
    let fits = |ask: &&Ask<'_>| {
        commands += ask.replies();
        bytes = bytes.saturating_add(ask.expected_bytes());
        commands <= COMMANDS_PER_PIPELINE && bytes <= BYTES_PER_PIPELINE
    };
    // A question that is larger than a pipeline gets one of its own.
    asks.iter().take_while(fits).count().max(1)
}

fn transaction(pipeline: &mut Pipeline, key: &Name, wishes: &[Wish]) {
    commands::MULTI.push(pipeline);
    commands::XINFO_STREAM.push(pipeline).arg(key.as_bytes());
    commands::XINFO_GROUPS.push(pipeline).arg(key.as_bytes());
    for wish in wishes {
        // Exclusive ranges came with 6.2: the next ID does the same everywhere.
        let (low, high) = (wish.from.successor().to_string(), wish.to.to_string());
        let (begin, end) = if wish.upwards { (low, high) } else { (high, low) };
        let command = range(wish).push(pipeline);
        command.arg(key.as_bytes()).arg(begin).arg(end).arg("COUNT").arg(wish.count);
    }
    commands::EXEC.push(pipeline);
}

fn range(wish: &Wish) -> &'static Command {
    if wish.upwards { &commands::XRANGE } else { &commands::XREVRANGE }
}

/// Reads the replies to [`Ask::Stream`].
///
/// # Errors
/// See [`count_answer`].
pub fn stream_answer(ask: &Ask<'_>, replies: &[Value]) -> Result<StreamAnswer, Fault> {
    count_answer(ask, replies).map(|(answer, _)| answer)
}

/// Reads the replies to [`Ask::Count`]: the snapshot, and a page for each wish.
///
/// # Errors
/// The first error among MULTI, the queued commands and EXEC: what EXEC says of an earlier error is only EXECABORT.
pub fn count_answer(ask: &Ask<'_>, replies: &[Value]) -> Result<(StreamAnswer, Vec<decode::Page>), Fault> {
    let (key, wishes) = (ask.key(), ask.wishes());
    let snapshot = [&commands::MULTI, &commands::XINFO_STREAM, &commands::XINFO_GROUPS];
    let commands = snapshot.into_iter().chain(wishes.iter().map(range)).chain([&commands::EXEC]);
    for (reply, command) in replies.iter().zip(commands) {
        if let Value::ServerError(reply) = reply {
            return Err(command.fault(reply, Some(key)));
        }
    }
    match replies.last() {
        Some(Value::Array(results)) if results.len() == 2 + wishes.len() => {
            let snapshot = StreamAnswer {
                stream: answer(&results[0], &commands::XINFO_STREAM, Some(key), decode::stream)?,
                groups: answer(&results[1], &commands::XINFO_GROUPS, Some(key), decode::groups)?,
            };
            let pages = wishes.iter().zip(&results[2..]);
            let pages = pages.map(|(wish, page)| answer(page, range(wish), Some(key), decode::page));
            Ok((snapshot, pages.collect::<Result<_, _>>()?))
        }
        _ => Err(Fault::new(FaultKind::Unexpected, "EXEC: expected an array with a reply to each command")),
    }
}

/// Reads the reply to [`Ask::Consumers`].
///
/// # Errors
/// An error reply, or a reply of unexpected shape.
pub fn consumers_answer(ask: &Ask<'_>, replies: &[Value]) -> Result<Vec<Consumer>, Fault> {
    answer(first(replies)?, &commands::XINFO_CONSUMERS, Some(ask.key()), decode::consumers)
}

/// Reads the reply to [`Ask::Pending`].
///
/// # Errors
/// An error reply, or a reply of unexpected shape.
pub fn pending_answer(ask: &Ask<'_>, replies: &[Value]) -> Result<PendingAnswer, Fault> {
    answer(first(replies)?, &commands::XPENDING, Some(ask.key()), |reply| {
        let owners = decode::owners(reply)?;
        let is_whole = owners.iter().map(|owner| owner.pending).sum::<u64>() < ask.most();
        Ok(PendingAnswer { oldest: decode::oldest_pending(reply)?, owners: is_whole.then_some(owners) })
    })
}

fn first(replies: &[Value]) -> Result<&Value, Fault> {
    replies.first().ok_or_else(|| Fault::new(FaultKind::Unexpected, "no reply"))
}

/// What a reply says, where it is neither an error nor of unexpected shape.
pub(super) fn answer<T>(
    reply: &Value,
    command: &Command,
    key: Option<&Name>,
    decode: impl Fn(&Value) -> Result<T, decode::Unexpected>,
) -> Result<T, Fault> {
    match reply {
        Value::ServerError(reply) => Err(command.fault(reply, key)),
        reply => decode(reply)
            .map_err(|unexpected| Fault::new(FaultKind::Unexpected, unexpected.to_string()).during(command)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_bounded_by_its_commands_and_its_replies() {
        let (key, group) = ("orders".into(), "workers".into());
        for (ask, expected) in [
            (Ask::Stream(&key, 0), 100),
            (Ask::Stream(&key, 1 << 20), 4),
            (Ask::Stream(&key, u64::MAX), 1),
            (Ask::Pending(&key, &group, 1), 400),
            (Ask::Consumers(&key, &group, 10), 400),
            // Some 130 KB each, and half a millisecond of Redis's time.
            (Ask::Consumers(&key, &group, 1000), 32),
            (Ask::Pending(&key, &group, 1000), 32),
            (Ask::Consumers(&key, &group, 100_000), 1),
        ] {
            assert_eq!(fitting(&[ask; 500]), expected, "{ask:?}");
        }
    }
}
