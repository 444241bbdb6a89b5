//! The seeds of the fuzzer, real replies, and random ones: through the checks that the fuzzer makes.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use redis::Value;

use streamgauge::model::name::Names;

use crate::{servers, support::redis::RedisServer};

#[path = "../../fuzz/decoding.rs"]
mod decoding;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let named =
        |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap());
    entries.map(named).collect()
}

#[test]
fn every_seed_is_one_reply_that_is_understood() {
    use streamgauge::collect::{decode, resp::Replies};
    let seeds = seeds();
    assert!(seeds.len() >= 20, "only {} seeds: record them", seeds.len());
    for (name, bytes) in &seeds {
        assert_eq!(decoding::wire(bytes), 1, "{name}");
        let mut replies = Replies::default();
        replies.buffer().extend(bytes);
        assert_eq!(replies.have(1), Ok(true), "{name}");
        let reply = replies.iter().next().unwrap();
        let understood = match name.rsplit('.').next().unwrap() {
            "stream" | "stream-empty" => decode::stream(reply).is_ok(),
            "groups" => decode::groups(reply, &mut Names::default()).is_ok_and(|groups| groups.len() == 2),
            "consumers" => {
                decode::consumers(reply, &mut Names::default()).is_ok_and(|consumers| consumers.len() == 2)
            }
            "pending" => decode::oldest_pending(reply).is_ok_and(|oldest| oldest.is_some()),
            "pending-none" => decode::oldest_pending(reply) == Ok(None),
            "range" => decode::page(reply).is_ok_and(|page| page.ids.len() == 3),
            "time" => decode::time(reply).is_ok(),
            "scan" => decode::scan(reply, |_| true).is_ok_and(|(_, keys)| keys.len() == 2),
            "replication" => decode::info_field(reply, "role").as_deref() == Some("master"),
            "no-such-key" | "no-such-group" => reply.error().is_some(),
            "exec" => reply.items().is_some_and(|replies| replies.len() == 2),
            other => panic!("{other} is no kind of seed"),
        };
        assert!(understood, "{name}: {reply:?}");
    }
}

/// Replies that are cut off, or have one byte changed.
#[test]
fn a_damaged_seed_is_no_harm() {
    for (_, bytes) in seeds() {
        for at in 0..bytes.len() {
            decoding::wire(&bytes[..at]);
            for changed in [0, b'-', b'9', b'\r', 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = changed;
                decoding::wire(&damaged);
            }
        }
    }
}

#[test]
fn seeds_are_recipes_too() {
    seeds().iter().for_each(|(_, bytes)| decoding::value(&decoding::tree(bytes)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_reply_is_misread(recipe in prop::collection::vec(any::<u8>(), 0..300)) {
        decoding::value(&decoding::tree(&recipe));
    }

    #[test]
    fn no_bytes_are_misread(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decoding::wire(&bytes);
    }
}

/// What the recipes make must reach behind the first check of each decoder, or the tests above prove nothing.
#[test]
fn recipes_make_replies_that_are_understood() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    use streamgauge::collect::decode;
    let mut runner = TestRunner::deterministic();
    let recipes = prop::collection::vec(any::<u8>(), 100..300);
    let mut understood = [0; 4];
    for _ in 0..5000 {
        let recipe = recipes.new_tree(&mut runner).unwrap().current();
        let reply = decoding::tree(&recipe);
        let list = Value::Array(vec![reply.clone()]);
        let found = [
            decoding::read(&reply, decode::stream).is_ok(),
            decoding::read(&list, |reply| decode::groups(reply, &mut Names::default())).is_ok(),
            decoding::read(&list, |reply| decode::consumers(reply, &mut Names::default())).is_ok(),
            decoding::read(&list, decode::page).is_ok(),
        ];
        understood.iter_mut().zip(found).for_each(|(count, found)| *count += usize::from(found));
    }
    assert!(understood.iter().all(|count| *count >= 10), "{understood:?}");
}

/// Sends one command and returns the bytes of its reply.
fn raw(connection: &mut TcpStream, command: &str) -> Vec<u8> {
    // What is echoed ends the reply.
    const END: &[u8] = b"$9\r\nno-more-*\r\n";
    connection.write_all(format!("{command}\r\nECHO no-more-*\r\n").as_bytes()).unwrap();
    let (mut reply, mut buffer) = (Vec::new(), [0; 4096]);
    while !reply.ends_with(END) {
        let count = connection.read(&mut buffer).unwrap();
        assert!(count > 0, "{command}: the connection was closed");
        reply.extend(&buffer[..count]);
    }
    reply.truncate(reply.len() - END.len());
    reply
}

/// The commands whose replies are seeds, by the kind of the seed.
const RECORDED: [(&str, &str); 12] = [
    ("stream", "XINFO STREAM orders"),
    ("stream-empty", "XINFO STREAM empty"),
    ("groups", "XINFO GROUPS orders"),
    ("consumers", "XINFO CONSUMERS orders workers"),
    ("pending", "XPENDING orders workers - + 1"),
    ("pending-none", "XPENDING orders idle - + 1"),
    ("range", "XRANGE orders 0-1 9-0 COUNT 3"),
    ("time", "TIME"),
    ("scan", "SCAN 0 COUNT 400 TYPE stream"),
    ("replication", "INFO replication"),
    ("no-such-key", "XINFO STREAM nothing"),
    ("no-such-group", "XINFO CONSUMERS orders nobody"),
];

fn fill(redis: &RedisServer) {
    redis.run(&[
        "XADD orders 1-1 n 1",
        "XADD orders 2-1 n 2",
        "XADD orders 3-1 n 3",
        "XADD orders 4-1 n 4",
        "XGROUP CREATE orders workers 0",
        "XGROUP CREATE orders idle 2-1",
        "XREADGROUP GROUP workers alice COUNT 1 STREAMS orders >",
        "XREADGROUP GROUP workers bob COUNT 1 STREAMS orders >",
        "XGROUP CREATE empty workers $ MKSTREAM",
    ]);
}

/// Writes the seeds anew, from all servers that are here: see CONTRIBUTING.md.
#[test]
#[ignore = "writes fuzz/seeds"]
fn record_the_seeds() {
    seeds().iter().for_each(|(name, _)| fs::remove_file(directory().join(name)).unwrap());
    let mut written = BTreeSet::new();
    for version in servers::versions() {
        let redis = version.start();
        fill(&redis);
        let (major, minor) = redis.version();
        let name = match version.name.starts_with("valkey") {
            true => version.name,
            false => format!("redis-{major}.{minor}"),
        };
        for protocol in [2, 3] {
            let mut connection = TcpStream::connect(redis.url().trim_start_matches("redis://")).unwrap();
            raw(&mut connection, &format!("HELLO {protocol}"));
            let mut replies: Vec<_> =
                RECORDED.iter().map(|(kind, command)| (*kind, raw(&mut connection, command))).collect();
            ["MULTI", "XINFO STREAM orders", "XINFO GROUPS orders"].iter().for_each(|queued| {
                connection.write_all(format!("{queued}\r\n").as_bytes()).unwrap();
            });
            let mut queued = raw(&mut connection, "EXEC");
            let start = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n";
            assert!(queued.starts_with(start));
            replies.push(("exec", queued.split_off(start.len())));
            for (kind, reply) in replies {
                // Many replies are the same everywhere.
                if written.insert(reply.clone()) {
                    let name = format!("{name}-resp{protocol}.{kind}");
                    fs::write(directory().join(name), reply).unwrap();
                }
            }
        }
    }
}
