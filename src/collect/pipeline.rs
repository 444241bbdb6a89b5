//! Many questions over one connection: in batches, several of which are on their way at once, so that Redis always has
//! something to do, and replies are read while it does.
//!
//! Redis takes up to 16 KiB of requests at once, and serves nobody else before they are all answered: 1.7 ms of questions
//! about streams. So a batch is what keeps it busy for `BATCH`, by what is known of its cost, and only so many are on
//! their way as keep it busy for `AT_ONCE`. Where the way is long, more are sent to fill it, but not at once: no more than
//! that in each `TICK`, so that they do not arrive together.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::{
    ask::{self, Ask},
    commands,
    connect::{Link, server_wide},
    request::Requests,
    resp::Reply,
};
use crate::model::fault::Fault;

/// Time for which a batch keeps Redis busy, about.
const BATCH: Duration = Duration::from_micros(250);

/// The same of all that Redis may find waiting at once.
const AT_ONCE: Duration = Duration::from_micros(500);

/// Time between two lots of batches on a long way: what the timers of the runtime can tell.
const TICK: Duration = Duration::from_millis(1);

/// What a lot takes besides the round trip, about: until Redis has answered it, until the answers are read, and until a
/// timer is heard.
const HANDLING: Duration = Duration::from_millis(4);

/// Round trips from which on a way is long, and up to which it is filled: one that seems to be longer is a server that
/// answers slowly.
const LONG_WAY: std::ops::RangeInclusive<Duration> = Duration::from_micros(500)..=Duration::from_millis(50);

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
        mut read: impl FnMut(&Ask<'a>, &[Reply<'_>]) -> T,
    ) -> Result<Vec<T>, Fault> {
        // One in front of each question, be it a transaction or a command.
        let asking = usize::from(self.is_asking);
        let mut answers = Vec::with_capacity(asks.len());
        let mut way = Way::new(asks, self.round_trip);
        way.fill(self).await;
        while let Some(batch) = way.first() {
            let count = batch.replies + asking * batch.asks.len();
            self.receive(count, &mut way).await?;
            let Some(batch) = way.take() else { break };
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

    /// Receives replies, and sends meanwhile what the way has room for.
    async fn receive(&mut self, count: usize, way: &mut Way<'_, '_>) -> Result<(), Fault> {
        self.wire.clear();
        let deadline = self.wire.deadline();
        loop {
            let next = way.next_lot().filter(|next| *next < deadline);
            match self.wire.receive_until(count, next.unwrap_or(deadline)).await {
                Some(received) => return received,
                None if next.is_none() => return Err(self.wire.late()),
                None => way.fill(self).await,
            }
        }
    }
}

/// Batches whose replies are still to come.
struct Way<'q, 'a> {
    batches: VecDeque<Batch<'q, 'a>>,
    /// Work of all of them.
    work: Duration,
    /// Work of all that may be there at once.
    most: Duration,
    /// Questions that are not yet among them.
    rest: &'q [Ask<'a>],
    /// When the latest lot began to be sent, and the work in it.
    lot: (Instant, Duration),
    requests: Requests,
}

impl<'q, 'a> Way<'q, 'a> {
    fn new(asks: &'q [Ask<'a>], round_trip: Duration) -> Self {
        let filling = Some(round_trip).filter(|round_trip| LONG_WAY.contains(round_trip));
        Way {
            batches: VecDeque::new(),
            work: Duration::ZERO,
            most: filling.map_or(AT_ONCE, |round_trip| {
                // As much as leaves in that time.
                AT_ONCE.mul_f64((round_trip + HANDLING).div_duration_f64(TICK))
            }),
            rest: asks,
            lot: (Instant::now(), Duration::ZERO),
            requests: Requests::default(),
        }
    }

    /// Sends as many batches as there may be.
    async fn fill(&mut self, link: &mut Link) {
        while let Some(batch) = Batch::first_of(self.rest)
            && self.may_send(batch.work)
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
            self.lot.1 += batch.work;
            self.batches.push_back(batch);
        }
    }

    fn may_send(&mut self, work: Duration) -> bool {
        let (now, due) = (Instant::now(), self.lot.0 + TICK);
        if now >= due {
            // One that is a little late does not put off the next one.
            self.lot = (due.max(now - TICK / 4), Duration::ZERO);
        }
        let on_their_way = self.work + work;
        self.batches.is_empty()
            || on_their_way <= AT_ONCE
            || on_their_way <= self.most && self.lot.1 + work <= AT_ONCE
    }

    /// When more may be sent though no replies have come, if that may be.
    fn next_lot(&self) -> Option<Instant> {
        let has_room = self.most > AT_ONCE && self.work < self.most && !self.rest.is_empty();
        has_room.then(|| self.lot.0 + TICK)
    }

    fn first(&self) -> Option<&Batch<'q, 'a>> {
        self.batches.front()
    }

    /// The first batch, whose replies have come.
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
            (Ask::Stream(&key, &[], 0), 19),
            (Ask::Stream(&key, &[], 200_000), 4),
            (Ask::Stream(&key, &[], u64::MAX), 1),
            (Ask::Pending(&key, &group, 1), 99),
            (Ask::Consumers(&key, &group, 10), 34),
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
