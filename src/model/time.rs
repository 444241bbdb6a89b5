//! Points in time as Redis tells them (`TIME`), and seconds as Prometheus wants them.

use std::time::SystemTime;

/// A point in time: microseconds since the Unix epoch. Range 0 to 2^64-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMicros(pub u64);

impl UnixMicros {
    /// That of the system's clock; 0 before the epoch.
    #[must_use]
    pub fn of(time: SystemTime) -> UnixMicros {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        UnixMicros(since.as_micros().try_into().unwrap_or(u64::MAX))
    }

    /// Seconds since the Unix epoch, with a fraction.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Milliseconds since the Unix epoch, the unit of stream IDs.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0 / 1000
    }
}
