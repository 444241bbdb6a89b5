//! Where limits leave something out.

use super::*;

/// What a limit leaves out.
fn cut(limit: Limit) -> Box<Cut> {
    Box::new(Cut::new(limit, 9, "too many"))
}

/// A group of many consumers, of which only those that own pending entries are known.
fn owners(name: &str, owners: &[(&str, u64)]) -> Group {
    let consumers = owners.iter().map(|(name, pending)| ((*name).into(), (*pending, None, None)));
    Group {
        consumers: Some(Ok(consumers.collect())),
        cut: Some(cut(Limit::Consumers)),
        ..group_of(name, Lag::derived(0))
    }
}

#[test]
fn of_many_consumers_the_pending_entries_are_known_where_their_owners_are() {
    let of = |metric, groups| Asking::of(metric, vec![stream_of("orders", groups)]);
    let many = || owners("a", &[("pod-1", 3), ("gone", 4)]);
    let said = "group \"a\" of stream \"orders\" on redis \"main\": too many (raise \
                redis[].limits.consumers_per_group or --limits.consumers-per-group)";
    // Whoever owns nothing adds nothing.
    let pending = || of(CONSUMER_PENDING, vec![many()]);
    assert_eq!(pending().pods(&["pod-1", "pod-2"]), Ok(vec![("pod-1", 3.0), ("pod-2", 0.0)]));
    assert_eq!(pending().numbers(), Ok(vec![3.0, 4.0]));
    // That pods are not named like consumers cannot be told: the others may be.
    assert_unavailable(pending().pods(&["pod-2"]), said);
    let other = || consumers("b", &[("other", 1, 1)]);
    assert_unavailable(of(CONSUMER_PENDING, vec![many(), other()]).pods(&["pod-2"]), said);
    // Nor whether a consumer exists that owns nothing.
    assert_unavailable(pending().select("consumer=pod-2").numbers(), said);
    assert_unavailable(of(CONSUMER_PENDING, vec![owners("a", &[])]).numbers(), said);
    // Where nothing is pending at all, nobody owns anything, whatever the names are.
    assert_eq!(of(CONSUMER_PENDING, vec![owners("a", &[])]).pods(&["pod-2"]), Ok(vec![("pod-2", 0.0)]));
    // Times are not known of any of them.
    assert_unavailable(of(CONSUMER_IDLE, vec![many()]).pods(&["pod-1"]), said);
    assert_unavailable(of(CONSUMER_IDLE, vec![many(), other()]).numbers(), said);
    assert_eq!(of(CONSUMER_IDLE, vec![many(), other()]).select("group=b").numbers(), Ok(vec![1.0]));
}

#[test]
fn where_a_limit_leaves_groups_out_only_those_that_are_named_have_a_number() {
    let asking = |metric| {
        let mut limited = orders();
        if let Ok(Some(stream)) = &mut limited.state {
            stream.cut = Some(cut(Limit::Groups));
        }
        let whole = stream_of("payments", vec![group_of("a", Lag::derived(1))]);
        Asking::of(metric, vec![limited, whole])
    };
    let said = "stream \"orders\" on redis \"main\": too many (raise redis[].limits.groups_per_stream or \
                --limits.groups-per-stream)";
    for selector in ["", "stream=orders", "group!=a", "group in (a, c)", "group"] {
        assert_unavailable(asking(BACKLOG).select(selector).numbers(), said);
    }
    assert_eq!(asking(BACKLOG).select("group=a").numbers(), Ok(vec![12.0, 1.0]));
    assert_eq!(asking(BACKLOG).select("stream=payments").numbers(), Ok(vec![1.0]));
    // Its length does not depend on its groups.
    assert_eq!(asking("redis_stream_length").numbers(), Ok(vec![42.0, 42.0]));
    let mut named = asking(BACKLOG);
    let exact = |name: &str| Pattern::parse(name).ok();
    named.target = Target { stream: exact("orders"), group: exact("b"), ..Target::default() };
    assert_eq!(named.numbers(), Ok(vec![3.0]));
    named.target.group = exact("[ab]");
    assert_unavailable(named.numbers(), said);
}

#[test]
fn where_streams_may_be_missing_only_those_that_are_named_have_a_number() {
    for kind in [FaultKind::TooMany, FaultKind::Unfinished, FaultKind::NoPerm] {
        let asking = |selector| {
            let mut asking = Asking::of(BACKLOG, vec![orders()]).select(selector);
            let server = asking.server();
            let mut poll = Poll::clone(server.poll.as_deref().unwrap());
            poll.incomplete.push(Incomplete { db: 0, fault: Fault::new(kind, "there are more") });
            server.poll = Some(Arc::new(poll));
            asking
        };
        let said = "redis \"main\" is known in part only, so what matches there is not known: there are more";
        for selector in ["", "group=a", "stream!=x", "stream in (orders, x)"] {
            assert_unavailable(asking(selector).numbers(), said);
        }
        assert_eq!(asking("stream=orders").numbers(), Ok(vec![12.0, 3.0]));
        assert_eq!(asking("").server().is_up(Instant::now()), kind != FaultKind::NoPerm);
    }
}
