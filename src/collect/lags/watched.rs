//! What is remembered of one stream from poll to poll, for a limited time.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    ops::Range,
};

use super::super::ask::BYTES_OF_GROUP;
use crate::model::{
    lag::{
        pages::Wish,
        tracker::{Tracker, Trust, oldest::Oldest},
    },
    name::Name,
    time::UnixMicros,
};

/// After this time, and up to half as long again, a tracker forgets: counters that were set by hand cannot always be
/// told from honest ones. Spread by the stream's name, so that not all forget at once.
const LIFETIME_SECONDS: u64 = 3600;

/// Polls for which an entry is foreseen that none of them has needed.
pub const FORESIGHT: u8 = 4;

/// What is remembered of one stream.
pub struct Watched {
    /// Its lags.
    pub tracker: Tracker,
    /// Its oldest undelivered entries.
    pub oldest: Oldest,
    /// When it is believed, by Redis's clock. One that goes back behind the beginning would put off the end.
    pub lifetime: Range<UnixMicros>,
    /// Bytes of the larger one of the first and the last entry, which XINFO STREAM returns whole.
    pub ends_bytes: u64,
    /// Groups that it has.
    pub groups: u64,
    /// Polls for which an entry will be foreseen, unless one needs it: then it begins anew.
    pub foresight: u8,
    /// Average size of an entry in a page; `None` before the first one.
    pub entry_bytes: Option<u64>,
}

impl Watched {
    /// Nothing is known yet.
    pub fn new(name: &Name, trust: Trust, now: UnixMicros) -> Watched {
        Watched {
            tracker: Tracker::new(trust),
            oldest: Oldest::default(),
            lifetime: now..UnixMicros(now.0.saturating_add(lifetime_micros(name))),
            ends_bytes: 0,
            groups: 0,
            foresight: 0,
            entry_bytes: None,
        }
    }

    /// Bytes that XINFO STREAM and XINFO GROUPS will have, by their latest answers.
    pub fn bytes(&self) -> u64 {
        let groups = self.groups.saturating_mul(BYTES_OF_GROUP);
        self.ends_bytes.saturating_mul(2).saturating_add(groups)
    }

    /// The entry that it will probably take to tell the lags.
    pub fn foreseen(&self) -> Option<Wish> {
        if self.foresight > 0 { self.tracker.foreseen() } else { None }
    }
}

fn lifetime_micros(name: &Name) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    (LIFETIME_SECONDS + hasher.finish() % (LIFETIME_SECONDS / 2)) * 1_000_000
}
