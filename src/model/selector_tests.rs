//! Selectors, as `labels.Parse` of k8s.io/apimachinery reads them.

use proptest::prelude::*;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn selects_as_kubernetes_does() {
    let orders = labels(&[("stream", "orders"), ("group", "a"), ("empty", "")]);
    for (text, expected) in [
        ("", true),
        ("  ", true),
        ("stream=orders", true),
        ("stream==orders", true),
        (" stream = orders , group != b ", true),
        ("stream=orders,group=b", false),
        ("stream!=orders", false),
        ("consumer!=x", true),
        ("group in (a,b)", true),
        ("group in ( b , c )", false),
        ("group in(a)", true),
        ("group notin (a)", false),
        ("group notin (b)", true),
        ("consumer notin (b)", true),
        ("group", true),
        ("consumer", false),
        ("!consumer", true),
        ("! consumer,group", true),
        ("!group", false),
        ("empty=", true),
        ("empty in ()", true),
        ("empty in (x,)", true),
        ("stream=", false),
        ("consumer=", false),
        // Words of the grammar are names too, where a name stands.
        ("in in (in)", false),
        ("in notin (notin)", true),
        ("!in", true),
        // The same label twice: both must hold.
        ("group=a,group!=b", true),
        ("group=a,group=b", false),
    ] {
        let selector = Selector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(selector.matches(&orders), expected, "{text}");
    }
}

#[test]
fn values_may_hold_what_kubernetes_labels_may_not() {
    let selector = Selector::parse("stream=events:{eu}/é,group in (a:b,c\\x00)").unwrap();
    assert!(selector.allows("stream", "events:{eu}/é"));
    assert!(selector.allows("group", "c\\x00"));
    assert!(!selector.allows("group", "a"));
    assert_eq!(selector.one_of("stream"), Some(&["events:{eu}/é".to_owned()][..]));
    assert_eq!(selector.one_of("consumer"), None);
}

#[test]
fn mistakes_are_placed() {
    for (text, expected) in [
        (",", "at character 1: expected the name of a label, found ','"),
        ("a,", "at character 3: expected the name of a label, found the end"),
        ("a,,b", "at character 3: expected the name of a label, found ','"),
        ("=a", "at character 1: expected the name of a label, found '='"),
        ("!", "at character 2: expected the name of a label, found the end"),
        ("!a=b", "at character 3: expected a comma or the end, found '='"),
        ("a b", "at character 3: expected =, ==, !=, in, notin, a comma or the end, found \"b\""),
        ("a=b c", "at character 5: expected a comma or the end, found \"c\""),
        ("a=b=c", "at character 4: expected a comma or the end, found '='"),
        ("é in b", "at character 6: expected ( and values, found \"b\""),
        ("a in (b", "at character 8: expected a comma or ), found the end"),
        ("a in (b c)", "at character 9: expected a comma or ), found \"c\""),
        ("a in (b)c", "at character 9: expected a comma or the end, found \"c\""),
        ("db>0", "at character 3: expected =, ==, !=, in, notin, a comma or the end, found '>'"),
    ] {
        let error = Selector::parse(text).unwrap_err().to_string();
        assert_eq!(error, format!("the selector is wrong {expected}"), "{text}");
    }
}

/// A word: a key or a value. Not `in` or `notin` for keys, so that what is written stays plain.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("b".to_owned()), "[a-z0-9:{}/._\\-é]{1,8}"]
}

fn operator() -> impl Strategy<Value = Operator> {
    let values = || prop::collection::vec(prop_oneof![word(), Just(String::new())], 1..4);
    prop_oneof![
        values().prop_map(Operator::In),
        values().prop_map(Operator::NotIn),
        Just(Operator::Exists),
        Just(Operator::Absent),
    ]
}

fn selector() -> impl Strategy<Value = Selector> {
    let requirement = (word(), operator()).prop_map(|(key, operator)| Requirement { key, operator });
    prop::collection::vec(requirement, 0..5).prop_map(Selector)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(selector in selector()) {
        prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
    }

    #[test]
    fn blanks_between_tokens_mean_nothing(selector in selector()) {
        let spaced = selector.to_string().replace(',', " ,\t").replace('(', " ( ").replace(')', " ) ").replace('=', "= ");
        // `!=` and `==` are one token each: the blank stands behind.
        prop_assert_eq!(Selector::parse(&spaced), Ok(selector));
    }

    #[test]
    fn nothing_breaks_the_reader(text in "[ab!=(),<> \\pC\\pL]{0,40}") {
        if let Ok(selector) = Selector::parse(&text) {
            prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
        }
    }

    /// Label by label is the same as all at once, where every label is there.
    #[test]
    fn label_by_label(selector in selector(), values in prop::collection::vec(word(), 5)) {
        let keys: std::collections::BTreeSet<_> = selector.0.iter().map(|requirement| requirement.key.clone()).collect();
        let labels: BTreeMap<_, _> = keys.into_iter().zip(values).collect();
        let each = labels.iter().all(|(key, value)| selector.allows(key, value));
        prop_assert_eq!(each, selector.matches(&labels));
    }
}
