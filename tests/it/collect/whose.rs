//! Many streams of different sorts in one pipeline, in which the questions about their groups follow as soon as it is known
//! which there are: each answer goes to the group that it is of.

use std::fmt::Write as _;

use crate::support::{
    exporter::Streamgauge,
    redis::{RedisServer, integer},
    samples::Samples,
    tool::needs,
};

const STREAMS: usize = 150;

fn name(place: usize) -> String {
    format!("s:{place:03}")
}

/// No group; one without consumers; two, with pending entries and without; one whose lag has to be counted; large entries.
fn fill(redis: &RedisServer) {
    let mut commands = String::new();
    for place in 0..STREAMS {
        let (stream, entries) = (name(place), 3 + place % 7);
        let payload = if place % 25 == 4 { "x".repeat(20_000) } else { "v".to_owned() };
        for ms in 1..=entries {
            writeln!(commands, "XADD {stream} {ms}-0 f {payload}").unwrap();
        }
        let read = |group: &str, consumer: &str, count: usize| {
            format!("XREADGROUP GROUP {group} {consumer} COUNT {count} STREAMS {stream} >\n")
        };
        match place % 5 {
            0 => {}
            1 => writeln!(commands, "XGROUP CREATE {stream} idle 0").unwrap(),
            2 | 4 => {
                for group in ["a", "b"] {
                    writeln!(commands, "XGROUP CREATE {stream} {group} 0").unwrap();
                }
                commands += &read("a", "one", 1 + place % 3);
                commands += &read("a", "two", 1);
                writeln!(commands, "XCLAIM {stream} a one 0 1-0 RETRYCOUNT {} JUSTID", place + 1).unwrap();
            }
            _ => {
                writeln!(commands, "XGROUP CREATE {stream} middle 1-0").unwrap();
                commands += &read("middle", "one", 1);
                writeln!(commands, "XDEL {stream} 3-0").unwrap();
            }
        }
    }
    redis.run(&commands.lines().collect::<Vec<_>>());
}

/// What is published of every group and consumer is what Redis says of it, and there are no others.
#[track_caller]
fn agree(metrics: &Samples, redis: &RedisServer) {
    let (mut groups, mut consumers) = (0, 0);
    for stream in (0..STREAMS).map(name) {
        for (group, fields) in redis.groups(&stream) {
            groups += 1;
            let labels = format!("stream=\"{stream}\",group=\"{group}\"");
            let of = |metric: &str| metrics.value(&format!("redis_stream_group_{metric}{{{labels}}}"));
            assert_eq!(of("messages_pending"), integer(&fields, "pending"), "{labels}");
            assert_eq!(of("consumers"), integer(&fields, "consumers"), "{labels}");
            let last: String =
                redis::FromRedisValue::from_redis_value(fields["last-delivered-id"].clone()).unwrap();
            let above: Vec<redis::Value> = redis.ask(&["XRANGE", &stream, &format!("({last}"), "+"]);
            assert_eq!(of("lag"), Some(above.len() as f64), "{labels}");
            let oldest: Vec<(String, String, u64, f64)> =
                redis.ask(&["XPENDING", &stream, &group, "-", "+", "1"]);
            let deliveries = oldest.first().map(|(.., deliveries)| *deliveries);
            assert_eq!(of("oldest_pending_deliveries"), deliveries, "{labels}");
            for (consumer, fields) in redis.consumers(&stream, &group) {
                consumers += 1;
                let selector = format!(
                    "redis_stream_group_consumer_messages_pending{{{labels},consumer=\"{consumer}\"}}"
                );
                assert_eq!(metrics.value(&selector), integer(&fields, "pending"), "{selector}");
            }
        }
    }
    let published = |metric: &str| metrics.all(metric).len();
    assert_eq!(published("redis_stream_group_messages_pending"), groups);
    assert_eq!(published("redis_stream_group_consumer_messages_pending"), consumers);
}

#[test]
fn each_answer_goes_to_whom_it_is_of() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill(&redis);
    let gauge = Streamgauge::of(&redis.url(), &[]);
    agree(&gauge.poll(), &redis);
    agree(&gauge.poll(), &redis);
    // Some come, some go, and some of those that stay change.
    for place in (0..STREAMS).filter(|place| place % 3 == 0) {
        let stream = name(place);
        match place % 5 {
            0 => redis.run(&[&format!("XGROUP CREATE {stream} new 0")]),
            1 => redis.run(&[&format!("DEL {stream}"), &format!("XADD {stream} 1-0 f v")]),
            2 | 4 => redis.run(&[&format!("XGROUP DESTROY {stream} a"), &format!("XADD {stream} * f v")]),
            _ => redis.run(&[&format!("XREADGROUP GROUP middle two STREAMS {stream} >")]),
        }
    }
    agree(&gauge.poll(), &redis);
    agree(&gauge.poll(), &redis);
}
