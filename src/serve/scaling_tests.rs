//! What an autoscaler is told, and when it is told nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    catalogue,
    model::{
        fault::{Fault, FaultKind},
        lag::{BoundedPolicy, MissingGroupPolicy},
        limits::{Cut, Limit},
        offer::{Namespaces, StreamRule},
        pattern::Pattern,
        snapshot::{Incomplete, OldestPending},
        stream_id::StreamId,
    },
    serve::test_support::{group_of, of_streams, stream_of},
};

#[path = "scaling_tests/limited.rs"]
mod limited;
#[path = "scaling_tests/lookup.rs"]
mod lookup;
#[path = "scaling_tests/shared.rs"]
mod shared;
#[path = "scaling_tests/unknown.rs"]
mod unknown;

const BACKLOG: &str = "redis_stream_group_backlog";
const LAG: &str = "redis_stream_group_lag";
const AGE: &str = "redis_stream_group_oldest_pending_idle_seconds";
const CONSUMER_PENDING: &str = "redis_stream_group_consumer_messages_pending";
const CONSUMER_IDLE: &str = "redis_stream_group_consumer_idle_seconds";

/// A question about everything, which tests narrow down.
struct Asking {
    snapshot: Snapshot,
    now: Instant,
    metric: &'static str,
    selector: &'static str,
    target: Target,
    policy: Option<Policy>,
    offer: Offer,
}

impl Asking {
    fn of(metric: &'static str, streams: Vec<StreamEntry>) -> Asking {
        let now = Instant::now();
        let snapshot = of_streams(now, streams);
        let (target, offer) = Default::default();
        Asking { snapshot, now, metric, selector: "", target, policy: None, offer }
    }

