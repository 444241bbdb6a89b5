//! What is remembered from poll to poll stands in the order of what the polls have, and is found by its place: names come
//! in order, and mostly the same ones.

use std::{cmp::Ordering, mem};

/// Makes `past` have one item for each that is there now, in the same order: the one it has, or else a new one. Both are
/// ordered alike. Mostly nothing has changed, and everything stays where it is.
pub fn align<P, N>(
    past: &mut Vec<P>,
    now: &[N],
    order: impl Fn(&P, &N) -> Ordering,
    begin: impl Fn(&N) -> P,
) {
    let is_same = |(past, now): (&P, &N)| order(past, now).is_eq();
    if past.len() == now.len() && past.iter().zip(now).all(is_same) {
        return;
    }
    let mut known = mem::replace(past, Vec::with_capacity(now.len())).into_iter().peekable();
    for now in now {
        while known.next_if(|known| order(known, now).is_lt()).is_some() {}
        let known = known.next_if(|known| order(known, now).is_eq());
        past.push(known.unwrap_or_else(|| begin(now)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes and goes: all that stays keeps its past, and nothing takes over that of another.
        #[test]
        fn everybody_keeps_their_own_past(polls in prop::collection::vec(prop::collection::btree_set(0u8..12, 0..12), 1..12)) {
            let mut past: Vec<(u8, u32)> = Vec::new();
            let mut expected = std::collections::BTreeMap::new();
            for poll in polls {
                let now: Vec<u8> = poll.iter().copied().collect();
                align(&mut past, &now, |(name, _), now| name.cmp(now), |name| (*name, 0));
                past.iter_mut().for_each(|(_, polls)| *polls += 1);
                expected.retain(|name, _| poll.contains(name));
                poll.iter().for_each(|name| *expected.entry(*name).or_insert(0) += 1);
                prop_assert_eq!(&past, &expected.iter().map(|(name, polls)| (*name, *polls)).collect::<Vec<_>>());
            }
        }
    }
}
