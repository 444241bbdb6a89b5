//! The truth table: what each server version says of its own accord in histories that are known by name, and what
//! streamgauge says of them.

mod bench;
mod carried;
mod entries;
mod groups;
mod replicas;

use bench::{Bench, Column};
use carried::Carried;

use crate::{servers::versions, support::redis::RedisServer};

/// A history with a name, and what is said at its checkpoints.
struct Row {
    name: &'static str,
    /// The Redis version that has the commands for it.
    since: (u32, u32),
    checks: &'static [Check],
}

/// Commands, and what holds after them for the group `g` of the stream `s`.
struct Check {
    /// See [`bench::commands`] for how they are written.
    run: &'static str,
    /// The true lag.
    lag: u64,
    /// What Redis 7.0, Redis 8.0 and Valkey 9 say. 6.0 says nothing.
    says: [Says; 3],
    /// Whether a gauge that has watched all along is deceived by the group's counter.
    deceives: bool,
}

/// What a server says of a lag.
#[derive(Clone, Copy, Debug)]
enum Says {
    Nil,
    /// The truth.
    Right,
    /// The truth and so many more.
    Off(i64),
}

const RIGHT: [Says; 3] = [Says::Right; 3];
const NIL: [Says; 3] = [Says::Nil; 3];

const fn row(name: &'static str, checks: &'static [Check]) -> Row {
    Row { name, since: (6, 0), checks }
}

const fn check(run: &'static str, lag: u64, says: [Says; 3]) -> Check {
    Check { run, lag, says, deceives: false }
}

/// Somebody has written the group's counter by hand, where a gauge had seen it right.
const fn deceiving(run: &'static str, lag: u64, says: [Says; 3]) -> Check {
    Check { deceives: true, ..check(run, lag, says) }
}

impl Row {
    const fn since(mut self, major: u32, minor: u32) -> Row {
        self.since = (major, minor);
        self
    }

    fn applies_to(&self, server: &RedisServer) -> bool {
        let applies = server.version() >= self.since;
        if !applies {
            println!("  {} | needs Redis {}.{}", self.name, self.since.0, self.since.1);
        }
        applies
    }

    /// Runs the history, and prints a line of what was said; returns what is not as the row states it.
    fn play(&self, bench: &mut Bench) -> Vec<String> {
        let (mut said, mut wrong) = (Vec::new(), Vec::new());
        for check in self.checks {
            let outcome = bench.check(self.name, check);
            said.push(outcome.line);
            wrong.extend(outcome.wrong);
        }
        println!("  {} | {}", self.name, said.join(" | "));
        wrong
    }
}

const ROWS: [&[Row]; 8] = [
    groups::GROUPS,
    groups::BY_HAND,
    entries::DELETIONS,
    entries::TRIMS,
    entries::TRIMS_BY_NODES,
    entries::EMPTIED,
    entries::IDS,
    entries::KEYS,
];

#[test]
fn truth_table() {
    let mut wrong = Vec::new();
    for version in versions() {
        let server = version.start();
        let column = Column::of(&server);
        println!("{}, {column:?}", version.name);
        println!(
            "  row | truth: the server; streamgauge with budget 100; 0; 100 and memory; 0 and memory | ..."
        );
        let mut carried = Carried::default();
        for row in ROWS.into_iter().flatten().filter(|row| row.applies_to(&server)) {
            wrong.extend(row.play(&mut Bench::of(&server)));
            carried.keep(&server, row.name);
        }
        wrong.extend(carried.everywhere(&server));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
