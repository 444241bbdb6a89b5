//! The series of a metric of the process or of its servers: the catalogue's rows, read from a snapshot. They may change
//! from one moment to the next within a snapshot, as those of streams, groups and consumers do not.

use std::time::Instant;

use super::{
    Metric, Read,
    exporter::{Distribution, Exporter},
};
use crate::model::snapshot::Snapshot;

/// What such a metric is read from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What was measured.
    pub snapshot: &'a Snapshot,
    /// What the process knows about itself.
    pub exporter: &'a Exporter,
    /// When it is read, by the monotonic clock.
    pub now: Instant,
}

/// The value of one series.
#[derive(Clone, Copy, Debug)]
pub enum Sample<'a> {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram.
    Distribution(&'a Distribution),
}

/// Labels of a series, in order.
pub type Labels<'a> = [(&'static str, &'a str)];

impl Metric {
    /// Whether it is one of streams, groups or consumers: read from the measurements alone.
    #[must_use]
    pub fn is_of_streams(&self) -> bool {
        match self.read {
            Read::Entry(_)
            | Read::Stream(_)
            | Read::Group(_)
            | Read::GroupCounts(..)
            | Read::GroupState(..)
            | Read::Consumer(_) => true,
            Read::Exporter(_)
            | Read::ExporterInfo(..)
            | Read::AdapterRequests(_)
            | Read::AdapterDistribution(_)
            | Read::Server(_)
            | Read::ServerCounts(..) => false,
        }
    }

    /// Calls `emit` for every series of the metric, in the order of the snapshot. Of one of streams there are none here.
    pub fn samples(&self, from: &Source<'_>, mut emit: impl FnMut(&Labels<'_>, Sample<'_>)) {
        let mut number = |labels: &Labels<'_>, value: Option<f64>| {
            if let Some(value) = value {
                emit(labels, Sample::Number(value));
            }
        };
        let servers = from.snapshot.servers.iter();
        match &self.read {
            Read::Exporter(read) => number(&[], read(from.exporter)),
            Read::ExporterInfo(label, read) => number(&[(label, read(from.exporter))], Some(1.0)),
            Read::AdapterRequests(read) => read(&from.exporter.adapters).iter().for_each(|requests| {
                number(&[("api", requests.api), ("code", &requests.code)], Some(requests.count as f64));
            }),
            Read::AdapterDistribution(read) => {
                read(&from.exporter.adapters).iter().for_each(|(api, distribution)| {
                    emit(&[("api", api)], Sample::Distribution(distribution));
                });
            }
            Read::Server(read) => {
                servers.for_each(|server| number(&[("redis", &server.name)], read(server, from.now)))
            }
            Read::ServerCounts(label, read) => servers.for_each(|server| {
                for (word, count) in read(server) {
                    number(&[("redis", &server.name), (label, word)], Some(count as f64));
                }
            }),
            Read::Entry(_)
            | Read::Stream(_)
            | Read::Group(_)
            | Read::GroupCounts(..)
            | Read::GroupState(..)
            | Read::Consumer(_) => {}
        }
    }
}
