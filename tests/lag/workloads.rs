//! The shares that users can expect (`make lag-report`): three workloads, 24 groups, 80 polls, adds in bursts.

use redis::Connection;

use crate::{
    gauge::Gauge,
    history::Random,
    servers::{Version, versions},
};

const STREAMS: usize = 12;
const GROUPS: [(&str, &str); 2] = [("at-start", "0"), ("at-end", "$")];
const POLLS: usize = 80;

/// What happens to a stream between two polls.
struct Workload {
    name: &'static str,
    /// `MAXLEN ~` of every other stream, or of all.
    capped: fn(usize) -> bool,
    /// Entries that a group reads for every hundred that are added.
    pace: u64,
    /// Whether workers delete what they have acknowledged.
    delete: bool,
    /// Most entries read per poll and stream at the full budget.
    most_read: f64,
}

const WORKLOADS: [Workload; 3] = [
    Workload { name: "healthy", capped: |stream| stream % 2 == 0, pace: 110, delete: false, most_read: 1.0 },
    Workload {
        name: "overloaded, trimmed past the groups",
        capped: |_| true,
        pace: 60,
        delete: false,
        most_read: 200.0,
    },
    Workload {
        name: "workers that ack and delete",
        capped: |_| false,
        pace: 95,
        delete: true,
        most_read: 200.0,
    },
];

/// What a workload came to at one budget.
struct Share {
    certain: f64,
    read: f64,
}

#[test]
fn shares() {
    println!("| server | workload | budget 0 | budget 100 | entries read per poll and stream at 100 |");
    println!("| --- | --- | --- | --- | --- |");
    for version in versions() {
        let server = version.start();
        for workload in &WORKLOADS {
            let [none, full] = [0, 100].map(|budget| {
                run(&version, server.connection().unwrap(), workload, budget, || server.connection().unwrap())
            });
            println!(
                "| {} | {} | {:.1} % | {:.1} % | {:.1} |",
                version.name, workload.name, none.certain, full.certain, full.read
            );
            // Before 7.0 nothing can be remembered, so a long backlog stays out of reach.
            if server.version() >= (7, 0) {
                assert!(full.certain == 100.0, "{}, {}: {} %", version.name, workload.name, full.certain);
                assert!(
                    full.read < workload.most_read,
                    "{}, {}: {} entries",
                    version.name,
                    workload.name,
                    full.read
                );
            }
        }
    }
}

fn run(
    version: &Version,
    mut connection: Connection,
    workload: &Workload,
    budget: u64,
    open: impl Fn() -> Connection,
) -> Share {
    let mut random = Random::new(7);
    let keys: Vec<_> = (0..STREAMS).map(|stream| format!("{}:{budget}:{stream}", workload.name)).collect();
    let mut gauges = Vec::new();
    for key in &keys {
        add(&mut connection, key, false, 20);
        for (group, start) in GROUPS {
            redis::cmd("XGROUP").arg("CREATE").arg(key).arg(group).arg(start).exec(&mut connection).unwrap();
        }
        gauges.push(Gauge::new(open(), key, budget));
    }
    let (mut certain, mut answers) = (0, 0);
    for poll in 0..POLLS {
        for (stream, (key, gauge)) in keys.iter().zip(&mut gauges).enumerate() {
            // Bursts: mostly little, at times much.
            let burst = if random.below(4) == 0 { 40 + random.below(60) } else { random.below(20) };
            add(&mut connection, key, (workload.capped)(stream), burst);
            for (group, _) in GROUPS {
                work(
                    &mut connection,
                    key,
                    group,
                    burst * workload.pace / 100 + random.below(3),
                    workload.delete,
                );
            }
            for reading in gauge.look() {
                reading.check(&format!("{} {} poll {poll}", version.name, workload.name));
                answers += 1;
                certain += u64::from(reading.lag.bounds().is_some_and(|(lower, upper)| lower == upper));
            }
        }
    }
    let read: u64 = gauges.iter().map(|gauge| gauge.entries_read).sum();
    Share { certain: 100.0 * certain as f64 / answers as f64, read: read as f64 / (POLLS * STREAMS) as f64 }
}

fn add(connection: &mut Connection, key: &str, capped: bool, count: u64) {
    let mut pipeline = redis::pipe();
    for _ in 0..count {
        let command = pipeline.cmd("XADD").arg(key);
        if capped {
            command.arg("MAXLEN").arg("~").arg(1000);
        }
        command.arg("*").arg("order").arg("1");
    }
    if count > 0 {
        pipeline.exec(connection).unwrap();
    }
}

fn work(connection: &mut Connection, key: &str, group: &str, count: u64, delete: bool) {
    if count == 0 {
        return;
    }
    type Entries = Vec<(String, Vec<(String, Vec<String>)>)>;
    let mut read = redis::cmd("XREADGROUP");
    read.arg("GROUP").arg(group).arg("worker").arg("COUNT").arg(count).arg("STREAMS").arg(key).arg(">");
    let entries: Option<Entries> = read.query(connection).unwrap();
    let ids: Vec<_> =
        entries.into_iter().flatten().flat_map(|(_, entries)| entries).map(|(id, _)| id).collect();
    if ids.is_empty() {
        return;
    }
    if !delete {
        redis::cmd("XACK").arg(key).arg(group).arg(&ids).exec(connection).unwrap();
        return;
    }
    // A pool of workers: some are still at it, the others have finished, out of order.
    let mut done = redis::pipe();
    for (_, id) in ids.iter().enumerate().filter(|(place, _)| place % 5 != 2) {
        done.cmd("XACK").arg(key).arg(group).arg(id);
        done.cmd("XDEL").arg(key).arg(id);
    }
    if done.cmd_iter().next().is_some() {
        done.exec(connection).unwrap();
    }
}
