//! Why something could not be measured. A fault is data: it stands in the snapshot where the number would stand.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use super::name::Name;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $label:literal, $wide:literal;)+) => {
        /// The kind of a fault: the `kind` label of `streamgauge_poll_errors_total`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FaultKind { $($(#[$doc])* $variant,)+ }

        impl FaultKind {
            /// Every kind, in the order of the counters.
            pub const ALL: &'static [FaultKind] = &[$(FaultKind::$variant),+];

            /// The label's value.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(FaultKind::$variant => $label,)+ }
            }

            /// Whether the fault concerns the whole server: then the poll has failed, not one stream.
            #[must_use]
            pub fn is_server_wide(self) -> bool {
                match self { $(FaultKind::$variant => $wide,)+ }
            }
        }
    };
}

kinds! {
    /// No connection: name not resolved, refused, or the handshake failed.
    Connect = "connect", true;
    /// NOAUTH, WRONGPASS, or a file of a username or password that cannot be read.
    Auth = "auth", true;
    /// No reply within the timeout.
    Timeout = "timeout", true;
    /// The connection broke while a reply was awaited.
    Disconnected = "disconnected", true;
    /// LOADING: Redis is reading its data set from disk.
    Loading = "loading", true;
    /// BUSY: a script or function runs for too long.
    Busy = "busy", true;
    /// MASTERDOWN: a replica that has lost its primary and may not answer.
    MasterDown = "masterdown", true;
    /// What should be a primary is a replica, or the reverse.
    WrongRole = "wrong_role", true;
    /// CLUSTERDOWN, or slots of a cluster that no node has, or more than one.
    ClusterDown = "clusterdown", false;
    /// MOVED, ASK or TRYAGAIN: another node of the cluster has the stream, and it could not be followed there.
    Redirected = "redirected", false;
    /// NOPERM: the ACL of the user lacks a command or a key.
    NoPerm = "noperm", false;
    /// WRONGTYPE: the key is not a stream.
    WrongType = "wrongtype", false;
    /// The stream or the group was deleted between two commands of one poll.
    Vanished = "vanished", false;
    /// A limit of the configuration leaves something out.
    TooMany = "too_many", false;
    /// The keys are still being searched: there is more than one poll may ask for.
    Unfinished = "unfinished", false;
    /// A reply of a shape that no known server sends.
    Unexpected = "unexpected_reply", false;
    /// Any other error reply.
    Server = "server_error", false;
}

impl FaultKind {
    /// Whether something went wrong. What a limit leaves out, or was not reached yet, is missing all the same: nobody may
    /// add up without it.
    #[must_use]
    pub fn is_failure(self) -> bool {
        !matches!(self, FaultKind::TooMany | FaultKind::Unfinished)
    }
}

/// One fault. It is kept in the place of many a number, mostly to say that there is none: so it takes little room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Box<Details>);

/// Its kind, and what a person needs to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The kind, for counters and decisions.
    pub kind: FaultKind,
    /// What happened, in words: the command and the server's own message; and how to mend it, where that is known.
    pub message: String,
    /// The part of the message that says how to mend it: its end.
    advice: Option<String>,
}

impl Fault {
    /// A fault of a kind, with its message.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        // Redis quotes names in some of its errors: they are shown as names are.
        let message = Name::from(message.into().as_str()).to_string();
        Fault(Box::new(Details { kind, message, advice: None }))
    }

    /// The same fault with what was being done in front.
    #[must_use]
    pub fn during(mut self, action: impl fmt::Display) -> Self {
        self.message = format!("{action}: {}", self.message);
        self
    }

    /// The same fault with how to mend it behind.
    #[must_use]
    pub fn advising(mut self, advice: impl Into<String>) -> Self {
        let advice = advice.into();
        self.message = format!("{}: {advice}", self.message);
        self.advice = Some(advice);
        self
    }

    /// The same fault without how to mend it, where somebody knows better.
    #[must_use]
    pub fn without_advice(mut self) -> Self {
        self.message = self.parts().0.to_owned();
        self.advice = None;
        self
    }

    /// What happened, and how to mend it, apart.
    #[must_use]
    pub fn parts(&self) -> (&str, Option<&str>) {
        let advice = self.advice.as_deref();
        let reason = advice.and_then(|advice| self.message.strip_suffix(advice)?.strip_suffix(": "));
        (reason.unwrap_or(&self.message), advice)
    }
}

impl Deref for Fault {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Fault {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_and_its_mend_can_be_told_apart() {
        let fault =
            Fault::new(FaultKind::Auth, "WRONGPASS no").advising("check the password").during("connecting");
        assert_eq!(fault.message, "connecting: WRONGPASS no: check the password");
        assert_eq!(fault.parts(), ("connecting: WRONGPASS no", Some("check the password")));
        assert_eq!(Fault::new(FaultKind::Timeout, "no answer").parts(), ("no answer", None));
    }
}
