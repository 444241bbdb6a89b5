//! What is not known in full is no answer.

use super::*;

#[test]
fn one_unknown_among_several_is_no_answer() {
    let bounded = Lag::Bounded { lower: 1, upper: 41, estimate: 20 };
    let stream = stream_of("orders", vec![group_of("a", Lag::derived(7)), group_of("b", bounded)]);
    let mut asking = Asking::of(LAG, vec![stream]);
    assert_eq!(asking.numbers(), Ok(vec![7.0, 20.0]));
    asking.policy = Some(Policy { bounded: BoundedPolicy::Upper, ..Policy::default() });
    assert_eq!(asking.numbers(), Ok(vec![7.0, 41.0]));
    asking.policy = Some(Policy { bounded: BoundedPolicy::Absent, ..Policy::default() });
    assert_unavailable(
        asking.numbers(),
        "group \"b\" of stream \"orders\" on redis \"main\": its lag is only known to lie between two bounds (1 and 41), \
         and the configuration has bounded: absent",
    );
    // The other group is known.
    assert_eq!(asking.select("group=a").numbers(), Ok(vec![7.0]));
}

#[test]
fn a_stream_that_cannot_be_read_is_no_answer_where_it_might_match() {
    let asking = || Asking::of(BACKLOG, vec![unreadable(), orders()]);
    let message = "stream \"forbidden\" on redis \"main\": XINFO STREAM: NOPERM no permissions";
    assert_unavailable(asking().numbers(), message);
    assert_unavailable(asking().select("group=a").numbers(), message);
    assert_eq!(asking().select("stream=orders").numbers(), Ok(vec![12.0, 3.0]));
    let length = Asking::of("redis_stream_length", vec![unreadable(), orders()]);
    assert_unavailable(length.numbers(), message);
}

#[test]
fn a_server_that_is_not_up_is_no_answer() {
    let failed = Err(Fault::new(FaultKind::Connect, "connection refused"));
    let unknown = "redis \"main\" cannot be polled, so what matches there is not known:";
    let mut asking = Asking::of(BACKLOG, vec![orders()]).select("stream=nowhere");
    asking.server().latest = Some(failed.clone());
    // Also for a stream that was not there: it may be by now. The numbers of before are fresh, and not told.
    assert_unavailable(asking.numbers(), &format!("{unknown} connection refused"));
    assert_unavailable(asking.select("stream=orders").numbers(), &format!("{unknown} connection refused"));

    let mut asking = Asking::of(BACKLOG, vec![orders()]);
    asking.server().latest = None;
    assert_unavailable(asking.numbers(), &format!("{unknown} the first poll has not ended yet"));

    let mut asking = Asking::of(BACKLOG, vec![orders()]);
    asking.now += Duration::from_secs(16);
    assert_unavailable(asking.numbers(), &format!("{unknown} the latest poll is stale: polls take too long"));
}

#[test]
fn another_server_that_is_down_can_be_left_out() {
    let mut asking = Asking::of(BACKLOG, vec![orders()]);
    let down = Server {
        latest: Some(Err(Fault::new(FaultKind::Timeout, "no reply"))),
        ..Server::new("spare".into(), Duration::from_secs(15))
    };
    asking.snapshot.servers.push(Arc::new(down));
    assert_unavailable(
        asking.numbers(),
        "redis \"spare\" cannot be polled, so what matches there is not known: no reply (a selector with redis=… leaves it \
         out)",
    );
    assert_eq!(asking.select("redis=main").numbers(), Ok(vec![12.0, 3.0]));
}

#[test]
fn what_may_lack_streams_answers_only_for_those_that_are_named() {
    let fault = Fault::new(FaultKind::Connect, "cannot connect to h:1");
    let partial = |db| {
        let mut asking = Asking::of(BACKLOG, vec![orders(), unreadable()]);
        let poll = Arc::make_mut(asking.server().poll.as_mut().unwrap());
        poll.incomplete = vec![Incomplete { db, fault: fault.clone() }];
        asking
    };
    let unknown =
        "redis \"main\" is known in part only, so what matches there is not known: cannot connect to h:1";
    for selector in ["", "stream!=forbidden", "stream=elsewhere", "stream in (orders,elsewhere)", "group=a"] {
        assert_unavailable(partial(0).select(selector).numbers(), unknown);
    }
    assert_eq!(partial(0).select("stream=orders").numbers(), Ok(vec![12.0, 3.0]));
    let mut target = partial(0);
    target.target.stream = Pattern::parse("orders").ok();
    assert_eq!(target.numbers(), Ok(vec![12.0, 3.0]));
    target.target.stream = Pattern::parse("order*").ok();
    assert_unavailable(target.numbers(), unknown);
    // Another database may have a stream of that name.
    assert_unavailable(partial(1).select("stream=orders").numbers(), unknown);
    assert_eq!(partial(1).select("stream=orders,db=db0").numbers(), Ok(vec![12.0, 3.0]));
}

/// Of both: nothing there is 0, and not known is no number.
#[test]
fn the_oldest_entry_is_known_or_none_or_no_answer() {
    use crate::model::lag::undelivered::Undelivered::{self, Nothing, Oldest, Unknown};
    const UNDELIVERED: &str = "redis_stream_group_oldest_undelivered_age_seconds";
    const DELETED: &str = "redis_stream_group_oldest_pending_deleted";
    let who = "group \"b\" of stream \"orders\" on redis \"main\":";

    let read = |lag, oldest: Result<Undelivered, Fault>| {
        let group = |name, oldest_undelivered| Group { oldest_undelivered, ..group_of(name, lag) };
        let groups = vec![group("a", Ok(Nothing)), group("b", oldest)];
        Asking::of(UNDELIVERED, vec![stream_of("orders", groups)]).numbers()
    };
    let of = |lag, oldest| read(lag, Ok(oldest));
    let old = StreamId::new(crate::serve::test_support::NOW_MS - 2500, 0);
    assert_eq!(of(Lag::derived(4), Oldest(old)), Ok(vec![2.5]));
    assert_eq!(of(Lag::derived(0), Nothing), Ok(vec![0.0]));
    let no_budget = "its oldest undelivered entry was not found within the budget of the lag settings";
    for (lag, oldest, why) in [
        (Lag::derived(4), Unknown, no_budget),
        (Lag::derived(4), Oldest(StreamId::new(1, 1)), "the IDs of its entries are not times"),
        (Lag::NoGroup { length: 4 }, Unknown, "the group does not exist"),
    ] {
        assert_unavailable(of(lag, oldest), &format!("{who} {why}"));
    }
    let refused = Fault::new(FaultKind::NoPerm, "XRANGE: NOPERM");
    assert_unavailable(read(Lag::derived(4), Err(refused)), &format!("{who} XRANGE: NOPERM"));

    let of = |is_deleted| {
        let id = StreamId::new(1, 1);
        let oldest = OldestPending { id, idle: Duration::ZERO, deliveries: 1, is_deleted };
        let group = Group { pending: 1, oldest_pending: Ok(Some(oldest)), ..group_of("b", Lag::derived(0)) };
        let groups = vec![group_of("a", Lag::derived(0)), group];
        Asking::of(DELETED, vec![stream_of("orders", groups)]).numbers()
    };
    assert_eq!((of(Some(true)), of(Some(false))), (Ok(vec![1.0]), Ok(vec![0.0])));
    assert_unavailable(
        of(None),
        &format!("{who} whether its oldest pending entry still exists is not known"),
    );
}
