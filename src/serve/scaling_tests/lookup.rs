//! Streams that are looked up are those that looking through all of them would find.

use proptest::prelude::*;

use super::*;
use crate::model::selector::{Operator, Requirement};

/// Names that begin alike, one that is not UTF-8, one that reads as its escape, and one that is cut.
fn name() -> impl Strategy<Value = Name> {
    let plain = ["", "a", "aa", "ab", "ab:1", "ab:2", "b", "a*", "\\xff", "\\x41"].map(Name::from);
    let others = [Name::from(&b"a\xff"[..]), Name::from("a".repeat(2000).as_str())];
    prop::sample::select(plain.into_iter().chain(others).collect::<Vec<_>>())
}

fn pattern() -> impl Strategy<Value = Option<Pattern>> {
    let globs = ["*", "a*", "ab:*", "ab:?", "?", "[ab]*", "a\\*", "a\\**", "*1", "b*"];
    let glob = prop::sample::select(globs.to_vec()).prop_map(|glob| Pattern::parse(glob).ok());
    prop_oneof![Just(None), name().prop_map(|name| Some(Pattern::Exact(name))), glob]
}

fn target() -> impl Strategy<Value = Target> {
    let redis = prop::sample::select(vec![None, Some("main"), Some("spare"), Some("none")]);
    (redis, pattern()).prop_map(|(redis, stream)| Target { redis: redis.map(Arc::from), stream, group: None })
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let value = prop_oneof![
        4 => name().prop_map(|name| ("stream", name.text().to_owned())),
        1 => prop::sample::select(vec![("db", "db0"), ("db", "db3"), ("redis", "main")])
            .prop_map(|(key, value)| (key, value.to_owned())),
    ];
    (value, name(), 0..4).prop_map(|((key, value), other, operator)| {
        let operator = match operator {
            0 => Operator::In(vec![value]),
            1 => Operator::In(vec![value, other.text().to_owned()]),
            2 => Operator::NotIn(vec![value]),
            _ => Operator::Exists,
        };
        Requirement { key: key.to_owned(), operator }
    })
}

fn server(redis: &'static str, now: Instant) -> impl Strategy<Value = Arc<Server>> {
    let streams = prop::collection::btree_set((prop::sample::select(vec![0, 3, 4]), name()), 0..20);
    streams.prop_map(move |streams| {
        let entry = |(db, name)| StreamEntry { db, ..stream_of(name, vec![]) };
        let mut snapshot = of_streams(now, streams.into_iter().map(entry).collect());
        let server = Server { name: redis.into(), ..Server::clone(&snapshot.servers.remove(0)) };
        Arc::new(server)
    })
}

proptest! {
    #[test]
    fn looking_up_is_looking_through(
        servers in (server("main", Instant::now()), server("spare", Instant::now())),
        targets in prop::collection::vec(target(), 1..4),
        requirements in prop::collection::vec(requirement(), 0..3),
        barred in prop::option::of(pattern()),
    ) {
        let snapshot = Snapshot { servers: vec![servers.0, servers.1], ..Snapshot::default() };
        let now = snapshot.servers[0].poll.as_ref().unwrap().started;
        let rule = |stream| StreamRule {
            target: Target { stream, ..Target::default() },
            namespaces: Namespaces::Only(vec![]),
        };
        let offer = Offer { streams: barred.map(rule).into_iter().collect(), ..Offer::default() };
        let (selector, targets) = (Selector(requirements), targets.iter().collect::<Vec<_>>());
        let question = Question {
            snapshot: &snapshot,
            now,
            metric: catalogue::for_autoscalers("redis_stream_length").unwrap(),
            name: "redis_stream_length",
            targets: &targets,
            selector: &selector,
            policy: None,
            offer: &offer,
            namespace: "shop",
        };
        let found = question.streams().unwrap();
        let found: Vec<_> =
            found.iter().map(|found| (&*found.server.name, found.entry.db, &found.entry.name)).collect();

        let all = snapshot.servers.iter().flat_map(|server| {
            let entries = server.poll.as_ref().unwrap().streams.iter();
            entries.map(|entry| (&*server.name, entry.db, &entry.name))
        });
        let is_meant = |(redis, db, name): &(&str, u32, &Name)| {
            let labels = [("redis", (*redis).to_owned()), ("db", format!("db{db}")), ("stream", name.text().to_owned())];
            selector.matches(&labels.map(|(key, value)| (key.to_owned(), value)).into())
                && targets.iter().any(|target| target.has_stream(redis, name))
                && offer.lets_read("shop", redis, name)
        };
        prop_assert_eq!(found, all.filter(is_meant).collect::<Vec<_>>());
    }
}
