//! Ten thousand streams are deleted at once, in the middle of a poll.

use super::scene::Scene;
use crate::support::{proxy::End, redis::RedisServer, samples::Samples, tool::needs};

const MANY: usize = 10_000;

/// Streams, of which every twentieth has a group with a backlog and something pending.
const CREATE: &str = "
for i = 1, tonumber(ARGV[1]) do
  local name = 'many:' .. i
  redis.call('XADD', name, '*', 'n', i)
  redis.call('XADD', name, '*', 'n', i)
  if i % 20 == 0 then
    redis.call('XGROUP', 'CREATE', name, 'g', 0)
    redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', 1, 'STREAMS', name, '>')
  end
end";

const DELETE: &str = "for i = 1, tonumber(ARGV[1]) do redis.call('UNLINK', 'many:' .. i) end";

fn run(scene: &Scene, script: &str) {
    scene.ledger.during(|| scene.redis.ask::<()>(&["EVAL", script, "0", &MANY.to_string()]));
}

/// The many and the few are there, or the few alone.
#[track_caller]
fn counted(metrics: &Samples, streams: usize, groups: usize) {
    assert_eq!(metrics.all("redis_stream_up").len(), streams);
    assert_eq!(metrics.all("redis_stream_group_messages_pending").len(), groups);
}

/// Bytes of the replies of a poll, about.
fn bytes_of_a_poll(scene: &Scene) -> usize {
    let passed = scene.proxy().passed();
    scene.right_within_two_polls();
    scene.proxy().passed() - passed
}

#[test]
fn ten_thousand_streams_are_deleted() {
    needs!("redis-server");
    let scene = Scene::of(RedisServer::start(), 1, "timeout: 30s", &["--poll.interval", "1s"]);
    let before = scene.resources();
    let few = scene.right_within_two_polls();
    let few = (few.all("redis_stream_up").len(), few.all("redis_stream_group_messages_pending").len());
    let mut bytes = None;
    // While it asks about the streams, and while it asks about their groups: for these are the last of all replies.
    for (share, all) in [(0.5, false), (0.98, true)] {
        run(&scene, CREATE);
        counted(&scene.right_within_two_polls(), few.0 + MANY, few.1 + MANY / 20);
        let bytes = *bytes.get_or_insert_with(|| bytes_of_a_poll(&scene));
        scene.proxy().cut(&[((bytes as f64 * share) as usize, End::Hold)]);
        scene.proxy().wait_held();
        if all {
            scene.ledger.during(|| scene.redis.run(&["FLUSHALL ASYNC"]));
        } else {
            run(&scene, DELETE);
        }
        scene.proxy().release();
        scene.right_within_two_polls();
        let left = if all { (0, 0) } else { few };
        counted(&scene.right_within_two_polls(), left.0, left.1);
    }
    // What is gone is no fault, and nothing to talk of.
    assert_eq!(scene.gauge().logged("stream cannot be read"), Vec::<serde_json::Value>::new());
    let lines = scene.gauge().process.stderr.lines().len();
    assert!(lines < 20, "{lines} lines: {}", scene.gauge().process.stderr.text());
    scene.end(before);
}