    fn ask<T>(&self, answer: impl FnOnce(&Question<'_>) -> T) -> T {
        answer(&Question {
            snapshot: &self.snapshot,
            now: self.now,
            metric: catalogue::for_autoscalers(self.metric).unwrap(),
            name: self.metric,
            targets: &[&self.target],
            selector: &Selector::parse(self.selector).unwrap(),
            policy: self.policy,
            offer: &self.offer,
            namespace: "shop",
        })
    }

    fn numbers(&self) -> Result<Vec<f64>, Refusal> {
        self.ask(|question| Ok(items(question)?.iter().map(|item| item.value.number).collect()))
    }

    fn pods(&self, names: &[&'static str]) -> Result<Vec<(&'static str, f64)>, Refusal> {
        self.ask(|question| {
            let peers: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let values = pods(question, names, &peers)?;
            Ok(values.into_iter().map(|(name, value)| (name, value.number)).collect())
        })
    }

    fn select(mut self, selector: &'static str) -> Asking {
        self.selector = selector;
        self
    }

    fn server(&mut self) -> &mut Server {
        Arc::make_mut(&mut self.snapshot.servers[0])
    }
}

fn pending(group: Group, pending: u64) -> Group {
    Group { pending, ..group }
}

fn consumers(name: &str, consumers: &[(&str, u64, u64)]) -> Group {
    let consumers = consumers
        .iter()
        .map(|(name, pending, idle)| ((*name).into(), (*pending, Some(Duration::from_secs(*idle)), None)));
    Group { consumers: Some(Ok(consumers.collect())), ..group_of(name, Lag::derived(0)) }
}

fn orders() -> StreamEntry {
    stream_of("orders", vec![pending(group_of("a", Lag::derived(7)), 5), group_of("b", Lag::counted(3))])
}

fn unreadable() -> StreamEntry {
    let fault = Fault::new(FaultKind::NoPerm, "XINFO STREAM: NOPERM no permissions");
    StreamEntry { state: Err(fault), ..stream_of("forbidden", vec![]) }
}

#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(answer: Result<T, Refusal>, message: &str) {
    match answer {
        Err(Refusal::Unavailable(said)) => assert_eq!(said, message),
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[test]
fn what_adds_up_comes_as_one_item_for_each_series() {
    let asking = Asking::of(BACKLOG, vec![orders()]);
    assert_eq!(asking.numbers(), Ok(vec![12.0, 3.0]));
    let items = asking.ask(|question| items(question).unwrap());
    let labels = [("redis", "main"), ("db", "db0"), ("stream", "orders"), ("group", "a")];
    assert_eq!(items[0].labels, labels.map(|(label, value)| (label, value.to_owned())));
    // The poll took 2.5 ms before its end.
    assert_eq!(items[0].value.measured_at.0 % 1_000_000, 0);
}

#[test]
fn ages_come_as_the_largest() {
    let idle = |seconds| {
        let id = StreamId::new(1, 1);
        Ok(Some(OldestPending { id, idle: Duration::from_secs(seconds), deliveries: 1, is_deleted: None }))
    };
    let group = |name, seconds| Group {
        pending: 1,
        oldest_pending: idle(seconds),
        ..group_of(name, Lag::derived(0))
    };
    // Nothing is pending in c: its age is 0, which is known.
    let groups = vec![group("a", 20), group("b", 90), group_of("c", Lag::derived(4))];
    let asking = Asking::of(AGE, vec![stream_of("orders", groups)]);
    assert_eq!(asking.numbers(), Ok(vec![90.0]));
    assert_eq!(asking.ask(|question| items(question).unwrap()[0].labels[3].1.clone()), "b");
    assert_eq!(asking.select("group=c").numbers(), Ok(vec![0.0]));
}

#[test]
fn an_age_that_could_not_be_read_is_not_zero() {
    let vanished = Fault::new(FaultKind::Server, "XPENDING: ERR");
    let group = Group { pending: 1, oldest_pending: Err(vanished), ..group_of("a", Lag::derived(0)) };
    let asking = Asking::of(AGE, vec![stream_of("orders", vec![group, group_of("b", Lag::derived(0))])]);
    assert_unavailable(asking.numbers(), "group \"a\" of stream \"orders\" on redis \"main\": XPENDING: ERR");
}

#[test]
fn selectors_and_targets_narrow_down() {
    let streams = || vec![orders(), stream_of("payments", vec![group_of("a", Lag::derived(40))])];
    let asking = || Asking::of(LAG, streams());
    for (selector, expected) in [
        ("stream=orders", vec![7.0, 3.0]),
        ("group=a", vec![7.0, 40.0]),
        ("stream=orders,group!=a", vec![3.0]),
        ("redis=main,db=db0,stream in (payments)", vec![40.0]),
    ] {
        assert_eq!(asking().select(selector).numbers(), Ok(expected), "{selector}");
    }
    for selector in ["stream=other", "redis=other", "db=db1", "!group", "group="] {
        let expected = format!("no group matches {LAG} {{{selector}}}");
        assert_eq!(asking().select(selector).numbers(), Err(Refusal::NotFound(expected)), "{selector}");
    }
    let pattern = |text| Pattern::parse(text).ok();
    let target = Target { redis: Some("main".into()), stream: pattern("*s"), group: pattern("a") };
    assert_eq!(Asking { target, ..asking() }.numbers(), Ok(vec![7.0, 40.0]));
}

#[test]
fn a_label_that_the_metric_does_not_have_is_a_mistake() {
    // Taken as it stands, it would match everything.
    let asking = Asking::of(LAG, vec![orders()]).select("steam!=orders");
    let message = format!("{LAG} has no label \"steam\": its labels are redis, db, stream, group");
    assert_eq!(asking.numbers(), Err(Refusal::Bad(message)));
}

#[test]
fn a_stream_or_group_that_should_exist_is_told_by_policy() {
    let missing = |lag| Group::missing("workers".into(), lag);
    let no_stream = StreamEntry {
        state: Ok(None),
        missing_groups: vec![missing(Lag::NoStream)],
        ..stream_of("orders", vec![])
    };
    assert_eq!(Asking::of(BACKLOG, vec![no_stream.clone()]).numbers(), Ok(vec![0.0]));
    // A stream that does not exist has no length.
    assert!(matches!(
        Asking::of("redis_stream_length", vec![no_stream]).numbers(),
        Err(Refusal::NotFound(_))
    ));
    let no_group = StreamEntry {
        missing_groups: vec![missing(Lag::NoGroup { length: 42 })],
        ..stream_of("orders", vec![])
    };
    let mut asking = Asking::of(BACKLOG, vec![no_group]);
    assert_eq!(asking.numbers(), Ok(vec![42.0]));
    asking.policy = Some(Policy { missing_group: MissingGroupPolicy::Absent, ..Policy::default() });
    assert_unavailable(
        asking.numbers(),
        "group \"workers\" of stream \"orders\" on redis \"main\": the group does not exist, and the configuration has \
         missing_group: absent",
    );
}

#[test]
fn what_a_namespace_may_not_read_does_not_exist_for_it() {
    let restricted = |streams: Vec<StreamEntry>| {
        let rule = StreamRule {
            target: Target { stream: Pattern::parse("forb*").ok(), ..Target::default() },
            namespaces: Namespaces::Only(vec![Pattern::parse("pay").unwrap()]),
        };
        let offer = Offer { streams: vec![rule], ..Offer::default() };
        Asking { offer, ..Asking::of(BACKLOG, streams) }
    };
    // Nor do its faults.
    assert_eq!(restricted(vec![unreadable(), orders()]).numbers(), Ok(vec![12.0, 3.0]));
    let hidden = |streams| restricted(streams).select("stream=forbidden");
    let nothing = hidden(vec![]).numbers();
    assert!(matches!(nothing, Err(Refusal::NotFound(_))));
    assert_eq!(hidden(vec![unreadable()]).numbers(), nothing);
    let mut down = hidden(vec![unreadable()]);
    down.server().latest = None;
    assert_eq!(down.numbers(), nothing);
}

#[test]
fn pods_are_consumers_of_all_groups() {
    let streams = || {
        vec![
            stream_of(
                "orders",
                vec![
                    consumers("a", &[("pod-1", 3, 5), ("pod-2", 4, 9)]),
                    consumers("b", &[("pod-1", 10, 70)]),
                ],
            ),
            stream_of("payments", vec![consumers("a", &[("pod-1", 100, 1), ("other", 1, 1)])]),
        ]
    };
    let pods = ["pod-1", "pod-2", "pod-3"];
    let pending = || Asking::of(CONSUMER_PENDING, streams());
    assert_eq!(pending().pods(&pods), Ok(vec![("pod-1", 113.0), ("pod-2", 4.0), ("pod-3", 0.0)]));
    let of_orders = pending().select("stream=orders,group=a").pods(&pods);
    assert_eq!(of_orders, Ok(vec![("pod-1", 3.0), ("pod-2", 4.0), ("pod-3", 0.0)]));
    // Who never came has no idle time, not one of 0.
    let idle = Asking::of(CONSUMER_IDLE, streams());
    assert_eq!(idle.pods(&pods), Ok(vec![("pod-1", 70.0), ("pod-2", 9.0)]));
    // Of consumers that go by other names nothing is known of pods, least of all that they have nothing.
    assert_eq!(
        pending().pods(&["pod-3", "pod-4"]),
        Err(Refusal::NotFound(
            "none of the consumers (\"other\", say) is named like one of these pods: give each the name of its pod, as by \
             CONSUMER_NAME from metadata.name"
                .to_owned()
        ))
    );
    assert!(matches!(pending().select("consumer=pod-1").pods(&pods), Err(Refusal::Bad(_))));
    // Where nobody has come yet, nobody has anything.
    let nobody = Asking::of(CONSUMER_PENDING, vec![stream_of("orders", vec![consumers("a", &[])])]);
    assert_eq!(nobody.pods(&["pod-3"]), Ok(vec![("pod-3", 0.0)]));
    // A part that is not known makes the pod's number unknown.
    let inactive = Asking::of("redis_stream_group_consumer_inactive_seconds", streams());
    assert_unavailable(
        inactive.pods(&pods),
        "group \"a\" of stream \"orders\" on redis \"main\": a consumer never got an entry, or Redis is older than 7.2",
    );
    // Without a group there is nothing that a pod could have.
    assert!(matches!(pending().select("stream=nowhere").pods(&pods), Err(Refusal::NotFound(_))));
    assert!(matches!(Asking::of(CONSUMER_PENDING, vec![]).pods(&pods), Err(Refusal::NotFound(_))));
}

#[test]
fn pods_of_which_not_all_is_known_have_no_number() {
    let unmeasured = Group { consumers: None, ..group_of("b", Lag::derived(0)) };
    let crowded = Group {
        consumers: None,
        cut: Some(Box::new(Cut::new(Limit::Consumers, 9, "too many"))),
        ..group_of("c", Lag::derived(0))
    };
    let group = || consumers("a", &[("pod-1", 3, 5)]);
    let ask = |groups| Asking::of(CONSUMER_PENDING, vec![stream_of("orders", groups)]);
    assert_unavailable(
        ask(vec![group(), unmeasured.clone()]).pods(&["pod-1"]),
        "group \"b\" of stream \"orders\" on redis \"main\": its consumers are not measured: set consumers to true for \
         this server",
    );
    assert_unavailable(
        ask(vec![group(), crowded]).pods(&["pod-1"]),
        "group \"c\" of stream \"orders\" on redis \"main\": too many (raise redis[].limits.consumers_per_group or \
         --limits.consumers-per-group)",
    );
    assert_unavailable(
        Asking::of(CONSUMER_PENDING, vec![stream_of("orders", vec![group()]), unreadable()]).pods(&["pod-1"]),
        "stream \"forbidden\" on redis \"main\": XINFO STREAM: NOPERM no permissions",
    );
    assert_eq!(ask(vec![group(), unmeasured]).select("group=a").pods(&["pod-1"]), Ok(vec![("pod-1", 3.0)]));
    // A group that does not exist yet has no consumers: that is known.
    let mut stream = stream_of("orders", vec![group()]);
    stream.missing_groups.push(Group::missing("later".into(), Lag::NoGroup { length: 42 }));
    assert_eq!(Asking::of(CONSUMER_PENDING, vec![stream]).pods(&["pod-1"]), Ok(vec![("pod-1", 3.0)]));
}

#[test]
fn consumers_are_series_too() {
    let streams = vec![stream_of("orders", vec![consumers("a", &[("x", 3, 5), ("y", 4, 9)])])];
    assert_eq!(Asking::of(CONSUMER_PENDING, streams.clone()).numbers(), Ok(vec![3.0, 4.0]));
    assert_eq!(Asking::of(CONSUMER_PENDING, streams.clone()).select("consumer=y").numbers(), Ok(vec![4.0]));
    assert_eq!(Asking::of(CONSUMER_IDLE, streams.clone()).numbers(), Ok(vec![9.0]));
    assert_unavailable(
        Asking::of("redis_stream_group_consumer_inactive_seconds", streams).numbers(),
        "group \"a\" of stream \"orders\" on redis \"main\": a consumer never got an entry, or Redis is older than 7.2",
    );
}
