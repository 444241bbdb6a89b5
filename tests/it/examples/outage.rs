//! Redis goes away, and comes back without its data; somebody destroys the group, or deletes the stream, while a worker
//! waits on it. The worker goes on.

use super::{
    scene::{GROUP, Scene},
    workers::{Language, Worker, in_each_language},
};

in_each_language!(a_worker_outlives_redis_and_the_group);

fn a_worker_outlives_redis_and_the_group(language: Language, mut scene: Scene) {
    let mut worker = scene.worker(language, "worker", &[]);
    add_and_await(&scene, &mut worker, 3, 3);

    scene.redis.restart(&[]);
    // Redis counts anew, and there is no group.
    add_and_await(&scene, &mut worker, 4, 4);

    // A group that is created anew begins at the beginning: these four are done again.
    scene.redis.run(&["XGROUP DESTROY orders processing_group"]);
    add_and_await(&scene, &mut worker, 1, 4 + 5);

    scene.redis.run(&["DEL orders"]);
    add_and_await(&scene, &mut worker, 2, 4 + 5 + 2);
    worker.stop();
    let numbers = scene.agree(GROUP);
    assert_eq!((numbers.length, numbers.lag, numbers.pending.len()), (2, 0, 0));
}

/// Adds orders, and waits until so many were acknowledged since Redis started, and none is left.
#[track_caller]
fn add_and_await(scene: &Scene, worker: &mut Worker, count: usize, acknowledged: usize) {
    scene.programs.produce(&scene.redis.url(), count);
    scene.until(worker, "the orders to be done", |numbers| {
        numbers.lag + numbers.pending() == 0 && scene.acknowledged() == acknowledged
    });
    scene.gauge.until("redis_up", Some(1.0));
    scene.agree(GROUP);
}
