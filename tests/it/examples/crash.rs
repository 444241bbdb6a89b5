//! A worker is killed in the midst of a batch. What it held stays pending, and shows; the others go on without it; once the
//! time to claim has come, another does it. The numbers follow exactly, and every order is done.

use super::{
    scene::{GROUP, Scene},
    workers::{Language, in_each_language},
};

in_each_language!(the_numbers_follow_a_crash_and_the_recovery);

const ORDERS: usize = 400;

fn the_numbers_follow_a_crash_and_the_recovery(language: Language, scene: Scene) {
    // The first worker creates the group, and leaves no name behind.
    let mut first = scene.worker(language, "first", &[]);
    scene.until(&mut first, "the first worker to come", |numbers| numbers.pending.contains_key("first"));
    assert_eq!(scene.agree(GROUP).length, 0);
    first.stop();
    assert!(scene.agree(GROUP).pending.is_empty());

    // Nobody works: all that is produced waits.
    scene.programs.produce(&scene.redis.url(), ORDERS);
    let waiting = scene.agree(GROUP);
    assert_eq!((waiting.length, waiting.lag, waiting.pending()), (ORDERS, ORDERS, 0));

    // One has a part of a batch in hand, and done some before. It stands still, so that there is a truth to compare with.
    let mut crashing = scene.worker(language, "crashing", &[("WORK_MS", "20")]);
    let halfway = loop {
        crashing.thaw();
        scene.until(&mut crashing, "a batch in hand", |numbers| {
            numbers.lag < ORDERS - 10 && (2..10).contains(&numbers.pending())
        });
        crashing.freeze();
        let numbers = scene.agree(GROUP);
        // It may have come a little further until it stood.
        if (1..10).contains(&numbers.pending()) {
            break numbers;
        }
    };
    assert_eq!(scene.acknowledged() + halfway.pending() + halfway.lag, ORDERS);
    let held = scene.held("crashing");
    crashing.kill();
    assert_eq!(scene.agree(GROUP), halfway);

    // Another works off all that waits. What the dead one holds is not its own to take, yet.
    let mut second = scene.worker(language, "second", &[]);
    scene.until(&mut second, "the rest to be done", |numbers| {
        numbers.lag == 0 && numbers.pending["second"] == 0
    });
    second.stop();
    let left = scene.agree(GROUP);
    assert_eq!((left.lag, left.pending.clone()), (0, [("crashing".to_owned(), held.len())].into()));
    assert_eq!(scene.held("crashing"), held);
    assert_eq!(scene.acknowledged() + held.len(), ORDERS);

    // The time to claim has come.
    let mut claiming = scene.worker(language, "claiming", &[("CLAIM_IDLE_MS", "50")]);
    scene.until(&mut claiming, "what was left to be done", |numbers| numbers.pending() == 0);
    claiming.stop();
    let done = scene.agree(GROUP);
    assert_eq!((done.length, done.lag, done.pending()), (ORDERS, 0, 0));
    // Each once: the one that was killed acknowledged what it had done, one by one.
    assert_eq!(scene.acknowledged(), ORDERS);
}
