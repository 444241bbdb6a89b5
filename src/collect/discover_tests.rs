//! What is kept of what is found. How the search itself goes, tests against servers show.

use super::*;

fn known(exact: &[&str], most: usize) -> Known {
    let exact = exact.iter().map(|name| Name::from(*name)).collect();
    Known { exact, most, ..Known::default() }
}

fn extend(known: &mut Known, names: &[&str]) -> u64 {
    known.extend(names.iter().map(|name| Name::from(*name)))
}

fn names(known: &Known) -> Vec<String> {
    known.names().iter().map(|name| name.text().to_owned()).collect()
}

#[test]
fn the_first_ones_by_name_are_kept_in_whatever_order_they_are_found() {
    let mut known = known(&[], 3);
    assert_eq!(extend(&mut known, &["e", "b", "d", "a", "c"]), 2);
    assert_eq!(names(&known), ["a", "b", "c"]);
    // The next round finds the same ones, in another order.
    assert_eq!(extend(&mut known, &["a", "d", "e", "c", "b"]), 2);
    assert_eq!(names(&known), ["a", "b", "c"]);
    // Where one is gone, the next one takes its place.
    known.forget(&"b".into());
    assert_eq!(extend(&mut known, &["e", "d", "c", "a"]), 1);
    assert_eq!(names(&known), ["a", "c", "d"]);
}

#[test]
fn a_configured_name_gives_way_to_none() {
    let mut known = known(&["x", "z"], 1);
    assert_eq!(extend(&mut known, &["b", "z", "a", "x"]), 1);
    assert_eq!(names(&known), ["a", "x", "z"]);
    let mut full = self::known(&["x"], 0);
    assert_eq!(extend(&mut full, &["a", "x"]), 1);
    assert_eq!(names(&full), ["x"]);
}

#[test]
fn only_streams_of_the_share_are_kept_and_only_they_count() {
    let share = Share { shard: 1, total: 3 };
    let all: Vec<Name> = (0..30).map(|number| format!("s{number:02}").as_str().into()).collect();
    let own: Vec<_> = all.iter().filter(|name| share.has("main", name)).cloned().collect();
    assert!((5..20).contains(&own.len()), "{own:?}");
    let mut known = Known { most: own.len(), share: Some(("main".into(), share)), ..Known::default() };
    assert_eq!(
        known.extend(all.clone()),
        0,
        "those of others are not left out: they are no business of ours"
    );
    assert_eq!(known.names(), own);
    let mut narrow = Known { most: 2, share: Some(("main".into(), share)), ..Known::default() };
    assert_eq!(narrow.extend(all) as usize, own.len() - 2);
}

#[test]
fn what_is_left_out_is_told_until_a_whole_round_leaves_nothing_out() {
    let mut scan = Scan::default();
    let mut poll = |count, ends| {
        scan.has_ended = ends;
        scan.leave_out(count)
    };
    assert_eq!(poll(2, false), 2);
    assert_eq!(poll(3, true), 5);
    // The next round, in three polls; during the second one nothing could be searched.
    assert_eq!(poll(4, false), 5);
    assert_eq!(poll(0, false), 5);
    assert_eq!(poll(2, true), 6);
    assert_eq!(poll(0, false), 6);
    assert_eq!(poll(0, true), 0);
}
