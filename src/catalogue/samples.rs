//! The series of a metric: the catalogue's rows, read from a snapshot.

use std::time::Instant;

use super::{
    Metric, Read,
    exporter::{Distribution, Exporter},
};
use crate::model::{
    name::Name,
    snapshot::{Poll, Snapshot},
};

/// What a metric is read from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What was measured.
    pub snapshot: &'a Snapshot,
    /// What the process knows about itself.
    pub exporter: &'a Exporter,
    /// When it is read, by the monotonic clock: what is stale then is left out.
    pub now: Instant,
}

/// The labels of one series. What is `None` is no label of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Labels<'a> {
    /// Name of the configured server.
    pub redis: Option<&'a str>,
    /// Number of the database, shown as `db0`.
    pub db: Option<u32>,
    /// Key of the stream.
    pub stream: Option<&'a Name>,
    /// Name of the group.
    pub group: Option<&'a Name>,
    /// Name of the consumer.
    pub consumer: Option<&'a Name>,
    /// Labels that only this metric has.
    pub extra: &'a [(&'static str, &'a str)],
}

/// The value of one series.
#[derive(Clone, Copy, Debug)]
pub enum Sample<'a> {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram.
    Distribution(&'a Distribution),
}

impl<'a> Labels<'a> {
    fn own(extra: &'a [(&'static str, &'a str)]) -> Labels<'a> {
        Labels { extra, ..Labels::default() }
    }
}

impl Metric {
    /// Calls `emit` for every series of the metric, in the order of the snapshot.
    pub fn samples<E>(
        &self,
        from: &Source<'_>,
        mut emit: impl FnMut(&Labels<'_>, Sample<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Read::AdapterDistribution(read) = &self.read {
            return read(&from.exporter.adapters).iter().try_for_each(|(api, distribution)| {
                emit(&Labels::own(&[("api", api)]), Sample::Distribution(distribution))
            });
        }
        let mut some = |labels: &Labels<'_>, value: Option<f64>| {
            value.map_or(Ok(()), |value| emit(labels, Sample::Number(value)))
        };
        match &self.read {
            Read::Exporter(read) => return some(&Labels::default(), read(from.exporter)),
            Read::ExporterInfo(label, read) => {
                return some(&Labels::own(&[(label, read(from.exporter))]), Some(1.0));
            }
            Read::AdapterRequests(read) => {
                return read(&from.exporter.adapters).iter().try_for_each(|requests| {
                    let labels = [("api", requests.api), ("code", requests.code.as_str())];
                    some(&Labels::own(&labels), Some(requests.count as f64))
                });
            }
            _ => {}
        }
        for server in &from.snapshot.servers {
            let labels = Labels { redis: Some(&server.name), ..Labels::default() };
            match &self.read {
                Read::Server(read) => some(&labels, read(server, from.now))?,
                Read::ServerCounts(label, read) => {
                    for (word, count) in read(server) {
                        some(&Labels { extra: &[(label, word)], ..labels }, Some(count as f64))?;
                    }
                }
                read => {
                    if let Some(poll) = server.fresh(from.now) {
                        stream_samples(read, poll, labels, &mut some)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn stream_samples<E>(
    read: &Read,
    poll: &Poll,
    labels: Labels<'_>,
    emit: &mut impl FnMut(&Labels<'_>, Option<f64>) -> Result<(), E>,
) -> Result<(), E> {
    for entry in &poll.streams {
        let view = &entry.view(poll.policy);
        let labels = Labels { db: Some(entry.db), stream: Some(&entry.name), ..labels };
        if let Read::Entry(read) = read {
            emit(&labels, read(entry))?;
            continue;
        }
        if let Read::Stream(read) = read {
            emit(&labels, entry.stream().and_then(|stream| read(stream, view)))?;
            continue;
        }
        for group in entry.groups() {
            let labels = Labels { group: Some(&group.name), ..labels };
            match read {
                Read::Group(read) => emit(&labels, read(group, view))?,
                Read::GroupCounts(label, read) => {
                    for (word, count) in read(group).iter().flatten() {
                        emit(&Labels { extra: &[(label, word)], ..labels }, Some(*count as f64))?;
                    }
                }
                Read::GroupState(label, read) => {
                    emit(&Labels { extra: &[(label, read(group))], ..labels }, Some(1.0))?
                }
                Read::Consumer(read) => {
                    for consumer in group.consumers.iter().flatten().flatten() {
                        emit(&Labels { consumer: Some(&consumer.name), ..labels }, read(consumer))?;
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}
