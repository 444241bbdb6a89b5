//! The process as the kernel sees it, for the `process_*` metrics. Empty where there is no /proc.

use crate::catalogue::exporter::Process;

/// Reads /proc/self.
#[cfg(target_os = "linux")]
#[must_use]
pub fn read() -> Option<Process> {
    use procfs::process::LimitValue;

    let process = procfs::process::Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let ticks = procfs::ticks_per_second() as f64;
    let start = procfs::boot_time_secs().ok().map(|boot| boot as f64 + stat.starttime as f64 / ticks);
    Some(Process {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
        resident_bytes: stat.rss * procfs::page_size(),
        virtual_bytes: stat.vsize,
        open_fds: process.fd_count().ok().map(|count| count as u64),
        max_fds: process.limits().ok().and_then(|limits| match limits.max_open_files.soft_limit {
            LimitValue::Value(value) => Some(value),
            LimitValue::Unlimited => None,
        }),
        threads: stat.num_threads.try_into().unwrap_or(0),
        start_time_seconds: start,
    })
}

/// No /proc here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn read() -> Option<Process> {
    None
}
