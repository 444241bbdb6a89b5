//! A stream in memory, and what may happen to it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::model::lag::pages::Wish;

/// A stream as Redis keeps it, as far as the tracker sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) entries: BTreeSet<StreamId>,
    pub(super) added: u64,
    pub(super) max_deleted: StreamId,
    pub(super) last_generated: StreamId,
    pub(super) groups: BTreeMap<u8, Group>,
    /// Whether entries-read is kept as since Redis 8.0, or as in 7.0.
    pub(super) counts_right: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    pub(super) last_delivered: StreamId,
    pub(super) entries_read: Option<i64>,
}

impl Group {
    pub(super) fn at(last_delivered: StreamId) -> Group {
        Group { last_delivered, entries_read: None }
    }
}

/// One thing that happens to a stream. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Add(u8, u8),
    Read(u8, u8),
    Delete(usize),
    /// The ID of a group's last delivered entry, as a worker deletes it.
    DeleteDelivered(u8),
    DeleteNext(u8),
    DeleteLast,
    Trim(usize),
    /// Trims acknowledged entries from the middle, as 8.2 can: max-deleted-entry-id may stay where it is.
    TrimAcknowledged(usize),
    SetId(u8, u64),
    Create(u8, bool),
    Destroy(u8),
    RaiseLastId(u8),
    Recreate(u8),
    Reconnect,
    /// The exporter looks, with a budget.
    Look(u64),
}

pub(super) fn event(hidden: bool) -> impl Strategy<Value = Event> {
    use Event::*;
    prop_oneof![
        8 => (1u8..20, 0u8..4).prop_map(|(count, gap)| Add(count, gap)),
        8 => (any::<u8>(), 1u8..12).prop_map(|(group, count)| Read(group, count)),
        3 => any::<usize>().prop_map(Delete),
        2 => any::<u8>().prop_map(DeleteDelivered),
        2 => any::<u8>().prop_map(DeleteNext),
        1 => Just(DeleteLast),
        2 => (0usize..30).prop_map(Trim),
        2 => (0usize..10).prop_map(move |n| if hidden { TrimAcknowledged(n) } else { Trim(n + 20) }),
        1 => (any::<u8>(), 0u64..400).prop_map(|(group, ms)| SetId(group, ms)),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(group, at_end)| Create(group, at_end)),
        1 => any::<u8>().prop_map(Destroy),
        1 => (1u8..9).prop_map(RaiseLastId),
        1 => (0u8..9).prop_map(Recreate),
        1 => Just(Reconnect),
        12 => prop_oneof![Just(0), 1u64..4, 5u64..40].prop_map(Look),
    ]
}

impl Model {
    pub(super) fn group(&self, number: u8) -> Option<u8> {
        self.groups.keys().copied().nth(usize::from(number) % self.groups.len().max(1))
    }

    pub(super) fn delete(&mut self, id: Option<StreamId>) {
        if let Some(id) = id
            && self.entries.remove(&id)
        {
            self.max_deleted = self.max_deleted.max(id);
        }
    }

    /// Counts what is read as Redis does: where it cannot count on, it guesses from the ends of the stream.
    pub(super) fn deliver(&mut self, number: u8, id: StreamId) {
        let first = self.entries.first().copied().unwrap_or_default();
        let group = self.groups[&number];
        let from = if self.counts_right { group.last_delivered } else { id };
        let visible = !self.counts_right || first <= self.max_deleted;
        let tombstones = self.max_deleted != StreamId::default() && visible && from <= self.max_deleted;
        let goes_on = !tombstones && (!self.counts_right || first <= group.last_delivered);
        let entries_read = match group.entries_read {
            Some(read) if goes_on => Some(read + 1),
            _ => self.distance_from_the_beginning(id, first),
        };
        self.groups.insert(number, Group { last_delivered: id, entries_read });
    }

