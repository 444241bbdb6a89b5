//! Streams and groups: what is named and missing, what is no stream, and how much is said of many.

use super::Checked;
use crate::support::{fake, fake::FakeRedis, redis::RedisServer, tool::needs};

#[test]
fn what_is_named_and_missing() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 3);
    redis.run(&["XGROUP CREATE orders workers 0"]);
    let streams = ["--streams", "orders,absent,events:*", "--groups.expect", "orders=billing"];
    let checked = Checked::of(&redis.url(), &streams);
    assert_eq!(checked.code, 0, "{}", checked.text);
    let said: Vec<_> =
        checked.wrong().into_iter().map(|line| (line.check, line.status, line.message)).collect();
    let warn = |check: &str, message: &str| (check.to_owned(), "warn".to_owned(), message.to_owned());
    assert_eq!(
        said,
        [
            warn("streams", "stream absent does not exist"),
            warn("streams", "no stream of database 0 matches events:*"),
            warn("groups", "group billing of stream orders does not exist, and is expected"),
        ],
        "{}",
        checked.text
    );
    assert!(checked.wrong().iter().all(|line| line.advice.is_some()));
    // They come, and all is well.
    redis.add("absent", 1);
    redis.add("events:eu", 1);
    redis.run(&["XGROUP CREATE orders billing $"]);
    Checked::of(&redis.url(), &streams).all_ok();
}

#[test]
fn a_key_that_is_no_stream() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.run(&["SET orders x"]);
    let checked = Checked::of(&redis.url(), &["--streams", "orders"]);
    checked.one("streams", "fail").says("stream orders: ", "take it out of redis[].streams");
    checked.one("streams", "fail").says("WRONGTYPE", "");
}

#[test]
fn a_server_with_nothing() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let checked = Checked::of(&redis.url(), &[]);
    assert_eq!(checked.code, 0);
    checked.one("streams", "warn").says("no stream of database 0 matches *", "redis[].database");
    checked.one("groups", "warn").says("no group is found", "XGROUP CREATE");
}

#[test]
fn another_database() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.run_on(3, &["XADD orders 1-0 a b", "XGROUP CREATE orders workers 0"]);
    Checked::of(&format!("{}/3", redis.url()), &["--streams", "orders"]).all_ok();
    let checked = Checked::of(&format!("{}/4", redis.url()), &["--streams", "orders"]);
    checked.one("streams", "warn").says("stream orders of database 4 does not exist", "");
    // One that the server does not have.
    let checked = Checked::of(&format!("{}/99", redis.url()), &["--streams", "orders"]);
    assert_eq!(checked.code, 1, "{}", checked.text);
    assert!(checked.text.contains("SELECT: ERR DB index is out of range"), "{}", checked.text);
}

/// A thousand mistakes of one sort are not a thousand lines, and none of another sort is lost behind them.
#[test]
fn many_are_told_as_many() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.run(&["SET z-text x"]);
    let mut names: Vec<_> = (0..100).map(|number| format!("absent-{number:03}")).collect();
    names.push("z-text".to_owned());
    let checked = Checked::of(&redis.url(), &["--streams", &names.join(",")]);
    let streams = checked.all("streams");
    assert_eq!(streams.len(), 21, "{}", checked.text);
    assert_eq!(streams[0].status, "fail");
    streams[20].says("; and 80 more of the kind", "");
}

/// A group with more consumers than are asked for is measured, without them.
#[test]
fn too_many_consumers() {
    let redis = FakeRedis::start(|words| match words {
        ["INFO", ..] => {
            Some(fake::Reply::Is(fake::bulk("redis_version:7.0.15\r\nredis_mode:standalone\r\n")))
        }
        ["XINFO", "GROUPS", _] => {
            Some(fake::Reply::Is(fake::array(&[fake::group("workers", 0, 5000, "10-0", &fake::int(0))])))
        }
        _ => None,
    });
    let checked = Checked::of(&redis.url(), &["--streams", "orders"]);
    let wrong: Vec<_> = checked.all("streams").into_iter().filter(|line| line.status != "ok").collect();
    assert_eq!((wrong.len(), &*wrong[0].status), (1, "warn"), "{}", checked.text);
    wrong[0].says("5000 consumers", "XGROUP DELCONSUMER");
    assert_eq!(checked.code, 0, "{}", checked.text);
}
