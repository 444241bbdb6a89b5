//! One metric over the series that match, for an autoscaler: all of them known, or an error that says why.
//!
//! Nothing here is ever a partial answer. A server that cannot be polled might have had a match; a stream that cannot be
//! read has numbers that are missing from the sum: each of them is a refusal, after which an autoscaler holds.

use std::time::Instant;

use crate::{
    catalogue::{Combine, Metric, Read},
    model::{
        lag::{Lag, Policy},
        name::Name,
        offer::{Offer, Target},
        pattern::Pattern,
        selector::Selector,
        share::Part,
        snapshot::{Consumer, Group, Poll, Server, Snapshot, StreamEntry},
        time::UnixMicros,
    },
};

mod guests;
mod pods;

pub use pods::pods;

/// What an autoscaler wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What was measured.
    pub snapshot: &'a Snapshot,
    /// When it is asked, by the monotonic clock: what is stale then is not known.
    pub now: Instant,
    /// A metric that autoscalers may read.
    pub metric: &'static Metric,
    /// The name under which it is asked for.
    pub name: &'a str,
    /// The series that may match: those of any of these.
    pub targets: &'a [&'a Target],
    /// Which of them are asked for, by their labels.
    pub selector: &'a Selector,
    /// What counts as a lag that is not one proved number; `None` is what /metrics says.
    pub policy: Option<Policy>,
    /// Who may read what.
    pub offer: &'a Offer,
    /// The namespace that asks.
    pub namespace: &'a str,
}

/// A value, and when it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// The number, in the metric's unit.
    pub number: f64,
    /// By the exporter's wall clock.
    pub measured_at: UnixMicros,
}

/// The value of one series, or of several that are combined.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Labels and their values: those of the series, or of the one that has the maximum.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: Value,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The question makes no sense.
    #[error("{0}")]
    Bad(String),
    /// There is no such metric, or nothing matches.
    #[error("{0}")]
    NotFound(String),
    /// Something that matches, or might, is not known.
    #[error("{0}")]
    Unavailable(String),
}

/// A stream that is asked for, where it was found.
#[derive(Clone, Copy)]
struct Found<'a> {
    server: &'a Server,
    poll: &'a Poll,
    entry: &'a StreamEntry,
}

/// The values that match, in the order of the snapshot. What adds up comes as one item for each series, since the reader
/// adds items up itself; of ages there is one, the largest.
///
/// # Errors
/// See [`Refusal`].
pub fn items(question: &Question<'_>) -> Result<Vec<Item>, Refusal> {
    let (mut items, mut limited) = (Vec::new(), None);
    for found in question.streams()? {
        limited = limited.or(question.items_of(found, &mut items)?);
    }
    if items.is_empty() {
        return Err(limited.unwrap_or_else(|| question.nothing()));
    }
    if question.metric.combine == Combine::Max {
        let oldest = items.iter().map(|item| item.value.measured_at).min();
        let largest = items.into_iter().max_by(|a, b| a.value.number.total_cmp(&b.value.number));
        items = largest.into_iter().collect();
        for (item, oldest) in items.iter_mut().zip(oldest) {
            item.value.measured_at = oldest;
        }
    }
    Ok(items)
}

