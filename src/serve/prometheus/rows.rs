//! The streams and groups of polls as rows, each with its labels escaped once: some thirty families are read from them, one
//! after the other, since the series of a family must stand together.

use std::{ops::Range, time::Instant};

use super::text::{Pages, label};
use crate::{
    catalogue::{CATALOGUE, Metric, Read},
    model::{
        consumers::Consumers,
        snapshot::{Group, Snapshot, StreamEntry, View},
    },
};

/// Everything that is fresh at one moment.
pub(super) struct Rows<'a> {
    /// All labels of all rows, one behind the other.
    labels: String,
    streams: Vec<StreamRow<'a>>,
    groups: Vec<GroupRow<'a>>,
}

struct StreamRow<'a> {
    entry: &'a StreamEntry,
    view: View,
    labels: Range<usize>,
}

struct GroupRow<'a> {
    group: &'a Group,
    /// Its stream, by its place.
    stream: usize,
    labels: Range<usize>,
}

impl<'a> Rows<'a> {
    /// Those of polls that are fresh at `now`.
    pub(super) fn of(snapshot: &'a Snapshot, now: Instant) -> Rows<'a> {
        let mut rows = Rows { labels: String::new(), streams: Vec::new(), groups: Vec::new() };
        for server in &snapshot.servers {
            let Some(poll) = server.fresh(now) else { continue };
            rows.streams.reserve(poll.streams.len());
            rows.groups.reserve(poll.streams.iter().map(|entry| entry.groups().count()).sum());
            let mut of_server = String::new();
            label(&mut of_server, "redis", &server.name);
            for entry in &poll.streams {
                rows.add(&of_server, entry, entry.view(poll.policy));
            }
        }
        rows
    }

    fn add(&mut self, of_server: &str, entry: &'a StreamEntry, view: View) {
        let start = self.labels.len();
        self.labels.push_str(of_server);
        self.labels.push_str(",db=\"db");
        self.labels.push_str(itoa::Buffer::new().format(entry.db));
        self.labels.push_str("\",");
        label(&mut self.labels, "stream", entry.name.text());
        let labels = start..self.labels.len();
        let stream = self.streams.len();
        for group in entry.groups() {
            let start = self.labels.len();
            self.labels.extend_from_within(labels.clone());
            self.labels.push(',');
            label(&mut self.labels, "group", group.name.text());
            self.groups.push(GroupRow { group, stream, labels: start..self.labels.len() });
        }
        self.streams.push(StreamRow { entry, view, labels });
    }

    /// All families of streams, groups and consumers.
    pub(super) fn write(&self, pages: &mut Pages<'_>) {
        CATALOGUE.iter().for_each(|metric| self.family(metric, pages));
    }

    /// One metric with all its series; nothing at all where it has none, or is not read from rows.
    fn family(&self, metric: &Metric, pages: &mut Pages<'_>) {
        let mut family = pages.family(metric);
        let groups = self.groups.iter().map(|row| (row.group, &self.labels[row.labels.clone()]));
        match &metric.read {
            Read::Entry(read) => {
                for row in &self.streams {
                    if let Some(value) = read(row.entry) {
                        family.number(&self.labels[row.labels.clone()], value);
                    }
                }
            }
            Read::Stream(read) => {
                for row in &self.streams {
                    if let Some(value) = row.entry.stream().and_then(|stream| read(stream, &row.view)) {
                        family.number(&self.labels[row.labels.clone()], value);
                    }
                }
            }
            Read::Group(read) => {
                for row in &self.groups {
                    if let Some(value) = read(row.group, &self.streams[row.stream].view) {
                        family.number(&self.labels[row.labels.clone()], value);
                    }
                }
            }
            Read::GroupCounts(name, read) => {
                for (group, labels) in groups {
                    for (word, count) in read(group).iter().flatten() {
                        family.number_with(labels, (name, word), *count as f64);
                    }
                }
            }
            Read::GroupState(name, read) => {
                groups.for_each(|(group, labels)| family.number_with(labels, (name, read(group)), 1.0));
            }
            Read::Consumer(read) => {
                for (group, labels) in groups {
                    for consumer in group.consumers.iter().flatten().flat_map(Consumers::iter) {
                        if let Some(value) = read(&consumer) {
                            family.number_with(labels, ("consumer", consumer.name.text()), value);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}
