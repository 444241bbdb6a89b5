//! What is remembered of the groups of one server from poll to poll, to judge them by.
//!
//! A poll that failed adds nothing and costs nothing: there is none then. Neither does a stream that could not be read.
//! What is gone is forgotten. Polls have their streams and groups in order, and so has this: each finds its past by its
//! place.

use std::{cmp::Ordering, mem};

use crate::model::{
    health::{Course, Rules},
    name::Name,
    snapshot::Poll,
};

/// The past of all groups of a server.
#[derive(Debug)]
pub struct Chronicle {
    rules: Rules,
    /// By database and name.
    streams: Vec<Past>,
}

/// What is remembered of a stream.
#[derive(Debug)]
struct Past {
    db: u32,
    name: Name,
    /// Its groups, by name.
    groups: Vec<(Name, Course)>,
}

impl Chronicle {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Chronicle { rules, streams: Vec::new() }
    }

    /// From the next poll on, by these rules. What a shorter window still needs is kept.
    pub fn judge_by(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Takes in a poll, and says of each of its groups how it is.
    pub fn judge(&mut self, poll: &mut Poll) {
        align(
            &mut self.streams,
            &poll.streams,
            |past, entry| past.db.cmp(&entry.db).then_with(|| past.name.cmp(&entry.name)),
            |entry| Past { db: entry.db, name: entry.name.clone(), groups: Vec::new() },
        );
        for (past, entry) in self.streams.iter_mut().zip(&mut poll.streams) {
            match &mut entry.state {
                Err(_) => {}
                Ok(None) => past.groups = Vec::new(),
                Ok(Some(stream)) => {
                    let mut groups = mem::take(&mut stream.groups);
                    align(
                        &mut past.groups,
                        &groups,
                        |(name, _), group| name.cmp(&group.name),
                        |group| (group.name.clone(), Course::default()),
                    );
                    for ((_, course), group) in past.groups.iter_mut().zip(&mut groups) {
                        group.health = course.observe(stream, group, &self.rules);
                    }
                    stream.groups = groups;
                }
            }
        }
    }
}

/// Makes `past` have one item for each that is there now, in the same order: the one it has, or else a new one. Both are
/// ordered alike. Mostly nothing has changed, and everything stays where it is.
fn align<P, N>(past: &mut Vec<P>, now: &[N], order: impl Fn(&P, &N) -> Ordering, begin: impl Fn(&N) -> P) {
    let is_same = |(past, now): (&P, &N)| order(past, now).is_eq();
    if past.len() == now.len() && past.iter().zip(now).all(is_same) {
        return;
    }
    let mut known = mem::replace(past, Vec::with_capacity(now.len())).into_iter().peekable();
    for now in now {
        while known.next_if(|known| order(known, now).is_lt()).is_some() {}
        let known = known.next_if(|known| order(known, now).is_eq());
        past.push(known.unwrap_or_else(|| begin(now)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes and goes: all that stays keeps its past, and nothing takes over that of another.
        #[test]
        fn everybody_keeps_their_own_past(polls in prop::collection::vec(prop::collection::btree_set(0u8..12, 0..12), 1..12)) {
            let mut past: Vec<(u8, u32)> = Vec::new();
            let mut expected = std::collections::BTreeMap::new();
            for poll in polls {
                let now: Vec<u8> = poll.iter().copied().collect();
                align(&mut past, &now, |(name, _), now| name.cmp(now), |name| (*name, 0));
                past.iter_mut().for_each(|(_, polls)| *polls += 1);
                expected.retain(|name, _| poll.contains(name));
                poll.iter().for_each(|name| *expected.entry(*name).or_insert(0) += 1);
                prop_assert_eq!(&past, &expected.iter().map(|(name, polls)| (*name, *polls)).collect::<Vec<_>>());
            }
        }
    }
}
