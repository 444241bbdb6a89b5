//! What is logged about a server: the changes, not every failure. One line when something breaks, one when it is whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::model::{
    fault::{Fault, FaultKind},
    name::Name,
    snapshot::{Group, Poll},
};

/// What was logged about one server, so that it is not logged again.
#[derive(Debug)]
pub struct Journal {
    redis: Arc<str>,
    /// Why the server cannot be polled; `None` before the first poll.
    down: Option<Result<(), String>>,
    /// Streams that cannot be read, with the kind of the fault.
    failing: BTreeMap<Name, FaultKind>,
    /// Groups whose lag Redis reports wrongly, by stream.
    disagreeing: BTreeSet<(Name, Name)>,
}

impl Journal {
    /// Nothing logged yet.
    #[must_use]
    pub fn new(redis: Arc<str>) -> Self {
        Journal { redis, down: None, failing: BTreeMap::new(), disagreeing: BTreeSet::new() }
    }

    /// How the latest poll ended.
    pub fn ended(&mut self, latest: &Result<(), Fault>, poll: Option<&Poll>) {
        let redis = &*self.redis;
        let latest = latest.as_ref().copied().map_err(|fault| fault.message.clone());
        if self.down.as_ref() != Some(&latest) {
            match &latest {
                Ok(()) => {
                    let (version, streams) = poll.map(|poll| (&*poll.version, poll.streams.len())).unzip();
                    tracing::info!(redis, version, streams, "redis is up");
                }
                Err(reason) => tracing::warn!(redis, reason, "redis cannot be polled"),
            }
        }
        self.down = Some(latest);
    }

    /// A connection was replaced, since its credentials were.
    pub fn renewed(&self) {
        tracing::info!(redis = &*self.redis, "credentials have changed: a new connection is in use");
    }

    /// A connection should have been replaced, and could not be.
    pub fn not_renewed(&self, fault: &Fault) {
        tracing::warn!(
            redis = &*self.redis,
            reason = fault.message,
            "credentials have changed and are of no use: the connection goes on with those before"
        );
    }

    /// What a poll found. Returns the number of groups whose lag Redis reports wrongly.
    pub fn measured(&mut self, poll: &Poll) -> u64 {
        self.faults(poll);
        self.disagreements(poll)
    }

    fn faults(&mut self, poll: &Poll) {
        let redis = &*self.redis;
        let mut failing = BTreeMap::new();
        for entry in &poll.streams {
            let Some(fault) = entry.faults().next() else { continue };
            if self.failing.get(&entry.name) != Some(&fault.kind) {
                tracing::warn!(redis, stream = %entry.name, reason = fault.message, "stream cannot be read");
            }
            failing.insert(entry.name.clone(), fault.kind);
        }
        for stream in self.failing.keys().filter(|stream| !failing.contains_key(*stream)) {
            tracing::info!(redis, %stream, "stream can be read again, or is gone");
        }
        self.failing = failing;
    }

    /// A group is named once, for as long as it exists: a number that is wrong now and then would fill the log.
    fn disagreements(&mut self, poll: &Poll) -> u64 {
        let (mut count, mut named) = (0, BTreeSet::new());
        for entry in &poll.streams {
            for group in entry.groups() {
                let key = (entry.name.clone(), group.name.clone());
                let is_named = self.disagreeing.contains(&key);
                let contradicts = group.lag.contradicts(group.reported_lag);
                count += u64::from(contradicts);
                if contradicts && !is_named {
                    let (redis, stream, name) = (&*self.redis, &entry.name, &group.name);
                    let reason = contradiction(group);
                    tracing::info!(redis, %stream, group = %name, reason, "redis reports a wrong lag");
                }
                if contradicts || is_named {
                    named.insert(key);
                }
            }
        }
        self.disagreeing = named;
        count
    }
}

fn contradiction(group: &Group) -> String {
    let reported = group.reported_lag.unwrap_or_default();
    let truth = match group.lag.bounds() {
        Some((lower, upper)) if lower == upper => lower.to_string(),
        Some((lower, upper)) => format!("{lower} to {upper}"),
        None => "unknown".to_owned(),
    };
    let cause = if reported < 0 {
        "its counters were set by hand"
    } else {
        "entries were trimmed or deleted before they were delivered, or its counters were set by hand"
    };
    format!("XINFO GROUPS says {reported}, the truth is {truth}: {cause}")
}
