//! Questions to one of several shards: what it measures itself, what it is asked for besides, and what is missing.

use super::*;
use crate::model::{
    guests::{Guests, Heard, Wish, crowded},
    offer::Access,
    share::{Part, Share},
};

const SHARE: Share = Share { shard: 0, total: 2 };

/// The first two names that belong to this shard, and two that do not.
fn names() -> ([&'static str; 2], [&'static str; 2]) {
    const ALL: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let (own, others): (Vec<_>, Vec<_>) =
        ALL.into_iter().partition(|name| SHARE.has("main", &(*name).into()));
    ([own[0], own[1]], [others[0], others[1]])
}

fn streams(names: &[&str], lag: u64) -> Vec<StreamEntry> {
    names.iter().map(|name| stream_of(*name, vec![group_of("g", Lag::derived(lag))])).collect()
}

fn wish(pattern: &str) -> Wish {
    Wish { streams: Pattern::parse(pattern).unwrap(), access: Access::default() }
}

/// A shard with two streams of lag 1, which was asked for what these wishes mean: two streams of lag 10.
fn shard(wishes: &[&str]) -> Asking {
    let (own, others) = names();
    let mut asking = Asking::of(LAG, streams(&own, 1));
    let mut of_guests = of_streams(asking.now, streams(&others, 10));
    let mut poll = Arc::unwrap_or_clone(Arc::make_mut(&mut of_guests.servers[0]).poll.take().unwrap());
    poll.share = Some(SHARE);
    let heard = wishes.iter().map(|pattern| Heard { wish: wish(pattern), found: 2, refused: None });
    let guests = Guests { share: SHARE, heard: heard.collect(), taken: 2, poll: Ok(Arc::new(poll)) };
    let server = asking.server();
    Arc::make_mut(server.poll.as_mut().unwrap()).share = Some(SHARE);
    server.guests = Some(Arc::new(guests));
    asking
}

fn change(asking: &mut Asking, change: impl FnOnce(&mut Guests)) {
    change(Arc::make_mut(asking.server().guests.as_mut().unwrap()));
}