impl<'a> Question<'a> {
    /// The streams that are asked for, of servers that are up, in the order of the snapshot.
    fn streams(&self) -> Result<Vec<Found<'a>>, Refusal> {
        if let Some((other, labels)) = self.of_other_labels() {
            let name = self.name;
            return Err(Refusal::Bad(format!("{name} has no label {other:?}: its labels are {labels}")));
        }
        if let Part::Unknown(why) = &self.snapshot.part {
            let message = format!("which streams are measured here is not known yet: {why}");
            return Err(Refusal::Unavailable(message));
        }
        let mut found = Vec::new();
        for (server, targets) in self.servers() {
            let down = server.why_unknown(self.now).map(|why| ("cannot be polled", why));
            let in_part = || {
                let poll = server.fresh(self.now)?;
                Some(("is known in part only", self.why_partial(server, poll, &targets)?))
            };
            let unknown = down.or_else(in_part);
            let (None, Some(poll)) = (&unknown, server.fresh(self.now)) else {
                let (state, why) = unknown.unwrap_or_default();
                let narrower = if self.snapshot.servers.len() > 1 && self.selector.one_of("redis").is_none() {
                    " (a selector with redis=… leaves it out)"
                } else {
                    ""
                };
                let name = &server.name;
                return Err(Refusal::Unavailable(format!(
                    "redis {name:?} {state}, so what matches there is not known: {why}{narrower}"
                )));
            };
            let first = found.len();
            found.extend(self.found(server, poll, &targets));
            if let Some(share) = poll.share
                && let Some(guests) = self.guests(server, share, &targets)?
            {
                found.extend(self.found(server, guests, &targets));
                found[first..].sort_by_key(|found| (found.entry.db, &found.entry.name));
            }
        }
        Ok(found)
    }

    /// A label of the selector that the metric does not have, and those that it has.
    fn of_other_labels(&self) -> Option<(&'a str, String)> {
        let labels = self.metric.read.labels();
        let other = self.selector.0.iter().find(|wanted| !labels.contains(&wanted.key.as_str()))?;
        Some((&other.key, labels.join(", ")))
    }

    /// The servers that are asked for, each with the targets that mean it; none of which nothing may be read.
    fn servers(&self) -> impl Iterator<Item = (&'a Server, Vec<&'a Target>)> {
        self.snapshot.servers.iter().filter_map(|server| {
            let targets = self.targets.iter().copied().filter(|target| target.has_server(&server.name));
            let targets: Vec<_> = targets.collect();
            let is_meant = !targets.is_empty() && self.selector.allows("redis", &server.name);
            (is_meant && !self.is_hidden(server, &targets)).then_some((&**server, targets))
        })
    }

    /// The streams of a poll that are asked for.
    fn found(
        &self,
        server: &'a Server,
        poll: &'a Poll,
        targets: &[&Target],
    ) -> impl Iterator<Item = Found<'a>> {
        poll.streams.iter().filter_map(move |entry| {
            let is_meant = self.selector.allows("stream", entry.name.text())
                && targets.iter().any(|target| target.has_stream(&server.name, &entry.name))
                && self.selector.allows("db", &format!("db{}", entry.db))
                && self.offer.lets_read(self.namespace, &server.name, &entry.name);
            is_meant.then_some(Found { server, poll, entry })
        })
    }

    /// Why there may be streams on a server that are asked for and not known: none where each is asked for by its name.
    fn why_partial(&self, server: &Server, poll: &Poll, targets: &[&Target]) -> Option<String> {
        let names = self.stream_names(targets);
        let is_own = |name: &Name| poll.share.is_none_or(|share| share.has(&server.name, name));
        let unknown = poll.incomplete.iter().find(|part| {
            self.selector.allows("db", &format!("db{}", part.db))
                && !are_known(poll, part.db, names.as_deref(), is_own)
        })?;
        Some(unknown.fault.message.clone())
    }

    /// The streams that are asked for, where each is named.
    fn stream_names(&self, targets: &[&Target]) -> Option<Vec<Name>> {
        self.names("stream").or_else(|| exact(targets.iter().map(|target| &target.stream)))
    }

    /// Whether nothing that is asked for may be read on this server: then even its state is no answer to give.
    fn is_hidden(&self, server: &Server, targets: &[&Target]) -> bool {
        let may_read = |stream: &Name| self.offer.lets_read(self.namespace, &server.name, stream);
        let hides_all = |names: Option<Vec<Name>>| names.is_some_and(|names| !names.iter().any(may_read));
        !self.offer.lets_read_some(self.namespace, &server.name)
            || hides_all(self.names("stream"))
            || hides_all(exact(targets.iter().map(|target| &target.stream)))
    }

    /// The streams or groups that the selector names, where it does.
    fn names(&self, label: &str) -> Option<Vec<Name>> {
        let names = self.selector.one_of(label)?;
        Some(names.iter().map(|name| Name::from(name.as_str())).collect())
    }

    /// The groups of a stream that are asked for.
    fn groups(&self, found: &Found<'a>) -> Result<Vec<&'a Group>, Refusal> {
        self.readable(found)?;
        let (entry, redis) = (found.entry, &found.server.name);
        let is_meant = |group: &&Group| {
            self.selector.allows("group", group.name.text())
                && self
                    .targets
                    .iter()
                    .any(|target| target.has_stream(redis, &entry.name) && target.has_group(&group.name))
        };
        let limited = entry.stream().and_then(|stream| stream.cut.as_ref());
        if let Some(cut) = limited {
            let targets = self.targets.iter().filter(|target| target.has_stream(redis, &entry.name));
            let names = self.names("group").or_else(|| exact(targets.map(|target| &target.group)));
            let is_known = |name: &Name| entry.groups().any(|group| group.name == *name);
            if !names.is_some_and(|names| names.iter().all(is_known)) {
                return Err(Refusal::Unavailable(format!("{found}: {}", cut.fault)));
            }
        }
        Ok(entry.groups().filter(is_meant).collect())
    }

    fn readable(&self, found: &Found<'_>) -> Result<(), Refusal> {
        match &found.entry.state {
            Ok(_) => Ok(()),
            Err(fault) => Err(Refusal::Unavailable(format!("{found}: {fault}"))),
        }
    }

    /// The consumers of a group that are asked for; none of a group that does not exist. Those without pending entries
    /// may be missing where a limit leaves them out: they add nothing to a sum.
    fn consumers(&self, found: &Found<'a>, group: &'a Group) -> Result<Vec<&'a Consumer>, Refusal> {
        let unknown = |why: &str| Err(found.unknown(group, why));
        let is_meant = |consumer: &&Consumer| self.selector.allows("consumer", consumer.name.text());
        let suffices = self.metric.combine == Combine::Sum && group.consumers.is_some();
        if let Some(cut) = group.cut.as_ref().filter(|_| !suffices) {
            return unknown(&cut.fault.message);
        }
        match &group.consumers {
            Some(Ok(consumers)) => Ok(consumers.iter().filter(is_meant).collect()),
            Some(Err(fault)) => unknown(&fault.message),
            None if group.last_delivered_id.is_none() => Ok(Vec::new()),
            None => unknown("its consumers are not measured: set consumers to true for this server"),
        }
    }

    fn value_of<'g>(&self, consumer: &Consumer, group: &'g Group) -> Result<f64, &'g str> {
        let value = match &self.metric.read {
            Read::Consumer(read) => read(consumer),
            _ => None,
        };
        value.map_or_else(|| (self.metric.absent)(group), Ok)
    }

    /// Adds the values of a stream; returns why there may be more consumers, which have no value of their own.
    fn items_of(&self, found: Found<'a>, items: &mut Vec<Item>) -> Result<Option<Refusal>, Refusal> {
        let mut limited = None;
        let view = found.entry.view(self.policy.unwrap_or(found.poll.policy));
        let mut push = |group: Option<&Group>, consumer: Option<&Name>, number: f64| {
            let value = Value { number, measured_at: found.poll.measured_at() };
            items.push(Item { labels: found.labels(group, consumer), value });
        };
        if let Read::Stream(read) = &self.metric.read {
            self.readable(&found)?;
            if let Some(stream) = found.entry.stream() {
                let number = read(stream, &view).ok_or_else(|| {
                    Refusal::Unavailable(format!("{found}: {} was not measured", self.name))
                })?;
                push(None, None, number);
            }
            return Ok(None);
        }
        for group in self.groups(&found)? {
            let unknown =
                |why: &str| found.unknown(group, &format!("{why}{}", self.about_policy(group, view.policy)));
            match &self.metric.read {
                Read::Group(read) => {
                    let number = read(group, &view).map_or_else(|| (self.metric.absent)(group), Ok);
                    let number = number.map_err(unknown)?;
                    push(Some(group), None, number);
                }
                Read::Consumer(_) => {
                    limited = limited.or(group.cut.as_ref().map(|cut| unknown(&cut.fault.message)));
                    for consumer in self.consumers(&found, group)? {
                        let number = self.value_of(consumer, group).map_err(unknown)?;
                        push(Some(group), Some(&consumer.name), number);
                    }
                }
                // No other kind may be read by autoscalers.
                _ => {}
            }
        }
        Ok(limited)
    }

    /// What the configuration has to do with it that a lag is not told.
    fn about_policy(&self, group: &Group, policy: Policy) -> String {
        match group.lag {
            Lag::Bounded { lower, upper, .. } if group.lag.entries(policy).is_none() => {
                format!(" ({lower} and {upper}), and the configuration has bounded: absent")
            }
            Lag::NoGroup { .. } if group.lag.entries(policy).is_none() => {
                ", and the configuration has missing_group: absent".to_owned()
            }
            _ => String::new(),
        }
    }

    fn nothing(&self) -> Refusal {
        let what = match self.metric.read {
            Read::Stream(_) => "stream",
            Read::Consumer(_) => "consumer",
            _ => "group",
        };
        let targets = self.targets.iter().map(ToString::to_string);
        let wanted: Vec<_> =
            targets.chain([self.selector.to_string()]).filter(|text| !text.is_empty()).collect();
        let of = if wanted.is_empty() { String::new() } else { format!(" {{{}}}", wanted.join(",")) };
        Refusal::NotFound(format!("no {what} matches {}{of}", self.name))
    }
}

