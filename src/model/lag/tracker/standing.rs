//! Where each group of a stream stood in the latest snapshot.

use std::{
    collections::{HashMap, HashSet},
    mem,
    ops::RangeInclusive,
};

use super::ByName;
use crate::model::{name::Name, stream_id::StreamId};

/// The last-delivered ID of each group, in the order of the snapshot.
#[derive(Debug, Default)]
pub struct Standing {
    groups: Vec<(Name, StreamId)>,
    /// Whether they are others than in the snapshot before.
    are_others: bool,
}

impl Standing {
    /// Takes in a snapshot. Whether a group has gone back: that is done only by hand, or where another stream has taken the
    /// name.
    pub fn observe<'a>(&mut self, groups: impl Iterator<Item = (&'a Name, StreamId)> + Clone) -> bool {
        self.are_others = !groups.clone().map(|(name, _)| name).eq(self.groups.iter().map(|(name, _)| name));
        if self.are_others {
            let before: HashMap<_, _> = mem::take(&mut self.groups).into_iter().collect();
            self.groups = groups.map(|(name, x)| (name.clone(), x)).collect();
            return self.groups.iter().any(|(name, x)| before.get(name).is_some_and(|before| x < before));
        }
        let mut has_gone_back = false;
        for ((_, before), (_, x)) in self.groups.iter_mut().zip(groups) {
            has_gone_back |= x < *before;
            *before = x;
        }
        has_gone_back
    }

    /// Whether a group stands at one of these IDs.
    pub fn is_within(&self, ids: RangeInclusive<StreamId>) -> bool {
        self.groups.iter().any(|(_, x)| ids.contains(x))
    }

    /// Drops what is kept of groups that are not there any more.
    pub fn keep<T>(&self, of_groups: &mut ByName<T>) {
        if self.are_others {
            let names: HashSet<_> = self.groups.iter().map(|(name, _)| name).collect();
            of_groups.retain(|name| names.contains(name));
        }
    }
}
