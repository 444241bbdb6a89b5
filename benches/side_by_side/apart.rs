//! A CPU for Redis alone, and the others for all who ask it: as if it were on a machine of its own.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::{Result, measured::Process};

/// As long as this is there, whatever the main thread starts runs on the other CPUs.
pub struct Apart {
    all: CpuSet,
}

impl Apart {
    /// Redis gets the first CPU that the bench may use.
    pub fn keep(redis: &Process) -> Result<Apart> {
        let all = sched_getaffinity(None)?;
        let first = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).ok_or("no CPU")?;
        let (mut own, mut others) = (CpuSet::new(), all);
        own.set(first);
        others.unset(first);
        if others.count() == 0 {
            return Err("polls are compared with Redis on a CPU of its own: the bench needs two CPUs".into());
        }
        redis.keep_to(&own)?;
        sched_setaffinity(None, &others)?;
        Ok(Apart { all })
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // It was allowed before.
        let _ = sched_setaffinity(None, &self.all);
    }
}
