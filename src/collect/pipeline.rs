//! Many questions over one connection: in batches, several of which are on their way at once, so that Redis always has
//! something to do, and replies are read while it does. An answer may lead to further questions, which follow at once.
//!
//! Redis takes up to 16 KiB of requests at once, and serves nobody else before they are all answered: 1.7 ms of questions
//! about streams. So a batch is what keeps it busy for `BATCH`, by what is known of its cost, and only so many are on
//! their way as keep it busy for `AT_ONCE`, and for the round trip besides. Where that is a long one, they are sent at the
//! pace at which Redis answers them, so that they do not arrive together.

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

/// Round trips up to which the way is filled: one that seems to be longer is a server that answers slowly.
const LONGEST_WAY: Duration = Duration::from_millis(50);

/// Most bytes that the replies to one batch should have, by what earlier replies had: they stand in Redis's output buffer
/// and in our memory at once.
const BYTES: u64 = 1024 * 1024;

/// Questions that are sent together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Batch {
    /// How many.
    asks: usize,
    replies: usize,
    work: Duration,
}

impl Batch {
    /// The first of the questions, as many as fit; a question that is larger than a batch is one. `None` of none.
    fn first_of(asks: &VecDeque<Ask>) -> Option<Batch> {
        let (mut batch, mut bytes) = (Batch::default(), 0_u64);
        for ask in asks {
            let work = batch.work + ask.expected_work();
            bytes = bytes.saturating_add(ask.expected_bytes());
            if batch.asks > 0 && (work > BATCH || bytes > BYTES) {
                break;
            }
            batch = Batch { asks: batch.asks + 1, replies: batch.replies + ask.replies(), work };
        }
        (batch.asks > 0).then_some(batch)
    }
}

