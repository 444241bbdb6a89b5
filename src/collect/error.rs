//! From what goes wrong at a connection, and from Redis's error replies, to faults of the model.

use std::{io, time::Duration};

use super::resp::{ErrorReply, Malformed};
use crate::model::fault::{Fault, FaultKind};

/// Error codes of Redis that have a kind of their own; others are [`FaultKind::Server`].
const CODES: &[(&str, FaultKind)] = &[
    ("NOPERM", FaultKind::NoPerm),
    ("WRONGTYPE", FaultKind::WrongType),
    ("NOGROUP", FaultKind::Vanished),
    ("LOADING", FaultKind::Loading),
    ("BUSY", FaultKind::Busy),
    ("MASTERDOWN", FaultKind::MasterDown),
    ("CLUSTERDOWN", FaultKind::ClusterDown),
    ("MOVED", FaultKind::Redirected),
    ("ASK", FaultKind::Redirected),
    ("TRYAGAIN", FaultKind::Redirected),
    ("NOAUTH", FaultKind::Auth),
    ("WRONGPASS", FaultKind::Auth),
];

/// Said of a connection that was closed, in whatever way: the way differs from poll to poll, and tells nothing.
const CLOSED: &str = "the connection was closed before all replies had come";

/// What to mend where a node serves nobody.
pub const MEND_CLUSTER: &str = "redis-cli --cluster check host:port tells what is wrong; with cluster-require-full-coverage no, \
                                slots that have a node are served meanwhile";

/// Said of a login that was refused: what Redis says differs from version to version.
const REFUSED: &str = "wrong password, or no such user (WRONGPASS)";

/// Why nothing more comes over a connection.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It was closed, or cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Whoever answers is no Redis.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// A fault from an error reply of the server.
#[must_use]
pub fn from_reply(error: &ErrorReply) -> Fault {
    let (code, details) = reason(error);
    if code == "ERR" && details.starts_with("no such key") {
        return Fault::new(FaultKind::Vanished, "no such key");
    }
    let kind = CODES.iter().find(|(known, _)| *known == code).map_or(FaultKind::Server, |(_, kind)| *kind);
    let fault = Fault::new(kind, format!("{code} {details}").trim().to_owned());
    match kind {
        FaultKind::ClusterDown => fault.advising(MEND_CLUSTER),
        _ => fault,
    }
}

/// The same where the reply is that to a login.
#[must_use]
pub fn from_login(error: &ErrorReply) -> Fault {
    let fault = from_reply(error);
    match fault.kind {
        FaultKind::Auth | FaultKind::Server => Fault::new(FaultKind::Auth, REFUSED),
        _ => fault,
    }
}

/// The code and the text of an error. An EXEC that is refused by itself says so only in the text of EXECABORT.
pub(super) fn reason(error: &ErrorReply) -> (&str, &str) {
    let (code, details) = error.parts();
    match details.strip_prefix("Transaction discarded because of: ") {
        Some(cause) if code == "EXECABORT" => cause.split_once(' ').unwrap_or((cause, "")),
        _ => (code, details),
    }
}

/// A fault from a connection over which nothing more comes.
#[must_use]
pub fn of_connection(broken: &Broken) -> Fault {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    match broken {
        Broken::Malformed(error) => Fault::new(FaultKind::Unexpected, error.to_string()),
        Broken::Io(error) => match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof => {
                Fault::new(FaultKind::Disconnected, CLOSED)
            }
            _ => Fault::new(FaultKind::Disconnected, error.to_string()),
        },
    }
}

/// A fault from replies that do not come.
#[must_use]
pub fn no_answer(timeout: Duration) -> Fault {
    let timeout = humantime::format_duration(timeout);
    Fault::new(FaultKind::Timeout, format!("no answer within {timeout}"))
}
