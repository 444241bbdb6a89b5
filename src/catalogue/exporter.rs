//! What the catalogue reads besides the snapshot: the process itself, its configuration, and what its adapters have
//! answered.

use crate::model::{share::Share, time::UnixMicros};

/// What the process knows about itself, read anew for each exposition.
#[derive(Clone, Debug, Default)]
pub struct Exporter {
    /// Version of streamgauge.
    pub version: &'static str,
    /// The process as the kernel sees it; `None` where there is no /proc.
    pub process: Option<Process>,
    /// What came of loading the configuration; `None` before it was.
    pub config: Option<Loads>,
    /// Its share of the streams, where several processes have one.
    pub share: Option<Share>,
    /// What the adapters have answered.
    pub adapters: AdapterStats,
}

/// What came of loading the configuration: at the start, and whenever it was loaded again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loads {
    /// Whether the latest one succeeded.
    pub latest_succeeded: bool,
    /// When the latest one did that succeeded.
    pub succeeded_at: UnixMicros,
}

/// What the adapters have answered since the start of the process.
#[derive(Clone, Debug, Default)]
pub struct AdapterStats {
    /// Requests, by API and status code.
    pub requests: Vec<AdapterRequests>,
    /// Age of the measurements that were answered with, in seconds, by API.
    pub freshness: Vec<(&'static str, Distribution)>,
}

/// Requests of one API that were answered with one code.
#[derive(Clone, Debug)]
pub struct AdapterRequests {
    /// The API.
    pub api: &'static str,
    /// The status code.
    pub code: String,
    /// How many.
    pub count: u64,
}

/// A distribution, as a Prometheus histogram has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Upper bounds, ascending, each with the observations above the bound before and up to this one.
    pub buckets: Vec<(f64, u64)>,
    /// All observations added up.
    pub sum: f64,
}

/// The process as the kernel sees it (`/proc/self`).
#[derive(Clone, Debug)]
pub struct Process {
    /// CPU time used, user and system, in seconds.
    pub cpu_seconds: f64,
    /// Memory in RAM, in bytes.
    pub resident_bytes: u64,
    /// Address space, in bytes.
    pub virtual_bytes: u64,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// Most file descriptors that may be open; `None` is no limit.
    pub max_fds: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// When it started, in seconds since the Unix epoch.
    pub start_time_seconds: Option<f64>,
}
