//! The questions that are put to Redis about one key. Each question knows its key, so that a cluster can route it.

use redis::{Pipeline, Value};

use super::{decode, error};
use crate::model::{
    fault::{Fault, FaultKind},
    name::Name,
    snapshot::{Consumer, OldestPending},
};

/// One question about one key.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// `XINFO STREAM` and `XINFO GROUPS` as one atomic snapshot. Read apart, 2 to 6 % of snapshots under load
    /// contradict themselves, and a group ahead of its stream is a false zero.
    Stream(&'a Name),
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
            Ask::Stream(key) => {
                pipeline.cmd("MULTI");
                pipeline.cmd("XINFO").arg("STREAM").arg(key.as_bytes());
                pipeline.cmd("XINFO").arg("GROUPS").arg(key.as_bytes());
                pipeline.cmd("EXEC");
            }
            Ask::Consumers(key, group) => {
                pipeline.cmd("XINFO").arg("CONSUMERS").arg(key.as_bytes()).arg(group.as_bytes());
            }
            Ask::OldestPending(key, group) => {
                pipeline.cmd("XPENDING").arg(key.as_bytes()).arg(group.as_bytes()).arg("-").arg("+").arg(1);
            }
        }
    }

    /// How many commands, and so replies, the question has.
    #[must_use]
    pub fn replies(&self) -> usize {
        match self {
            Ask::Stream(_) => 4,
            Ask::Consumers(..) | Ask::OldestPending(..) => 1,
        }
    }
}

/// Reads the replies to [`Ask::Stream`].
///
/// # Errors
/// The first error among MULTI, the two queued commands and EXEC: what EXEC says of an earlier error is only EXECABORT.
pub fn stream_answer(replies: Vec<Value>) -> Result<StreamAnswer, Fault> {
    for (reply, command) in replies.iter().zip(["MULTI", "XINFO STREAM", "XINFO GROUPS", "EXEC"]) {
        if let Value::ServerError(reply) = reply {
            return Err(error::from_reply(reply).during(command));
        }
    }
    match replies.last() {
        Some(Value::Array(results)) if results.len() == 2 => Ok(StreamAnswer {
            stream: answer(&results[0], "XINFO STREAM", decode::stream)?,
            groups: answer(&results[1], "XINFO GROUPS", decode::groups)?,
        }),
        _ => Err(Fault::new(FaultKind::Unexpected, "EXEC: expected an array of two replies")),
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

fn answer<T>(
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
