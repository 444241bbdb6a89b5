//! Waiting for a condition.

use std::{
    thread,
    time::{Duration, Instant},
};

/// A guard against waiting for ever, never a measure: generous, for machines that are busy with other tests.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Tries until `attempt` succeeds; panics with what it last said if it never does.
#[track_caller]
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match attempt() {
            Ok(found) => return found,
            Err(last) if Instant::now() >= deadline => {
                panic!("waited {DEADLINE:?} for {what}; last seen: {last}")
            }
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Tries until the condition holds.
#[track_caller]
pub fn until_true(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || condition().then_some(()).ok_or_else(|| "not yet".into()));
}
