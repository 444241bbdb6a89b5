//! Replies from bytes to the model: those that Redis sends about a stream with a group, as they were recorded for the fuzzer.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use streamgauge::{
    collect::{
        decode,
        resp::{Replies, Reply},
    },
    model::name::Names,
};

/// The replies of Redis 7.0: to `XINFO STREAM`, `XINFO GROUPS`, `XINFO CONSUMERS` and `XPENDING`.
const REPLIES: [&[u8]; 4] = [
    include_bytes!("../../fuzz/seeds/redis-7.0-resp2.stream"),
    include_bytes!("../../fuzz/seeds/redis-7.0-resp2.groups"),
    include_bytes!("../../fuzz/seeds/redis-7.0-resp2.consumers"),
    include_bytes!("../../fuzz/seeds/redis-7.0-resp2.pending"),
];

const STREAMS: usize = 100;

pub fn bench(criterion: &mut Criterion) {
    let bytes = REPLIES.concat().repeat(STREAMS);
    let (mut replies, mut names) = (Replies::default(), Names::default());
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("100 streams, each with two groups", |bencher| {
        bencher.iter(|| {
            replies.buffer().extend_from_slice(&bytes);
            assert_eq!(replies.have(STREAMS * REPLIES.len()), Ok(true));
            let all: Vec<_> = replies.iter().collect();
            for of_stream in all.chunks(REPLIES.len()) {
                assert!(is_read(of_stream, &mut names), "{of_stream:?}");
            }
            drop(all);
            replies.clear();
        });
    });
    group.finish();
}

fn is_read(replies: &[Reply<'_>], names: &mut Names) -> bool {
    black_box(decode::stream(replies[0])).is_ok()
        && black_box(decode::groups(replies[1], names)).is_ok()
        && black_box(decode::consumers(replies[2], names)).is_ok()
        && black_box(decode::oldest_pending(replies[3])).is_ok()
}
