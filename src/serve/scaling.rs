//! One metric over the series that match, for an autoscaler: all of them known, or an error that says why.
//!
//! Nothing here is ever a partial answer. A server that cannot be polled might have had a match; a stream that cannot be
//! read has numbers that are missing from the sum: each of them is a refusal, after which an autoscaler holds.

use std::{cmp::Ordering, time::Instant};

use crate::{
    catalogue::{Combine, Metric, Read},
    model::{
        consumers::{Consumer, Consumers},
        lag::{Lag, Policy},
        name::Name,
        offer::{Offer, Target},
        selector::Selector,
        snapshot::{Group, Poll, Server, Snapshot, StreamEntry},
        time::UnixMicros,
    },
};

mod guests;
mod pods;
mod streams;

pub use pods::pods;
use streams::exact;

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

/// A series that is asked for.
#[derive(Clone, Copy)]
struct Series<'a> {
    found: Found<'a>,
    group: Option<&'a Group>,
    consumer: Option<&'a Name>,
}

/// The values that match, in the order of the snapshot. What adds up comes as one item for each series, since the reader
/// adds items up itself; of ages there is one, the largest.
///
/// # Errors
/// See [`Refusal`].
pub fn items(question: &Question<'_>) -> Result<Vec<Item>, Refusal> {
    let mut items = Vec::new();
    if question.metric.combine != Combine::Max {
        question.each(|series, value| items.push(Item { labels: series.labels(), value }))?;
        return Ok(items);
    }
    let mut largest: Option<(Series<'_>, Value)> = None;
    question.each(|series, value| {
        let (first, most) = *largest.get_or_insert((series, value));
        let measured_at = most.measured_at.min(value.measured_at);
        let (series, number) = match most.number.total_cmp(&value.number) {
            Ordering::Greater => (first, most.number),
            _ => (series, value.number),
        };
        largest = Some((series, Value { number, measured_at }));
    })?;
    items.extend(largest.map(|(series, value)| Item { labels: series.labels(), value }));
    Ok(items)
}

/// All values that match as one: the number by the metric's rule, the oldest of the times.
///
/// # Errors
/// See [`Refusal`].
pub fn combined(question: &Question<'_>) -> Result<Option<Value>, Refusal> {
    let mut all: Option<Value> = None;
    question.each(|_, value| {
        all = Some(all.map_or(value, |all| Value {
            number: question.metric.combine.of(all.number, value.number),
            measured_at: all.measured_at.min(value.measured_at),
        }));
    })?;
    Ok(all)
}

impl<'a> Question<'a> {
    /// A label of the selector that the metric does not have, and those that it has.
    fn of_other_labels(&self) -> Option<(&'a str, String)> {
        let labels = self.metric.read.labels();
        let other = self.selector.0.iter().find(|wanted| !labels.contains(&wanted.key.as_str()))?;
        Some((&other.key, labels.join(", ")))
    }

    /// Calls `emit` for each value that is asked for, in the order of the snapshot: at least once.
    fn each(&self, mut emit: impl FnMut(Series<'a>, Value)) -> Result<(), Refusal> {
        let (mut is_empty, mut limited) = (true, None);
        for found in self.streams()? {
            let measured_at = found.poll.measured_at();
            let of_stream = self.of_stream(found, |series, number| {
                is_empty = false;
                emit(series, Value { number, measured_at });
            });
            limited = limited.or(of_stream?);
        }
        if is_empty { Err(limited.unwrap_or_else(|| self.nothing())) } else { Ok(()) }
    }

    /// The groups of a stream that are asked for.
    fn groups(&self, found: &Found<'a>) -> Result<impl Iterator<Item = &'a Group>, Refusal> {
        self.readable(found)?;
        let (entry, redis) = (found.entry, &found.server.name);
        // A single one is that by which the stream was found.
        let of_stream = |target: &Target| self.targets.len() == 1 || target.has_stream(redis, &entry.name);
        let is_meant = move |group: &&Group| {
            let of_group = |target: &&Target| target.has_group(&group.name) && of_stream(target);
            self.selector.allows("group", group.name.text()) && self.targets.iter().any(of_group)
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
        Ok(entry.groups().filter(is_meant))
    }

    fn readable(&self, found: &Found<'_>) -> Result<(), Refusal> {
        match &found.entry.state {
            Ok(_) => Ok(()),
            Err(fault) => Err(Refusal::Unavailable(format!("{found}: {fault}"))),
        }
    }

    /// The consumers of a group that are asked for; none of a group that does not exist. Those without pending entries
    /// may be missing where a limit leaves them out: they add nothing to a sum.
    fn consumers(
        &self,
        found: &Found<'a>,
        group: &'a Group,
    ) -> Result<impl Iterator<Item = Consumer<'a>>, Refusal> {
        let unknown = |why: &str| Err(found.unknown(group, why));
        let is_meant = |consumer: &Consumer<'a>| self.selector.allows("consumer", consumer.name.text());
        let suffices = self.metric.combine == Combine::Sum && group.consumers.is_some();
        if let Some(cut) = group.cut.as_ref().filter(|_| !suffices) {
            return unknown(&cut.fault.message);
        }
        let consumers = match &group.consumers {
            Some(Ok(consumers)) => Some(consumers),
            Some(Err(fault)) => return unknown(&fault.message),
            None if group.last_delivered_id.is_none() => None,
            None => return unknown("its consumers are not measured: set consumers to true for this server"),
        };
        Ok(consumers.into_iter().flat_map(Consumers::iter).filter(is_meant))
    }

    fn value_of<'g>(&self, consumer: Consumer<'_>, group: &'g Group) -> Result<f64, &'g str> {
        let value = match &self.metric.read {
            Read::Consumer(read) => read(&consumer),
            _ => None,
        };
        value.map_or_else(|| (self.metric.absent)(group), Ok)
    }

    /// Those of a stream; returns why there may be more consumers, which have no value of their own.
    fn of_stream(
        &self,
        found: Found<'a>,
        mut emit: impl FnMut(Series<'a>, f64),
    ) -> Result<Option<Refusal>, Refusal> {
        let mut limited = None;
        let view = found.entry.view(self.policy.unwrap_or(found.poll.policy));
        let series = Series { found, group: None, consumer: None };
        if let Read::Stream(read) = &self.metric.read {
            self.readable(&found)?;
            if let Some(stream) = found.entry.stream() {
                let number = read(stream, &view).ok_or_else(|| {
                    Refusal::Unavailable(format!("{found}: {} was not measured", self.name))
                })?;
                emit(series, number);
            }
            return Ok(None);
        }
        for group in self.groups(&found)? {
            let series = Series { group: Some(group), ..series };
            let unknown =
                |why: &str| found.unknown(group, &format!("{why}{}", self.about_policy(group, view.policy)));
            match &self.metric.read {
                Read::Group(read) => {
                    let number = read(group, &view).map_or_else(|| (self.metric.absent)(group), Ok);
                    let number = number.map_err(unknown)?;
                    emit(series, number);
                }
                Read::Consumer(_) => {
                    limited = limited.or(group.cut.as_ref().map(|cut| unknown(&cut.fault.message)));
                    for consumer in self.consumers(&found, group)? {
                        let number = self.value_of(consumer, group).map_err(unknown)?;
                        emit(Series { consumer: Some(consumer.name), ..series }, number);
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

impl Found<'_> {
    /// Something about a group is not known.
    fn unknown(&self, group: &Group, why: &str) -> Refusal {
        Refusal::Unavailable(format!("group {:?} of {self}: {why}", group.name))
    }
}

impl Series<'_> {
    fn labels(&self) -> Vec<(&'static str, String)> {
        let Found { server, entry, .. } = self.found;
        let names = [("group", self.group.map(|group| &group.name)), ("consumer", self.consumer)];
        [
            ("redis", server.name.to_string()),
            ("db", format!("db{}", entry.db)),
            ("stream", entry.name.text().to_owned()),
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
