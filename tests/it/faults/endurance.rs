//! A thousand faults: what the exporter takes of the machine stays as it is.

use super::scene::{Scene, cut};
use crate::support::{proxy::End, redis::RedisServer, tool::needs};

const WAYS: usize = 6;
const FAULTS: usize = 1000;
const WARM_UP: usize = 200;

/// Most KiB that the memory may have grown by after the warm-up: little more than one for each fault. A connection with its
/// buffers has many times that.
const MOST_GROWTH_KIB: u64 = 1024;

/// Bytes of a poll's replies, about.
const BYTES: usize = 3500;

#[test]
fn a_thousand_faults_leave_nothing() {
    needs!("redis-server");
    let scene = Scene::of(RedisServer::start(), WAYS, "", &[]);
    let done = || scene.proxies.iter().map(|proxy| proxy.cuts_done()).sum::<usize>();
    let before = scene.resources();
    let mut warm = None;
    scene.at_work(|| {
        while done() < FAULTS {
            for proxy in &scene.proxies {
                let place = || (scene.random.below(BYTES), cut(scene.random.below(2)));
                match scene.random.below(8) {
                    0..5 => proxy.cut(&[place()]),
                    5..7 => proxy.cut(&[place(), place()]),
                    _ => proxy.cut(&[(scene.random.below(BYTES), End::Hold)]),
                }
            }
            for proxy in &scene.proxies {
                proxy.wait_cut();
                proxy.release();
            }
            if done() >= WARM_UP && warm.is_none() {
                warm = Some(scene.resources().memory_kib);
            }
        }
    });
    let (warm, end) = (warm.unwrap(), scene.resources().memory_kib);
    assert!(end <= warm + MOST_GROWTH_KIB, "{end} KiB after {FAULTS} faults, {warm} KiB after {WARM_UP}");
    for (way, proxy) in scene.proxies.iter().enumerate() {
        assert!(proxy.most_open() <= 2, "way {way}: {} connections at once", proxy.most_open());
    }
    scene.end(before);
}
