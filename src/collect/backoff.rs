//! How long to wait after polls that found nobody: a server that is down, or does not let us in, is not asked at full pace.
//!
//! Only what asking again soon cannot mend counts. A server that loads its data, is busy, or closed one connection is back
//! any moment, and numbers are wanted as soon as it is.

use std::{collections::hash_map::RandomState, hash::BuildHasher as _, time::Duration};

use crate::model::fault::{Fault, FaultKind};

/// How the polls of one server ended lately.
#[derive(Debug)]
pub struct Backoff {
    interval: Duration,
    most: Duration,
    /// Polls in a row that found nobody.
    failures: u32,
}

impl Backoff {
    /// From `interval` to `most`.
    #[must_use]
    pub fn new(interval: Duration, most: Duration) -> Self {
        Backoff { interval, most: most.max(interval), failures: 0 }
    }

    /// The time until the next poll after one that ended so; `None` is the usual one. Where somebody else says where the
    /// server is, another process is about to take the place of one that is down.
    pub fn pause(&mut self, latest: &Result<(), Fault>, is_guided: bool) -> Option<Duration> {
        // Every hasher of the standard library has a key of its own.
        let wait = self.after(latest, RandomState::new().hash_one(()));
        let is_auth = matches!(latest, Err(fault) if fault.kind == FaultKind::Auth);
        wait.filter(|_| is_auth || !is_guided)
    }

    /// The same, wherever it is said to be. `random` is any number: what was
    /// started at the same time must not go on asking at the same time.
    fn after(&mut self, latest: &Result<(), Fault>, random: u64) -> Option<Duration> {
        match latest {
            Err(fault) if is_out_of_reach(fault.kind) => {}
            _ => {
                self.failures = 0;
                return None;
            }
        }
        let doubled = self.interval.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let permille = 800 + u32::try_from(random % 401).unwrap_or(200);
        Some(doubled.min(self.most) / 1000 * permille)
    }
}

fn is_out_of_reach(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Connect | FaultKind::Auth | FaultKind::Timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the middle of the jitter.
    const EVEN: u64 = 200;

    fn failed(kind: FaultKind) -> Result<(), Fault> {
        Err(Fault::new(kind, "it failed"))
    }

    fn seconds(backoff: &mut Backoff, latest: &Result<(), Fault>) -> Option<f64> {
        backoff.after(latest, EVEN).map(|wait| wait.as_secs_f64())
    }

    fn five_to_thirty() -> Backoff {
        Backoff::new(Duration::from_secs(5), Duration::from_secs(30))
    }

    #[test]
    fn the_time_doubles_up_to_the_most_and_a_success_ends_that() {
        let mut backoff = five_to_thirty();
        let down = failed(FaultKind::Connect);
        let waits: Vec<_> = (0..5).map(|_| seconds(&mut backoff, &down)).collect();
        assert_eq!(waits, [5.0, 10.0, 20.0, 30.0, 30.0].map(Some));
        assert_eq!(seconds(&mut backoff, &Ok(())), None);
        assert_eq!(seconds(&mut backoff, &down), Some(5.0));
        (0..100).for_each(|_| _ = backoff.after(&down, EVEN));
        assert_eq!(seconds(&mut backoff, &down), Some(30.0));
    }

    #[test]
    fn only_what_is_out_of_reach_is_waited_for() {
        for kind in FaultKind::ALL {
            let waits = seconds(&mut five_to_thirty(), &failed(*kind)).is_some();
            let expected = matches!(kind.label(), "connect" | "auth" | "timeout");
            assert_eq!(waits, expected, "{}", kind.label());
        }
    }

    #[test]
    fn the_time_is_spread_by_a_fifth() {
        for random in [0, 1, 400, 401, u64::MAX] {
            let wait = five_to_thirty().after(&failed(FaultKind::Auth), random);
            let wait = wait.map_or(0.0, |wait| wait.as_secs_f64());
            assert!((4.0..=6.0).contains(&wait), "{random}: {wait}");
        }
        let ends = [0, 400].map(|random| five_to_thirty().after(&failed(FaultKind::Auth), random));
        assert_eq!(ends, [4, 6].map(|seconds| Some(Duration::from_secs(seconds))));
    }

    #[test]
    fn the_interval_is_the_least() {
        let mut backoff = Backoff::new(Duration::from_secs(60), Duration::from_secs(30));
        let down = failed(FaultKind::Timeout);
        assert_eq!([0; 3].map(|_| seconds(&mut backoff, &down)), [Some(60.0); 3]);
    }
}
