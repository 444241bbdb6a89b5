//! Groups in every state, from the first to the last: a real Redis with real producers and consumers, the real program, and
//! a clock that the tests set. At each step the state is the right one, and between two states there is no third.

mod clock;
mod scenario;
pub mod scene;

use crate::{
    servers::{self, Version},
    support::tool::needs,
};

/// A test for each of these, which runs it on each server version that tells enough.
macro_rules! scenarios {
    ($($enough:path: [$($scenario:ident),+ $(,)?]),+ $(,)?) => { $($(
        #[test]
        fn $scenario() {
            needs!("redis-server");
            for version in servers::versions().iter().filter(|version| $enough(version)) {
                println!("{version:?}");
                scenario::$scenario(version);
            }
        }
    )+)+ };
}

scenarios! {
    every_version: [
        crashed_holding_entries_and_claimed,
        one_of_two_crashed_and_nobody_claims,
        poison,
    ],
    has_counters: [
        healthy_and_then_idle,
        slow_and_then_scaled_up,
        paused,
        a_burst_and_its_recovery,
        trimmed_before_delivery,
        trimmed_between_batches,
    ],
    Version::lacks_counters: [what_only_counters_tell_is_unknown],
}

fn every_version(_: &Version) -> bool {
    true
}

fn has_counters(version: &Version) -> bool {
    !version.lacks_counters()
}
