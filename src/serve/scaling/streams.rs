//! The streams that are asked for: looked up where it is known how their names begin, and looked through otherwise.

use super::{Found, Question, Refusal};
use crate::model::{
    lookup::{self, Clue},
    name::{self, Name},
    offer::Target,
    pattern::Pattern,
    share::Part,
    snapshot::{Poll, Server, StreamEntry},
};

impl<'a> Question<'a> {
    /// The streams that are asked for, of servers that are up, in the order of the snapshot.
    pub(super) fn streams(&self) -> Result<Vec<Found<'a>>, Refusal> {
        if let Some((other, labels)) = self.of_other_labels() {
            let name = self.name;
            return Err(Refusal::Bad(format!("{name} has no label {other:?}: its labels are {labels}")));
        }
        if let Part::Unknown(why) = &self.snapshot.part {
            let message = format!("which streams are measured here is not known yet: {why}");
            return Err(Refusal::Unavailable(message));
        }
        let mut found = Vec::new();
        for (server, targets) in self.servers() {
            let down = server.why_unknown(self.now).map(|why| ("cannot be polled", why));
            let in_part = || {
                let poll = server.fresh(self.now)?;
                Some(("is known in part only", self.why_partial(server, poll, &targets)?))
            };
            let unknown = down.or_else(in_part);
            let (None, Some(poll)) = (&unknown, server.fresh(self.now)) else {
                let (state, why) = unknown.unwrap_or_default();
                let narrower = if self.snapshot.servers.len() > 1 && self.selector.one_of("redis").is_none() {
                    " (a selector with redis=… leaves it out)"
                } else {
                    ""
                };
                let name = &server.name;
                return Err(Refusal::Unavailable(format!(
                    "redis {name:?} {state}, so what matches there is not known: {why}{narrower}"
                )));
            };
            let first = found.len();
            self.find(server, poll, &targets, &mut found);
            if let Some(share) = poll.share
                && let Some(guests) = self.guests(server, share, &targets)?
            {
                self.find(server, guests, &targets, &mut found);
                found[first..].sort_by_key(|found| (found.entry.db, &found.entry.name));
            }
        }
        Ok(found)
    }

    /// The servers that are asked for, each with the targets that mean it; none of which nothing may be read.
    pub(super) fn servers(&self) -> impl Iterator<Item = (&'a Server, Vec<&'a Target>)> {
        self.snapshot.servers.iter().filter_map(|server| {
            let targets = self.targets.iter().copied().filter(|target| target.has_server(&server.name));
            let targets: Vec<_> = targets.collect();
            let is_meant = !targets.is_empty() && self.selector.allows("redis", &server.name);
            (is_meant && !self.is_hidden(server, &targets)).then_some((&**server, targets))
        })
    }

    /// Adds the streams of a poll that are asked for.
    fn find(&self, server: &'a Server, poll: &'a Poll, targets: &[&Target], found: &mut Vec<Found<'a>>) {
        let clues = self.clues(targets);
        let is_meant = |entry: &StreamEntry| {
            self.selector.allows("stream", entry.name.text())
                && targets.iter().any(|target| target.has_stream(&server.name, &entry.name))
                && self.offer.lets_read(self.namespace, &server.name, &entry.name)
        };
        for (db, streams) in poll.databases() {
            if self.selector.allows("db", &format!("db{db}")) {
                let meant = lookup::led_to(streams, &clues).filter(|entry| is_meant(entry));
                found.extend(meant.map(|entry| Found { server, poll, entry }));
            }
        }
    }

    /// What is known of the names of the streams that are asked for: each follows from one of these.
    fn clues(&self, targets: &[&Target]) -> Vec<Clue> {
        let any = || Clue::Prefix(Vec::new());
        if let Some(texts) = self.selector.one_of("stream") {
            let of_text = |text: &String| match Name::of_text(text) {
                Some(name) => Some(Clue::Name(name)),
                // Which name was cut, its text does not tell.
                None => name::may_be_cut(text).then(any),
            };
            return texts.iter().filter_map(of_text).collect();
        }
        targets.iter().map(|target| target.stream.as_ref().map_or_else(any, Clue::of)).collect()
    }

    /// Why there may be streams on a server that are asked for and not known: none where each is asked for by its name.
    fn why_partial(&self, server: &Server, poll: &Poll, targets: &[&Target]) -> Option<String> {
        let names = self.stream_names(targets);
        let is_own = |name: &Name| poll.share.is_none_or(|share| share.has(&server.name, name));
        let unknown = poll.incomplete.iter().find(|part| {
            self.selector.allows("db", &format!("db{}", part.db))
                && !are_known(poll, part.db, names.as_deref(), is_own)
        })?;
        Some(unknown.fault.message.clone())
    }

    /// The streams that are asked for, where each is named.
    pub(super) fn stream_names(&self, targets: &[&Target]) -> Option<Vec<Name>> {
        self.names("stream").or_else(|| exact(targets.iter().map(|target| &target.stream)))
    }

    /// Whether nothing that is asked for may be read on this server: then even its state is no answer to give.
    fn is_hidden(&self, server: &Server, targets: &[&Target]) -> bool {
        let may_read = |stream: &Name| self.offer.lets_read(self.namespace, &server.name, stream);
        let hides_all = |names: Option<Vec<Name>>| names.is_some_and(|names| !names.iter().any(may_read));
        !self.offer.lets_read_some(self.namespace, &server.name)
            || hides_all(self.names("stream"))
            || hides_all(exact(targets.iter().map(|target| &target.stream)))
    }

    /// The streams or groups that the selector names, where it does.
    pub(super) fn names(&self, label: &str) -> Option<Vec<Name>> {
        let names = self.selector.one_of(label)?;
        Some(names.iter().map(|name| Name::from(name.as_str())).collect())
    }
}

/// The names that patterns are, where none of them is a glob or missing.
pub(super) fn exact<'p>(patterns: impl Iterator<Item = &'p Option<Pattern>>) -> Option<Vec<Name>> {
    let exact = |pattern: &Option<Pattern>| match pattern {
        Some(Pattern::Exact(name)) => Some(name.clone()),
        _ => None,
    };
    patterns.map(exact).collect()
}

/// Whether each of the streams that are named is known, of those that a poll is to know.
pub(super) fn are_known(
    poll: &Poll,
    db: u32,
    names: Option<&[Name]>,
    is_its: impl Fn(&Name) -> bool,
) -> bool {
    names.is_some_and(|names| names.iter().all(|name| !is_its(name) || poll.knows(db, name)))
}
