//! Streams of other shards in one database, as far as somebody asks for them.
//!
//! A wish is followed whole or not at all: a part of what a glob means would make a partial sum. Each has its streams apart,
//! and the limit is on all of them together, in the order of the wishes: who came first goes first.

use std::collections::BTreeSet;

use crate::{
    config::RedisServer,
    model::{
        guests::{Heard, Wish, crowded},
        name::Name,
        pattern::{Glob, Pattern},
        share::Share,
    },
};

/// Which streams of others are measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Invitation {
    /// The share that they are no part of.
    pub share: Share,
    /// Who is meant.
    pub wishes: Vec<Wish>,
    /// Most streams of a database.
    pub most: usize,
}

/// The names, kept between polls.
#[derive(Debug)]
pub struct Invited {
    server: RedisServer,
    share: Share,
    most: usize,
    /// What the configuration names.
    configured: BTreeSet<Name>,
    guests: Vec<Party>,
    globs: Vec<Glob>,
}

/// A wish, and the streams that it takes.
#[derive(Debug)]
struct Party {
    wish: Wish,
    /// What it names, and what it means of that which the configuration names.
    named: BTreeSet<Name>,
    /// What it means besides, and was found.
    found: BTreeSet<Name>,
    /// Whether more was found than is remembered: then nothing makes it whole again but another search.
    is_cut: bool,
    is_admitted: bool,
}

impl Invited {
    /// Nothing is found yet.
    #[must_use]
    pub fn new(server: &RedisServer, invitation: &Invitation) -> Invited {
        let (share, most) = (invitation.share, invitation.most);
        let configured = server.exact_streams();
        let (guests, globs) = (Vec::new(), Vec::new());
        let mut invited = Invited { server: server.clone(), share, most, configured, guests, globs };
        invited.receive(&invitation.wishes);
        invited
    }

    /// Goes over to another invitation, unless there are globs to search for that are new; says whether it did. A name is
    /// asked for without a search.
    pub fn goes_over_to(&mut self, newer: &Invitation) -> bool {
        let is_known = |wish: &Wish| self.guests.iter().any(|party| party.wish == *wish);
        let is_found = newer.wishes.iter().all(|wish| wish.streams.glob().is_none() || is_known(wish));
        let does = is_found && (newer.share, newer.most) == (self.share, self.most);
        if does {
            self.receive(&newer.wishes);
        }
        does
    }

    fn receive(&mut self, wishes: &[Wish]) {
        let mut before = std::mem::take(&mut self.guests);
        self.guests = wishes.iter().map(|wish| self.party(wish, &mut before)).collect();
        self.globs.clear();
        for glob in wishes.iter().filter_map(|wish| wish.streams.glob()) {
            if !self.globs.contains(glob) {
                self.globs.push(glob.clone());
            }
        }
        self.admit();
    }

    fn party(&self, wish: &Wish, before: &mut [Party]) -> Party {
        let known = before.iter_mut().find(|party| party.wish == *wish);
        let (found, is_cut) =
            known.map(|party| (std::mem::take(&mut party.found), party.is_cut)).unwrap_or_default();
        let named = match &wish.streams {
            Pattern::Exact(name) => BTreeSet::from([name.clone()]),
            Pattern::Glob(_) => self.configured.clone(),
        };
        let named = named.into_iter().filter(|name| self.is_meant(wish, name)).collect();
        Party { wish: wish.clone(), named, found, is_cut, is_admitted: false }
    }

    /// Whether a stream of another shard is configured, and wished for.
    fn is_meant(&self, wish: &Wish, name: &Name) -> bool {
        let redis = &self.server.name;
        wish.includes(redis, name)
            && !self.share.has(redis, name)
            && (self.configured.contains(name)
                || self.server.streams.iter().any(|pattern| pattern.matches(name)))
    }

    /// Decides whom there is room for.
    fn admit(&mut self) {
        let mut taken = BTreeSet::new();
        for party in &mut self.guests {
            let news = party.names().filter(|name| !taken.contains(*name)).cloned().collect::<Vec<_>>();
            party.is_admitted = !party.is_cut && taken.len() + news.len() <= self.most;
            if party.is_admitted {
                taken.extend(news);
            }
        }
    }

    /// What to look for.
    #[must_use]
    pub fn globs(&self) -> &[Glob] {
        &self.globs
    }

    /// All names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<Name> {
        let admitted = self.guests.iter().filter(|party| party.is_admitted);
        let names: BTreeSet<_> = admitted.flat_map(Party::names).collect();
        names.into_iter().cloned().collect()
    }

    /// Whether a name is configured: then its stream is shown even if it does not exist.
    #[must_use]
    pub fn is_configured(&self, name: &Name) -> bool {
        self.configured.contains(name)
    }

    /// Streams were found.
    pub fn extend(&mut self, found: impl IntoIterator<Item = Name>) {
        let mut guests = std::mem::take(&mut self.guests);
        for name in found {
            for party in &mut guests {
                let is_glob = party.wish.streams.glob().is_some();
                if is_glob && self.is_meant(&party.wish, &name) && !party.named.contains(&name) {
                    party.found.insert(name.clone());
                }
                if party.found.len() > self.most {
                    party.found.pop_last();
                    party.is_cut = true;
                }
            }
        }
        self.guests = guests;
        self.admit();
    }

    /// A stream that was found is gone.
    pub fn forget(&mut self, name: &Name) {
        self.guests.iter_mut().for_each(|party| _ = party.found.remove(name));
    }

    /// What came of each wish, but for what is known of its streams.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        let heard = |party: &Party| {
            let refused = (!party.is_admitted).then(|| crowded(self.most));
            Heard { wish: party.wish.clone(), found: 0, refused }
        };
        self.guests.iter().map(heard).collect()
    }
}

impl Party {
    fn names(&self) -> impl Iterator<Item = &Name> {
        self.named.iter().chain(&self.found)
    }
}

#[cfg(test)]
#[path = "invited_tests.rs"]
mod tests;
