//! Which server it is: a Sentinel, a node of a cluster, a replica with and without its primary; and its clock.

use std::{
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use super::Checked;
use crate::support::{
    cluster::Cluster,
    fake::{FakeRedis, Reply, array, bulk},
    process::Process,
    redis::{RedisServer, free_port},
    tool::needs,
    wait,
};

fn fill(redis: &RedisServer) {
    redis.add("orders", 3);
    redis.run(&["XGROUP CREATE orders workers 0"]);
}

#[test]
fn a_sentinel() {
    needs!("redis-server");
    let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
    let file = directory.path().join("sentinel.conf");
    let settings = format!("port {port}\nbind 127.0.0.1\ndir {}\n", directory.path().display());
    std::fs::write(&file, settings).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(&file).arg("--sentinel");
    let sentinel = Process::spawn(command);
    wait::until("the Sentinel to listen", || {
        let said = sentinel.stdout.text();
        std::net::TcpStream::connect(("127.0.0.1", port))
            .map(|_| ())
            .map_err(|error| format!("{error}: {said}"))
    });
    let checked = Checked::of(&format!("redis://127.0.0.1:{port}"), &[]);
    checked.ends_at("server").says("a Sentinel, which has no streams", "redis+sentinel://");
}

#[test]
fn a_node_of_a_cluster() {
    needs!("redis-server");
    // By itself it would take the port 10,000 above its own, which may be another server's.
    let bus = free_port().to_string();
    let redis = RedisServer::with(&["--cluster-enabled", "yes", "--cluster-port", &bus]);
    let slots: Vec<_> = (0..16_384).map(|slot| slot.to_string()).collect();
    let words: Vec<_> = ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
    redis.ask::<()>(&words);
    wait::until("the cluster to be well", || {
        let info: String = redis.ask(&["CLUSTER", "INFO"]);
        if info.contains("cluster_state:ok") { Ok(()) } else { Err(info) }
    });
    fill(&redis);
    let checked = Checked::of(&redis.url(), &["--streams", "orders"]);
    assert_eq!((checked.code, checked.wrong().len()), (0, 1), "{}", checked.text);
    checked.one("server", "warn").says(", cluster, primary", "redis+cluster://");
    // What a glob means may be elsewhere.
    let checked = Checked::of(&redis.url(), &[]);
    assert_eq!((checked.code, checked.wrong().len()), (1, 2), "{}", checked.text);
    checked.one("streams", "fail").says("what a glob means may be on other nodes, too", "redis+cluster://");
    Checked::of(&redis.url().replace("redis://", "redis+cluster://"), &[]).all_ok();
}

#[test]
fn a_cluster_with_a_dead_node() {
    needs!("redis-server");
    let mut cluster = Cluster::start(3, 0);
    let stream = cluster.key_on(1, "orders-");
    cluster.fill(&stream, 3);
    let checked = Checked::of(&cluster.url(), &[]);
    checked.all_ok();
    let measured = checked.one("topology", "ok");
    (0..3).for_each(|place| assert!(measured.message.contains(&cluster.address(place)), "{measured:?}"));
    cluster.nodes[0].kill();
    let checked = Checked::of(&cluster.url_of(&[0, 1]), &[]);
    let dead = cluster.address(0);
    checked
        .one("topology", "fail")
        .says(&format!("cannot connect to {dead}"), "look whether Redis runs there");
    assert!(checked.text.contains(&cluster.address(1)), "{}", checked.text);
}

#[test]
fn a_replica_and_its_primary() {
    needs!("redis-server");
    let mut primary = RedisServer::start();
    fill(&primary);
    let place = primary.url().replace("redis://", "");
    let (host, port) = place.split_once(':').unwrap();
    let replica = RedisServer::with(&["--replicaof", &format!("{host} {port}")]);
    let link = |status: &str| {
        wait::until(&format!("the link to be {status}"), || {
            let info: String = replica.ask(&["INFO", "replication"]);
            if info.contains(&format!("master_link_status:{status}")) { Ok(()) } else { Err(info) }
        });
    };
    link("up");
    wait::until("the stream to have come", || {
        let length: u64 = replica.ask(&["XLEN", "orders"]);
        if length == 3 { Ok(()) } else { Err(length.to_string()) }
    });
    let checked = Checked::of(&replica.url(), &[]);
    assert_eq!((checked.code, checked.wrong().len()), (0, 1), "{}", checked.text);
    checked.one("server", "warn").says(&format!("replica of {place}"), "measure the primary");
    checked.one("lag", "ok").says("a replica's own counters are not used", "");

    primary.kill();
    link("down");
    let checked = Checked::of(&replica.url(), &[]);
    checked
        .one("server", "fail")
        .says(&format!("replica that has lost {place}"), "mend the replica's connection");
    for check in ["streams", "groups", "lag"] {
        checked.one(check, "skip").says("not looked at: server failed", "");
    }
    // Rights can be mended all the same.
    checked.one("acl", "ok");
}

/// A server whose clock is this far from ours, in seconds.
fn with_clock(offset: i64) -> FakeRedis {
    FakeRedis::start(move |words| match words {
        ["INFO", ..] => {
            Some(Reply::Is(bulk("redis_version:7.0.15\r\nredis_mode:standalone\r\nrole:master\r\n")))
        }
        ["TIME"] => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let seconds = i64::try_from(now.as_secs()).unwrap() + offset;
            let micros = bulk(&now.subsec_micros().to_string());
            Some(Reply::Is(array(&[bulk(&seconds.to_string()), micros])))
        }
        _ => None,
    })
}

#[test]
fn clocks_that_differ() {
    for (offset, status, words) in [
        (0, "ok", " this machine's clock"),
        (30, "warn", " s ahead of this"),
        (-3600, "warn", " behind this"),
    ] {
        let redis = with_clock(offset);
        let checked = Checked::of(&redis.url(), &["--streams", "orders"]);
        let advice = if status == "ok" { "" } else { "let NTP set both clocks" };
        checked.one("clock", status).says(words, advice);
        assert_eq!(checked.code, 0, "{}", checked.text);
    }
}

/// A server that does not know its own time, or that reads its data.
#[test]
fn servers_that_answer_little() {
    let redis = FakeRedis::start(|words| match words {
        ["TIME"] => Some(Reply::Is("-ERR out of time\r\n".into())),
        _ => None,
    });
    let checked = Checked::of(&redis.url(), &["--streams", "orders"]);
    checked.one("clock", "skip").says("TIME: ERR out of time", "");
    checked.one("streams", "fail").says("TIME: ERR out of time", "");
    checked.one("server", "warn").says("does not say which server it is", "");

    let redis = FakeRedis::start(|words| match words {
        ["XINFO" | "MULTI" | "SCAN", ..] => {
            Some(Reply::Is("-LOADING Redis is loading the dataset in memory\r\n".into()))
        }
        _ => None,
    });
    let checked = Checked::of(&redis.url(), &["--streams", "orders"]);
    assert_eq!(checked.code, 1, "{}", checked.text);
    let loading = checked.wrong().into_iter().find(|line| line.status == "fail").unwrap();
    loading.says("LOADING", "wait until Redis has read its data");
}
