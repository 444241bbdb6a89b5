//! What happens to a group, step by step, and what it is called meanwhile.

use super::scene::{STEP, Scene};
use crate::servers::Version;

pub fn healthy_and_then_idle(version: &Version) {
    let mut scene = Scene::healthy(version);
    let rates = |scene: &Scene| {
        let metrics = scene.metrics();
        ["added", "delivered", "acknowledged"]
            .map(|what| metrics.value(&format!("redis_stream_group_{what}_per_second")))
    };
    assert_eq!(rates(&scene), [Some(20.0); 3]);
    scene.pass(300, |_| {});
    // Half a minute after the last entry.
    scene.expect(&[(300, "ok"), (330, "idle")]);
    assert_eq!(rates(&scene), [Some(0.0); 3]);
    assert_eq!(scene.reason(), "there is nothing to do");
    scene.metrics().check(&[
        ("redis_stream_group_entries_lost_total", Some(0.0)),
        ("redis_stream_group_drain_seconds", None),
        (r#"redis_stream_group_state{state="idle"}"#, Some(1.0)),
    ]);
    scene.pass(STEP, |hands| hands.add(3));
    // A handful is no sign of anything.
    scene.expect(&[(300, "ok"), (330, "idle"), (615, "ok")]);
    assert_eq!(scene.gauge.logged("group needs attention").len(), 0);
}

pub fn slow_and_then_scaled_up(version: &Version) {
    let mut scene = Scene::healthy(version);
    scene.pass(300, |hands| {
        hands.add(300);
        hands.work("alice", 150);
    });
    let behind = (480, "falling_behind");
    scene.expect(&[(300, "ok"), behind]);
    assert_eq!(scene.reason(), "the backlog went from 0 entries to 3000 entries in 5 min");
    scene.metrics().check(&[
        ("redis_stream_group_added_per_second", Some(20.0)),
        ("redis_stream_group_delivered_per_second", Some(10.0)),
        ("redis_stream_group_acknowledged_per_second", Some(10.0)),
        ("redis_stream_group_drain_seconds", None),
    ]);
    // Three times as many: 450 more than come.
    scene.pass(60, |hands| {
        hands.add(300);
        ["alice", "bob", "carol"].iter().for_each(|consumer| hands.work(consumer, 250));
    });
    scene.expect(&[(300, "ok"), behind, (660, "catching_up")]);
    scene.pass(240, |hands| {
        hands.add(300);
        ["alice", "bob", "carol"].iter().for_each(|consumer| hands.work(consumer, 250));
    });
    scene.expect(&[(300, "ok"), behind, (660, "catching_up"), (705, "ok")]);
    assert_eq!(scene.gauge.logged("group needs attention").len(), 1);
    assert_eq!(scene.gauge.logged("group is better").len(), 1);
}

pub fn crashed_holding_entries_and_claimed(version: &Version) {
    let mut scene = Scene::new(version);
    let mut held = Vec::new();
    scene.pass(60, |hands| {
        hands.add(20);
        hands.work("alice", 20);
    });
    scene.pass(STEP, |hands| {
        hands.add(20);
        held = hands.read("alice", 20);
    });
    scene.pass(150, |_| {});
    // Silent for longer than the claim time.
    scene.expect(&[(0, "idle"), (STEP, "ok"), (135, "no_consumers")]);
    assert_eq!(scene.reason(), "20 entries wait, and the only consumer has been silent for 2 min");
    assert_eq!(scene.activity(), [("dead".to_owned(), 1.0)].into());
    scene.metrics().check(&[("redis_stream_group_messages_claimable", Some(20.0))]);
    scene.pass(STEP, |hands| {
        hands.claim("bob", &held);
        hands.acknowledge(&held);
    });
    scene.pass(45, |_| {});
    let end = [(0, "idle"), (STEP, "ok"), (135, "no_consumers"), (240, "ok"), (270, "idle")];
    scene.expect(&end);
    assert_eq!(scene.activity(), [("active".to_owned(), 1.0), ("idle".to_owned(), 1.0)].into());
    scene.metrics().check(&[("redis_stream_group_messages_claimable", Some(0.0))]);
    scene.pass(3600, |_| {});
    scene.expect(&end);
    assert_eq!(scene.activity(), [("ghost".to_owned(), 2.0)].into());
}

pub fn one_of_two_crashed_and_nobody_claims(version: &Version) {
    let mut scene = Scene::healthy(version);
    scene.now(|hands| {
        hands.add(5);
        assert_eq!(hands.read("alice", 5).len(), 5);
    });
    scene.pass(240, |hands| {
        hands.add(300);
        hands.work("bob", 300);
    });
    scene.expect(&[(300, "ok"), (420, "stalled")]);
    let reason = scene.reason();
    assert!(reason.ends_with("nobody claims it (5 entries held by consumers that are dead)"), "{reason}");
    assert_eq!(scene.activity(), [("active".to_owned(), 1.0), ("dead".to_owned(), 1.0)].into());
}

pub fn paused(version: &Version) {
    let mut scene = Scene::healthy(version);
    let held = scene.now(|hands| {
        hands.add(5);
        hands.read("alice", 5)
    });
    // She is there, and does not get on.
    scene.pass(90, |hands| {
        hands.add(20);
        hands.hold("alice", &held);
    });
    scene.expect(&[(300, "ok"), (375, "stalled")]);
    assert_eq!(
        scene.reason(),
        "125 entries waiting, 1 of 2 consumers active, and nothing was delivered or acknowledged for 75 s"
    );
    scene.pass(STEP, |hands| {
        hands.acknowledge(&held);
        hands.work("alice", 1000);
    });
    scene.expect(&[(300, "ok"), (375, "stalled"), (405, "ok")]);
}

pub fn poison(version: &Version) {
    let mut scene = Scene::healthy(version);
    let poison = scene.now(|hands| {
        hands.add(1);
        hands.read("alice", 1)
    });
    // Everybody tries it, and nobody can; all else goes on.
    let mut step = 0;
    scene.pass(300, |hands| {
        step += 1;
        hands.add(300);
        hands.work("bob", 300);
        if step % 4 == 0 {
            hands.claim(if step % 8 == 0 { "alice" } else { "bob" }, &poison);
        }
    });
    scene.expect(&[(300, "ok"), (480, "stuck")]);
    assert_eq!(
        scene.reason(),
        format!("the oldest pending entry, {}, was delivered 6 times and is never acknowledged", poison[0])
    );
    scene.pass(30, |hands| {
        hands.add(300);
        hands.work("bob", 300);
        hands.acknowledge(&poison);
    });
    scene.expect(&[(300, "ok"), (480, "stuck"), (615, "ok")]);
}

pub fn a_burst_and_its_recovery(version: &Version) {
    let mut scene = Scene::healthy(version);
    scene.now(|hands| hands.add(5000));
    scene.pass(120, |hands| {
        hands.add(300);
        hands.work("alice", 700);
    });
    scene.expect(&[(300, "ok"), (420, "catching_up")]);
    // 1800 are left; in the last quarter of the window 400 more are done than come at each step.
    scene.metrics().check(&[("redis_stream_group_drain_seconds", Some(1800.0 / 400.0 * 15.0))]);
    scene.pass(180, |hands| {
        hands.add(300);
        hands.work("alice", 700);
    });
    scene.expect(&[(300, "ok"), (420, "catching_up"), (495, "ok")]);
    assert_eq!(scene.gauge.logged("group needs attention").len(), 0);
}

pub fn trimmed_before_delivery(version: &Version) {
    let mut scene = Scene::healthy(version);
    // The lag cannot grow beyond the cap.
    let mut steps = 0;
    scene.pass(300, |hands| {
        // She comes too late for most, and the trim is seen before she is heard of again: after her next read, Redis 8 and
        // Valkey count what was lost as read.
        hands.work("alice", 30);
        hands.add(300);
        hands.trim(300);
        steps += 1;
    });
    // Two quarters of the window, in each of which entries were lost.
    scene.expect(&[(300, "ok"), (405, "falling_behind")]);
    let lost = scene.metrics().value("redis_stream_group_entries_lost_total").unwrap();
    // All but what was read, and what is still there.
    // Where the counter is corrected, hardly more is proved than that there was a loss, step by step.
    let truth = f64::from((steps - 1) * 270);
    assert!(f64::from(steps - 1) <= lost && lost <= truth, "{lost} of {truth}");
}

/// Never is a group called ok that may be falling behind.
pub fn what_only_counters_tell_is_unknown(version: &Version) {
    let mut scene = Scene::healthy(version);
    scene.pass(300, |hands| {
        hands.add(300);
        hands.work("alice", 150);
    });
    scene.expect(&[(300, "ok"), (390, "unknown")]);
    let reason = scene.reason();
    assert!(reason.ends_with("and bounds of the lag prove no trend"), "{reason}");
    let flow = |what: &str| (format!("redis_stream_group_{what}_per_second"), None);
    for (metric, value) in ["added", "delivered", "acknowledged"].map(flow) {
        scene.metrics().check(&[(&metric, value)]);
    }
}

/// Once in two minutes she reads all that is left, and most was trimmed before: that she is done for a moment is no recovery.
pub fn trimmed_between_batches(version: &Version) {
    let mut scene = Scene::healthy(version);
    let mut step = 0;
    scene.pass(900, |hands| {
        step += 1;
        if step % 8 == 0 {
            hands.work("alice", 300);
        } else {
            hands.work("alice", 1);
            hands.add(300);
            hands.trim(300);
        }
    });
    let behind = (405, "falling_behind");
    scene.expect(&[(300, "ok"), behind]);
    scene.pass(300, |hands| {
        hands.add(300);
        hands.work("alice", 300);
    });
    scene.expect(&[(300, "ok"), behind, (1350, "ok")]);
}
