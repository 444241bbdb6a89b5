//! The ID of a stream entry: milliseconds and a sequence number, ordered as Redis orders them.

use std::{fmt, str::FromStr};

use super::{decimal, time::UnixMicros};

/// An entry ID, `<ms>-<seq>` in Redis. Both parts range from 0 to 2^64-1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// First part: milliseconds since the Unix epoch where Redis made the ID, anything where a producer did.
    pub ms: u64,
    /// Second part: tells entries of one millisecond apart.
    pub seq: u64,
}

/// Earliest ID that can be a time: 2018-01-01. Streams came with Redis 5.0 in that year, and IDs below it are
/// numbers that a producer chose.
const FIRST_PLAUSIBLE_MS: u64 = 1_514_764_800_000;

/// How far an ID may lie ahead of Redis's clock and still be a time: one day, for producers with a clock that is off.
const FUTURE_TOLERANCE_MS: u64 = 86_400_000;

impl StreamId {
    /// An ID from its two parts.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> Self {
        StreamId { ms, seq }
    }

    /// The ID whose text this is, `<ms>-<seq>`.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Option<Self> {
        let between = text.iter().position(|byte| *byte == b'-')?;
        Some(StreamId::new(decimal::unsigned(&text[..between])?, decimal::unsigned(&text[between + 1..])?))
    }

    /// The next higher ID; the highest one is its own.
    #[must_use]
    pub fn successor(self) -> Self {
        match self.seq.checked_add(1) {
            Some(seq) => StreamId { seq, ..self },
            None => self.ms.checked_add(1).map_or(self, |ms| StreamId { ms, seq: 0 }),
        }
    }

    /// The next lower ID; the lowest one is its own.
    #[must_use]
    pub fn predecessor(self) -> Self {
        match self.seq.checked_sub(1) {
            Some(seq) => StreamId { seq, ..self },
            None => self.ms.checked_sub(1).map_or(self, |ms| StreamId { ms, seq: u64::MAX }),
        }
    }

    /// The time that the ID stands for, in seconds since the Unix epoch; `None` where the ID cannot be a time
    /// (a producer's own numbering), judged against `now`, Redis's own clock.
    #[must_use]
    pub fn unix_seconds(self, now: UnixMicros) -> Option<f64> {
        (FIRST_PLAUSIBLE_MS..=now.millis().saturating_add(FUTURE_TOLERANCE_MS))
            .contains(&self.ms)
            .then_some(self.ms as f64 / 1e3)
    }

    /// Seconds since the entry was added, at least 0; `None` where the ID cannot be a time.
    #[must_use]
    pub fn age_seconds(self, now: UnixMicros) -> Option<f64> {
        self.unix_seconds(now).map(|_| now.millis().saturating_sub(self.ms) as f64 / 1e3)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// A text that is not `<ms>-<seq>`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stream entry ID")]
pub struct NotAStreamId;

impl FromStr for StreamId {
    type Err = NotAStreamId;

    fn from_str(text: &str) -> Result<Self, NotAStreamId> {
        StreamId::of_text(text.as_bytes()).ok_or(NotAStreamId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints_the_whole_range() {
        for text in ["0-0", "1-1", "1732320000000-7", "18446744073709551615-18446744073709551615"] {
            assert_eq!(text.parse::<StreamId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "1", "1-", "-1", "1-2-3", "+1-1", "a-b", "18446744073709551616-0"] {
            assert_eq!(text.parse::<StreamId>(), Err(NotAStreamId), "{text}");
        }
    }

    #[test]
    fn orders_by_milliseconds_first() {
        assert!(StreamId::new(1, 9) < StreamId::new(2, 0));
        assert!(StreamId::new(1, 1) < StreamId::new(1, 2));
    }

    #[test]
    fn an_id_of_ones_own_is_no_time() {
        let now = UnixMicros(1_800_000_000_000_000);
        assert_eq!(StreamId::new(1, 1).age_seconds(now), None);
        assert_eq!(StreamId::new(u64::MAX, 0).age_seconds(now), None);
        assert_eq!(StreamId::new(1_800_000_000_000 - 2500, 0).age_seconds(now), Some(2.5));
        // A producer's clock that runs ahead gives an age of 0, not a negative one.
        assert_eq!(StreamId::new(1_800_000_000_000 + 2500, 0).age_seconds(now), Some(0.0));
    }
}
