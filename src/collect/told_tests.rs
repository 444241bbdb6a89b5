use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::*;
use crate::model::{
    lag::{Lag, Policy},
    snapshot::Stream,
    stream_id::StreamId,
    time::UnixMicros,
};

/// The groups of a stream: whether each exists, and what is to be told of it.
type OfStream = BTreeMap<u8, (bool, Option<u8>)>;

/// The same of some streams, by database and stream.
type Groups = BTreeMap<(u32, u8), OfStream>;

fn groups() -> impl Strategy<Value = Groups> {
    let group = (any::<bool>(), prop::option::of(0u8..3));
    let groups = prop::collection::btree_map(0u8..4, group, 0..4);
    prop::collection::btree_map((0u32..2, 0u8..3), groups, 0..6)
}

fn name(number: u8) -> Name {
    Name::from(&[b'a' + number][..])
}

fn poll(groups: &Groups) -> Poll {
    let entry = |(&(db, stream), groups): (&(u32, u8), &OfStream)| {
        let those = |exist: bool| {
            let those = groups.iter().filter(move |(_, (exists, _))| *exists == exist);
            those.map(|(group, _)| Group::missing(name(*group), Lag::derived(0))).collect::<Vec<_>>()
        };
        let state = Stream {
            redis_time: UnixMicros(0),
            length: 0,
            radix_tree_keys: None,
            radix_tree_nodes: None,
            last_generated_id: StreamId::default(),
            max_deleted_entry_id: None,
            entries_added: None,
            has_own_counters: true,
            group_count: 0,
            ends: None,
            counting: Ok(()),
            groups: those(true),
            cut: None,
        };
        StreamEntry { db, name: name(stream), state: Ok(Some(state)), missing_groups: those(false) }
    };
    Poll {
        started: Instant::now(),
        duration: Duration::ZERO,
        ended_at: UnixMicros(0),
        version: "7.0.15".into(),
        policy: Policy::default(),
        incomplete: vec![],
        cuts: vec![],
        share: None,
        orders: 0,
        streams: groups.iter().map(entry).collect(),
    }
}

proptest! {
    /// Every group is asked about once, in order, with what was told of it; what is gone is forgotten, unless it is kept.
    #[test]
    fn it_is_a_map_of_what_was_told(polls in prop::collection::vec((groups(), 0u8..4), 1..8)) {
        let (mut told, mut expected) = (Told::default(), BTreeMap::new());
        for (groups, keeping) in polls {
            let poll = poll(&groups);
            let keeps = |entry: &StreamEntry| entry.name == name(keeping);
            let wanted: BTreeMap<_, _> = groups
                .iter()
                .flat_map(|((db, stream), groups)| {
                    groups.iter().map(|(group, (_, what))| ((*db, name(*stream), name(*group)), *what))
                })
                .collect();
            let mut asked = Vec::new();
            told.revise(
                &poll,
                |entry, group, before| {
                    let key = (entry.db, entry.name.clone(), group.name.clone());
                    asked.push((key.clone(), before));
                    wanted[&key]
                },
                keeps,
            );
            let all: Vec<_> = poll
                .streams
                .iter()
                .flat_map(|entry| entry.groups().map(|group| (entry.db, entry.name.clone(), group.name.clone())))
                .map(|key| (key.clone(), expected.get(&key).copied()))
                .collect();
            prop_assert_eq!(asked, all);
            let kept: BTreeSet<_> = poll.streams.iter().filter(|entry| keeps(entry)).map(|entry| (entry.db, entry.name.clone())).collect();
            expected.retain(|key: &(u32, Name, Name), _| !wanted.contains_key(key) && kept.contains(&(key.0, key.1.clone())));
            expected.extend(wanted.into_iter().filter_map(|(key, what)| Some((key, what?))));
            let items = told.items.iter().map(|item| ((item.db, item.stream.clone(), item.group.clone()), item.what.unwrap()));
            prop_assert!(items.eq(expected.clone()));
            prop_assert_eq!(told.is_empty(), expected.is_empty());
        }
    }
}
