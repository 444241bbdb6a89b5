//! What was told of groups, so that it is not told again: in the order of polls, and compared with them place by place.

use std::{cmp::Ordering, mem};

use crate::model::{
    name::Name,
    snapshot::{Group, Poll, StreamEntry},
};

/// What was told of each of some groups.
#[derive(Debug)]
pub struct Told<T> {
    /// By database, stream and group.
    items: Vec<Item<T>>,
}

#[derive(Debug)]
struct Item<T> {
    db: u32,
    stream: Name,
    group: Name,
    what: Option<T>,
    /// Whether the latest poll has the group.
    is_seen: bool,
}

impl<T> Default for Told<T> {
    fn default() -> Self {
        Told { items: Vec::new() }
    }
}

impl<T: Copy> Told<T> {
    /// Whether nothing was told of any group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Goes over all groups of a poll: `tell` gets what was told of each, and returns what is from now on. What was told of
    /// groups that are not there any more is forgotten, except where their stream `keeps` it.
    pub fn revise(
        &mut self,
        poll: &Poll,
        mut tell: impl FnMut(&StreamEntry, &Group, Option<T>) -> Option<T>,
        keeps: impl Fn(&StreamEntry) -> bool,
    ) {
        let mut known = mem::take(&mut self.items).into_iter().peekable();
        let mut items: Vec<Item<T>> = Vec::with_capacity(known.len());
        for entry in &poll.streams {
            while known.next_if(|item| item.order(entry).is_lt()).is_some() {}
            let begin = items.len();
            while let Some(item) = known.next_if(|item| item.order(entry).is_eq()) {
                items.push(Item { is_seen: false, ..item });
            }
            let end = items.len();
            for group in entry.groups() {
                let of_stream = &mut items[begin..end];
                let place = of_stream.binary_search_by(|item| item.group.cmp(&group.name));
                let item = place.ok().and_then(|place| of_stream.get_mut(place));
                let what = tell(entry, group, item.as_ref().and_then(|item| item.what));
                match item {
                    Some(item) => (item.what, item.is_seen) = (what, true),
                    None if what.is_some() => {
                        let (stream, group) = (entry.name.clone(), group.name.clone());
                        items.push(Item { db: entry.db, stream, group, what, is_seen: true });
                    }
                    None => {}
                }
            }
            if items.len() > end {
                items[begin..].sort_unstable_by(|a, b| a.group.cmp(&b.group));
            }
            for item in items[begin..].iter_mut().filter(|item| !item.is_seen) {
                item.what = item.what.filter(|_| keeps(entry));
            }
        }
        items.retain(|item| item.what.is_some());
        self.items = items;
    }
}

impl<T> Item<T> {
    fn order(&self, entry: &StreamEntry) -> Ordering {
        self.db.cmp(&entry.db).then_with(|| self.stream.cmp(&entry.name))
    }
}

#[cfg(test)]
#[path = "told_tests.rs"]
mod tests;
