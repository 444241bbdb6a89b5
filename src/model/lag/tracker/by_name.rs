//! What is kept of each group of a stream: mostly of two or three, so that a list takes less room than a table of hashes.

use crate::model::name::Name;

/// Something for each of some groups, by name.
#[derive(Debug)]
pub struct ByName<T> {
    items: Vec<(Name, T)>,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        ByName { items: Vec::new() }
    }
}

impl<T> ByName<T> {
    /// What is kept of a group.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&T> {
        self.place(name).ok().map(|place| &self.items[place].1)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, name: &Name) -> Option<&mut T> {
        self.place(name).ok().map(|place| &mut self.items[place].1)
    }

    /// The same; from now on there is something.
    pub fn entry(&mut self, name: &Name) -> &mut T
    where
        T: Default,
    {
        let place = self.place(name).unwrap_or_else(|place| {
            if self.items.len() == self.items.capacity() {
                // Some at a time where there are many, and no more than there are where there are few.
                self.items.reserve_exact(1 + self.items.len() / 2);
            }
            self.items.insert(place, (name.clone(), T::default()));
            place
        });
        &mut self.items[place].1
    }

    /// Drops what is kept of groups of which that is not `wanted`.
    pub fn retain(&mut self, wanted: impl Fn(&Name) -> bool) {
        self.items.retain(|(name, _)| wanted(name));
    }

    /// Drops it all.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Groups of which something is kept.
    #[cfg(test)]
    pub fn names(&self) -> impl ExactSizeIterator<Item = &Name> {
        self.items.iter().map(|(name, _)| name)
    }

    fn place(&self, name: &Name) -> Result<usize, usize> {
        self.items.binary_search_by(|(other, _)| other.cmp(name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the map of the standard library.
        #[test]
        fn each_group_has_its_own(steps in prop::collection::vec((0u8..9, 0u8..4), 0..60)) {
            let (mut kept, mut model) = (ByName::<u32>::default(), BTreeMap::new());
            for (group, what) in steps {
                let name = Name::from(&[group][..]);
                match what {
                    0 => kept.retain(|other| *other != name),
                    1 if group == 0 => kept.clear(),
                    _ => *kept.entry(&name) += 1,
                }
                match what {
                    0 => _ = model.remove(&name),
                    1 if group == 0 => model.clear(),
                    _ => *model.entry(name.clone()).or_insert(0) += 1,
                }
                prop_assert_eq!(kept.get(&name), model.get(&name));
                prop_assert_eq!(kept.get_mut(&name).copied(), model.get(&name).copied());
                prop_assert_eq!(kept.names().len(), model.len());
            }
        }
    }
}
