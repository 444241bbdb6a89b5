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
        pattern::Pattern,
        selector::Selector,
        snapshot::{Consumer, Group, Poll, Server, Snapshot, StreamEntry},
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
/// 0 of what adds up, and no age; but where there are consumers and none of them is one of `peers`, pods of the same sort,
/// they go by other names, and nothing is known of any pod.
///
/// # Errors
/// See [`Refusal`].
pub fn pods<'p>(
    question: &Question<'_>,
    pods: &[&'p str],
    peers: &[String],
) -> Result<BTreeMap<&'p str, Value>, Refusal> {
    let mut measured_at = None;
    if question.selector.one_of("consumer").is_some() {
        let message = "a pod's consumer is the one that is named like it: leave consumer out of the selector";
        return Err(Refusal::Bad(message.to_owned()));
    }
    // A value of which a part is not known is an error here, and only for whoever asks for that pod.
    let mut of_name: HashMap<&[u8], Result<f64, Refusal>> = HashMap::new();
    let streams = question.streams()?;
    for found in &streams {
        for group in question.groups(found)? {
            let time = found.poll.measured_at();
            measured_at = Some(measured_at.map_or(time, |oldest: UnixMicros| oldest.min(time)));
            for consumer in question.consumers(found, group)? {
                let of_pod = of_name.entry(consumer.name.as_bytes()).or_insert(Ok(0.0));
                match (&of_pod, question.value_of(consumer, group)) {
                    (Ok(sum), Ok(value)) => *of_pod = Ok(question.metric.combine.of(*sum, value)),
                    (Ok(_), Err(why)) => *of_pod = Err(found.unknown(group, why)),
                    (Err(_), _) => {}
                }
            }
        }
    }
    let Some(measured_at) = measured_at else { return Err(question.nothing()) };
    if !of_name.is_empty() && !peers.iter().any(|pod| of_name.contains_key(pod.as_bytes())) {
        let example = of_name.keys().min().map(|name| Name::from(*name)).unwrap_or_else(|| Name::from(""));
        return Err(Refusal::NotFound(format!(
            "none of the consumers ({example:?}, say) is named like one of these pods: give each the name of its pod, as by \
             CONSUMER_NAME from metadata.name"
        )));
    }
    let mut values = BTreeMap::new();
    for pod in pods {
        let number = match of_name.get(pod.as_bytes()) {
            Some(value) => value.clone()?,
            None if question.metric.combine == Combine::Sum => 0.0,
            None => continue,
        };
        values.insert(*pod, Value { number, measured_at });
    }
    Ok(values)
}

impl<'a> Question<'a> {
    /// The streams that are asked for, of servers that are up.
    fn streams(&self) -> Result<Vec<Found<'a>>, Refusal> {
        let labels = self.metric.read.labels();
        if let Some(other) = self.selector.0.iter().find(|wanted| !labels.contains(&wanted.key.as_str())) {
            let (name, labels) = (self.name, labels.join(", "));
            return Err(Refusal::Bad(format!(
                "{name} has no label {:?}: its labels are {labels}",
                other.key
            )));
        }
        let mut found = Vec::new();
        for server in &self.snapshot.servers {
            let targets: Vec<_> =
                self.targets.iter().filter(|target| target.has_server(&server.name)).collect();
            if targets.is_empty() || !self.selector.allows("redis", &server.name) {
                continue;
            }
            if self.is_hidden(server, &targets) {
                continue;
            }
            let unknown = server.why_unknown(self.now);
            let unknown = unknown.or_else(|| self.why_partial(server.fresh(self.now)?, &targets));
            let (None, Some(poll)) = (&unknown, server.fresh(self.now)) else {
                let why = unknown.unwrap_or_default();
                let narrower = if self.snapshot.servers.len() > 1 && self.selector.one_of("redis").is_none() {
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

    /// Why there may be streams on a server that are asked for and not known: none where each is asked for by its name.
    fn why_partial(&self, poll: &Poll, targets: &[&&Target]) -> Option<String> {
        let names = self.names_of_selector().or_else(|| names_of(targets));
        let is_known = |db: u32, name: &Name| {
            let mut entries = poll.streams.iter();
            entries.any(|entry| entry.db == db && entry.name == *name)
        };
        let unknown = poll.incomplete.iter().find(|part| {
            self.selector.allows("db", &format!("db{}", part.db))
                && names.as_ref().is_none_or(|names| !names.iter().all(|name| is_known(part.db, name)))
        })?;
        Some(unknown.fault.message.clone())
    }

    /// Whether nothing that is asked for may be read on this server: then even its state is no answer to give.
    fn is_hidden(&self, server: &Server, targets: &[&&Target]) -> bool {
        let may_read = |stream: &Name| self.offer.lets_read(self.namespace, &server.name, stream);
        let hides_all = |names: Option<Vec<Name>>| names.is_some_and(|names| !names.iter().any(may_read));
        !self.offer.lets_read_some(self.namespace, &server.name)
            || hides_all(self.names_of_selector())
            || hides_all(names_of(targets))
    }

    /// The streams that the selector names, where it does.
    fn names_of_selector(&self) -> Option<Vec<Name>> {
        let names = self.selector.one_of("stream")?;
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
        let unknown = |why: &str| Err(found.unknown(group, why));
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
            return Ok(());
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
        let targets = self.targets.iter().map(ToString::to_string);
        let wanted: Vec<_> =
            targets.chain([self.selector.to_string()]).filter(|text| !text.is_empty()).collect();
        let of = if wanted.is_empty() { String::new() } else { format!(" {{{}}}", wanted.join(",")) };
        Refusal::NotFound(format!("no {what} matches {}{of}", self.name))
    }
}

/// The streams that targets name, where each of them names one.
fn names_of(targets: &[&&Target]) -> Option<Vec<Name>> {
    let exact = |target: &&&Target| match &target.stream {
        Some(Pattern::Exact(name)) => Some(name.clone()),
        _ => None,
    };
    targets.iter().map(exact).collect()
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
