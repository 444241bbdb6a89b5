//! Workers in two languages share one group: each entry goes to one of them.

use super::{
    scene::{GROUP, Scene, on_each_version},
    workers::Language,
};
use crate::support::wait;

#[test]
fn both_languages_work_in_one_group() {
    on_each_version(|scene| share(&scene));
}

fn share(scene: &Scene) {
    let settings = [("WORK_MS", "5")];
    let mut workers =
        [scene.worker(Language::Python, "python", &settings), scene.worker(Language::Go, "go", &settings)];
    let producer = scene.programs.producer(&scene.redis.url());
    for consumer in ["python", "go"] {
        let selector = format!("redis_stream_group_consumer_messages_pending{{consumer=\"{consumer}\"}}");
        wait::until_true(&format!("{consumer} to be seen at work"), || {
            scene.gauge.metrics().value(&selector) > Some(0.0)
        });
    }
    drop(producer);
    for worker in &mut workers {
        scene.until(worker, "all to be done", |numbers| numbers.lag + numbers.pending() == 0);
        assert_eq!(worker.log().matches("failed").count(), 0, "{}", worker.log());
    }
    let numbers = scene.agree(GROUP);
    assert_eq!(scene.acknowledged(), numbers.length);
    assert_eq!(numbers.pending.into_keys().collect::<Vec<_>>(), ["go", "python"]);
}
