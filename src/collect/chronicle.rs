//! What is remembered of the groups of one server from poll to poll, to judge them by.
//!
//! A poll that failed adds nothing and costs nothing: there is none then. Neither does a stream that could not be read.
//! What is gone is forgotten.

use std::{collections::HashMap, mem};

use crate::model::{
    health::{Course, Rules},
    name::Name,
    snapshot::Poll,
};

/// The groups of a stream, each with its course.
type Groups = HashMap<Name, Course>;

/// The past of all groups of a server.
#[derive(Debug)]
pub struct Chronicle {
    rules: Rules,
    /// By database and stream.
    streams: HashMap<(u32, Name), Groups>,
}

impl Chronicle {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Chronicle { rules, streams: HashMap::new() }
    }

    /// From the next poll on, by these rules. What a shorter window still needs is kept.
    pub fn judge_by(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Takes in a poll, and says of each of its groups how it is.
    pub fn judge(&mut self, poll: &mut Poll) {
        let mut before = mem::take(&mut self.streams);
        for entry in &mut poll.streams {
            let key = (entry.db, entry.name.clone());
            let mut known = before.remove(&key).unwrap_or_default();
            let groups = match &mut entry.state {
                Err(_) => known,
                Ok(None) => continue,
                Ok(Some(stream)) => {
                    let mut groups = mem::take(&mut stream.groups);
                    let mut kept = Groups::with_capacity(groups.len());
                    for group in &mut groups {
                        let mut course = known.remove(&group.name).unwrap_or_default();
                        group.health = course.observe(stream, group, &self.rules);
                        kept.insert(group.name.clone(), course);
                    }
                    stream.groups = groups;
                    kept
                }
            };
            if !groups.is_empty() {
                self.streams.insert(key, groups);
            }
        }
    }
}
