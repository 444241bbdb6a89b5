//! Redis is there and refuses: it loads, is busy with a script, or will not hold such large replies.

use std::thread;

use super::scene::{OnDrop, Scene};
use crate::support::{redis::RedisServer, tool::needs, wait};

/// Errors of a kind so far.
fn errors(scene: &Scene, kind: &str) -> f64 {
    let selector = format!("streamgauge_poll_errors_total{{kind={kind:?}}}");
    scene.gauge().metrics().value(&selector).unwrap()
}

/// Waits for two errors of a kind; nothing is answered meanwhile, and the reason is said.
#[track_caller]
fn wait_refused(scene: &Scene, kind: &str, reason: &str) {
    let before = errors(scene, kind);
    wait::until("errors of the kind", || {
        let count = errors(scene, kind) - before;
        if count >= 2.0 {
            Ok(())
        } else {
            Err(format!("{count} {kind}: {}", scene.gauge().process.stderr.text()))
        }
    });
    assert_eq!(scene.ask(), 503);
    let said = scene.gauge().groups()["servers"][0]["error"].clone();
    assert!(said.as_str().is_some_and(|said| said.contains(reason)), "{said}");
    scene.watch.look();
}

#[test]
fn loading() {
    needs!("redis-server");
    let arguments = ["--rdbcompression", "no"];
    let redis = RedisServer::with(&arguments);
    if redis.version() < (7, 0) {
        return; // It cannot be told to load slowly.
    }
    redis.ask::<()>(&["EVAL", "for i = 1, 1000 do redis.call('SET', i, string.rep('x', 1000)) end", "0"]);
    let mut scene = Scene::of(redis, 1, "streams: [orders, 'events:eu', payments, quiet]", &[]);
    let before = scene.resources();
    for _ in 0..3 {
        (0..5).for_each(|_| scene.work());
        scene.redis.run(&["SAVE"]);
        let ledger = scene.ledger.clone();
        ledger.during(|| {
            // It looks at its connections once for every KB of the file.
            scene.redis.restart(&[
                "--key-load-delay",
                "10000",
                "--loading-process-events-interval-bytes",
                "1024",
            ]);
            wait_refused(&scene, "loading", "LOADING");
            scene.redis.run(&["CONFIG SET key-load-delay 0"]);
        });
        scene.right_within_two_polls();
    }
    scene.end(before);
}

#[test]
fn busy_with_a_script() {
    needs!("redis-server");
    let scene = Scene::new(&["--lua-time-limit", "20"], "");
    let before = scene.resources();
    for _ in 0..3 {
        (0..5).for_each(|_| scene.work());
        thread::scope(|scope| {
            // Also where the test fails: a scope waits for its threads.
            let _end = OnDrop(|| _ = scene.redis.try_ask::<()>(&["SCRIPT", "KILL"]));
            scope.spawn(|| scene.redis.try_ask::<()>(&["EVAL", "while true do end", "0"]).unwrap_err());
            wait_refused(&scene, "busy", "BUSY");
        });
        (0..5).for_each(|_| scene.work());
        scene.right_within_two_polls();
    }
    scene.end(before);
}

/// `XINFO STREAM` returns the first and the last entry whole: larger together than what Redis will hold for a client.
#[test]
fn full_output_buffers() {
    needs!("redis-server");
    let scene = Scene::new(&[], "");
    let before = scene.resources();
    let limit = |bytes: &str| {
        let limits = format!("normal {bytes} 0 0");
        scene.redis.ask::<()>(&["CONFIG", "SET", "client-output-buffer-limit", &limits]);
    };
    for _ in 0..3 {
        limit("100000");
        scene.at_work(|| scene.right_within_two_polls());
        scene.ledger.step("large", &[&["XADD", "large", "*", "payload", &"x".repeat(300_000)]]);
        scene.at_work(|| wait_refused(&scene, "disconnected", "client-output-buffer-limit"));
        limit("10000000");
        scene.at_work(|| scene.right_within_two_polls());
        scene.ledger.step("large", &[&["DEL", "large"]]);
    }
    let said = scene.gauge().logged("redis cannot be polled");
    assert_eq!(said.len(), 3, "once each time: {said:?}");
    scene.end(before);
}
