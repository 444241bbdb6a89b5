//! How active the consumers of a group are, by the time since each was last heard of.

use std::time::Duration;

use super::snapshot::Group;

/// The consumers of a group, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Heard of within the claim time.
    pub active: u32,
    /// Silent for longer, with nothing pending: mostly waiting for entries.
    pub idle: u32,
    /// Silent for longer, and holding pending entries.
    pub dead: u32,
    /// Nothing pending and silent for so long that it will hardly come back.
    pub ghost: u32,
    /// Pending entries of the dead: whoever claims by the claim time may have them.
    pub claimable: u64,
    /// Time since any of them was heard of; 0 where there is none.
    pub silence: Duration,
}

impl Activity {
    /// What the poll saw; `None` where the consumers were not read, or not all of them, or not how long they are silent.
    #[must_use]
    pub fn of(group: &Group, claim_time: Duration, ghost_after: Duration) -> Option<Activity> {
        let consumers = group.consumers.as_ref()?.as_ref().ok()?;
        if group.cut.is_some() {
            return None;
        }
        let mut activity = Activity::default();
        let mut silence: Option<Duration> = None;
        for consumer in consumers.iter() {
            let idle = consumer.idle?;
            silence = Some(silence.map_or(idle, |least| least.min(idle)));
            let count = if idle < claim_time {
                &mut activity.active
            } else if consumer.pending > 0 {
                activity.claimable = activity.claimable.saturating_add(consumer.pending);
                &mut activity.dead
            } else if idle >= ghost_after {
                &mut activity.ghost
            } else {
                &mut activity.idle
            };
            *count = count.saturating_add(1);
        }
        Some(Activity { silence: silence.unwrap_or_default(), ..activity })
    }

    /// The counts, each with its word.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 4] {
        [("active", self.active), ("idle", self.idle), ("dead", self.dead), ("ghost", self.ghost)]
            .map(|(word, count)| (word, count.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        lag::Lag,
        limits::{Cut, Limit},
        name::Name,
    };

    const CLAIM: Duration = Duration::from_secs(60);
    const GHOST: Duration = Duration::from_secs(3600);

    fn group(consumers: &[(u64, Option<u64>)]) -> Group {
        let told = |(pending, idle): &(u64, Option<u64>)| (*pending, idle.map(Duration::from_millis), None);
        let consumers = consumers.iter().map(|consumer| (Name::from("one"), told(consumer))).collect();
        Group { consumers: Some(Ok(consumers)), ..Group::missing("workers".into(), Lag::derived(0)) }
    }

    #[test]
    fn every_consumer_is_one_of_four() {
        let consumers = [
            (0, Some(0)),
            (7, Some(59_999)),
            (0, Some(60_000)),
            (2, Some(60_000)),
            (3, Some(9_999_999)),
            (0, Some(3_599_999)),
            (0, Some(3_600_000)),
        ];
        let activity = Activity::of(&group(&consumers), CLAIM, GHOST).unwrap();
        assert_eq!(activity.counts(), [("active", 2), ("idle", 2), ("dead", 2), ("ghost", 1)]);
        assert_eq!((activity.claimable, activity.silence), (5, Duration::ZERO));
        assert_eq!(Activity::of(&group(&[]), CLAIM, GHOST), Some(Activity::default()));
    }

    #[test]
    fn what_was_not_read_is_not_guessed() {
        assert_eq!(Activity::of(&group(&[(1, Some(5)), (1, None)]), CLAIM, GHOST), None);
        assert_eq!(Activity::of(&Group { consumers: None, ..group(&[]) }, CLAIM, GHOST), None);
        let cut = Some(Box::new(Cut::new(Limit::Consumers, 1, "too many")));
        assert_eq!(Activity::of(&Group { cut, ..group(&[]) }, CLAIM, GHOST), None);
    }
}
