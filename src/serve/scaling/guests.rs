//! What a question needs of other shards, and what of that is known.

use super::{Question, Refusal, streams::are_known};
use crate::{
    model::{
        guests::Wish,
        name::{self, Name},
        offer::Target,
        pattern::Pattern,
        share::Share,
        snapshot::{Poll, Server},
    },
    serve::asking::Need,
};

impl<'a> Question<'a> {
    /// What it needs of other shards, on servers that can be polled. Nothing, where it makes no sense.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        if self.of_other_labels().is_some() {
            return needs;
        }
        for (server, targets) in self.servers() {
            let share = server.fresh(self.now).and_then(|poll| poll.share);
            let Some(share) = share.filter(|_| server.why_unknown(self.now).is_none()) else { continue };
            let wishes = self.wishes(server, share, &targets).into_iter();
            needs.extend(wishes.map(|wish| (server.name.clone(), wish)));
        }
        needs
    }

    /// The streams of other shards that may be asked for: one by one where they are named.
    pub(super) fn wishes(&self, server: &Server, share: Share, targets: &[&Target]) -> Vec<Wish> {
        let (redis, mut wishes) = (&server.name, Vec::new());
        let mut add = |wish: Wish| {
            let is_new = !wishes.contains(&wish);
            if is_new {
                wishes.push(wish);
            }
        };
        if share.is_whole() {
            return wishes;
        }
        let may_be = |name: &Name| {
            !share.has(redis, name)
                && targets.iter().any(|target| target.has_stream(redis, name))
                && self.selector.allows("stream", name.text())
                && self.offer.lets_read(self.namespace, redis, name)
        };
        let access = || self.offer.access(self.namespace, redis);
        let all = || Pattern::parse("*").ok().map(|streams| Wish { streams, access: access() });
        if let Some(texts) = self.selector.one_of("stream") {
            for text in texts {
                match Name::of_text(text) {
                    Some(name) if may_be(&name) => add(Wish::named(name)),
                    Some(_) => {}
                    // The text of a name that was cut does not tell it.
                    None if name::may_be_cut(text) => all().into_iter().for_each(&mut add),
                    None => {}
                }
            }
            return wishes;
        }
        for target in targets {
            match &target.stream {
                Some(Pattern::Exact(name)) if may_be(name) => add(Wish::named(name.clone())),
                Some(Pattern::Exact(_)) => {}
                Some(glob) => add(Wish { streams: glob.clone(), access: access() }),
                None => all().into_iter().for_each(&mut add),
            }
        }
        wishes
    }

    /// The poll that has them.
    ///
    /// # Errors
    /// They are not known, or not all of them, and why.
    pub(super) fn guests(
        &self,
        server: &'a Server,
        share: Share,
        targets: &[&Target],
    ) -> Result<Option<&'a Poll>, Refusal> {
        let wishes = self.wishes(server, share, targets);
        let refused = |why: &str| {
            let message = format!(
                "streams of other shards on redis {:?} are asked for, and not known: {why}",
                server.name
            );
            Err(Refusal::Unavailable(message))
        };
        for wish in &wishes {
            match server.guests_for(wish, self.now) {
                None => return refused("no poll for them has ended yet"),
                Some(heard) => {
                    if let Some(fault) = &heard.refused {
                        let message = format!("redis {:?}: {}", server.name, fault.message);
                        return Err(Refusal::Unavailable(message));
                    }
                }
            }
        }
        let Some(guests) = server.guests.as_deref().filter(|_| !wishes.is_empty()) else { return Ok(None) };
        let poll = match &guests.poll {
            Ok(poll) => &**poll,
            Err(fault) => return refused(&fault.message),
        };
        let names = self.stream_names(targets);
        let incomplete = poll.incomplete.iter().find(|part| {
            // One that is asked for by its name is known not to exist, wherever else has not been searched yet.
            self.selector.allows("db", &format!("db{}", part.db))
                && (names.is_none() || part.fault.kind.is_failure())
                && !are_known(poll, part.db, names.as_deref(), |name| !share.has(&server.name, name))
        });
        match incomplete {
            Some(part) => refused(&part.fault.message),
            None => Ok(Some(poll)),
        }
    }
}
