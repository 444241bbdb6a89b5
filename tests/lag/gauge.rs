//! Measures a stream as a poll does, and counts the truth in the same transaction.

use redis::{Connection, ConnectionLike as _, Value};
use streamgauge::{
    collect::{
        ask::{self, Ask, StreamAnswer},
        decode::GroupInfo,
        request::Requests,
        resp::Replies,
        trust,
    },
    model::{
        lag::{
            GroupFacts, Lag,
            pages::{Pages, Share, Wish},
            tracker::{Tracker, Trust, oldest::Oldest},
            undelivered::Undelivered,
        },
        name::{Name, Names},
        stream_id::StreamId,
    },
};

#[path = "../../fuzz/written.rs"]
mod written;

/// One stream under observation, with a budget of entries for each group and poll.
pub struct Gauge {
    connection: Connection,
    key: Name,
    tracker: Tracker,
    oldest: Oldest,
    /// Sees and reads the same, and is never asked for the oldest entry: its lags must be the same.
    alone: Tracker,
    /// Whether somebody writes the counters of groups by hand: then the server's own number may be what is reported.
    pub deceived: bool,
    budget: u64,
    polls: u64,
    pub entries_read: u64,
}

/// What was found of one group, and what is true.
#[derive(Debug)]
pub struct Reading {
    pub group: Name,
    pub facts: GroupFacts,
    pub lag: Lag,
    pub truth: u64,
    pub oldest: Undelivered,
    pub true_oldest: Option<StreamId>,
}

/// What was read for each of those who look.
struct Read {
    counted: Pages,
    own: Pages,
    alone: Pages,
}

impl Read {
    fn new(budget: u64) -> Read {
        Read { counted: Pages::new(budget), own: Pages::new(budget), alone: Pages::new(budget) }
    }
}

/// All that exists: read in the same transaction, so that it is the truth of that moment.
const EVERYTHING: Wish = Wish {
    from: StreamId::new(0, 0),
    to: StreamId::new(u64::MAX, u64::MAX),
    upwards: true,
    count: i64::MAX as u64,
    share: Share::Whole,
};

impl Gauge {
    pub fn new(mut connection: Connection, key: &str, budget: u64) -> Gauge {
        let trust = trust_of(&mut connection);
        Gauge {
            connection,
            key: Name::from(key),
            tracker: Tracker::new(trust),
            oldest: Oldest::default(),
            alone: Tracker::new(trust),
            deceived: false,
            budget,
            polls: 0,
            entries_read: 0,
        }
    }

    pub fn set_budget(&mut self, budget: u64) {
        self.budget = budget;
    }

    /// As after a lost connection.
    pub fn forget(&mut self) {
        self.tracker.forget();
        self.alone.forget();
    }

    /// One poll: all groups of the stream; nothing where the stream does not exist. Whatever is concluded on the way is
    /// checked too.
    pub fn look(&mut self) -> Vec<Reading> {
        let mut pages = Read::new(self.budget);
        // In every other poll, as the collector does where that was needed of late.
        self.polls += 1;
        let foreseen = self.tracker.foreseen().filter(|_| self.polls.is_multiple_of(2));
        let all: Vec<_> = foreseen.into_iter().chain([EVERYTHING]).collect();
        let Some((answer, mut ranges)) = self.ask(&all) else {
            self.forget();
            return Vec::new();
        };
        let truth = ranges.remove(ranges.len() - 1);
        if let (Some(wish), Some(ids)) = (foreseen, ranges.pop()) {
            self.entries_read += ids.len() as u64;
            pages.counted.put(wish, ids.clone());
            pages.alone.put(wish, ids);
        }
        let first = self.conclude(&answer, &truth, &mut pages);
        let mut wishes = pages.counted.take_wishes();
        assert_eq!(wishes, pages.alone.take_wishes(), "the oldest entry has changed what is counted");
        let of_lags = wishes.len();
        wishes.extend(pages.own.take_wishes());
        if wishes.is_empty() {
            return first;
        }
        first.iter().for_each(|reading| reading.check_of("on the way", self.deceived));
        wishes.push(EVERYTHING);
        let Some((answer, mut ranges)) = self.ask(&wishes) else {
            return Vec::new();
        };
        let truth = ranges.remove(ranges.len() - 1);
        let mut pages = Read::new(0);
        for (place, (wish, ids)) in wishes.iter().zip(ranges).enumerate() {
            self.entries_read += ids.len() as u64;
            if place < of_lags {
                pages.counted.put(*wish, ids.clone());
                pages.alone.put(*wish, ids);
            } else {
                pages.own.put(*wish, ids);
            }
        }
        self.conclude(&answer, &truth, &mut pages)
    }

