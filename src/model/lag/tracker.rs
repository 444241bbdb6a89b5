//! The memory of one stream: what earlier polls proved about it, and the lag of each group by that memory.
//!
//! At each poll: [`Tracker::observe`] one atomic snapshot, then ask [`Tracker::lag`] for every group. What is left open
//! becomes wishes for pages; with those in hand, observe the newer snapshot that came with them and ask again.

use super::{
    GroupFacts, Lag, StreamFacts,
    estimate::between,
    ladder::{Ladder, Memory, Rung, View},
    pages::{Pages, Share},
    rules::{Structural, structural},
    witness::{Identity, Witness},
};
use crate::model::{name::Name, stream_id::StreamId};

mod by_name;
mod foreseen;
pub mod oldest;
mod standing;
mod trust;

use by_name::ByName;
use standing::Standing;
pub use trust::{CounterTrust, Trust};

/// Most points of a walk that are remembered; beyond, every other one is dropped.
const MAX_WALK: usize = 40;

/// The point at which a group's entries-read agreed with an exact lag.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    x: StreamId,
    entries_read: i64,
    deletions: i64,
}

/// A count that is too long for one poll: how many entries lie between the first point and each further one.
#[derive(Clone, Debug)]
struct Walk {
    points: Vec<(StreamId, i64)>,
    deletions: i64,
}

#[derive(Clone, Debug, Default)]
struct GroupMemory {
    anchor: Option<Anchor>,
    walk: Option<Box<Walk>>,
}

/// The memory of one stream.
#[derive(Debug)]
pub struct Tracker {
    stream: StreamFacts,
    trust: Trust,
    ladder: Ladder,
    witness: Witness,
    groups: ByName<GroupMemory>,
    /// How often something was forgotten.
    era: u64,
    standing: Standing,
}

