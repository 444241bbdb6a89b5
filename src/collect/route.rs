//! Which node of a cluster has which slot, by the word of several of them.
//!
//! News gets round in a cluster by and by. So each node is believed first about the slots of its own shard, and others
//! are about those for which nobody speaks himself. Two who both claim a slot cannot both have its newest data: then
//! nobody is asked for it.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{SLOTS, View};
use crate::{
    config::HostPort,
    model::fault::{Fault, FaultKind},
};

/// Where all slots are.
#[derive(Clone, Debug)]
pub struct Route {
    shards: Vec<Shard>,
    owners: Vec<Owner>,
}

/// A primary and its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Where the primary is.
    pub primary: HostPort,
    /// Where its replicas are.
    pub replicas: BTreeSet<HostPort>,
    /// Whether it has slots.
    pub has_slots: bool,
    /// Whether it is known to have none: it may be about to get some, and keys of these before that.
    pub is_idle: bool,
}

impl Shard {
    /// Whether keys may be there.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.has_slots || self.is_idle
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    /// Place of a shard. One that others name gives way to one that speaks for itself.
    Named(usize),
    Claims(usize),
    Several,
}

impl Route {
    /// The route by what nodes say, each with where it was asked.
    #[must_use]
    pub fn by<'v>(views: impl Iterator<Item = (&'v HostPort, &'v View)> + Clone) -> Route {
        let mut replicas: BTreeMap<&HostPort, BTreeSet<HostPort>> = BTreeMap::new();
        let (mut idle, mut ids) = (BTreeSet::new(), BTreeMap::new());
        for (_, view) in views.clone() {
            for range in &view.ranges {
                ids.insert(&range.primary, &range.id);
                replicas.entry(&range.primary).or_default().extend(range.replicas.iter().cloned());
            }
            for primary in &view.idle {
                replicas.entry(primary).or_default();
                idle.insert(primary);
            }
        }
        // One that has become a replica knows that first.
        views.clone().filter(|(_, view)| view.is_replica).for_each(|(speaker, _)| _ = idle.remove(speaker));
        let mut shards: Vec<_> = replicas
            .into_iter()
            .map(|(primary, replicas)| {
                let is_idle = idle.contains(primary);
                Shard { primary: primary.clone(), replicas, has_slots: false, is_idle }
            })
            .collect();
        let ids: Vec<_> =
            shards.iter().map(|shard| ids.get(&shard.primary).map(ToString::to_string)).collect();
        let mut owners = vec![Owner::Nobody; usize::from(SLOTS)];
        for (speaker, view) in views {
            for range in &view.ranges {
                let is_own = range.primary == *speaker || range.replicas.contains(speaker);
                let place = shards.binary_search_by(|shard| shard.primary.cmp(&range.primary));
                let Ok(place) = place else { continue };
                let slots = owners.get_mut(usize::from(range.first)..=usize::from(range.last));
                for owner in slots.into_iter().flatten() {
                    *owner = match (*owner, is_own) {
                        (Owner::Nobody, false) => Owner::Named(place),
                        (Owner::Nobody | Owner::Named(_), true) => Owner::Claims(place),
                        (Owner::Claims(other), true) if ids[other] != ids[place] => Owner::Several,
                        (owner, _) => owner,
                    };
                }
            }
        }
        for owner in &owners {
            if let Owner::Named(place) | Owner::Claims(place) = owner {
                shards[*place].has_slots = true;
            }
        }
        Route { shards, owners }
    }

    /// All shards that somebody knows of, in the order of their primaries.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The place among the shards of the one that has a slot.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn owner(&self, slot: u16) -> Result<usize, Fault> {
        match self.owners.get(usize::from(slot)) {
            Some(Owner::Named(place) | Owner::Claims(place)) => Ok(*place),
            Some(Owner::Several) => Err(down(slot, "several nodes say that they have")),
            Some(Owner::Nobody) | None => Err(down(slot, "no node has")),
        }
    }

    /// Why the streams of some slot cannot be had from anybody.
    #[must_use]
    pub fn gap(&self) -> Option<Fault> {
        (0..SLOTS).find_map(|slot| self.owner(slot).err())
    }
}

fn down(slot: u16, who: &str) -> Fault {
    Fault::new(FaultKind::ClusterDown, format!("{who} slot {slot} of the cluster"))
}

