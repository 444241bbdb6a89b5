//! What cannot be done goes to the dead letters, and holds nothing up; a group begins where it is told to.

use std::collections::BTreeMap;

use super::{
    scene::{GROUP, Scene},
    workers::{Language, in_each_language},
};

in_each_language!(what_cannot_be_done_is_given_up, a_group_begins_where_it_is_told_to);

fn what_cannot_be_done_is_given_up(language: Language, scene: Scene) {
    let bad: String = scene.redis.ask(&["XADD", "orders", "*", "order", "1", "amount", "free"]);
    scene.programs.produce(&scene.redis.url(), 5);
    let mut worker = scene.worker(language, "worker", &[("CLAIM_IDLE_MS", "50"), ("MAX_DELIVERIES", "2")]);
    scene.until(&mut worker, "nothing to be pending", |numbers| numbers.lag + numbers.pending() == 0);
    worker.stop();
    let dead: Vec<(String, BTreeMap<String, String>)> = scene.redis.ask(&["XRANGE", "orders:dead", "-", "+"]);
    let [(_, fields)] = &dead[..] else { panic!("{dead:?}") };
    let expected = [("amount", "free"), ("dead_entry", bad.as_str()), ("dead_group", GROUP), ("order", "1")];
    assert_eq!(fields, &expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    // Tried as often as it may be, and not once more.
    assert_eq!(worker.log().matches(&format!("entry {bad} failed")).count(), 2, "{}", worker.log());
    assert_eq!(scene.acknowledged(), 6);
    scene.agree(GROUP);
    let metrics = scene.gauge.metrics();
    assert_eq!(metrics.value("redis_stream_length{stream=\"orders:dead\"}"), Some(1.0));
}

fn a_group_begins_where_it_is_told_to(language: Language, scene: Scene) {
    scene.programs.produce(&scene.redis.url(), 7);
    let analytics = [("GROUP", "analytics_group"), ("GROUP_START", "$")];
    let mut analysing = scene.worker(language, "analysing", &analytics);
    let comes = |scene: &Scene| {
        let numbers = scene.truth("analytics_group")?;
        if numbers.pending.contains_key("analysing") { Ok(()) } else { Err(format!("{numbers:?}")) }
    };
    analysing.until("the worker to come", || comes(&scene));
    // The seven of before are nothing to it.
    assert_eq!((scene.agree("analytics_group").lag, scene.acknowledged()), (0, 0));
    scene.programs.produce(&scene.redis.url(), 3);
    analysing.until("the new ones to be done", || match scene.acknowledged() {
        3 => Ok(()),
        other => Err(format!("{other} were done")),
    });
    analysing.stop();
    scene.agree("analytics_group");

    let mut processing = scene.worker(language, "processing", &[]);
    scene.until(&mut processing, "all to be done", |numbers| numbers.lag + numbers.pending() == 0);
    processing.stop();
    assert_eq!((scene.agree(GROUP).length, scene.acknowledged()), (10, 3 + 10));
}
