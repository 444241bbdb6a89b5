//! What it costs to answer for streams of others, and how much of it there is.

use serde_json::Value as Json;

use super::{backlog, commands, fill, names_of, of, shard};
use crate::{
    kubernetes::EXTERNAL,
    support::{redis::RedisServer, tool::needs, wait},
};

/// Connections that Redis has, besides that of the test.
fn connections(redis: &RedisServer) -> usize {
    let list: String = redis.ask(&["CLIENT", "LIST", "TYPE", "NORMAL"]);
    list.lines().filter(|line| !line.contains("cmd=client")).count()
}

/// Whether Redis was ever asked for a key.
fn was_asked_for(redis: &RedisServer, key: &str) -> bool {
    let log: redis::Value = redis.ask(&["SLOWLOG", "GET", "100000"]);
    format!("{log:?}").contains(key)
}

#[test]
fn nothing_is_asked_for_before_somebody_asks() {
    needs!("redis-server");
    let redis = RedisServer::with(&["--slowlog-log-slower-than", "0", "--slowlog-max-len", "100000"]);
    let (own, other) = (&names_of(0, "own-", 1)[0], &names_of(1, "other-", 1)[0]);
    fill(&redis, own, 1);
    fill(&redis, other, 1);
    redis.run(&["SLOWLOG RESET"]);
    let shard = shard(&of(&redis, &format!(", streams: [{own}, {other}]"), ""), 0, &[]);
    shard.gauge.poll();
    assert!(was_asked_for(&redis, own) && !was_asked_for(&redis, other));
    assert_eq!(connections(&redis), 1);
    let per_poll = {
        let before = commands(&shard.gauge);
        shard.gauge.poll();
        commands(&shard.gauge) - before
    };
    assert!(per_poll > 0.0);
    assert_eq!(shard.values(&backlog(&format!("stream%3D{other}"))), ["1"]);
    assert!(was_asked_for(&redis, other));
    assert_eq!(connections(&redis), 2);
    // From then on it is kept at hand: each poll asks for it, and its commands count.
    let calls = redis.calls()["xinfo"];
    let before = commands(&shard.gauge);
    wait::until_true("the guest to be polled again", || redis.calls()["xinfo"] > calls + 8);
    shard.gauge.poll();
    assert!(commands(&shard.gauge) > before + 2.0 * per_poll);
}

#[test]
fn a_selector_without_a_stream_needs_room_for_all() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let (own, others) = (names_of(0, "s", 2), names_of(1, "s", 3));
    own.iter().chain(&others).for_each(|name| fill(&redis, name, 1));
    let yaml = of(&redis, "", "kubernetes: {metrics: {all: {metric: redis_stream_group_lag, stream: 's*'}}}");
    let narrow = shard(&yaml, 0, &["--sharding.guest-streams", "2"]);
    let expected = "redis \"main\": more streams of other shards are asked for than sharding.guest_streams lets in, 2 (name the stream, or raise sharding.guest_streams or \
                    --sharding.guest-streams)";
    assert_eq!(narrow.refusal(&backlog(""), 503), expected);
    assert_eq!(narrow.refusal(&format!("{EXTERNAL}/shop/all"), 503), expected);
    // One that is named is answered all the same, and so are those of its own.
    assert_eq!(narrow.values(&backlog(&format!("stream%3D{}", own[0]))), ["1"]);
    let wide = shard(&yaml, 0, &["--sharding.guest-streams", "3"]);
    assert_eq!(wide.values(&backlog("")).len(), 5);
    assert_eq!(wide.values(&format!("{EXTERNAL}/shop/all")).len(), 5);
}

#[test]
fn names_that_are_invented_keep_no_real_stream_out() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let others = names_of(1, "s", 3);
    others.iter().for_each(|name| fill(&redis, name, 1));
    let shard = shard(&of(&redis, "", ""), 0, &["--sharding.guest-streams", "3"]);
    let named = |name: &str| backlog(&format!("stream%3D{name}"));
    assert_eq!(shard.values(&named(&others[0])), ["1"]);
    for name in names_of(2, "invented", 20) {
        assert_eq!(shard.get(&named(&name)).status, 404, "{name}");
    }
    for name in &others {
        assert_eq!(shard.values(&named(name)), ["1"], "{name}");
    }
    // There is no more room, and nobody gives way.
    let message = shard.refusal(&named(&names_of(2, "invented", 1)[0]), 503);
    assert_eq!(
        message,
        "more streams of other shards are asked for than sharding.guest_streams lets in, 3 (name the stream, or raise \
         sharding.guest_streams or --sharding.guest-streams)"
    );
    for name in &others {
        assert_eq!(shard.values(&named(name)), ["1"], "{name}");
    }
}

#[test]
fn whoever_may_not_read_a_stream_does_not_have_it_asked_for() {
    needs!("redis-server");
    let redis = RedisServer::with(&["--slowlog-log-slower-than", "0", "--slowlog-max-len", "100000"]);
    let (secret, plain) = (&names_of(1, "secret-", 1)[0], &names_of(1, "plain-", 1)[0]);
    fill(&redis, secret, 1);
    fill(&redis, plain, 1);
    redis.run(&["SLOWLOG RESET"]);
    let more = "kubernetes: {streams: [{stream: 'secret-*', namespaces: [vault]}]}";
    let shard = shard(&of(&redis, "", more), 0, &[]);
    assert_eq!(shard.refusal(&backlog(&format!("stream%3D{secret}")), 404).find("503"), None);
    let answer: Json = shard.get(&backlog("")).json();
    assert_eq!(answer["items"][0]["metricLabels"]["stream"], plain.as_str());
    shard.gauge.poll();
    assert!(was_asked_for(&redis, plain) && !was_asked_for(&redis, secret));
    let of_vault = format!("{EXTERNAL}/vault/redis_stream_group_backlog");
    assert_eq!(shard.values(&of_vault).len(), 2);
    assert!(was_asked_for(&redis, secret));
}

#[test]
fn whoever_waits_keeps_nobody_waiting() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let (own, other) = (&names_of(0, "s", 1)[0], &names_of(1, "s", 1)[0]);
    fill(&redis, own, 1);
    fill(&redis, other, 1);
    let shard = shard(&of(&redis, ", timeout: 1h", ""), 0, &["--poll.interval", "1h"]);
    redis.pause();
    let waiting = backlog(&format!("stream%3D{other}"));
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..40).map(|_| scope.spawn(|| shard.get(&waiting))).collect();
        // What was measured here is answered meanwhile, though more wait than may.
        assert_eq!(shard.values(&backlog(&format!("stream%3D{own}"))), ["1"]);
        for asked in asked {
            let answer = asked.join().unwrap();
            let message = answer.json()["message"].as_str().unwrap().to_owned();
            assert_eq!(
                (answer.status, &*message),
                (
                    503,
                    "streams of other shards on redis \"main\" are asked for, and not known: no poll for them has ended yet"
                )
            );
        }
    });
    redis.resume();
    wait::until("the guest to be measured", || match shard.get(&waiting).status {
        200 => Ok(()),
        status => Err(status.to_string()),
    });
}