impl Tracker {
    /// A tracker that knows nothing yet.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Tracker {
            stream: StreamFacts::default(),
            trust,
            ladder: Ladder::default(),
            witness: Witness::default(),
            groups: ByName::default(),
            era: 0,
            standing: Standing::default(),
        }
    }

    /// Forgets everything: the stream may be another one, or somebody has set its counters by hand unseen.
    pub fn forget(&mut self) {
        self.ladder.forget();
        self.witness = Witness::default();
        self.forget_groups();
    }

    /// The snapshot as the ladder sees it; `None` without memory.
    fn view(&self) -> Option<View> {
        View::of(&self.stream).filter(|_| self.trust.memory)
    }

    fn forget_groups(&mut self) {
        self.groups.clear();
        self.era += 1;
    }

    /// Takes in an atomic snapshot: the stream, and the last-delivered ID of each of its groups.
    pub fn observe<'a>(
        &mut self,
        stream: &StreamFacts,
        groups: impl Iterator<Item = (&'a Name, StreamId)> + Clone,
    ) {
        if self.standing.observe(groups) {
            self.forget();
        }
        self.standing.keep(&mut self.groups);
        let before = self.view();
        self.stream = *stream;
        let Some(view) = self.view() else {
            return self.forget();
        };
        // Where deletions can hide, no rung outlives one: how far acknowledged entries have come cannot be seen.
        let floor = self.trust.hidden_deletions.then_some(StreamId::new(u64::MAX, u64::MAX));
        let memory = self.ladder.observe(before.as_ref(), &view, floor);
        let standing = &self.standing;
        self.ladder.drop_near(|rung| standing.is_within(rung.low..=rung.high));
        if memory == Memory::Forgotten {
            self.forget_groups();
        }
        self.witness.observe(memory == Memory::Kept, stream.ends.map(|(_, last)| last));
    }

    /// The lag of a group in the snapshot that was observed last. What would decide it is wished for in `pages`.
    pub fn lag(&mut self, name: &Name, group: &GroupFacts, pages: &mut Pages) -> Lag {
        let x = group.last_delivered;
        let lag = match structural(&self.stream, x) {
            Structural::Exact(entries) => Lag::derived(entries),
            Structural::Between(first, last) => {
                let (lag, is_confirmed) = match self.view() {
                    None => (self.count_two_sided(group, first, last, pages), true),
                    Some(view) => {
                        let is_confirmed = self.confirm(&view, pages);
                        let remembered = self.remembered(&view, name, group);
                        (remembered.unwrap_or_else(|| self.probe(&view, name, group, pages)), is_confirmed)
                    }
                };
                // Here at least one entry waits and at least one does not: other replies contradict each other.
                let is_possible =
                    !matches!(lag, Lag::Exact { entries, .. } if !(1..self.stream.length).contains(&entries));
                if !is_possible {
                    self.forget();
                }
                if is_confirmed && is_possible {
                    lag
                } else {
                    let most = i64::try_from(self.stream.length).unwrap_or(i64::MAX).saturating_sub(1);
                    self.estimate(Some((first, last)), group, 1, most)
                }
            }
        };
        if let (Lag::Exact { entries, .. }, Some(view)) = (lag, self.view()) {
            self.learn(&view, name, group, entries);
        }
        lag
    }

    /// An exact lag makes a rung, an anchor if the counter agrees, and an end of the walk.
    fn learn(&mut self, view: &View, name: &Name, group: &GroupFacts, entries: u64) {
        let Ok(entries) = i64::try_from(entries) else {
            return;
        };
        let memory = self.groups.entry(name);
        memory.walk = None;
        memory.anchor = group.entries_read.filter(|read| view.added.saturating_sub(*read) == entries).map(
            |entries_read| Anchor { x: group.last_delivered, entries_read, deletions: view.deletions() },
        );
        let x = group.last_delivered;
        if view.ends.is_some_and(|(first, last)| first <= x && x < last) {
            self.put(view, x, view.added.saturating_sub(entries));
        }
    }

    fn put(&mut self, view: &View, x: StreamId, base: i64) {
        if self.ladder.put(view, x, x, base) == Memory::Forgotten {
            self.forget_groups();
        }
    }

    /// Forgets what is remembered of another stream. False where it is not known yet whether this is another one.
    fn confirm(&mut self, view: &View, pages: &mut Pages) -> bool {
        self.witness.need(view);
        match self.witness.identity(view, pages) {
            Identity::Same => self.witness.confirm(view),
            Identity::Open(entry) => {
                pages.wish_entry(entry);
                return false;
            }
            Identity::Other => {
                self.forget();
                // The free rungs of this snapshot stay.
                self.ladder.observe(None, view, None);
                self.witness.observe(false, view.ends.map(|(_, last)| last));
            }
        }
        true
    }

    /// By the ladder, else by the group's own counter.
    fn remembered(&mut self, view: &View, name: &Name, group: &GroupFacts) -> Option<Lag> {
        match self.ladder.at(view, group.last_delivered).map(u64::try_from) {
            Some(Ok(entries)) if entries > 0 => return Some(Lag::derived(entries)),
            // Between the first and the last entry the lag is at least 1: whatever says otherwise was tampered with.
            Some(_) => self.forget(),
            None => {}
        }
        self.reported(view, name, group)
    }

    /// The group's own counter, if it has agreed before and nothing has happened since that would spoil it.
    fn reported(&mut self, view: &View, name: &Name, group: &GroupFacts) -> Option<Lag> {
        let memory = self.groups.get_mut(name)?;
        let anchor = memory.anchor?;
        let x = group.last_delivered;
        let (first, _) = view.ends?;
        let consistent = group.entries_read.filter(|read| {
            x >= anchor.x && *read >= anchor.entries_read && (x == anchor.x) == (*read == anchor.entries_read)
        });
        let Some(entries_read) = consistent else {
            // A counter that is nil for now may come back right.
            if group.entries_read.is_some() {
                memory.anchor = None;
            }
            return None;
        };
        if view.max_deleted > x {
            return None;
        }
        let nothing_deleted = view.deletions() == anchor.deletions;
        let trusted = match self.trust.counter {
            CounterTrust::Never => false,
            CounterTrust::Always => true,
            CounterTrust::NothingDeleted if self.trust.hidden_deletions => nothing_deleted,
            CounterTrust::NothingDeleted => {
                (view.max_deleted <= anchor.x || view.max_deleted < first)
                    && (nothing_deleted || first <= anchor.x)
            }
        };
        if !trusted {
            return None;
        }
        let entries = view.added.saturating_sub(entries_read);
        let (lower, upper) = self.ladder.bounds(view, x);
        if !(lower..=upper).contains(&entries) {
            memory.anchor = None;
            return None;
        }
        memory.anchor = Some(Anchor { x, entries_read, deletions: view.deletions() });
        u64::try_from(entries).ok().map(Lag::Reported)
    }

    /// Counts up to the nearest rung above, over several polls if need be, and down to the nearest one below.
    fn probe(&mut self, view: &View, name: &Name, group: &GroupFacts, pages: &mut Pages) -> Lag {
        let x = group.last_delivered;
        let resumed = self.resumed_walk(view, name, x);
        // A walk has shown already that the way down is long.
        let share = if resumed.is_some() { Share::Whole } else { Share::Half };
        let mut points = resumed.unwrap_or_else(|| vec![(x, 0)]);
        if let Some(lag) = self.walk_up(view, name, x, &mut points, share, pages) {
            return lag;
        }
        if share == Share::Half
            && let Some(lag) = self.count_down(view, x, pages)
        {
            return lag;
        }
        let (mut lower, upper) = self.ladder.bounds(view, x);
        if let [(start, before), .., (end, after)] = &points[..]
            && *start >= x
        {
            lower = lower.max((after - before).saturating_add(self.ladder.at_least(view, *end)));
        }
        self.estimate(view.ends, group, lower.min(upper), upper)
    }

    /// Counts what is delivered and still exists, down to the nearest rung below.
    fn count_down(&self, view: &View, x: StreamId, pages: &mut Pages) -> Option<Lag> {
        let usable = |rung: &&Rung| rung.high < x && !(self.trust.hidden_deletions && rung.carried);
        let below = self.ladder.valid(view).rfind(usable)?;
        let part = pages.down(x, below.high, Share::Half)?;
        let above = view.added.saturating_sub(below.base);
        let entries = u64::try_from(above.saturating_sub(part.ids.len() as i64)).ok()?;
        part.complete.then_some(Lag::counted(entries))
    }

    /// The points of the group's walk that still prove something: those at or above `x` above which nothing was deleted.
    fn resumed_walk(&self, view: &View, name: &Name, x: StreamId) -> Option<Vec<(StreamId, i64)>> {
        let walk = self.groups.get(name)?.walk.as_ref()?;
        let (first, _) = view.ends?;
        let unbroken = |(id, _): &(StreamId, i64)| {
            walk.deletions == view.deletions()
                || !self.trust.hidden_deletions && first <= *id && view.max_deleted <= *id
        };
        let points: Vec<_> =
            walk.points.iter().copied().filter(|(id, _)| *id >= x).skip_while(|p| !unbroken(p)).collect();
        (!points.is_empty()).then_some(points)
    }

    /// Goes on from the last point to the next rung above. At the rung, every point becomes one.
    fn walk_up(
        &mut self,
        view: &View,
        name: &Name,
        x: StreamId,
        points: &mut Vec<(StreamId, i64)>,
        share: Share,
        pages: &mut Pages,
    ) -> Option<Lag> {
        let (first, last) = view.ends?;
        let (end, counted) = *points.last()?;
        let above = *self.ladder.valid(view).find(|rung| rung.high >= end)?;
        let (page, complete) = if above.low <= end {
            (Vec::new(), true)
        } else {
            let part = pages.up(end, above.low, share)?;
            (part.ids, part.complete)
        };
        let read = page.len() as i64;
        if !complete {
            if let Some(reached) = page.last() {
                points.push((*reached, counted + read));
                if points.len() > MAX_WALK {
                    let mut keep = true;
                    let (head, tail) = (points[0], *points.last()?);
                    points.retain(|point| {
                        keep = !keep;
                        keep || *point == head || *point == tail
                    });
                }
                let walk = Walk { points: points.clone(), deletions: view.deletions() };
                self.groups.entry(name).walk = Some(Box::new(walk));
            }
            return None;
        }
        let top = counted + read;
        for (id, before) in points.iter().filter(|(id, _)| first <= *id && *id < last) {
            self.put(view, *id, above.base.saturating_sub(top - before));
        }
        if let Some(memory) = self.groups.get_mut(name) {
            memory.walk = None;
        }
        if let Some(entries) = self.ladder.at(view, x) {
            return u64::try_from(entries).ok().filter(|entries| *entries > 0).map(Lag::counted);
        }
        // The group has moved on to between two points of the walk: a short way to the next one.
        let next = *self.ladder.valid(view).find(|rung| rung.low > x)?;
        *points = vec![(x, 0)];
        let part = pages.up(x, next.low, Share::Whole)?;
        let beyond = view.added.saturating_sub(next.base);
        if part.complete {
            return u64::try_from(beyond.saturating_add(part.ids.len() as i64)).ok().map(Lag::counted);
        }
        points.extend(part.ids.last().map(|id| (*id, part.ids.len() as i64)));
        None
    }

    /// Without memory (before Redis 7.0): up to the end, or down to the start, within the budget.
    fn count_two_sided(&self, group: &GroupFacts, first: StreamId, last: StreamId, pages: &mut Pages) -> Lag {
        let x = group.last_delivered;
        let length = i64::try_from(self.stream.length).unwrap_or(i64::MAX);
        let (mut lower, mut upper) = (1, length.saturating_sub(1));
        if let Some(part) = pages.up(x, last, Share::Half) {
            let read = part.ids.len() as u64;
            if part.complete {
                return Lag::counted(read);
            }
            // The last entry lies beyond the page.
            lower = lower.max(read as i64 + 1);
        }
        if let Some(part) = pages.down(x, first.predecessor(), Share::Half) {
            let read = part.ids.len() as i64;
            if part.complete
                && let Ok(entries) = u64::try_from(length.saturating_sub(read))
            {
                return Lag::counted(entries);
            }
            upper = upper.min(length.saturating_sub(read + 1));
        }
        self.estimate(Some((first, last)), group, lower.min(upper), upper)
    }

    fn estimate(
        &self,
        ends: Option<(StreamId, StreamId)>,
        group: &GroupFacts,
        lower: i64,
        upper: i64,
    ) -> Lag {
        let Some(ends) = ends else { return Lag::derived(0) };
        let view = self.view();
        let rungs = view.iter().flat_map(|view| self.ladder.points(view));
        between(&self.stream, ends, group, rungs, lower, upper)
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
