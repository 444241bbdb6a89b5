//! A worker is asked to stop, as on every rollout and scale-down: it ends what it has in hand, and goes without a trace.

use super::{
    scene::{GROUP, Scene},
    workers::{Language, in_each_language},
};

in_each_language!(a_worker_that_is_stopped_ends_its_batch, a_worker_that_holds_something_keeps_its_name);

fn a_worker_that_is_stopped_ends_its_batch(language: Language, scene: Scene) {
    scene.programs.produce(&scene.redis.url(), 500);
    let mut worker = scene.worker(language, "worker", &[("WORK_MS", "50")]);
    scene.until(&mut worker, "a batch in hand", |numbers| numbers.pending() > 1);
    worker.stop();
    let numbers = scene.agree(GROUP);
    assert!(numbers.pending.is_empty(), "{numbers:?}");
    // A part of the orders is left, and nothing that was taken is lost with the name.
    assert!(numbers.lag > 0, "it was to be stopped before the end: {numbers:?}");
    assert_eq!(scene.acknowledged() + numbers.lag, 500, "{}", worker.log());
}

/// `XGROUP DELCONSUMER` would drop what it holds.
fn a_worker_that_holds_something_keeps_its_name(language: Language, scene: Scene) {
    scene.redis.run(&["XADD orders * order 1 amount free", "XADD orders * order 2 amount 2.50"]);
    let mut worker = scene.worker(language, "worker", &[]);
    scene.until(&mut worker, "one to fail and one to be done", |numbers| {
        numbers.lag == 0 && numbers.pending() == 1
    });
    worker.stop();
    assert_eq!(scene.agree(GROUP).pending, [("worker".to_owned(), 1)].into(), "{}", worker.log());
    assert_eq!(scene.acknowledged(), 1);
}
