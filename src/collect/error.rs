//! From the redis crate's errors to faults of the model.

use redis::{ErrorKind, RedisError, ServerError};

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

/// Said of a login that was refused, where the crate does not pass on Redis's words.
const REFUSED: &str = "wrong password, or no such user (WRONGPASS)";

/// A fault from an error reply of the server.
#[must_use]
pub fn from_reply(error: &ServerError) -> Fault {
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

/// The code and the text of an error. An EXEC that is refused by itself says so only in the text of EXECABORT.
pub(super) fn reason(error: &ServerError) -> (&str, &str) {
    let (code, details) = (error.code(), error.details().unwrap_or_default());
    match details.strip_prefix("Transaction discarded because of: ") {
        Some(cause) if code == "EXECABORT" => cause.split_once(' ').unwrap_or((cause, "")),
        _ => (code, details),
    }
}

/// A fault from a request that got no reply.
#[must_use]
pub fn from_transport(error: &RedisError) -> Fault {
    let kind = match error.code() {
        Some(code) => {
            CODES.iter().find(|(known, _)| *known == code).map_or(FaultKind::Server, |(_, kind)| *kind)
        }
        None if error.is_timeout() => FaultKind::Timeout,
        None if error.kind() == ErrorKind::AuthenticationFailed => FaultKind::Auth,
        None if matches!(error.kind(), ErrorKind::Parse | ErrorKind::UnexpectedReturnType) => {
            FaultKind::Unexpected
        }
        None => FaultKind::Disconnected,
    };
    let is_closed = kind == FaultKind::Disconnected && error.is_connection_dropped();
    let message = match kind {
        FaultKind::Auth if error.code().is_none() => REFUSED.to_owned(),
        _ if is_closed => CLOSED.to_owned(),
        _ => error.to_string(),
    };
    Fault::new(kind, message)
}
