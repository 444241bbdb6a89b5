//! What is measured in turns.

use std::time::Duration;

use crate::{comparison::Workload, data::Data};

const NONE: Duration = Duration::ZERO;

/// All of it, in this order.
pub const ALL: [Workload; 10] = [
    workload("100", "100 streams", Data::usual(100), NONE, [9, 5], 2),
    workload("2000", "2,000 streams", Data::usual(2000), NONE, [9, 7], 6),
    Workload {
        is_apart: false,
        ..workload(
            "shared",
            "2,000 streams, Redis on the same CPUs as all others",
            Data::usual(2000),
            NONE,
            [9, 7],
            6,
        )
    },
    workload("20000", "20,000 streams", Data::usual(20_000), NONE, [3, 2], 30),
    workload(
        "1ms",
        "2,000 streams, a round trip of 1 ms",
        Data::usual(2000),
        Duration::from_millis(1),
        [5, 1],
        6,
    ),
    workload(
        "10ms",
        "100 streams, a round trip of 10 ms",
        Data::usual(100),
        Duration::from_millis(10),
        [5, 2],
        2,
    ),
    workload("consumers", "1 stream, 1,000 consumers in each group", CONSUMERS, NONE, [7, 3], 2),
    workload("100B", "200 streams, payloads of 100 B", Data::usual(200), NONE, [7, 3], 2),
    workload("100kB", "200 streams, payloads of 100 kB", PAYLOADS, NONE, [7, 3], 2),
    workload("100kB-still", "200 streams, payloads of 100 kB, and nothing new", STILL, NONE, [7, 3], 2),
];

const CONSUMERS: Data = Data { streams: 1, consumers: 1000, ..Data::usual(1) };

const STILL: Data = Data { is_still: true, ..PAYLOADS };

const PAYLOADS: Data = Data { payload: 100_000, ..Data::usual(200) };

const fn workload(
    name: &'static str,
    title: &'static str,
    data: Data,
    round_trip: Duration,
    [rounds, peer_rounds]: [usize; 2],
    interval: u64,
) -> Workload {
    let interval = Duration::from_secs(interval);
    Workload { name, title, data, round_trip, is_apart: true, rounds, peer_rounds, interval }
}
