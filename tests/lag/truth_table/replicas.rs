//! The rows of two servers: what is said of a replica, and where a stream has come from another version.

use super::{
    NIL, RIGHT, Row,
    Says::{Nil, Off, Right},
    bench::{Bench, Column},
    check, row,
};
use crate::servers::versions;

/// `SYNC` makes the measured server a replica, `PROMOTE` ends that.
const SAME_VERSION: &[Row] = &[
    row(
        "replica from the beginning",
        &[
            check("SYNC; XADD s 1..10 f v; XGROUP CREATE s g 0", 10, RIGHT),
            check("READ g 4", 6, [Nil, Right, Right]),
            check("READ g 2 NOACK", 4, RIGHT),
            check("READ g 10", 0, [Off(4), Right, Right]),
        ],
    ),
    row(
        "replica that is synchronised in mid-life",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; SYNC", 6, RIGHT),
            check("READ g 2", 4, [Off(2), Right, Right]),
            check("READ g 1 NOACK", 3, RIGHT),
            check("READ g 1", 2, [Off(1), Right, Right]),
            check("PROMOTE", 2, [Off(1), Right, Right]),
            check("READ g 1", 1, [Off(1), Right, Right]),
            check("READ g 1", 0, [Off(1), Right, Right]),
            check("XADD s 11..13 f v", 3, [Off(1), Right, Right]),
        ],
    ),
];

/// The primary is Redis 6.0. `MOVE` takes a dump of the stream over instead of a replica.
const FROM_6: &[Row] = &[
    row(
        "replica of Redis 6.0, synchronised before the group reads, promoted",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; SYNC", 10, RIGHT),
            check("READ g 6", 4, [Off(6); 3]),
            check("PROMOTE", 4, [Off(6); 3]),
            check("READ g 10", 0, [Off(6); 3]),
            check("XADD s 11..13 f v", 3, [Off(6); 3]),
            check("READ g 1", 2, [Off(6); 3]),
        ],
    ),
    row(
        "replica of Redis 6.0, synchronised while the group reads, promoted",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; SYNC", 6, NIL),
            check("READ g 2", 4, NIL),
            check("PROMOTE", 4, NIL),
            check("READ g 10", 0, RIGHT),
            check("XADD s 11..13 f v", 3, RIGHT),
        ],
    ),
    row(
        "dump of Redis 6.0, restored",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 0; MOVE", 10, RIGHT), check("READ g 4", 6, RIGHT)],
    ),
    row(
        "dump of Redis 6.0, restored while the group reads",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; MOVE", 6, NIL),
            check("READ g 2", 4, NIL),
            check("READ g 10", 0, RIGHT),
            check("XADD s 11..13 f v", 3, RIGHT),
        ],
    ),
];

#[test]
fn truth_table_of_two_servers() {
    let versions = versions();
    let mut wrong = Vec::new();
    let six =
        versions.iter().map(|version| version.start()).find(|server| Column::of(server) == Column::Redis6);
    if six.is_none() {
        println!("no Redis 6.0 among STREAMGAUGE_TEST_SERVERS: nothing comes from there");
    }
    for version in &versions {
        let (same, measured) = (version.start(), version.start());
        println!("{}, {:?}", version.name, Column::of(&measured));
        let mut play = |rows: &[Row], primary: &crate::support::redis::RedisServer| {
            primary.run(&["CONFIG SET repl-diskless-sync-delay 0"]);
            for row in rows {
                wrong.extend(row.play(&mut Bench::with_replica(primary, &measured)));
                measured.run(&["REPLICAOF NO ONE", "FLUSHALL"]);
                primary.run(&["FLUSHALL"]);
            }
        };
        play(SAME_VERSION, &same);
        if let Some(six) = six.as_ref().filter(|_| Column::of(&measured) != Column::Redis6) {
            play(FROM_6, six);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
