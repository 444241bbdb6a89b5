//! Judging all groups of a poll by what is remembered of them.

use criterion::{BatchSize, Criterion};
use streamgauge::{collect::chronicle::Chronicle, config, model::snapshot::Poll};

pub fn bench(criterion: &mut Criterion, poll: &Poll) {
    let Ok(config) = config::load(&config::Sources::default()) else {
        unreachable!("the defaults are sound")
    };
    let mut chronicle = Chronicle::new(config.rules);
    criterion.bench_function("snapshot: judge 4,000 groups", |bencher| {
        bencher.iter_batched_ref(|| poll.clone(), |poll| chronicle.judge(poll), BatchSize::LargeInput);
    });
    criterion.bench_function("snapshot: copy 2,000 streams", |bencher| bencher.iter(|| poll.clone()));
}
