//! Many questions over one connection: in batches, several of which are on their way at once, so that Redis always has
//! something to do, and replies are read while it does.
//!
//! Redis takes up to 16 KiB of requests at once, and serves nobody else before they are all answered. So a batch is what
//! keeps it busy for [`BATCH`], by what is known of its cost, and no more are sent at once than [`AT_ONCE`] allows, and
//! than it takes to fill the way there and back.

use std::{collections::VecDeque, time::Duration};

use super::{
    ask::{self, Ask},
    commands,
    connect::{Link, server_wide},
    request::Requests,
};
use crate::model::fault::Fault;

/// Time for which a batch keeps Redis busy, about.
const BATCH: Duration = Duration::from_micros(200);

/// The same of all that Redis may find waiting at once.
const AT_ONCE: Duration = Duration::from_micros(600);

/// Longest round trip whose length is filled with requests: on a longer way the replies take longer, too.
const LONGEST_WAY: Duration = Duration::from_millis(50);

/// Most bytes that the replies to one batch should have, by what earlier replies had: they stand in Redis's output buffer
/// and in our memory at once.
const BYTES: u64 = 1024 * 1024;

/// Questions that are sent together.
struct Batch<'q, 'a> {
    asks: &'q [Ask<'a>],
    replies: usize,
    work: Duration,
}

impl<'q, 'a> Batch<'q, 'a> {
    /// The first of the questions, as many as fit; a question that is larger than a batch is one. `None` of none.
    fn first_of(asks: &'q [Ask<'a>]) -> Option<Batch<'q, 'a>> {
        let mut batch = Batch { asks: &asks[..0], replies: 0, work: Duration::ZERO };
        let mut bytes = 0_u64;
        for (place, ask) in asks.iter().enumerate() {
            let work = batch.work + ask.expected_work();
            bytes = bytes.saturating_add(ask.expected_bytes());
            if place > 0 && (work > BATCH || bytes > BYTES) {
                break;
            }
            batch = Batch { asks: &asks[..=place], replies: batch.replies + ask.replies(), work };
        }
        (!batch.asks.is_empty()).then_some(batch)
    }
}

impl Link {
    /// Puts many questions and reads the replies to each, in order.
    ///
    /// # Errors
    /// No reply, ASKING is refused, or an error that concerns the whole server; any other error stays in the replies of
    /// its question.
    pub async fn ask<'a, T>(
        &mut self,
        asks: &[Ask<'a>],
        mut read: impl FnMut(&Ask<'a>, &[super::resp::Reply<'_>]) -> T,
    ) -> Result<Vec<T>, Fault> {
        // One in front of each question, be it a transaction or a command.
        let asking = usize::from(self.is_asking);
        let mut answers = Vec::with_capacity(asks.len());
        let mut way = Way { most: AT_ONCE + self.round_trip.min(LONGEST_WAY), rest: asks, ..Way::default() };
        way.fill(self).await;
        while let Some(batch) = way.take() {
            self.wire.receive(batch.replies + asking * batch.asks.len()).await?;
            // Redis has something to do while we read.
            way.fill(self).await;
            let (mut all, mut replies) = (self.wire.replies(), Vec::new());
            for ask in batch.asks {
                replies.clear();
                replies.extend(all.by_ref().take(asking + ask.replies()));
                server_wide(&replies)?;
                let (asking, own) = replies.split_at(asking);
                asking
                    .iter()
                    .try_for_each(|reply| ask::answer(*reply, &commands::ASKING, None, |_| Ok(())))?;
                answers.push(read(ask, own));
            }
        }
        Ok(answers)
    }
}

/// Batches whose replies are still to come.
#[derive(Default)]
struct Way<'q, 'a> {
    /// Work of all batches that may be there at once.
    most: Duration,
    batches: VecDeque<Batch<'q, 'a>>,
    /// Work of all of them.
    work: Duration,
    /// Questions that are not yet among them.
    rest: &'q [Ask<'a>],
    requests: Requests,
}

impl<'q, 'a> Way<'q, 'a> {
    /// Sends as many batches as there may be.
    async fn fill(&mut self, link: &mut Link) {
        while let Some(batch) = Batch::first_of(self.rest)
            && (self.batches.is_empty() || self.work + batch.work <= self.most)
        {
            for ask in batch.asks {
                if link.is_asking {
                    self.requests.add(&commands::ASKING, &[]);
                }
                ask.push(&mut self.requests);
            }
            link.sent.add(self.requests.count());
            link.wire.send(&self.requests).await;
            self.requests.clear();
            self.rest = &self.rest[batch.asks.len()..];
            self.work += batch.work;
            self.batches.push_back(batch);
        }
    }

    /// The batch whose replies come next.
    fn take(&mut self) -> Option<Batch<'q, 'a>> {
        let batch = self.batches.pop_front()?;
        self.work -= batch.work;
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_by_its_work_and_its_replies() {
        let (key, group) = ("orders".into(), "workers".into());
        for (ask, expected) in [
            (Ask::Stream(&key, 0), 15),
            (Ask::Stream(&key, 200_000), 3),
            (Ask::Stream(&key, u64::MAX), 1),
            (Ask::Pending(&key, &group, 1), 79),
            (Ask::Consumers(&key, &group, 10), 27),
            // Half a millisecond of Redis's time each.
            (Ask::Consumers(&key, &group, 1000), 1),
            (Ask::Consumers(&key, &group, 100_000), 1),
        ] {
            let batch = Batch::first_of(&[ask; 500]).map(|batch| (batch.asks.len(), batch.replies));
            assert_eq!(batch, Some((expected, expected * ask.replies())), "{ask:?}");
        }
        assert!(Batch::first_of(&[]).is_none());
    }
}
