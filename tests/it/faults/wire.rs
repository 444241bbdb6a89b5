//! The way to Redis breaks: at any byte, slowly, in silence.

use super::scene::{Scene, cut};
use crate::support::{
    proxy::{End, Proxy},
    redis::RedisServer,
    tool::needs,
};

/// Ways at once, each with faults of its own.
const WAYS: usize = 6;

/// What lets no poll fail for a busy machine.
const PATIENT: &str = "timeout: 30s";

/// What makes a poll that gets no answer fail in time.
const IMPATIENT: &str = "timeout: 1s";

/// Bytes that the replies of one poll have, as far as that can be told while polls go on.
fn bytes_of_a_poll(scene: &Scene) -> usize {
    let polls = 10;
    scene.right_within_two_polls();
    let before = scene.proxy().passed();
    (0..polls).for_each(|_| _ = scene.right_within_two_polls());
    (scene.proxy().passed() - before) / polls
}

/// At places all over the replies of a poll the connection is cut, once. One that was kept may be closed by anybody:
/// another takes its place at once, and no poll fails for it.
#[test]
fn cut_anywhere_once() {
    needs!("redis-server");
    let scene = Scene::of(RedisServer::start(), WAYS, PATIENT, &[]);
    let (bytes, before) = (bytes_of_a_poll(&scene), scene.resources());
    scene.at_work(|| {
        for number in 0..50 {
            for (way, proxy) in scene.proxies.iter().enumerate() {
                proxy.cut(&[(bytes * (WAYS * number + way) / 300, cut(number))]);
            }
            scene.proxies.iter().for_each(|proxy| proxy.wait_cut());
            scene.right_within_two_polls();
        }
    });
    assert_eq!(scene.errors(), [0; WAYS], "{}", scene.gauge().process.stderr.text());
    scene.end(before);
}

/// So is the one that takes its place, as early as in its first words: that poll fails, and no other.
#[test]
fn cut_anywhere_twice() {
    needs!("redis-server");
    let scene = Scene::of(RedisServer::start(), WAYS, "", &[]);
    let (bytes, before) = (bytes_of_a_poll(&scene), scene.resources());
    scene.at_work(|| {
        for number in 0..40 {
            let failed = scene.errors();
            for (way, proxy) in scene.proxies.iter().enumerate() {
                let first = scene.random.below(bytes);
                // Some of them within what is said before the first question.
                let second = if way == 0 { number * 5 } else { scene.random.below(bytes) };
                proxy.cut(&[(first, cut(number)), (second, cut(number / 2))]);
            }
            scene.proxies.iter().for_each(|proxy| proxy.wait_cut());
            scene.right_within_two_polls();
            let at_most: Vec<_> = failed.into_iter().map(|failed| failed + 1).collect();
            let failed = scene.errors();
            assert!(failed.iter().zip(&at_most).all(|(now, most)| now <= most), "{failed:?} {at_most:?}");
        }
    });
    scene.end(before);
}

#[test]
fn a_reply_that_comes_late_is_no_fault() {
    needs!("redis-server");
    let scene = Scene::new(&[], PATIENT);
    let (bytes, before) = (bytes_of_a_poll(&scene), scene.resources());
    scene.at_work(|| {
        for _ in 0..10 {
            scene.proxy().cut(&[(scene.random.below(bytes), End::Hold)]);
            scene.proxy().wait_held();
            // What is measured already grows old meanwhile.
            scene.watch.look();
            scene.proxy().release();
            scene.right_within_two_polls();
        }
        // Redis's words arrive in pieces.
        for piece in [16, 100] {
            scene.proxy().dribble(Some(piece));
            (0..3).for_each(|_| _ = scene.right_within_two_polls());
        }
        scene.proxy().dribble(None);
    });
    assert_eq!(scene.errors(), [0], "{}", scene.gauge().process.stderr.text());
    scene.end(before);
}

/// A reply that takes too long, or never comes; a port without a server, or with one that says nothing.
#[test]
fn no_answer_in_time() {
    needs!("redis-server");
    let scene = Scene::new(&[], IMPATIENT);
    let (bytes, before) = (bytes_of_a_poll(&scene), scene.resources());
    let faults: [fn(&Proxy); 4] = [
        |proxy| proxy.hold(),
        |proxy| proxy.dribble(Some(1)),
        |proxy| {
            proxy.refuse();
            proxy.end_all(End::Reset);
        },
        |proxy| {
            proxy.hold();
            proxy.end_all(End::Close);
        },
    ];
    scene.at_work(|| {
        for begin in faults {
            begin(scene.proxy());
            scene.wait_failed(2);
            assert_eq!(scene.ask(), 503);
            scene.watch.look();
            scene.proxy().dribble(None);
            scene.proxy().release();
            scene.proxy().admit();
            scene.right_within_two_polls();
        }
        // In the middle of a reply, for ever: the next poll takes another connection.
        for _ in 0..3 {
            scene.proxy().cut(&[(scene.random.below(bytes), End::Hold)]);
            scene.proxy().wait_held();
            scene.wait_failed(1);
            scene.proxy().end_all(cut(scene.random.below(2)));
            scene.proxy().release();
            scene.right_within_two_polls();
        }
    });
    // One that is given up may be open still while the next one is there.
    assert!(scene.proxy().most_open() <= 2, "{}", scene.proxy().most_open());
    scene.end(before);
}
