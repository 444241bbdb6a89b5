//! What real nodes do only at an unlucky moment, played by nodes that are not real.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use streamgauge::collect::cluster::slot;

use crate::support::{
    exporter::Streamgauge,
    fake::{FakeRedis, Reply, array, bulk, int},
};

type Places = Arc<OnceLock<[SocketAddr; 2]>>;

/// Two nodes that share the slots; what else they say is up to `answer`, which gets the number of the node.
fn two_nodes(
    answer: impl Fn(usize, &[&str]) -> Option<Reply> + Clone + Send + Sync + 'static,
) -> ([FakeRedis; 2], Places) {
    let places = Places::default();
    let nodes = [0, 1].map(|number| {
        let (places, answer) = (places.clone(), answer.clone());
        FakeRedis::start(move |words| {
            answer(number, words).or_else(|| match words {
                ["CLUSTER", "SLOTS"] => Some(Reply::Is(slots(places.get()?))),
                ["CLUSTER", "NODES"] => Some(Reply::Is(bulk(&known(places.get()?)))),
                _ => None,
            })
        })
    });
    places
        .set([&nodes[0], &nodes[1]].map(|node| node.url().replace("redis://", "").parse().unwrap()))
        .unwrap();
    (nodes, places)
}

fn slots(places: &[SocketAddr; 2]) -> String {
    let range = |number: usize, first, last| {
        let place = places[number];
        let node = [bulk(&place.ip().to_string()), int(place.port().into()), bulk(&number.to_string())];
        array(&[int(first), int(last), array(&node)])
    };
    array(&[range(0, 0, 8191), range(1, 8192, 16383)])
}

fn known(places: &[SocketAddr; 2]) -> String {
    let line = |(number, place): (usize, &SocketAddr)| {
        format!("{number} {place}@1 master - 0 0 1 connected {}-{}\n", number * 8192, number * 8192 + 8191)
    };
    places.iter().enumerate().map(line).collect()
}

fn url(nodes: &[FakeRedis; 2]) -> String {
    nodes[0].url().replace("redis://", "redis+cluster://")
}