    fn ask(&mut self, wishes: &[Wish]) -> Option<(StreamAnswer, Vec<Vec<StreamId>>)> {
        let mut requests = Requests::default();
        let ask = Ask::Stream(self.key.clone(), wishes.to_vec(), 0);
        ask.push(&mut requests);
        let values = self.connection.req_packed_commands(requests.bytes(), 0, requests.count()).unwrap();
        let replies = replies(&values);
        let replies: Vec<_> = replies.iter().collect();
        match ask::stream_answer(&ask, &replies, &mut Names::default()) {
            Ok(mut answer) => {
                let ids = std::mem::take(&mut answer.pages).into_iter().map(|(_, page)| page.ids).collect();
                Some((answer, ids))
            }
            Err(fault) => {
                assert!(fault.message.contains("no such key"), "{fault}");
                None
            }
        }
    }

    fn conclude(&mut self, answer: &StreamAnswer, truth: &[StreamId], pages: &mut Read) -> Vec<Reading> {
        let stream = answer.stream.facts();
        for tracker in [&mut self.tracker, &mut self.alone] {
            tracker
                .observe(&stream, answer.groups.iter().map(|group| (&group.name, group.last_delivered_id)));
        }
        let mut waiting = Vec::new();
        for group in &answer.groups {
            let lag = self.tracker.lag(&group.name, &group.facts(), &mut pages.counted);
            let alone = self.alone.lag(&group.name, &group.facts(), &mut pages.alone);
            assert_eq!(lag, alone, "the oldest entry has changed the lag of {}: {:?}", group.name, stream);
            waiting.push((&group.name, group.last_delivered_id, lag));
        }
        let found = self.oldest.find(&self.tracker, &waiting, &pages.counted, &mut pages.own);
        let reading = |((group, (_, _, lag)), oldest): ((&GroupInfo, (_, _, Lag)), Undelivered)| {
            let above = truth.partition_point(|id| *id <= group.last_delivered_id);
            Reading {
                group: group.name.clone(),
                facts: group.facts(),
                lag,
                truth: (truth.len() - above) as u64,
                oldest,
                true_oldest: truth.get(above).copied(),
            }
        };
        answer.groups.iter().zip(waiting).zip(found).map(reading).collect()
    }
}

/// What the server says of itself, as the collector reads it.
pub fn trust_of(connection: &mut Connection) -> Trust {
    let sections = ["server", "replication"];
    let info = sections.map(|section| redis::cmd("INFO").arg(section).query(connection).unwrap());
    let replies = replies(&info);
    let [server, replication] = replies.iter().collect::<Vec<_>>()[..] else { panic!("{info:?}") };
    trust::server_info(server, replication).trust
}

/// What the crate has read, as the collector reads it.
fn replies(values: &[Value]) -> Replies {
    let mut replies = Replies::default();
    replies.buffer().extend(values.iter().flat_map(written::written));
    assert_eq!(replies.have(values.len()), Ok(true));
    replies
}

impl Reading {
    /// Exact and reported are the truth; bounds hold it; zero is never confused. So it is with the oldest entry that waits.
    #[track_caller]
    pub fn check(&self, context: &str) {
        self.check_of(context, false);
    }

    /// As [`Reading::check`]; where somebody has written the counter of the group by hand, the lag may also be what the
    /// server reports, if it is called so.
    #[track_caller]
    pub fn check_of(&self, context: &str, deceived: bool) {
        let Reading { group, facts, lag, truth, oldest, true_oldest } = self;
        let right = match *lag {
            Lag::Reported(entries) if deceived => {
                entries == *truth || facts.reported_lag == Some(entries.cast_signed())
            }
            Lag::Exact { entries, .. } | Lag::Reported(entries) => entries == *truth,
            Lag::Bounded { lower, upper, estimate } => {
                1 <= lower && lower <= *truth && *truth <= upper && (lower..=upper).contains(&estimate)
            }
            _ => false,
        };
        assert!(right, "group {group}: {lag:?}, but the truth is {truth} ({facts:?}); {context}");
        let right = match *oldest {
            Undelivered::Nothing => true_oldest.is_none(),
            Undelivered::Oldest(id) => *true_oldest == Some(id),
            Undelivered::Unknown => true_oldest.is_some(),
        };
        assert!(right, "group {group}: {oldest:?}, but the truth is {true_oldest:?} ({facts:?}); {context}");
    }
}
