//! The consumers of a group, in little room: most of a snapshot is these, and while a poll goes on there are two snapshots.
//!
//! Their names stay the same from poll to poll, and are shared ([`Names::list`](super::name::Names::list)); what is told of
//! them is packed.

use std::{fmt, sync::Arc, time::Duration};

use super::{name::Name, packed};

/// A consumer as `XINFO CONSUMERS` describes it, or as the owner of pending entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer<'a> {
    /// Its name.
    pub name: &'a Name,
    /// Entries delivered to it and not yet acknowledged.
    pub pending: u64,
    /// Time since it last tried to read, claim or acknowledge, in whole milliseconds; on Redis 7.0 and before, since it last
    /// succeeded. `None` of an owner.
    pub idle: Option<Duration>,
    /// Time since it last got an entry, in whole milliseconds; `None` when it never did, and before Redis 7.2.
    pub inactive: Option<Duration>,
}

/// What is told of one consumer, in the order in which it is packed: pending entries, and the two times.
pub type Told = (u64, Option<Duration>, Option<Duration>);

/// All consumers of a group that are known, in the order in which they were given.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Consumers {
    names: Arc<[Name]>,
    told: Box<[u8]>,
}

impl Consumers {
    /// Consumers of these names, each with what is told of it.
    pub fn new(names: Arc<[Name]>, told: impl Iterator<Item = Told> + Clone) -> Self {
        let numbers = told.flat_map(|(pending, idle, inactive)| [pending, whole(idle), whole(inactive)]);
        let numbers = numbers.take(3 * names.len()).map(packed::pack);
        let mut told = Vec::with_capacity(numbers.clone().map(|(_, len)| len).sum());
        numbers.for_each(|(bytes, len)| told.extend_from_slice(&bytes[..len]));
        Consumers { names, told: told.into() }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Consumer<'_>> {
        let mut told = &self.told[..];
        self.names.iter().map(move |name| {
            let [pending, idle, inactive] = std::array::from_fn(|_| packed::take(&mut told));
            Consumer { name, pending, idle: time(idle), inactive: time(inactive) }
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl fmt::Debug for Consumers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl FromIterator<(Name, Told)> for Consumers {
    fn from_iter<I: IntoIterator<Item = (Name, Told)>>(consumers: I) -> Self {
        let (names, told): (Vec<_>, Vec<_>) = consumers.into_iter().unzip();
        Consumers::new(names.into(), told.into_iter())
    }
}

/// A time as a number: 0 is none.
fn whole(time: Option<Duration>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).saturating_add(1))
}

fn time(number: u64) -> Option<Duration> {
    number.checked_sub(1).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn everything_comes_back(told in prop::collection::vec((any::<u64>(), any::<Option<u32>>(), any::<Option<i64>>()), 0..9)) {
            let millis = |ms: u64| Duration::from_millis(ms);
            let told: Vec<Told> = told
                .into_iter()
                .map(|(pending, idle, inactive)| {
                    (pending, idle.map(|ms| millis(ms.into())), inactive.map(|ms| millis(ms.unsigned_abs())))
                })
                .collect();
            let names: Vec<_> = (0..told.len()).map(|number| Name::from(format!("worker-{number}").as_str())).collect();
            let consumers: Consumers = names.iter().cloned().zip(told.iter().copied()).collect();
            prop_assert_eq!((consumers.len(), consumers.is_empty()), (told.len(), told.is_empty()));
            let back: Vec<_> = consumers.iter().map(|c| (c.name, (c.pending, c.idle, c.inactive))).collect();
            prop_assert_eq!(back, names.iter().zip(told).collect::<Vec<_>>());
        }
    }
}