/// It was not at the first node any more when that was searched, and not at the second one yet. `orders` is in slot 105,
/// of the first node.
#[test]
fn a_key_that_moves_during_the_first_search_is_found() {
    let searches = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let count = searches.clone();
    let (nodes, _) = two_nodes(move |number, words| match words {
        ["SCAN", ..] => {
            let before = count[number].fetch_add(1, Ordering::SeqCst);
            let keys = if number == 0 && before > 0 { vec![bulk("orders")] } else { vec![] };
            Some(Reply::Is(array(&[bulk("0"), array(&keys)])))
        }
        _ => None,
    });
    // There is one poll, and no other.
    let gauge = Streamgauge::of(&url(&nodes), &["--poll.interval", "1h"]);
    gauge
        .metrics()
        .check(&[("redis_up", Some(1.0)), (r#"redis_stream_length{stream="orders"}"#, Some(10.0))]);
    let [first, second] = [0, 1].map(|number: usize| searches[number].load(Ordering::SeqCst));
    assert_eq!((first, second), (2, 2));
    assert_eq!([nodes[0].connections(), nodes[1].connections()], [2, 1]);
}

/// Two nodes that send us to each other, for ever.
#[test]
fn a_stream_that_nobody_has_ends_as_a_fault() {
    let places = Places::default();
    let known = places.clone();
    let (nodes, found) = two_nodes(move |number, words| match words {
        ["MULTI"] => {
            let other = known.get()?[1 - number];
            Some(Reply::Is(format!("-MOVED 105 {other}\r\n")))
        }
        _ => None,
    });
    places.set(*found.get().unwrap()).unwrap();
    let gauge = Streamgauge::of(&url(&nodes), &["--streams", "orders"]);
    gauge.poll().check(&[
        (r#"redis_stream_up{stream="orders"}"#, Some(0.0)),
        (r#"redis_stream_length{stream="orders"}"#, None),
        ("redis_up", Some(1.0)),
    ]);
    let told = gauge.logged("stream cannot be read");
    assert!(told.len() == 1 && told[0]["reason"].as_str().unwrap().contains("MOVED 105"), "{told:?}");
}

/// A redirect between two questions leaves what it concerns absent: no pending entry is not no answer.
#[test]
fn a_stream_that_moves_between_two_questions_is_not_without_consumers() {
    let (nodes, places) = two_nodes(|_, words| match words {
        ["XINFO", "CONSUMERS", ..] => Some(Reply::Is("-ASK 105 127.0.0.1:1\r\n".into())),
        _ => None,
    });
    assert!(places.get().is_some());
    let gauge = Streamgauge::of(&url(&nodes), &["--streams", "orders"]);
    gauge.poll().check(&[
        (r#"redis_stream_up{stream="orders"}"#, Some(0.0)),
        (r#"redis_stream_length{stream="orders"}"#, Some(10.0)),
        (r#"redis_stream_group_consumer_messages_pending{stream="orders"}"#, None),
    ]);
}

/// An address may go to a node of another cluster, before those of the first one have noticed.
#[test]
fn a_node_of_another_cluster_is_a_stranger() {
    let is_taken = Arc::new(AtomicBool::new(false));
    let taken = is_taken.clone();
    let (nodes, _) = two_nodes(move |number, words| match words {
        ["CLUSTER", "NODES"] if number == 1 && taken.load(Ordering::SeqCst) => {
            Some(Reply::Is(bulk("9 127.0.0.1:1@1 myself,master - 0 0 1 connected 0-16383\n")))
        }
        ["SCAN", ..] if number == 1 => Some(Reply::Is(array(&[bulk("0"), array(&[])]))),
        _ => None,
    });
    let gauge = Streamgauge::of(&url(&nodes), &[]);
    gauge.poll().check(&[("redis_up", Some(1.0))]);
    is_taken.store(true, Ordering::SeqCst);
    let metrics = gauge.poll();
    metrics.check(&[("redis_up", Some(0.0)), (r#"redis_stream_length{stream="orders"}"#, Some(10.0))]);
    let said = gauge.groups().to_string();
    assert!(said.contains("belongs to another cluster now"), "{said}");
}

/// Its connection is fine, and `redis.timeout` far away: without a bound of its own it would use up the time of the poll.
#[test]
fn a_slow_node_costs_only_its_own_streams() {
    let is_slow = Arc::new(AtomicBool::new(false));
    let slow = is_slow.clone();
    let (nodes, places) = two_nodes(move |number, words| match words {
        ["EXEC"] if number == 1 && slow.load(Ordering::SeqCst) => Some(Reply::Never),
        _ => None,
    });
    let mut names = (0..).map(|number| format!("other-{number}"));
    let other = names.find(|name| slot(&name.as_str().into()) >= 8192).unwrap();
    let streams = format!("orders,{other}");
    let limits = ["--redis.timeout", "60s", "--poll.timeout", "1s"];
    let gauge = Streamgauge::of(&url(&nodes), &[&["--streams", &streams], &limits[..]].concat());
    let series = |name: &str, stream: &str| format!("{name}{{stream=\"{stream}\"}}");
    let length = series("redis_stream_length", &other);
    assert!(gauge.poll().value(&length).is_some());
    is_slow.store(true, Ordering::SeqCst);
    gauge.until(&length, None).check(&[
        ("redis_up", Some(0.0)),
        (&series("redis_stream_length", "orders"), Some(10.0)),
        (&series("redis_stream_up", &other), Some(0.0)),
    ]);
    let said = gauge.groups().to_string();
    let expected =
        format!("{}: the node took longer than nine tenths of poll.timeout", places.get().unwrap()[1]);
    assert!(said.contains(&expected), "{said}");
}
