//! Whose streams are asked for, and what becomes of wishes for more than there is room for.

use super::*;
use crate::{
    config::{self, Sources},
    model::offer::{Namespaces, Offer, StreamRule, Target},
};

const SHARE: Share = Share { shard: 0, total: 2 };

/// A server named main, with these settings.
fn server(settings: &str) -> RedisServer {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("redis: [{{name: main, {settings}}}]")).unwrap();
    let sources = Sources { file: Some(file.path().into()), ..Sources::default() };
    config::load(&sources).unwrap().servers.remove(0)
}

fn wish(pattern: &str) -> Wish {
    Wish { streams: Pattern::parse(pattern).unwrap(), access: Default::default() }
}

fn invitation(most: usize, patterns: &[&str]) -> Invitation {
    Invitation { share: SHARE, wishes: patterns.iter().map(|pattern| wish(pattern)).collect(), most }
}

/// The first names with this beginning that belong to the other shard.
fn others(start: &str, count: usize) -> Vec<String> {
    let all = (0..1000).map(|number| format!("{start}{number:03}"));
    all.filter(|name| !SHARE.has("main", &name.as_str().into())).take(count).collect()
}

fn names(invited: &Invited) -> Vec<String> {
    invited.names().iter().map(|name| name.text().to_owned()).collect()
}

fn find(invited: &mut Invited, names: &[String]) {
    invited.extend(names.iter().map(|name| Name::from(name.as_str())));
}

fn refused(invited: &Invited) -> Vec<bool> {
    invited.heard().iter().map(|heard| heard.refused.is_some()).collect()
}

#[test]
fn only_what_is_configured_and_of_others_is_asked_for() {
    let own = (0..).map(|number| format!("a{number}")).find(|name| SHARE.has("main", &name.as_str().into()));
    let (own, a, b) = (own.unwrap(), &others("a", 1)[0], &others("b", 1)[0]);
    let invited = Invited::new(&server("streams: ['a*']"), &invitation(10, &[&own, a, b]));
    assert_eq!(names(&invited), [a.as_str()]);
    assert!(invited.globs().is_empty(), "a name is asked for without a search");
    // What does not exist is asked for again at each poll, and is shown only where it is configured.
    let mut invited = invited;
    invited.forget(&a.as_str().into());
    assert_eq!(names(&invited), [a.as_str()]);
    assert!(!invited.is_configured(&a.as_str().into()));
    let expected = server(&format!("groups: {{expect: ['{a}=workers']}}, streams: ['none']"));
    let mut invited = Invited::new(&expected, &invitation(10, &["*"]));
    find(&mut invited, &[b.clone(), own]);
    assert_eq!(names(&invited), [a.as_str()]);
    assert!(invited.is_configured(&a.as_str().into()));
}

#[test]
fn a_wish_is_followed_whole_or_not_at_all() {
    let (a, b) = (others("a", 3), others("b", 2));
    let mut invited = Invited::new(&server(""), &invitation(4, &["a*", "b*"]));
    find(&mut invited, &[a.clone(), b.clone()].concat());
    assert_eq!(names(&invited), a);
    assert_eq!(refused(&invited), [false, true]);
    let fault = invited.heard().remove(1).refused.unwrap();
    assert_eq!(
        fault.message,
        "more streams of other shards are asked for than sharding.guest_streams lets in, 4 (name the stream, or raise \
         sharding.guest_streams or --sharding.guest-streams)"
    );
    // Where one of the first is gone, there is room.
    invited.forget(&a[0].as_str().into());
    find(&mut invited, &b);
    assert_eq!(names(&invited), [&a[1..], &b[..]].concat());
    // What two wishes mean takes room once; who came first goes first.
    assert!(invited.goes_over_to(&invitation(4, &["a*", "b*", &b[0], &others("c", 1)[0]])));
    assert_eq!(refused(&invited), [false, false, false, true]);
}

#[test]
fn one_that_was_cut_stays_refused_until_another_search() {
    let a = others("a", 5);
    let mut invited = Invited::new(&server(""), &invitation(3, &["a*", &a[0]]));
    find(&mut invited, &a);
    assert_eq!((names(&invited), refused(&invited)), (vec![a[0].clone()], vec![true, false]));
    for name in &a[..3] {
        invited.forget(&name.as_str().into());
    }
    find(&mut invited, &[]);
    assert_eq!(refused(&invited), [true, false], "two more exist, and are not remembered");
    assert!(invited.goes_over_to(&invitation(3, &["a*"])));
    assert_eq!(refused(&invited), [true]);
}

#[test]
fn only_a_new_glob_needs_a_search() {
    let a = others("a", 2);
    let mut invited = Invited::new(&server(""), &invitation(10, &["a*"]));
    find(&mut invited, &a);
    assert!(invited.goes_over_to(&invitation(10, &["a*", "x", "y"])));
    assert!(a.iter().all(|name| names(&invited).contains(name)), "what was found stays");
    assert!(!invited.goes_over_to(&invitation(10, &["a*", "b*"])));
    assert!(!invited.goes_over_to(&invitation(11, &["a*"])));
    assert!(
        !invited.goes_over_to(&Invitation { share: Share { shard: 0, total: 3 }, ..invitation(10, &["a*"]) })
    );
    // The same glob for somebody who may read less, or more, means other streams.
    let rule = StreamRule {
        target: Target { stream: Some(Pattern::parse(&a[0]).unwrap()), ..Target::default() },
        namespaces: Namespaces::Only(vec![]),
    };
    let offer = Offer { streams: vec![rule], ..Offer::default() };
    let narrow = Wish { access: offer.access("shop", "main"), ..wish("a*") };
    let narrow = Invitation { wishes: vec![narrow], ..invitation(10, &[]) };
    assert!(!invited.goes_over_to(&narrow));
    let mut invited = Invited::new(&server(""), &narrow);
    find(&mut invited, &a);
    assert_eq!(names(&invited), a[1..]);
}
