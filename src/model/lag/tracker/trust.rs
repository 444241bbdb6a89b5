//! What a tracker may rely on at a server.

/// How far a server's counters can be trusted; it follows from its version and role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Whether anything may be remembered: only where a restart or a change of role would be seen.
    pub memory: bool,
    /// When a group's entries-read may be trusted once it has agreed.
    pub counter: CounterTrust,
    /// Whether deletions may hide from max-deleted-entry-id (8.2 and later: trims of acknowledged entries; not measured).
    pub hidden_deletions: bool,
}

impl Trust {
    /// Of a server that nothing is known of.
    pub const NONE: Trust = Trust { memory: false, counter: CounterTrust::Never, hidden_deletions: true };
}

/// When a group's entries-read may be trusted after it agreed with an exact lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterTrust {
    /// Never: on replicas the counter is lost or wrong after a full synchronisation.
    Never,
    /// As long as nothing was deleted above the point at which it agreed.
    NothingDeleted,
    /// Always: the server sets it to nil by itself when it cannot count.
    Always,
}
