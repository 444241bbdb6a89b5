//! What the adapters were asked and have answered, counted for /metrics.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::catalogue::exporter::{AdapterRequests, AdapterStats, Distribution};

/// Upper bounds of the ages of answers, in seconds: below a poll interval when all is well, never above the time after
/// which a measurement is stale.
const FRESHNESS: [f64; 11] = [0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 300.0, f64::INFINITY];

/// Counters that all adapters share.
#[derive(Debug, Default)]
pub struct Requests(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    requests: BTreeMap<(&'static str, u16), u64>,
    freshness: BTreeMap<&'static str, Distribution>,
}

impl Requests {
    /// A request to this API was answered with this status code.
    pub fn answered(&self, api: &'static str, code: u16) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state.requests.entry((api, code)).or_default() += 1;
    }

    /// A metric was answered whose oldest measurement had this age, in seconds.
    pub fn measured(&self, api: &'static str, age: f64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = || Distribution { buckets: FRESHNESS.map(|bound| (bound, 0)).to_vec(), sum: 0.0 };
        let distribution = state.freshness.entry(api).or_insert_with(empty);
        if let Some((_, count)) = distribution.buckets.iter_mut().find(|(bound, _)| age <= *bound) {
            *count += 1;
            distribution.sum += age;
        }
    }

    /// All of it, for the catalogue.
    #[must_use]
    pub fn stats(&self) -> AdapterStats {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = state.requests.iter();
        let requests = requests.map(|((api, code), count)| AdapterRequests {
            api,
            code: code.to_string(),
            count: *count,
        });
        let freshness = state.freshness.iter().map(|(api, distribution)| (*api, distribution.clone()));
        AdapterStats { requests: requests.collect(), freshness: freshness.collect() }
    }
}
