//! What the steps between Redis's replies and the answers cost, each for itself: `cargo bench --bench micro`. It needs a
//! redis-server, for what the steps work on was polled from one. A file for each subject.

use std::sync::Arc;

use criterion::Criterion;
use inside::{Inside, Result, data::Data};
use streamgauge::model::snapshot::{Poll, Snapshot};

mod adapter;
mod decode;
mod exposition;
#[path = "../inside/mod.rs"]
mod inside;
mod lag;
mod snapshot;

// What the shared files name by the root of the crate.
use inside::measured;

/// What the steps work on.
struct Polled {
    inside: Inside,
    snapshot: Arc<Snapshot>,
    poll: Arc<Poll>,
}

fn main() -> Result<()> {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    decode::bench(&mut criterion);
    let usual = polled(2000)?;
    lag::bench(&mut criterion, &usual.poll);
    snapshot::bench(&mut criterion, &usual.poll);
    exposition::bench(&mut criterion, &usual);
    drop(usual);
    adapter::bench(&mut criterion, &polled(20_000)?)?;
    criterion.final_summary();
    Ok(())
}

fn polled(streams: usize) -> Result<Polled> {
    let inside = Inside::start(Data::usual(streams))?;
    let snapshot = inside.snapshot.borrow().clone();
    let poll = snapshot.servers.first().and_then(|server| server.poll.clone()).ok_or("there is no poll")?;
    Ok(Polled { inside, snapshot, poll })
}
