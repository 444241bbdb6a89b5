//! How often memory is allocated, and how much, for a poll of 2,000 streams and for a scrape of its snapshot:
//! `cargo bench --bench allocations`. It needs a redis-server.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicU64, Ordering},
};

use inside::{Inside, Result, data::Data, scrape, web};

mod inside;

// What the shared files name by the root of the crate.
use inside::measured;

/// The system's allocator, which counts what all threads ask of it.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

fn count(size: usize) {
    CALLS.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(size as u64, Ordering::Relaxed);
}

// SAFETY: each call is the system allocator's own, with the arguments that came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Result<()> {
    let mut inside = Inside::start(Data::usual(2000))?;
    let web = web(inside.snapshot.clone());
    println!("| | allocations | bytes |\n| --- | --- | --- |");
    for number in 1..=3 {
        inside.go_on()?;
        counted(&format!("poll {number}"), || inside.poll())?;
        for encoding in ["identity", "gzip"] {
            for which in ["first", "later"] {
                let scraping = scrape(&web, encoding);
                let what = format!("scrape {number}, {encoding}, {which}");
                counted(&what, || inside.runtime.block_on(scraping).map(|_| ()))?;
            }
        }
    }
    Ok(())
}

/// Prints what an action allocates.
fn counted(what: &str, action: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = (CALLS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
    action()?;
    let calls = CALLS.load(Ordering::Relaxed) - before.0;
    let bytes = BYTES.load(Ordering::Relaxed) - before.1;
    println!("| {what} | {calls} | {bytes} |");
    Ok(())
}
