//! What becomes of the histories when their streams are renamed, copied, dumped and restored, saved and loaded.

use streamgauge::model::name::Name;

use crate::{
    gauge::Gauge,
    support::{redis::RedisServer, wait},
};

/// The streams of all histories that were played, with a gauge each that remembers.
#[derive(Default)]
pub struct Carried(Vec<Stream>);

struct Stream {
    row: &'static str,
    key: String,
    gauge: Gauge,
    /// What the server says of each group.
    said: Vec<(Name, Option<i64>)>,
}

type Way = fn(&RedisServer, &[&str]);

/// What happens to the streams, and since when it can.
const WAYS: &[(&str, (u32, u32), Way)] = &[
    ("RENAME", (6, 0), |server, keys| {
        for key in keys {
            let other = format!("{key}:renamed");
            server.run(&[&format!("RENAME {key} {other}"), &format!("RENAME {other} {key}")]);
        }
    }),
    ("COPY", (6, 2), |server, keys| {
        for key in keys {
            let copy = format!("{key}:copy");
            server.run(&[
                &format!("COPY {key} {copy}"),
                &format!("DEL {key}"),
                &format!("RENAME {copy} {key}"),
            ]);
        }
    }),
    ("DUMP and RESTORE", (6, 0), |server, keys| {
        for key in keys {
            let dump: Vec<u8> = server.ask(&["DUMP", key]);
            server.run_bytes(&[b"RESTORE", key.as_bytes(), b"0", &dump, b"REPLACE"]);
        }
    }),
    ("save and load", (6, 0), |server, _| server.run(&["DEBUG RELOAD"])),
    ("append-only file, rewritten and loaded", (6, 0), |server, _| {
        // As commands, which say more than a dump would if there were something to lose.
        server.run(&["CONFIG SET aof-use-rdb-preamble no", "CONFIG SET appendonly yes"]);
        wait::until("the append-only file to be written", || {
            let info: String = server.ask(&["INFO", "persistence"]);
            let done =
                ["aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0", "aof_last_bgrewrite_status:ok"];
            if done.iter().all(|line| info.contains(line)) { Ok(()) } else { Err(info) }
        });
        server.run(&["DEBUG LOADAOF", "CONFIG SET appendonly no"]);
    }),
];

impl Carried {
    /// Takes over the stream of a history that was played.
    pub fn keep(&mut self, server: &RedisServer, row: &'static str) {
        let key = format!("row:{}", self.0.len());
        server.run(&[&format!("RENAME s {key}")]);
        let mut stream =
            Stream { row, gauge: Gauge::new(server.connection().unwrap(), &key, 100), key, said: Vec::new() };
        stream.said = stream.look("");
        self.0.push(stream);
    }

    /// Does everything to all streams; returns where the server's lag changed.
    pub fn everywhere(&mut self, server: &RedisServer) -> Vec<String> {
        let mut wrong = Vec::new();
        for (way, since, go) in WAYS {
            if server.version() < *since {
                println!("  {way} | needs Redis {}.{}", since.0, since.1);
                continue;
            }
            go(server, &self.0.iter().map(|stream| &stream.key[..]).collect::<Vec<_>>());
            let before = wrong.len();
            for stream in &mut self.0 {
                let said = stream.look(way);
                if said != stream.said {
                    wrong.push(format!(
                        "{way}, {}: the server says {said:?}, before {:?}",
                        stream.row, stream.said
                    ));
                }
                // A gauge that does not know the stream yet.
                stream.gauge.forget();
                stream.look(way);
            }
            println!("  {way} of all {} histories | {} changed", self.0.len(), wrong.len() - before);
        }
        wrong
    }
}

impl Stream {
    /// What the server says of each group; what the gauge says must be true.
    fn look(&mut self, way: &str) -> Vec<(Name, Option<i64>)> {
        let readings = self.gauge.look();
        assert!(!readings.is_empty(), "{}, {way}: the stream is gone", self.row);
        let said = |reading: &crate::gauge::Reading| {
            reading.check(&format!("{}, {way}", self.row));
            let exact = reading.lag.bounds().is_some_and(|(lower, upper)| lower == upper);
            assert!(exact, "{}, {way}: {reading:?}", self.row);
            (reading.group.clone(), reading.facts.reported_lag)
        };
        readings.iter().map(said).collect()
    }
}
