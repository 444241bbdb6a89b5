//! Where a stream of another shard is not known, an autoscaler is told so, and never a part of a sum.

use super::{backlog, fill, names_of, of, shard};
use crate::support::{redis::RedisServer, tool::needs, wait};

#[test]
fn a_stream_of_another_that_stops_being_readable_is_an_error() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let (own, other) = (&names_of(0, "s", 1)[0], &names_of(1, "s", 1)[0]);
    fill(&redis, own, 2);
    fill(&redis, other, 3);
    redis.run(&["ACL SETUSER gauge on nopass ~* +@all"]);
    let settings = format!(", username: gauge, streams: [{own}, {other}]");
    let shard = shard(&of(&redis, &settings, ""), 0, &[]);
    let both = backlog(&format!("stream%20in%20({own},{other})"));
    assert_eq!(shard.values(&both).len(), 2);
    redis.run(&["ACL SETUSER gauge resetkeys", &format!("ACL SETUSER gauge ~{own}")]);
    let message = wait::until("the stream to be refused", || {
        let answer = shard.get(&both);
        if answer.status == 503 {
            Ok(answer.json()["message"].as_str().unwrap().to_owned())
        } else {
            Err(answer.text().to_owned())
        }
    });
    assert!(
        message.starts_with(&format!("stream \"{other}\" on redis \"main\": XINFO STREAM: ")),
        "{message}"
    );
    assert_eq!(shard.values(&backlog(&format!("stream%3D{own}"))), ["2"], "its own are not concerned");
    // It counts among the faults of the server, and is logged.
    let metrics = shard.gauge.metrics();
    assert!(metrics.value("streamgauge_poll_errors_total{kind=\"noperm\"}").unwrap() > 0.0);
    assert_eq!(shard.gauge.logged("stream cannot be read")[0]["stream"], other.as_str());
    redis.run(&["ACL SETUSER gauge ~*"]);
    wait::until("the stream to be read again", || match shard.get(&both).status {
        200 => Ok(()),
        status => Err(status.to_string()),
    });
}

#[test]
fn a_redis_that_is_down_is_an_error_for_all_of_its_streams() {
    needs!("redis-server");
    let mut redis = RedisServer::start();
    let other = &names_of(1, "s", 1)[0];
    fill(&redis, other, 3);
    let shard = shard(&of(&redis, "", ""), 0, &[]);
    let (named, all) = (backlog(&format!("stream%3D{other}")), backlog(""));
    assert_eq!((shard.values(&named), shard.values(&all)), (vec!["3".to_owned()], vec!["3".to_owned()]));
    redis.kill();
    shard.gauge.until("redis_up", Some(0.0));
    for path in [&named, &all] {
        let message = shard.refusal(path, 503);
        assert!(message.starts_with("redis \"main\" cannot be polled, so what matches"), "{message}");
    }
    redis.restart(&[]);
    fill(&redis, other, 4);
    wait::until("the stream to be measured again", || {
        let answer = shard.get(&named);
        let text = answer.text().to_owned();
        if answer.status == 200 && text.contains("\"4\"") { Ok(()) } else { Err(text) }
    });
}

#[test]
fn a_stream_of_another_that_is_gone_is_gone_for_all() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let other = &names_of(2, "s", 1)[0];
    let shard = shard(&of(&redis, "", ""), 0, &[]);
    let named = backlog(&format!("stream%3D{other}"));
    let missing = format!("no group matches redis_stream_group_backlog {{stream={other}}}");
    assert_eq!(shard.refusal(&named, 404), missing);
    // It is asked for again at each poll: it may come any time.
    fill(&redis, other, 1);
    let answered = |status: u16| {
        wait::until(&format!("the answer {status}"), || match shard.get(&named) {
            answer if answer.status == status => Ok(()),
            answer => Err(answer.text().to_owned()),
        });
    };
    answered(200);
    redis.run(&[&format!("DEL {other}")]);
    answered(404);
}
