//! Redis is killed in the middle of a poll, comes back with its data, without, or with older data; and stands still.

use super::scene::{Scene, cut, fill};
use crate::support::{proxy::End, tool::needs, wait};

const WITH_AOF: [&str; 2] = ["--appendonly", "yes"];

/// Bytes of a poll's replies, about.
const BYTES: usize = 3500;

/// Kills it while a reply is on its way, and starts it again, at once or after a poll that found nobody.
fn kill_in_mid_poll(scene: &mut Scene, number: usize, arguments: &[&str]) {
    scene.proxy().cut(&[(scene.random.below(BYTES), End::Hold)]);
    scene.proxy().wait_held();
    let ledger = scene.ledger.clone();
    ledger.during(|| {
        scene.redis.kill();
        // What is on its way arrives, or does not.
        if scene.random.below(2) == 0 {
            scene.proxy().end_all(cut(number));
        }
        scene.proxy().release();
        if number.is_multiple_of(2) {
            scene.wait_failed(1);
            assert_eq!(scene.ask(), 503);
        }
        scene.redis.restart(arguments);
    });
    scene.right_within_two_polls();
}

#[test]
fn killed_in_mid_poll_and_back_with_its_data() {
    needs!("redis-server");
    let mut scene = Scene::new(&WITH_AOF, "");
    let before = scene.resources();
    for number in 0..12 {
        (0..5).for_each(|_| scene.work());
        kill_in_mid_poll(&mut scene, number, &WITH_AOF);
    }
    scene.end(before);
}

#[test]
fn killed_in_mid_poll_and_back_without_data() {
    needs!("redis-server");
    let mut scene = Scene::new(&[], "");
    let before = scene.resources();
    for number in 0..6 {
        kill_in_mid_poll(&mut scene, number, &[]);
        // There is nothing, and that is known.
        assert_eq!(scene.ask(), 404);
        fill(&scene.ledger);
        (0..5).for_each(|_| scene.work());
        scene.right_within_two_polls();
    }
    scene.end(before);
}

#[test]
fn killed_in_mid_poll_and_back_with_older_data() {
    needs!("redis-server");
    let mut scene = Scene::new(&[], "");
    let before = scene.resources();
    for number in 0..6 {
        (0..3).for_each(|_| scene.work());
        scene.redis.run(&["SAVE"]);
        (0..10).for_each(|_| scene.work());
        scene.right_within_two_polls();
        kill_in_mid_poll(&mut scene, number, &[]);
    }
    scene.end(before);
}

/// Shorter than the timeout, it is no fault.
#[test]
fn stopped_for_a_moment() {
    needs!("redis-server");
    let scene = Scene::new(&[], "timeout: 30s");
    let before = scene.resources();
    scene.at_work(|| {
        for _ in 0..10 {
            // With a reply still on its way, another request is sure to come after it.
            scene.proxy().cut(&[(scene.random.below(BYTES), End::Hold)]);
            scene.proxy().wait_held();
            scene.redis.pause();
            let asked = scene.proxy().requests();
            scene.proxy().release();
            wait::until_true("a request to one that stands still", || scene.proxy().requests() > asked);
            scene.watch.look();
            scene.redis.resume();
            scene.right_within_two_polls();
        }
    });
    assert_eq!(scene.errors(), [0], "{}", scene.gauge().process.stderr.text());
    scene.end(before);
}

/// Connections are opened to it all the same, for the system accepts them: none is left once it goes on.
#[test]
fn stopped_for_long() {
    needs!("redis-server");
    let scene = Scene::new(&[], "timeout: 1s");
    let before = scene.resources();
    scene.at_work(|| {
        for polls in [1, 3] {
            scene.redis.pause();
            scene.wait_failed(polls);
            assert_eq!(scene.ask(), 503);
            scene.watch.look();
            scene.redis.resume();
            scene.right_within_two_polls();
        }
    });
    scene.end(before);
}
