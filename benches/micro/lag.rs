//! The lags of all groups of a poll, by the memory of each stream.

use criterion::Criterion;
use streamgauge::model::{
    lag::{
        GroupFacts, StreamFacts,
        pages::Pages,
        tracker::{CounterTrust, Tracker, Trust},
    },
    name::Name,
    snapshot::{Poll, StreamEntry},
};

/// As of a primary of Redis 7.
const TRUST: Trust = Trust { memory: true, counter: CounterTrust::Always, hidden_deletions: false };

pub fn bench(criterion: &mut Criterion, poll: &Poll) {
    let streams: Vec<(StreamFacts, Vec<(Name, GroupFacts)>)> = poll
        .streams
        .iter()
        .filter_map(StreamEntry::stream)
        .map(|stream| {
            let groups = stream.groups.iter().filter_map(|group| {
                let facts = GroupFacts {
                    last_delivered: group.last_delivered_id?,
                    entries_read: group.entries_read,
                    reported_lag: group.reported_lag,
                };
                Some((group.name.clone(), facts))
            });
            (stream.facts(), groups.collect())
        })
        .collect();
    let mut trackers: Vec<_> = streams.iter().map(|_| Tracker::new(TRUST)).collect();
    criterion.bench_function("lag: 2,000 streams, 4,000 groups", |bencher| {
        bencher.iter(|| {
            let mut known = 0;
            for (tracker, (stream, groups)) in trackers.iter_mut().zip(&streams) {
                tracker.observe(stream, groups.iter().map(|(name, facts)| (name, facts.last_delivered)));
                let mut pages = Pages::new(1000);
                for (name, facts) in groups {
                    known += usize::from(tracker.lag(name, facts, &mut pages).bounds().is_some());
                }
            }
            known
        });
    });
}
