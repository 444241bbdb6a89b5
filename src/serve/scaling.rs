//! One metric over the series that match, for an autoscaler: all of them known, or an error that says why.
//!
//! Nothing here is ever a partial answer. A server that cannot be polled might have had a match; a stream that cannot be
//! read has numbers that are missing from the sum: each of them is a refusal, after which an autoscaler holds.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use crate::{
    catalogue::{Combine, Metric, Read},
    model::{
        lag::{Lag, Policy},
        name::Name,
        offer::{Offer, Target},
        selector::Selector,
        snapshot::{Consumer, Group, Poll, Server, Snapshot, StreamEntry, View},
        time::UnixMicros,
    },
};

/// What an autoscaler wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What was measured.
    pub snapshot: &'a Snapshot,
    /// When it is asked, by the monotonic clock: what is stale then is not known.
    pub now: Instant,
    /// A metric that autoscalers may read.
    pub metric: &'static Metric,
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
    let mut items = Vec::new();
    for found in question.streams()? {
        question.items_of(found, &mut items)?;
    }
    if items.is_empty() {
        return Err(question.nothing());
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

/// The value of each pod: that of the consumers which are named like it, in all groups that match. A pod without one has
/// 0 of what adds up, and no age.
///
/// # Errors
/// See [`Refusal`].
pub fn pods<'p>(
    question: &Question<'_>,
    pods: impl IntoIterator<Item = &'p str>,
) -> Result<BTreeMap<&'p str, Value>, Refusal> {
    let mut measured_at = None;
    let mut of_name: HashMap<&[u8], Option<f64>> = HashMap::new();
    let streams = question.streams()?;
    for found in &streams {
        for group in question.groups(found)? {
            let time = found.poll.measured_at();
            measured_at = Some(measured_at.map_or(time, |oldest: UnixMicros| oldest.min(time)));
            for consumer in question.consumers(found, group)? {
                let value = question.value_of(consumer, group).ok();
                let of_pod = of_name.entry(consumer.name.as_bytes()).or_insert(Some(0.0));
                // One that is not known makes the pod's unknown.
                *of_pod = of_pod.zip(value).map(|(a, b)| question.metric.combine.of(a, b));
            }
        }
    }
    let Some(measured_at) = measured_at else { return Err(question.nothing()) };
    let of_pod = |pod: &str| match of_name.get(pod.as_bytes()) {
        Some(value) => *value,
        None => (question.metric.combine == Combine::Sum).then_some(0.0),
    };
    Ok(pods.into_iter().filter_map(|pod| Some((pod, Value { number: of_pod(pod)?, measured_at }))).collect())
}

impl<'a> Question<'a> {
    /// The streams that are asked for, of servers that are up.
    fn streams(&self) -> Result<Vec<Found<'a>>, Refusal> {
        let labels = self.metric.read.labels();
        if let Some(other) = self.selector.0.iter().find(|wanted| !labels.contains(&wanted.key.as_str())) {
            return Err(Refusal::Bad(format!(
                "{} has no label {:?}: its labels are {}",
                self.metric.name,
                other.key,
                labels.join(", ")
            )));
        }
        let mut found = Vec::new();
        for server in &self.snapshot.servers {
            let targets: Vec<_> =
                self.targets.iter().filter(|target| target.has_server(&server.name)).collect();
            if targets.is_empty() || !self.selector.allows("redis", &server.name) {
                continue;
            }
            if self.hidden_whole(server) {
                continue;
            }
            let why_down = server.why_down(self.now);
            let (None, Some(poll)) = (&why_down, server.fresh(self.now)) else {
                let why = why_down.unwrap_or_default();
                let narrower = if self.snapshot.servers.len() > 1 && self.selector.exact("redis").is_none() {
                    " (a selector with redis=… leaves it out)"
                } else {
                    ""
                };
                let name = &server.name;
                return Err(Refusal::Unavailable(format!(
                    "redis {name:?} cannot be polled, so what matches there is not known: {why}{narrower}"
                )));
            };
            for entry in &poll.streams {
                let is_meant = self.selector.allows("stream", entry.name.text())
                    && targets.iter().any(|target| target.has_stream(&server.name, &entry.name))
                    && self.selector.allows("db", &format!("db{}", entry.db));
                if is_meant && self.offer.lets_read(self.namespace, &server.name, &entry.name) {
                    found.push(Found { server, poll, entry });
                }
            }
        }
        Ok(found)
    }

    /// Whether the one stream that is asked for may not be read on this server: then even its server's state is no
    /// answer to give.
    fn hidden_whole(&self, server: &Server) -> bool {
        self.selector
            .exact("stream")
            .is_some_and(|stream| !self.offer.lets_read(self.namespace, &server.name, &Name::from(stream)))
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
        Ok(entry.groups().filter(is_meant).collect())
    }

    fn readable(&self, found: &Found<'_>) -> Result<(), Refusal> {
        match &found.entry.state {
            Ok(_) => Ok(()),
            Err(fault) => Err(Refusal::Unavailable(format!("{found}: {fault}"))),
        }
    }

    /// The consumers of a group that are asked for; none of a group that does not exist.
    fn consumers(&self, found: &Found<'a>, group: &'a Group) -> Result<Vec<&'a Consumer>, Refusal> {
        let unknown =
            |why: &str| Err(Refusal::Unavailable(format!("group {:?} of {found}: {why}", group.name)));
        let is_meant = |consumer: &&Consumer| self.selector.allows("consumer", consumer.name.text());
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

    fn items_of(&self, found: Found<'a>, items: &mut Vec<Item>) -> Result<(), Refusal> {
        let view = View { policy: self.policy.unwrap_or(found.poll.view.policy), ..found.poll.view };
        let mut push = |group: Option<&Group>, consumer: Option<&Name>, number: f64| {
            let value = Value { number, measured_at: found.poll.measured_at() };
            items.push(Item { labels: found.labels(group, consumer), value });
        };
        if let Read::Stream(read) = &self.metric.read {
            self.readable(&found)?;
            if let Some(stream) = found.entry.stream() {
                let number = read(stream, &view).ok_or_else(|| {
                    Refusal::Unavailable(format!("{found}: {} was not measured", self.metric.name))
                })?;
                push(None, None, number);
            }
            return Ok(());
        }
        for group in self.groups(&found)? {
            let unknown = |why: &str| {
                let policy = self.about_policy(group, view.policy);
                Refusal::Unavailable(format!("group {:?} of {found}: {why}{policy}", group.name))
            };
            match &self.metric.read {
                Read::Group(read) => {
                    let number = read(group, &view).map_or_else(|| (self.metric.absent)(group), Ok);
                    let number = number.map_err(unknown)?;
                    push(Some(group), None, number);
                }
                Read::Consumer(_) => {
                    for consumer in self.consumers(&found, group)? {
                        let number = self.value_of(consumer, group).map_err(unknown)?;
                        push(Some(group), Some(&consumer.name), number);
                    }
                }
                // No other kind may be read by autoscalers.
                _ => {}
            }
        }
        Ok(())
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
        let of = if self.selector.0.is_empty() { String::new() } else { format!(" {{{}}}", self.selector) };
        Refusal::NotFound(format!("no {what} matches {}{of}", self.metric.name))
    }
}

impl Found<'_> {
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
