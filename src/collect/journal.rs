//! What is logged about a server: the changes, not every failure. One line when something breaks, one when it is whole.

use std::{collections::BTreeMap, sync::Arc};

use super::{connect::Peer, tally::Tally, told::Told, trust::Role};
use crate::{
    config::HostPort,
    model::{
        fault::{Fault, FaultKind},
        health::State,
        limits::Limit,
        name::Name,
        snapshot::{Group, Poll, StreamEntry},
    },
};

/// What was logged about one server, so that it is not logged again.
#[derive(Debug)]
pub struct Journal {
    redis: Arc<str>,
    /// Whether its streams belong to other shards: these log how groups are, and this server's own journal how it is.
    is_of_guests: bool,
    /// `None` before the first poll.
    state: Option<Way>,
    /// Streams that cannot be read, with the kind of the fault.
    failing: BTreeMap<Name, FaultKind>,
    /// Whether oldest undelivered entries may not be read.
    lacks_ages: bool,
    /// Groups whose lag Redis reports wrongly.
    disagreeing: Told<()>,
    /// Groups that somebody should look at.
    ailing: Told<State>,
    /// Whether no Sentinel can be asked.
    is_unguided: bool,
    /// Which limits leave something out, in the order of [`Limit::ALL`].
    limited: [bool; Limit::ALL.len()],
}

/// How a server was at a poll, with the reason.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Up,
    Searching,
    Partial(String),
    Down(String),
}

impl Journal {
    /// Nothing logged yet.
    #[must_use]
    pub fn new(redis: Arc<str>) -> Self {
        let (failing, disagreeing, ailing, limited) = Default::default();
        let (is_of_guests, is_unguided, lacks_ages) = (false, false, false);
        Journal {
            redis,
            is_of_guests,
            state: None,
            failing,
            lacks_ages,
            disagreeing,
            ailing,
            limited,
            is_unguided,
        }
    }

    /// The same for streams of other shards.
    #[must_use]
    pub fn of_guests(redis: Arc<str>) -> Self {
        Journal { is_of_guests: true, ..Journal::new(redis) }
    }

    /// How the latest poll ended.
    pub fn ended(&mut self, latest: &Result<(), Fault>, poll: Option<&Poll>) {
        let redis = &*self.redis;
        let mut incomplete = poll.iter().flat_map(|poll| &poll.incomplete).map(|part| &part.fault);
        let failed = incomplete.clone().find(|fault| fault.kind.is_failure());
        let now = match (latest, failed) {
            (Err(fault), _) => Way::Down(fault.message.clone()),
            (Ok(()), Some(fault)) => Way::Partial(fault.message.clone()),
            (Ok(()), None) if incomplete.any(|fault| fault.kind == FaultKind::Unfinished) => Way::Searching,
            (Ok(()), None) => Way::Up,
        };
        if self.state.as_ref() != Some(&now) {
            let readable = |poll: &Poll| poll.streams.iter().filter(|entry| entry.state.is_ok()).count();
            let (version, streams) = poll.map(|poll| (&*poll.version, readable(poll))).unzip();
            let unreadable = poll.zip(streams).map(|(poll, readable)| poll.streams.len() - readable);
            match &now {
                Way::Up => tracing::info!(redis, version, streams, "redis is up"),
                Way::Searching => {
                    tracing::info!(redis, version, streams, "redis is up; its keys are still being searched");
                }
                Way::Partial(reason) => {
                    tracing::warn!(redis, streams, unreadable, reason, "redis can be polled in part only");
                }
                Way::Down(reason) => tracing::warn!(redis, reason, "redis cannot be polled"),
            }
        }
        self.state = Some(now);
    }

    /// A connection was replaced, since its credentials were.
    pub fn renewed(&self, peer: &Peer) {
        tracing::info!(
            redis = &*self.redis,
            address = %peer.address,
            "credentials have changed: a new connection is in use"
        );
    }

    /// A connection should have been replaced, and could not be.
    pub fn not_renewed(&self, peer: &Peer, fault: &Fault) {
        tracing::warn!(
            redis = &*self.redis,
            address = %peer.address,
            reason = fault.message,
            "credentials have changed and are of no use: the connection goes on with those before"
        );
    }

    /// Whether the Sentinels can be asked, or why not.
    pub fn sentinels(&mut self, outage: Option<&Fault>) {
        let redis = &*self.redis;
        match outage.filter(|_| !self.is_of_guests) {
            Some(fault) if !self.is_unguided => tracing::warn!(
                redis,
                reason = fault.message,
                "no sentinel can be asked: redis is polled where it was"
            ),
            None if self.is_unguided => tracing::info!(redis, "the sentinels can be asked again"),
            _ => {}
        }
        self.is_unguided = outage.is_some() && !self.is_of_guests;
    }

    /// The Sentinels name this process.
    pub fn process(&self, before: Option<&HostPort>, now: &HostPort, role: Role) {
        if before != Some(now) && !self.is_of_guests {
            tracing::info!(redis = &*self.redis, address = %now, role = %role, "the sentinels say where redis is");
        }
    }

