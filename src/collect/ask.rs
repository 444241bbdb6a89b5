//! The questions that are put to Redis about one key. Each question knows its key, so that a cluster can route it.

use redis::{Pipeline, Value};

use super::{decode, error};
use crate::model::{
    fault::{Fault, FaultKind},
    lag::pages::Wish,
    name::Name,
    snapshot::{Consumer, OldestPending},
};

/// Bytes that a reply is expected to have, by earlier ones; 0 where nothing is known.
pub type Bytes = u64;

/// One question about one key.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// `XINFO STREAM` and `XINFO GROUPS` as one atomic snapshot. Read apart, 2 to 6 % of snapshots under load
    /// contradict themselves, and a group ahead of its stream is a false zero.
    Stream(&'a Name, Bytes),
    /// The same once more, with the IDs of ranges of entries from the same moment.
    Count(&'a Name, &'a [Wish], Bytes),
    /// `XINFO CONSUMERS` of a group.
    Consumers(&'a Name, &'a Name),
    /// The pending entry with the lowest ID. Never with `IDLE`, which scans every pending entry.
    OldestPending(&'a Name, &'a Name),
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
            Ask::Consumers(key, group) => {
                pipeline.cmd("XINFO").arg("CONSUMERS").arg(key.as_bytes()).arg(group.as_bytes());
            }
            Ask::OldestPending(key, group) => {
                pipeline.cmd("XPENDING").arg(key.as_bytes()).arg(group.as_bytes()).arg("-").arg("+").arg(1);
            }
        }
    }

    /// Bytes that the replies are expected to have, where they can be large.
    #[must_use]
    pub fn expected_bytes(&self) -> Bytes {
        match self {
            Ask::Stream(_, bytes) | Ask::Count(_, _, bytes) => *bytes,
            Ask::Consumers(..) | Ask::OldestPending(..) => 0,
        }
    }

    /// How many commands, and so replies, the question has.
    #[must_use]
    pub fn replies(&self) -> usize {
        match self {
            Ask::Stream(..) => 4,
            Ask::Count(_, wishes, _) => 4 + wishes.len(),
            Ask::Consumers(..) | Ask::OldestPending(..) => 1,
        }
    }
}

fn transaction(pipeline: &mut Pipeline, key: &Name, wishes: &[Wish]) {
    pipeline.cmd("MULTI");
    pipeline.cmd("XINFO").arg("STREAM").arg(key.as_bytes());
    pipeline.cmd("XINFO").arg("GROUPS").arg(key.as_bytes());
    for wish in wishes {
        // Exclusive ranges came with 6.2: the next ID does the same everywhere.
        let (low, high) = (wish.from.successor().to_string(), wish.to.to_string());
        let (command, begin, end) =
            if wish.upwards { ("XRANGE", low, high) } else { ("XREVRANGE", high, low) };
        pipeline.cmd(command).arg(key.as_bytes()).arg(begin).arg(end).arg("COUNT").arg(wish.count);
    }
    pipeline.cmd("EXEC");
}

/// Reads the replies to [`Ask::Stream`].
///
/// # Errors
/// See [`count_answer`].
pub fn stream_answer(replies: &[Value]) -> Result<StreamAnswer, Fault> {
    count_answer(replies, 0).map(|(answer, _)| answer)
}

/// Reads the replies to [`Ask::Count`] with so many wishes: the snapshot, and a page for each wish.
///
/// # Errors
/// The first error among MULTI, the queued commands and EXEC: what EXEC says of an earlier error is only EXECABORT.
pub fn count_answer(replies: &[Value], wishes: usize) -> Result<(StreamAnswer, Vec<decode::Page>), Fault> {
    let ranges = std::iter::repeat_n("XRANGE", wishes);
    let commands = ["MULTI", "XINFO STREAM", "XINFO GROUPS"].into_iter().chain(ranges).chain(["EXEC"]);
    for (reply, command) in replies.iter().zip(commands) {
        if let Value::ServerError(reply) = reply {
            return Err(error::from_reply(reply).during(command));
        }
    }
    match replies.last() {
        Some(Value::Array(results)) if results.len() == 2 + wishes => {
            let snapshot = StreamAnswer {
                stream: answer(&results[0], "XINFO STREAM", decode::stream)?,
                groups: answer(&results[1], "XINFO GROUPS", decode::groups)?,
            };
            let ranges = results[2..].iter().map(|range| answer(range, "XRANGE", decode::page));
            Ok((snapshot, ranges.collect::<Result<_, _>>()?))
        }
        _ => Err(Fault::new(FaultKind::Unexpected, "EXEC: expected an array with a reply to each command")),
    }
}

/// Reads the reply to [`Ask::Consumers`].
///
/// # Errors
/// An error reply, or a reply of unexpected shape.
pub fn consumers_answer(replies: &[Value]) -> Result<Vec<Consumer>, Fault> {
    answer(first(replies)?, "XINFO CONSUMERS", decode::consumers)
}

/// Reads the reply to [`Ask::OldestPending`].
///
/// # Errors
/// An error reply, or a reply of unexpected shape.
pub fn oldest_pending_answer(replies: &[Value]) -> Result<Option<OldestPending>, Fault> {
    answer(first(replies)?, "XPENDING", decode::oldest_pending)
}

fn first(replies: &[Value]) -> Result<&Value, Fault> {
    replies.first().ok_or_else(|| Fault::new(FaultKind::Unexpected, "no reply"))
}

/// What a reply says, where it is neither an error nor of unexpected shape.
pub(super) fn answer<T>(
    reply: &Value,
    command: &str,
    decode: impl Fn(&Value) -> Result<T, decode::Unexpected>,
) -> Result<T, Fault> {
    match reply {
        Value::ServerError(reply) => Err(error::from_reply(reply)),
        reply => {
            decode(reply).map_err(|unexpected| Fault::new(FaultKind::Unexpected, unexpected.to_string()))
        }
    }
    .map_err(|fault| fault.during(command))
}
