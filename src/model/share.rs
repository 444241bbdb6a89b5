//! Which streams a process measures where several share them: each stream belongs to exactly one shard.
//!
//! The owner follows from names alone, so that processes that never talk to each other agree. All shards must therefore
//! give a server the same name. The rule is fixed: processes of different versions may run side by side.

use std::{fmt, sync::Arc};

use super::name::Name;

/// What one process measures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All streams that the configuration names.
    #[default]
    All,
    /// A share of them, which is not known yet, and why.
    Unknown(Arc<str>),
    /// A share of them.
    Share(Share),
}

/// One of several shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its number, from 0. One beyond the total has no stream.
    pub shard: u32,
    /// How many there are.
    pub total: u32,
}

impl Part {
    /// The share, where it is one and is known.
    #[must_use]
    pub fn share(&self) -> Option<Share> {
        match self {
            Part::Share(share) => Some(*share),
            Part::All | Part::Unknown(_) => None,
        }
    }
}

impl Share {
    /// The number of the shard that a stream of a server belongs to. A stream of one name is in one shard in whichever
    /// database it lies: whoever asks for it by its name alone asks one owner.
    #[must_use]
    pub fn owner(self, redis: &str, stream: &Name) -> u32 {
        jump(hash(redis, stream), self.total)
    }

    /// Whether it is all there is.
    #[must_use]
    pub fn is_whole(self) -> bool {
        (self.shard, self.total) == (0, 1)
    }

    /// Whether a stream of a server belongs to this one.
    #[must_use]
    pub fn has(self, redis: &str, stream: &Name) -> bool {
        self.shard < self.total && self.owner(redis, stream) == self.shard
    }
}

/// For people: `0 of 3`, by the numbers of the pods.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.shard, self.total)
    }
}

/// FNV-1a in 64 bits, over the server's name, a byte that no name of a server has, and the bytes of the stream's name.
fn hash(redis: &str, stream: &Name) -> u64 {
    let bytes = redis.bytes().chain([0xff]).chain(stream.as_bytes().iter().copied());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Jump consistent hash (Lamping and Veach, 2014): with one shard more, only the streams move that the new one gets.
fn jump(mut key: u64, total: u32) -> u32 {
    let (mut owner, mut next) = (0, 0);
    while next < u64::from(total) {
        owner = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        // Exact in whole numbers: (owner + 1) · 2³¹ / ((key >> 33) + 1), below 2⁶⁴ for every total.
        next = ((owner + 1) << 31) / ((key >> 33) + 1);
    }
    u32::try_from(owner).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner(redis: &str, stream: &str, total: u32) -> u32 {
        Share { shard: 0, total }.owner(redis, &stream.into())
    }

    /// Processes of different versions share streams during an update: these never change.
    #[test]
    fn the_rule_is_fixed() {
        assert_eq!(hash("", &"".into()), 0xaf64_724c_8602_eb6e);
        let owners = |total| {
            let names = ["orders", "payments", "events:1", "events:2", "\u{e9}t\u{e9}"];
            names.map(|name| owner("main", name, total))
        };
        assert_eq!(owners(1), [0, 0, 0, 0, 0]);
        assert_eq!(owners(2), [0, 0, 0, 1, 0]);
        assert_eq!(owners(3), [0, 0, 0, 2, 2]);
        assert_eq!(owners(16), [5, 15, 3, 9, 4]);
        assert_eq!(Share { shard: 0, total: 3 }.owner("main", &Name::from(&b"\xff\x00"[..])), 0);
    }

    #[test]
    fn a_shard_beyond_the_total_has_nothing() {
        for total in [0, 1, 3] {
            let share = Share { shard: total, total };
            assert!((0..100).all(|number| !share.has("main", &format!("s{number}").as_str().into())));
        }
    }

    /// Names as people give them differ in a few characters at the end.
    #[test]
    fn shares_are_of_about_one_size() {
        for (pattern, total) in [("orders:{}", 3), ("events:{}:in", 5), ("{}", 8), ("tenant-{}-jobs", 16)] {
            let mut sizes = vec![0u32; total as usize];
            for number in 0..10_000 {
                sizes[owner("main", &pattern.replace("{}", &number.to_string()), total) as usize] += 1;
            }
            let fair = 10_000 / total;
            assert!(sizes.iter().all(|size| size.abs_diff(fair) < fair / 5), "{pattern}: {sizes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_stream_has_exactly_one_owner(name in any::<Vec<u8>>(), redis in ".{0,20}", total in 1u32..64) {
            let name = Name::from(&name[..]);
            let owners = (0..total).filter(|shard| Share { shard: *shard, total }.has(&redis, &name));
            prop_assert_eq!(owners.count(), 1);
        }

        /// A stream stays where it is, or goes to the shard that is new.
        #[test]
        fn with_one_shard_more_no_stream_moves_between_the_old_ones(name in any::<Vec<u8>>(), total in 1u32..1000) {
            let name = Name::from(&name[..]);
            let [before, after] =
                [total, total + 1].map(|total| Share { shard: 0, total }.owner("main", &name));
            prop_assert!(after == before || after == total);
        }
    }
}
