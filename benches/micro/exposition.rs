//! /metrics through its routes: the first scrape of a snapshot, and a later one.

use std::sync::Arc;

use criterion::{BatchSize, Criterion};
use tokio::sync::watch;

use crate::{
    Polled,
    inside::{scrape, web},
};

pub fn bench(criterion: &mut Criterion, polled: &Polled) {
    let runtime = &polled.inside.runtime;
    for encoding in ["identity", "gzip"] {
        let (publish, snapshot) = watch::channel(Arc::clone(&polled.snapshot));
        let web = web(snapshot);
        let ask = || runtime.block_on(scrape(&web, encoding)).map_err(|error| error.to_string());
        criterion.bench_function(&format!("exposition: 2,000 streams, {encoding}, first"), |bencher| {
            // Published anew it is another snapshot.
            let anew = || publish.send_replace(Arc::new((*polled.snapshot).clone()));
            bencher.iter_batched(anew, |_| ask(), BatchSize::PerIteration);
        });
        criterion.bench_function(&format!("exposition: 2,000 streams, {encoding}, later"), |bencher| {
            bencher.iter(ask);
        });
    }
}
