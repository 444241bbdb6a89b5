//! Which entry is the oldest that a group has not been given, by memory and pages.

use super::Tracker;
use crate::model::{
    lag::{
        Lag,
        pages::{Pages, Share},
        undelivered::{Remembered, Undelivered},
    },
    name::Name,
    stream_id::StreamId,
};

impl Tracker {
    /// The oldest undelivered entry of a group that has this lag in the same snapshot. What would tell it is wished for.
    pub fn undelivered(&mut self, name: &Name, x: StreamId, lag: Lag, pages: &mut Pages) -> Undelivered {
        let structural = Undelivered::structural(&self.stream, x, lag);
        let Some((_, last)) = self.stream.ends.filter(|_| structural != Undelivered::Nothing) else {
            return structural;
        };
        if structural == Undelivered::Unknown
            && self.first_above(name, x).is_some()
            && let Some(view) = self.view
            && !self.confirm(&view, pages)
        {
            return Undelivered::Unknown;
        }
        let found = structural.id().or_else(|| self.first_above(name, x)).or_else(|| pages.first(x));
        let mut forgotten = Remembered::default();
        let remembered = match self.view {
            Some(_) => &mut self.groups.entry(name.clone()).or_default().undelivered,
            None => &mut forgotten,
        };
        let Some(id) = found else {
            let counts = !matches!(lag, Lag::Exact { .. } | Lag::Reported(_));
            let share = if counts { Share::OtherHalf } else { Share::Whole };
            pages.wish_first(x, last, share, remembered.ask(x));
            return Undelivered::Unknown;
        };
        remembered.put(x, id, self.view.map_or(0, |view| view.deletions()));
        Undelivered::Oldest(id)
    }

    /// The oldest undelivered entry of a group at `x`, if it is remembered.
    pub(super) fn first_above(&self, name: &Name, x: StreamId) -> Option<StreamId> {
        let deletions = self.view?.deletions();
        self.groups.get(name)?.undelivered.at(&self.stream, deletions, self.trust.hidden_deletions, x)
    }
}