impl Link {
    /// Puts many questions and reads the replies to each, in order. What it leads to is put behind them.
    ///
    /// # Errors
    /// No reply, ASKING is refused, or an error that concerns the whole server; any other error stays in the replies of
    /// its question.
    pub async fn ask(
        &mut self,
        asks: VecDeque<Ask>,
        mut read: impl FnMut(&Ask, &[Reply<'_>], &mut VecDeque<Ask>),
    ) -> Result<(), Fault> {
        // One in front of each question, be it a transaction or a command.
        let asking = usize::from(self.is_asking);
        let mut way = Way::new(asks, self.round_trip);
        loop {
            way.fill(self).await;
            let Some(batch) = way.first() else { return Ok(()) };
            let count = batch.replies + asking * batch.asks;
            self.receive(count, &mut way).await?;
            let asked = way.take();
            // Redis has something to do while we read.
            way.fill(self).await;
            let (mut all, mut replies) = (self.wire.replies(), Vec::new());
            for ask in asked {
                replies.clear();
                replies.extend(all.by_ref().take(asking + ask.replies()));
                server_wide(&replies)?;
                let (asking, own) = replies.split_at(asking);
                asking
                    .iter()
                    .try_for_each(|reply| ask::answer(*reply, &commands::ASKING, None, |_| Ok(())))?;
                read(&ask, own, &mut way.rest);
            }
        }
    }

    /// Receives replies, and sends meanwhile what the way has room for.
    async fn receive(&mut self, count: usize, way: &mut Way) -> Result<(), Fault> {
        self.wire.clear();
        let deadline = self.wire.deadline();
        loop {
            let due = way.next().map(|(_, due)| due).filter(|due| *due < deadline);
            match self.wire.receive_until(count, due.unwrap_or(deadline)).await {
                Some(received) => return received,
                None if due.is_none() => return Err(self.wire.late()),
                None => way.fill(self).await,
            }
        }
    }
}

/// Batches whose replies are still to come.
struct Way {
    batches: VecDeque<Batch>,
    /// Their questions.
    asked: VecDeque<Ask>,
    /// Work of all of them.
    work: Duration,
    /// Most work that may be on its way.
    most: Duration,
    /// Questions that are not yet among them.
    rest: VecDeque<Ask>,
    /// Until when Redis would be busy with them if the way took no time.
    busy_until: Instant,
    requests: Requests,
}

impl Way {
    fn new(asks: VecDeque<Ask>, round_trip: Duration) -> Self {
        let filled = Some(round_trip).filter(|round_trip| *round_trip <= LONGEST_WAY).unwrap_or_default();
        Way {
            batches: VecDeque::new(),
            asked: VecDeque::new(),
            work: Duration::ZERO,
            most: AT_ONCE + filled,
            rest: asks,
            busy_until: Instant::now(),
            requests: Requests::default(),
        }
    }

    /// Sends as many batches as there may be.
    async fn fill(&mut self, link: &mut Link) {
        while let Some((batch, due)) = self.next()
            && due <= Instant::now()
        {
            for ask in self.rest.drain(..batch.asks) {
                if link.is_asking {
                    self.requests.add(&commands::ASKING, &[]);
                }
                ask.push(&mut self.requests);
                self.asked.push_back(ask);
            }
            link.sent.add(self.requests.count());
            link.wire.send(&self.requests).await;
            self.requests.clear();
            self.sent(batch);
        }
    }

    /// The next batch, and when it may be sent; `None` where there is none, or not before replies have come.
    fn next(&self) -> Option<(Batch, Instant)> {
        let batch = Batch::first_of(&self.rest)?;
        let on_their_way = self.work + batch.work;
        if self.batches.is_empty() || on_their_way <= AT_ONCE {
            return Some((batch, Instant::now()));
        }
        let fits = batch.work <= AT_ONCE && on_their_way <= self.most;
        fits.then(|| (batch, self.busy_until + batch.work - AT_ONCE))
    }

    fn sent(&mut self, batch: Batch) {
        let now = Instant::now();
        self.work += batch.work;
        // What was answered keeps it busy no more, however long that was expected to take.
        self.busy_until = (self.busy_until.max(now) + batch.work).min(now + self.work);
        self.batches.push_back(batch);
    }

    fn first(&self) -> Option<Batch> {
        self.batches.front().copied()
    }

    /// The questions of the first batch, whose replies have come.
    fn take(&mut self) -> Vec<Ask> {
        let batch = self.batches.pop_front().unwrap_or_default();
        self.work -= batch.work;
        self.asked.drain(..batch.asks).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, sleep_until};

    use super::*;

    #[test]
    fn a_batch_is_bounded_by_its_work_and_its_replies() {
        let stream = |bytes| Ask::Stream("orders".into(), Vec::new(), bytes);
        let consumers = |count| Ask::Consumers("orders".into(), "workers".into(), count);
        for (ask, expected) in [
            (stream(0), 19),
            (stream(200_000), 4),
            (stream(u64::MAX), 1),
            (Ask::Pending("orders".into(), "workers".into(), 1), 99),
            (consumers(10), 34),
            // Half a millisecond of Redis's time each.
            (consumers(1000), 1),
            (consumers(100_000), 1),
        ] {
            let batch = Batch::first_of(&vec![ask.clone(); 500].into());
            let batch = batch.map(|batch| (batch.asks, batch.replies));
            assert_eq!(batch, Some((expected, expected * ask.replies())), "{ask:?}");
        }
        assert_eq!(Batch::first_of(&VecDeque::new()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_way_is_filled_at_the_pace_of_the_server() {
        // By the millisecond, which is what timers can tell, as long as nothing is answered.
        for (round_trip, expected) in [
            (0, vec![0, 0]),
            (1, vec![0, 0, 1, 1, 2, 2]),
            (2, vec![0, 0, 1, 1, 2, 2, 3, 3, 4, 4]),
            (60, vec![0, 0]),
        ] {
            let asks = vec![Ask::Stream("orders".into(), Vec::new(), 0); 500];
            let mut way = Way::new(asks.into(), Duration::from_millis(round_trip));
            let (begun, mut sent) = (Instant::now(), Vec::new());
            while let Some((batch, due)) = way.next() {
                sleep_until(due).await;
                way.asked.extend(way.rest.drain(..batch.asks));
                way.sent(batch);
                sent.push(begun.elapsed().as_millis());
            }
            assert_eq!(sent, expected, "{round_trip} ms");
            // An answer makes room for as much, once the pace allows it.
            sleep(Duration::from_millis(1)).await;
            way.take();
            assert!(way.next().is_some_and(|(_, due)| due <= Instant::now()), "{round_trip} ms");
        }
    }
}