    /// What a poll found. It is gone over for what there is to tell, or was told before; mostly that is nothing. Returns the
    /// number of groups whose lag Redis reports wrongly: of guests, others count them.
    pub fn measured(&mut self, poll: &Poll, tally: &Tally) -> u64 {
        if tally.has_faults || !self.failing.is_empty() {
            self.faults(poll);
        }
        if self.is_of_guests {
            return 0;
        }
        if tally.lacks_ages || self.lacks_ages {
            self.ages(poll);
        }
        if tally.is_cut || self.limited.contains(&true) {
            self.limits(poll, tally);
        }
        if tally.has_ailing || !self.ailing.is_empty() {
            self.states(poll);
        }
        if tally.disagreements > 0 || !self.disagreeing.is_empty() {
            self.disagreements(poll);
        }
        tally.disagreements
    }

    /// Each limit is told once, with the first place where it leaves something out.
    fn limits(&mut self, poll: &Poll, tally: &Tally) {
        let redis = &*self.redis;
        for (limit, was_limited) in Limit::ALL.iter().zip(&mut self.limited) {
            let first = poll.cuts().find(|cut| cut.limit == *limit);
            let (limit, left_out) = (limit.label(), tally.left_out[*limit as usize]);
            match first {
                Some(first) if !*was_limited => {
                    let mut streams = poll.streams.iter();
                    let stream = streams.find(|entry| entry.cuts().any(|cut| std::ptr::eq(cut, first)));
                    let stream = stream.map(|entry| tracing::field::display(&entry.name));
                    let reason = &first.fault.message;
                    tracing::warn!(redis, limit, left_out, stream, reason, "a limit leaves something out");
                }
                None if *was_limited => tracing::info!(redis, limit, "the limit leaves nothing out any more"),
                _ => {}
            }
            *was_limited = first.is_some();
        }
    }

    fn faults(&mut self, poll: &Poll) {
        let redis = &*self.redis;
        let mut failing = BTreeMap::new();
        for entry in &poll.streams {
            // What concerns a whole process is told once, not for each of its streams.
            let is_wide = |kind: FaultKind| kind.is_server_wide() || kind == FaultKind::ClusterDown;
            let mut faults = entry.faults().filter(|fault| !is_wide(fault.kind));
            let Some(fault) = faults.next() else { continue };
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

    /// It is told once, with the first stream, and only where nothing else is told of the stream.
    fn ages(&mut self, poll: &Poll) {
        let redis = &*self.redis;
        let mut lacking = poll.streams.iter().filter(|entry| !self.failing.contains_key(&entry.name));
        let first = lacking.find_map(|entry| Some((&entry.name, entry.unread_ages().next()?)));
        match first {
            Some((stream, fault)) if !self.lacks_ages => {
                let reason = &fault.message;
                tracing::warn!(redis, %stream, reason, "the oldest undelivered entry cannot be read");
            }
            None if self.lacks_ages => tracing::info!(redis, "oldest undelivered entries can be read again"),
            _ => {}
        }
        self.lacks_ages = first.is_some();
    }

    /// One line when a group gets into a bad state, or from one into another, and one when it is known to be out of it.
    fn states(&mut self, poll: &Poll) {
        let redis = &*self.redis;
        // What could not be read is no better for that.
        let failing = &self.failing;
        let keeps = |entry: &StreamEntry| failing.contains_key(&entry.name);
        let tell = |entry: &StreamEntry, group: &Group, before: Option<State>| {
            let state = group.health.state;
            let after = ailment(before, state);
            let (db, stream, name) = (entry.db, &entry.name, &group.name);
            let (label, reason) = (state.label(), || group.health.reason.to_string());
            if after.is_some() && after != before {
                tracing::warn!(redis, db, %stream, group = %name, state = label, reason = reason(), "group needs attention");
            } else if after.is_none() && before.is_some() {
                tracing::info!(redis, db, %stream, group = %name, state = label, reason = reason(), "group is better");
            }
            after
        };
        self.ailing.revise(poll, tell, keeps);
    }

    /// A group is named once, for as long as it exists: a number that is wrong now and then would fill the log.
    fn disagreements(&mut self, poll: &Poll) {
        let redis = &*self.redis;
        let tell = |entry: &StreamEntry, group: &Group, named: Option<()>| {
            let contradicts = group.lag.contradicts(group.reported_lag);
            if contradicts && named.is_none() {
                let (stream, name, reason) = (&entry.name, &group.name, contradiction(group));
                tracing::info!(redis, %stream, group = %name, reason, "redis reports a wrong lag");
            }
            named.or_else(|| contradicts.then_some(()))
        };
        self.disagreeing.revise(poll, tell, |_| false);
    }
}

/// The bad state that somebody was told of last, if the group may still be in it: not to know is not to be better.
fn ailment(told: Option<State>, now: State) -> Option<State> {
    match now {
        State::Unknown => told,
        now => now.is_bad().then_some(now),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_to_know_is_not_to_be_better() {
        let (stalled, stuck) = (Some(State::Stalled), Some(State::Stuck));
        for (told, now, after) in [
            (None, State::Ok, None),
            (None, State::Unknown, None),
            (None, State::Stalled, stalled),
            (stalled, State::Unknown, stalled),
            (stalled, State::Stuck, stuck),
            (stalled, State::Idle, None),
            (stalled, State::CatchingUp, None),
        ] {
            assert_eq!(ailment(told, now), after, "{told:?} {now:?}");
        }
    }
}
