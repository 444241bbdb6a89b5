//! Streams of other shards that this one measures since autoscalers ask it for them: what is asked for, and what came of it.
//!
//! The API server asks any of the shards, and that one answers for all. So what it does not measure itself is measured for
//! the occasion, as long as somebody asks.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    fault::{Fault, FaultKind},
    name::Name,
    offer::Access,
    pattern::Pattern,
    share::Share,
    snapshot::{Incomplete, Poll},
};

/// Time after which what nobody has asked for is measured no more.
pub const IDLE: Duration = Duration::from_secs(600);

/// Streams of one server that somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Their name, or a glob for it.
    pub streams: Pattern,
    /// Which of them whoever asks may read; of a name, that is known before it is asked for.
    pub access: Access,
}

impl Wish {
    /// For one stream, by a name that may be read.
    #[must_use]
    pub fn named(name: Name) -> Wish {
        Wish { streams: Pattern::Exact(name), access: Access::default() }
    }

    /// Whether a stream of a server is meant.
    #[must_use]
    pub fn includes(&self, redis: &str, stream: &Name) -> bool {
        self.streams.matches(stream) && self.access.includes(redis, stream)
    }
}

/// What came of the wishes for streams of one server.
#[derive(Clone, Debug)]
pub struct Guests {
    /// The share that they are no part of.
    pub share: Share,
    /// Each wish of that moment.
    pub heard: Vec<Heard>,
    /// Streams that are asked for on account of all wishes, whether they exist or not: in the database that has the most.
    pub taken: usize,
    /// The latest poll for them, if it succeeded.
    pub poll: Result<Arc<Poll>, Fault>,
}

/// What came of one wish.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// What was asked for.
    pub wish: Wish,
    /// Its streams that are known.
    pub found: usize,
    /// Why it is not followed: there is no room for its streams.
    pub refused: Option<Fault>,
}

impl Guests {
    /// What came of a wish; `None` where it was not heard yet, or so long ago that it does not count any more. A poll that
    /// failed counts until the next one.
    #[must_use]
    pub fn answer(&self, wish: &Wish, stale_after: Duration, now: Instant) -> Option<&Heard> {
        let is_fresh = |poll: &Arc<Poll>| now.saturating_duration_since(poll.started) <= stale_after;
        let counts = self.poll.as_ref().map_or(true, is_fresh);
        self.heard(wish).filter(|_| counts)
    }

    fn heard(&self, wish: &Wish) -> Option<&Heard> {
        self.heard.iter().find(|heard| heard.wish == *wish)
    }

    /// Whether it is known that nothing exists of what a wish means: of a name also before all keys are searched.
    fn means_nothing(&self, wish: &Wish) -> bool {
        let is_glob = wish.streams.glob().is_some();
        let leaves_open = |part: &Incomplete| is_glob || part.fault.kind.is_failure();
        let is_empty = |heard: &Heard| heard.found == 0 && heard.refused.is_none();
        self.poll.as_ref().is_ok_and(|poll| !poll.incomplete.iter().any(leaves_open))
            && self.heard(wish).is_some_and(is_empty)
    }
}

/// What is asked for, of all servers.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Most streams of a database that are measured on account of all wishes.
    most: usize,
    /// By server, in the order in which they came.
    of: BTreeMap<Arc<str>, Vec<Asked>>,
}

#[derive(Clone, Debug)]
struct Asked {
    wish: Wish,
    latest: Instant,
}

impl Wishes {
    /// None yet; at most so many streams of a database will be measured on account of them.
    #[must_use]
    pub fn new(most: usize) -> Wishes {
        Wishes { most, of: BTreeMap::new() }
    }

    /// Most streams of a database that are measured on account of all wishes.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// Those for streams of a server that somebody has uttered lately.
    #[must_use]
    pub fn of(&self, redis: &str, now: Instant) -> Vec<Wish> {
        let asked = self.of.get(redis).into_iter().flatten().filter(|asked| asked.is_alive(now));
        asked.map(|asked| asked.wish.clone()).collect()
    }

    /// Somebody asks for streams of a server, of which so much is known. Returns whether that is news.
    ///
    /// Where there is no room, all give way that mean nothing which exists: names may be invented. What exists never does.
    ///
    /// # Errors
    /// There is no room.
    pub fn ask(
        &mut self,
        redis: &Arc<str>,
        wish: &Wish,
        known: Option<&Guests>,
        now: Instant,
    ) -> Result<bool, Fault> {
        let all = self.of.entry(redis.clone()).or_default();
        let (mut is_there, mut is_news) = (false, true);
        if let Some(asked) = all.iter_mut().find(|asked| asked.wish == *wish) {
            (is_there, is_news) = (true, !asked.is_alive(now));
            asked.latest = now;
        }
        all.retain(|asked| asked.is_alive(now));
        let is_full = all.len() >= self.most || known.is_some_and(|known| known.taken >= self.most);
        let heard = known.and_then(|known| known.heard(wish));
        let is_refused = heard.is_some_and(|heard| heard.refused.is_some());
        if is_full && !is_there || is_refused {
            let before = all.len();
            all.retain(|asked| {
                let means_nothing = || known.is_some_and(|known| known.means_nothing(&asked.wish));
                asked.wish == *wish || !means_nothing()
            });
            is_news |= all.len() < before;
        }
        if !is_there {
            if all.len() >= self.most {
                return Err(crowded(self.most));
            }
            all.push(Asked { wish: wish.clone(), latest: now });
        }
        Ok(is_news)
    }
}

impl Asked {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.latest) < IDLE
    }
}

/// There is no room for what is asked for.
#[must_use]
pub fn crowded(most: usize) -> Fault {
    let message = format!(
        "more streams of other shards are asked for than sharding.guest_streams lets in, {most} (name the stream, or raise \
         sharding.guest_streams or --sharding.guest-streams)"
    );
    Fault::new(FaultKind::TooMany, message)
}

#[cfg(test)]
#[path = "guests_tests.rs"]
mod tests;