#[cfg(test)]
mod tests {
    use super::{super::cluster::Range, *};

    fn place(port: u16) -> HostPort {
        HostPort { host: "node".into(), port }
    }

    /// A view of ranges, `(first, last, primary, replica)`, where 0 is no replica.
    fn view(ranges: &[(u16, u16, u16, u16)], idle: &[u16]) -> View {
        let range = |&(first, last, primary, replica): &(u16, u16, u16, u16)| Range {
            first,
            last,
            primary: place(primary),
            id: primary.to_string(),
            replicas: (replica != 0).then(|| place(replica)).into_iter().collect(),
        };
        View {
            ranges: ranges.iter().map(range).collect(),
            idle: idle.iter().map(|port| place(*port)).collect(),
            ..View::default()
        }
    }

    fn route(views: &[(u16, View)]) -> Route {
        let places: Vec<_> = views.iter().map(|(port, _)| place(*port)).collect();
        Route::by(places.iter().zip(views.iter().map(|(_, view)| view)))
    }

    /// Who has a slot: a port, or what is said instead.
    fn owner(route: &Route, slot: u16) -> Result<u16, String> {
        let owner = route.owner(slot).map_err(|fault| fault.message.clone())?;
        Ok(route.shards()[owner].primary.port)
    }

    #[test]
    fn who_speaks_for_himself_is_believed_first() {
        let (late, early) = (view(&[(0, 9, 1, 0), (10, 16383, 2, 0)], &[]), view(&[(0, 16383, 2, 0)], &[]));
        for views in [[(1, late.clone()), (2, early.clone())], [(2, early.clone()), (1, late.clone())]] {
            // Both claim the first ten.
            let route = route(&views);
            assert_eq!(
                owner(&route, 9),
                Err("several nodes say that they have slot 9 of the cluster".into())
            );
            assert_eq!(owner(&route, 10), Ok(2));
        }
        // The first one is silent: others speak for it, or against it where they themselves have the slots.
        assert_eq!(owner(&route(&[(3, late.clone())]), 9), Ok(1));
        assert_eq!(owner(&route(&[(3, late.clone()), (2, early.clone())]), 9), Ok(2));
        assert_eq!(owner(&route(&[(2, early), (3, late)]), 9), Ok(2));
    }

    #[test]
    fn a_replica_speaks_for_its_primary() {
        let of_replica = view(&[(0, 9, 1, 4), (10, 16383, 2, 0)], &[]);
        let early = view(&[(0, 16383, 2, 0)], &[]);
        assert_eq!(owner(&route(&[(3, early.clone()), (4, of_replica.clone())]), 9), Ok(1));
        assert!(owner(&route(&[(2, early), (4, of_replica)]), 9).is_err());
    }

    #[test]
    fn a_slot_that_nobody_has_is_a_gap() {
        let partial = view(&[(0, 9, 1, 0), (11, 16383, 2, 0)], &[]);
        let route = route(&[(1, partial)]);
        let said = "no node has slot 10 of the cluster";
        assert_eq!((owner(&route, 10), owner(&route, 11)), (Err(said.into()), Ok(2)));
        assert_eq!(route.gap().unwrap().message, said);
    }

    /// One that was replaced has none, though somebody has not heard of that; one that waits for its first slot may.
    #[test]
    fn keys_may_be_with_owners_and_with_idle_ones() {
        let (late, early) = (view(&[(0, 16383, 1, 2)], &[]), view(&[(0, 16383, 2, 0)], &[5]));
        let route = route(&[(2, early), (3, late)]);
        let with_keys = route.shards().iter().filter(|shard| shard.has_keys());
        assert_eq!(with_keys.map(|shard| shard.primary.port).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(route.shards().len(), 3);
        assert!(route.gap().is_none());
    }

    #[test]
    fn one_that_has_become_a_replica_is_not_idle() {
        let replica = View { is_replica: true, ..view(&[(0, 16383, 2, 5)], &[]) };
        let route = route(&[(2, view(&[(0, 16383, 2, 0)], &[5])), (5, replica)]);
        let with_keys: Vec<_> = route.shards().iter().filter(|shard| shard.has_keys()).collect();
        assert_eq!(with_keys.iter().map(|shard| shard.primary.port).collect::<Vec<_>>(), [2]);
    }
}
