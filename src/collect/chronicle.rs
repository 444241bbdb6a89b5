//! What is remembered of the groups of one server from poll to poll, to judge them by.
//!
//! A poll that failed adds nothing and costs nothing: there is none then. Neither does a stream that could not be read.
//! What is gone is forgotten. Polls have their streams and groups in order, and so has this: each finds its past by its
//! place.

use std::mem;

use super::align::align;
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