/// The names that patterns are, where none of them is a glob or missing.
fn exact<'p>(patterns: impl Iterator<Item = &'p Option<Pattern>>) -> Option<Vec<Name>> {
    let exact = |pattern: &Option<Pattern>| match pattern {
        Some(Pattern::Exact(name)) => Some(name.clone()),
        _ => None,
    };
    patterns.map(exact).collect()
}

/// Whether each of the streams that are named is known, of those that a poll is to know.
fn are_known(poll: &Poll, db: u32, names: Option<&[Name]>, is_its: impl Fn(&Name) -> bool) -> bool {
    let is_known = |name: &Name| poll.streams.iter().any(|entry| entry.db == db && entry.name == *name);
    names.is_some_and(|names| names.iter().all(|name| !is_its(name) || is_known(name)))
}

impl Found<'_> {
    /// Something about a group is not known.
    fn unknown(&self, group: &Group, why: &str) -> Refusal {
        Refusal::Unavailable(format!("group {:?} of {self}: {why}", group.name))
    }

    fn labels(&self, group: Option<&Group>, consumer: Option<&Name>) -> Vec<(&'static str, String)> {
        let names = [("group", group.map(|group| &group.name)), ("consumer", consumer)];
        [
            ("redis", self.server.name.to_string()),
            ("db", format!("db{}", self.entry.db)),
            ("stream", self.entry.name.text().to_owned()),
        ]
        .into_iter()
        .chain(names.into_iter().filter_map(|(label, name)| Some((label, name?.text().to_owned()))))
        .collect()
    }
}

impl std::fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stream {:?} on redis {:?}", self.entry.name, self.server.name)
    }
}

#[cfg(test)]
#[path = "scaling_tests.rs"]
mod tests;