    pub(super) fn distance_from_the_beginning(&self, id: StreamId, first: StreamId) -> Option<i64> {
        let (added, deleted) = (self.added as i64, self.added as i64 - self.entries.len() as i64);
        let whole = self.max_deleted == StreamId::default() || self.max_deleted < first;
        match id {
            id if id == self.last_generated => Some(added),
            id if whole && id == first => Some(deleted + 1),
            _ => None,
        }
    }

    pub(super) fn above(&self, x: StreamId) -> impl Iterator<Item = StreamId> {
        self.entries.iter().copied().filter(move |id| *id > x)
    }

    pub(super) fn happen(&mut self, event: &Event) {
        match *event {
            Event::Add(count, gap) => {
                for _ in 0..count {
                    self.last_generated = match gap {
                        0 => self.last_generated.successor(),
                        gap => StreamId::new(self.last_generated.ms + u64::from(gap), 0),
                    };
                    self.entries.insert(self.last_generated);
                    self.added += 1;
                }
            }
            Event::Read(group, count) => {
                if let Some(group) = self.group(group) {
                    let x = self.groups[&group].last_delivered;
                    let ids: Vec<_> = self.above(x).take(usize::from(count)).collect();
                    ids.into_iter().for_each(|id| self.deliver(group, id));
                }
            }
            Event::Delete(place) => {
                self.delete(self.entries.iter().copied().nth(place % self.entries.len().max(1)))
            }
            Event::DeleteDelivered(group) => {
                let x = self.group(group).map(|group| self.groups[&group].last_delivered);
                self.delete(x);
            }
            Event::DeleteNext(group) => {
                let x = self.group(group).map(|group| self.groups[&group].last_delivered);
                self.delete(x.and_then(|x| self.above(x).next()));
            }
            Event::DeleteLast => self.delete(self.entries.last().copied()),
            Event::Trim(keep) => {
                while self.entries.len() > keep {
                    self.entries.pop_first();
                }
            }
            Event::TrimAcknowledged(skip) => {
                let delivered = self.groups.values().map(|group| group.last_delivered);
                let least = delivered.min().unwrap_or(self.last_generated);
                let victims: Vec<_> = self.entries.range(..=least).copied().skip(skip).take(3).collect();
                victims.iter().for_each(|id| _ = self.entries.remove(id));
            }
            Event::SetId(group, ms) => {
                if let Some(group) = self.group(group) {
                    self.groups.insert(group, Group::at(StreamId::new(ms, 0)));
                }
            }
            Event::Create(group, at_end) => {
                let x = if at_end { self.last_generated } else { StreamId::default() };
                self.groups.entry(group % 4).or_insert(Group::at(x));
            }
            Event::Destroy(group) => {
                if let Some(group) = self.group(group) {
                    self.groups.remove(&group);
                }
            }
            Event::RaiseLastId(by) => self.last_generated.ms += u64::from(by),
            // Time has passed: a stream that is made anew has IDs above all that were.
            Event::Recreate(count) => {
                let start = StreamId::new(self.last_generated.ms + 1, 0);
                let groups =
                    std::mem::take(&mut self.groups).into_keys().map(|group| (group, Group::default()));
                *self = Model {
                    last_generated: start,
                    counts_right: self.counts_right,
                    groups: groups.collect(),
                    ..Model::default()
                };
                self.happen(&Event::Add(count + 1, 1));
            }
            Event::Reconnect | Event::Look(_) => {}
        }
    }

    pub(super) fn facts(&self) -> StreamFacts {
        StreamFacts {
            length: self.entries.len() as u64,
            entries_added: Some(self.added),
            max_deleted: Some(self.max_deleted),
            last_generated: self.last_generated,
            ends: self.entries.first().copied().zip(self.entries.last().copied()),
        }
    }

    pub(super) fn read(&self, wish: &Wish) -> Vec<StreamId> {
        let range = self.entries.range(wish.from.successor()..=wish.to).copied();
        let count = wish.count as usize;
        if wish.upwards { range.take(count).collect() } else { range.rev().take(count).collect() }
    }
}
