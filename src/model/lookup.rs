//! Finding streams of a poll without looking through all of them: they are ordered by database and name.

use std::ops::Range;

use super::{
    name::Name,
    pattern::Pattern,
    snapshot::{Poll, StreamEntry},
};

/// What is known of a name that is looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clue {
    /// It is this one.
    Name(Name),
    /// It begins with these bytes.
    Prefix(Vec<u8>),
}

impl Clue {
    /// What all names have in common that a pattern fits.
    #[must_use]
    pub fn of(pattern: &Pattern) -> Clue {
        match pattern {
            Pattern::Exact(name) => Clue::Name(name.clone()),
            Pattern::Glob(glob) => Clue::Prefix(glob.prefix().to_vec()),
        }
    }

    /// Where it leads to, in streams of one database.
    fn places(&self, streams: &[StreamEntry]) -> Range<usize> {
        let (bytes, is_whole) = match self {
            Clue::Name(name) => (name.as_bytes(), true),
            Clue::Prefix(prefix) => (&prefix[..], false),
        };
        let start = streams.partition_point(|entry| entry.name.as_bytes() < bytes);
        let fits = |entry: &StreamEntry| match is_whole {
            true => entry.name.as_bytes() == bytes,
            false => entry.name.as_bytes().starts_with(bytes),
        };
        start..start + streams[start..].partition_point(fits)
    }
}

impl Poll {
    /// The streams, database by database.
    pub fn databases(&self) -> impl Iterator<Item = (u32, &[StreamEntry])> {
        let mut rest = &self.streams[..];
        std::iter::from_fn(move || {
            let db = rest.first()?.db;
            let (streams, others) = rest.split_at(rest.partition_point(|entry| entry.db <= db).max(1));
            rest = others;
            Some((db, streams))
        })
    }

    /// Whether a stream is among those that are known.
    #[must_use]
    pub fn knows(&self, db: u32, name: &Name) -> bool {
        self.streams.binary_search_by(|entry| (entry.db, &entry.name).cmp(&(db, name))).is_ok()
    }
}

/// The streams of one database to which any of these clues leads, each once and in order.
pub fn led_to<'s>(streams: &'s [StreamEntry], clues: &[Clue]) -> impl Iterator<Item = &'s StreamEntry> {
    let mut places: Vec<_> = clues.iter().map(|clue| clue.places(streams)).collect();
    places.sort_unstable_by_key(|places| places.start);
    let mut seen = 0;
    places.into_iter().flat_map(move |places| {
        let unseen = places.start.max(seen)..places.end.max(seen);
        seen = unseen.end;
        &streams[unseen]
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(db: u32, name: &[u8]) -> StreamEntry {
        StreamEntry { db, name: Name::from(name), state: Ok(None), missing_groups: vec![] }
    }

    fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"ab\xff".to_vec()), 0..most)
    }

    proptest! {
        #[test]
        fn clues_lead_to_just_what_fits_them(
            names in prop::collection::btree_set(bytes(4), 0..30),
            whole in prop::collection::vec(bytes(4), 0..3),
            prefixes in prop::collection::vec(bytes(3), 0..3),
        ) {
            let streams: Vec<_> = names.iter().map(|name| entry(0, name)).collect();
            let clues = whole.iter().map(|name| Clue::Name(Name::from(&name[..])));
            let clues: Vec<_> = clues.chain(prefixes.iter().cloned().map(Clue::Prefix)).collect();
            let found: Vec<_> = led_to(&streams, &clues).map(|entry| entry.name.as_bytes().to_vec()).collect();
            let fits = |name: &&Vec<u8>| {
                whole.contains(name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
            };
            prop_assert_eq!(found, names.iter().filter(fits).cloned().collect::<Vec<_>>());
        }
    }
}