#[track_caller]
fn unavailable(asking: &Asking, words: &str) {
    match asking.numbers() {
        Err(Refusal::Unavailable(message)) => assert!(message.contains(words), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_values_of_guests_stand_where_they_would_if_they_were_its_own() {
    let (own, others) = names();
    let mut all: Vec<_> =
        own.map(|name| (name, 1.0)).into_iter().chain(others.map(|name| (name, 10.0))).collect();
    all.sort_by_key(|(name, _)| *name);
    let numbers: Vec<_> = all.into_iter().map(|(_, number)| number).collect();
    assert_eq!(shard(&["*"]).numbers(), Ok(numbers));
}

#[test]
fn a_question_says_what_it_needs() {
    let (own, others) = names();
    let needs = |selector: String, target: Target, offer: Offer| {
        let mut asking = shard(&[]).select(selector.leak());
        (asking.target, asking.offer) = (target, offer);
        asking.ask(|question| question.needs().into_iter().map(|(_, wish)| wish).collect::<Vec<_>>())
    };
    let of = |stream: &str| Target { stream: Some(Pattern::parse(stream).unwrap()), ..Target::default() };
    let any = || (Target::default(), Offer::default());
    let none: [Wish; 0] = [];
    assert_eq!(needs(String::new(), any().0, any().1), [wish("*")]);
    assert_eq!(needs(format!("stream={}", own[0]), any().0, any().1), none);
    let both = format!("stream in ({},{},{})", own[0], others[1], others[0]);
    assert_eq!(needs(both.clone(), any().0, any().1), [wish(others[1]), wish(others[0])]);
    assert_eq!(needs(both, of(others[0]), any().1), [wish(others[0])]);
    assert_eq!(needs(String::new(), of("x*"), any().1), [wish("x*")]);
    assert_eq!(needs(String::new(), of(own[1]), any().1), none);
    assert_eq!(needs("redis=other".into(), any().0, any().1), none);
    assert_eq!(needs("nonsense=1".into(), any().0, any().1), none);
    // What the namespace may not read, it does not have measured.
    let rule = || StreamRule { target: of(others[0]), namespaces: Namespaces::Only(vec![]) };
    let offer = || Offer { streams: vec![rule()], ..Offer::default() };
    assert_eq!(needs(format!("stream={}", others[0]), any().0, offer()), none);
    let narrowed = needs(String::new(), any().0, offer());
    assert_eq!(narrowed.len(), 1);
    let redis = "main";
    assert!(
        !narrowed[0].includes(redis, &others[0].into()) && narrowed[0].includes(redis, &others[1].into())
    );
}

#[test]
fn nothing_is_added_up_without_all_that_is_asked_for() {
    let (own, others) = names();
    unavailable(&shard(&[]), "no poll for them has ended yet");
    unavailable(&shard(&[others[0]]), "no poll for them has ended yet");
    let named =
        |wishes: &[&str]| shard(wishes).select(format!("stream in ({},{})", own[0], others[0]).leak());
    unavailable(&named(&[others[1]]), "no poll for them has ended yet");
    assert_eq!(named(&[others[0]]).numbers().map(|numbers| numbers.len()), Ok(2));

    let mut failed = shard(&["*"]);
    change(&mut failed, |guests| guests.poll = Err(Fault::new(FaultKind::Timeout, "too late")));
    unavailable(&failed, "not known: too late");
    let mut refused = shard(&["*"]);
    change(&mut refused, |guests| guests.heard[0].refused = Some(crowded(1)));
    unavailable(&refused, "lets in, 1 (name the stream");
    // What was shared out otherwise could be missing, or be there twice.
    let mut otherwise = shard(&["*"]);
    change(&mut otherwise, |guests| guests.share.total = 3);
    unavailable(&otherwise, "no poll for them has ended yet");
    // By other orders other streams are measured: a sum of both was never true.
    let mut reloaded = shard(&["*"]);
    Arc::make_mut(reloaded.server().poll.as_mut().unwrap()).orders = 1;
    unavailable(&reloaded, "no poll for them has ended yet");
    change(&mut reloaded, |guests| Arc::make_mut(guests.poll.as_mut().unwrap()).orders = 1);
    assert_eq!(reloaded.numbers().map(|numbers| numbers.len()), Ok(4));
    // Its own measurements may be younger than those of guests.
    let mut stale = shard(&["*"]);
    stale.now += Duration::from_secs(16);
    let now = stale.now;
    Arc::make_mut(stale.server().poll.as_mut().unwrap()).started = now;
    unavailable(&stale, "no poll for them has ended yet");
}

#[test]
fn a_search_that_goes_on_concerns_nobody_who_names_his_streams() {
    let (own, others) = names();
    let searching = |kind, selector: String| {
        let mut asking = shard(&["*", others[0], "nothing-else"]).select(selector.leak());
        change(&mut asking, |guests| {
            let poll = Arc::make_mut(guests.poll.as_mut().unwrap());
            poll.incomplete = vec![Incomplete { db: 0, fault: Fault::new(kind, "in part") }];
        });
        asking
    };
    unavailable(&searching(FaultKind::Unfinished, String::new()), "not known: in part");
    let named = format!("stream in ({},{})", own[0], others[0]);
    assert_eq!(searching(FaultKind::Unfinished, named.clone()).numbers().map(|numbers| numbers.len()), Ok(2));
    assert_eq!(searching(FaultKind::Connect, named).numbers().map(|numbers| numbers.len()), Ok(2));
    // One that does not exist may be where nobody could look.
    let missing = (0..).map(|number| format!("none-{number}"));
    let missing = missing.into_iter().find(|name| !SHARE.has("main", &name.as_str().into())).unwrap();
    let mut asking = searching(FaultKind::Unfinished, format!("stream={missing}"));
    change(&mut asking, |guests| guests.heard[0].wish = wish(&missing));
    assert!(matches!(asking.numbers(), Err(Refusal::NotFound(_))));
    let mut asking = searching(FaultKind::Connect, format!("stream={missing}"));
    change(&mut asking, |guests| guests.heard[0].wish = wish(&missing));
    unavailable(&asking, "not known: in part");
}

#[test]
fn until_it_is_known_which_share_it_is_nothing_is_answered() {
    let mut asking = shard(&["*"]);
    asking.snapshot.part = Part::Unknown("there is no StatefulSet".into());
    unavailable(&asking, "which streams are measured here is not known yet: there is no StatefulSet");
}
