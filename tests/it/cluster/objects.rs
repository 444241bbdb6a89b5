//! What an object is.

use std::{collections::BTreeMap, time::Duration};

use streamgauge::cluster::{Limits, Object};

use super::{Bench, patient, short};
use crate::support::apiserver::Failure;

fn object(kind: &str, api_version: &str, annotations: &[(&str, &str)]) -> Object {
    let annotations =
        annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Object { kind: kind.to_owned(), api_version: api_version.to_owned(), annotations }
}

impl Bench {
    #[track_caller]
    fn found(&self, resource: &str, namespace: Option<&str>, name: &str) -> Option<Object> {
        self.object(resource, namespace, name).unwrap().map(|object| Object::clone(&object))
    }
}

#[test]
fn an_object_is_found_by_resource_namespace_and_name() {
    let bench = Bench::new();
    let shop = Some("shop");
    let hint = ("streamgauge.io/stream", "orders");
    let copy = ("kubectl.kubernetes.io/last-applied-configuration", "{…}");
    bench.server.set_object("deployments.apps", shop, "web", &[hint, copy]);
    bench.server.set_object("services", shop, "web", &[]);
    bench.server.set_object("jobs.batch", shop, "web", &[]);
    bench.server.set_object("namespaces", None, "shop", &[hint]);
    for (resource, namespace, name, expected) in [
        ("deployments.apps", shop, "web", Some(object("Deployment", "apps/v1", &[hint]))),
        ("services", shop, "web", Some(object("Service", "v1", &[]))),
        ("jobs.batch", shop, "web", Some(object("Job", "batch/v1", &[]))),
        ("namespaces", None, "shop", Some(object("Namespace", "v1", &[hint]))),
        // no such object
        ("deployments.apps", shop, "api", None),
        ("deployments.apps", Some("bank"), "web", None),
        ("namespaces", None, "bank", None),
        // no such resource
        ("deployments", shop, "web", None),
        ("deployments.batch", shop, "web", None),
        ("deployments.example.com", shop, "web", None),
        // in no namespace, or in one
        ("deployments.apps", None, "web", None),
        ("namespaces", shop, "shop", None),
    ] {
        assert_eq!(bench.found(resource, namespace, name), expected, "{resource} {namespace:?} {name}");
    }
    for get in bench.server.requests("get ") {
        assert!(get.accept.contains("as=PartialObjectMetadata"), "{get:?}");
    }
    assert_eq!(bench.server.requests("list ").len() + bench.server.requests("watch ").len(), 0);
}

#[test]
fn an_object_is_remembered_for_a_moment_and_its_resource_for_longer() {
    let bench = Bench::with(Limits { object: Duration::from_secs(3600), ..patient() });
    let shop = Some("shop");
    bench.server.set_object("deployments.apps", shop, "web", &[("a", "1")]);
    for _ in 0..3 {
        assert_eq!(bench.found("deployments.apps", shop, "web").unwrap().annotations["a"], "1");
        assert_eq!(bench.found("deployments.apps", shop, "api"), None);
        assert_eq!(bench.found("pods.example.com", shop, "api"), None);
    }
    assert_eq!(bench.server.requests("get ").len(), 2);
    assert_eq!(
        bench.server.requests("read ").len(),
        3,
        "the group, its version, and a group that is not there"
    );

    let bench = Bench::with(Limits { object: Duration::ZERO, ..patient() });
    for value in ["1", "2"] {
        bench.server.set_object("deployments.apps", shop, "web", &[("a", value)]);
        assert_eq!(bench.found("deployments.apps", shop, "web").unwrap().annotations["a"], value);
    }
    bench.server.delete_object("deployments.apps", shop, "web");
    assert_eq!(bench.found("deployments.apps", shop, "web"), None);
    assert_eq!(bench.server.requests("get ").len(), 3);
    assert_eq!(bench.server.requests("read ").len(), 2);
}

#[test]
fn only_so_many_objects_are_remembered() {
    let limits = Limits { object: Duration::from_secs(3600), objects: 2, ..patient() };
    let bench = Bench::with(limits);
    let mut asked = BTreeMap::new();
    for name in ["a", "b", "c", "c", "b", "a"] {
        assert_eq!(bench.found("services", Some("shop"), name), None);
        asked.insert(name, bench.server.requests(&format!("/services/{name}")).len());
    }
    assert_eq!(asked, [("a", 2), ("b", 1), ("c", 1)].into());
}

#[test]
fn the_version_is_the_one_that_the_group_prefers_if_it_has_the_resource() {
    let bench = Bench::new();
    for (version, plural, kind) in [
        ("v2", "widgets", "Widget"),
        ("v1", "widgets", "OldWidget"),
        ("v1", "gadgets", "Gadget"),
        ("v1beta1", "gadgets", "OldGadget"),
    ] {
        bench.server.serve("example.com", version, plural, kind, true);
    }
    for resource in ["widgets.example.com", "gadgets.example.com"] {
        bench.server.set_object(resource, Some("shop"), "x", &[]);
    }
    let found = |resource| bench.found(resource, Some("shop"), "x");
    assert_eq!(found("widgets.example.com"), Some(object("Widget", "example.com/v2", &[])));
    assert_eq!(found("gadgets.example.com"), Some(object("Gadget", "example.com/v1", &[])));
    assert_eq!(found("gizmos.example.com"), None);
}

/// A version that is served no more must not make its objects look gone.
#[test]
fn a_version_that_is_gone_is_discovered_anew() {
    let bench = Bench::with(Limits { object: Duration::ZERO, ..patient() });
    for version in ["v1beta1", "v1"] {
        bench.server.serve("example.com", version, "widgets", "Widget", true);
    }
    bench.server.set_object("widgets.example.com", Some("shop"), "x", &[]);
    let found = || bench.object("widgets.example.com", Some("shop"), "x");
    assert_eq!(found().unwrap().unwrap().api_version, "example.com/v1beta1");
    bench.server.unserve("example.com", "v1beta1");
    assert_eq!(found().unwrap().unwrap().api_version, "example.com/v1");
    bench.server.unserve("example.com", "v1");
    assert_eq!(found(), Ok(None));
}

#[test]
fn what_cannot_be_read_is_not_known_and_the_answer_says_why() {
    for (what, how, expected) in [
        (
            "get ",
            Failure::Status(403),
            "deployments.apps is forbidden: User \"system:serviceaccount:monitoring:streamgauge\" cannot get resource \
             \"deployments\" in API group \"apps\" in the namespace \"shop\" (grant get on deployments.apps)",
        ),
        (
            "get ",
            Failure::Status(401),
            "Unauthorized (the API server does not know our token or certificate)",
        ),
        ("read /apis/apps", Failure::Text(503, "upstream"), "the API server answered 503: upstream"),
        (
            "read /apis/apps/v1",
            Failure::Status(403),
            "is forbidden: User \"system:serviceaccount:monitoring:streamgauge\" cannot read resource \"\" in API \
             group \"\" at the cluster scope (bind the ClusterRole system:discovery)",
        ),
        ("get ", Failure::Hang, "no answer from the API server within 300ms"),
        ("read ", Failure::Hang, "no answer from the API server within 300ms"),
    ] {
        let bench = if matches!(how, Failure::Hang) { Bench::with(short()) } else { Bench::new() };
        bench.server.set_object("deployments.apps", Some("shop"), "web", &[]);
        bench.server.fail(what, how);
        let said = bench.object("deployments.apps", Some("shop"), "web").unwrap_err();
        assert_eq!(said, format!("deployments.apps web of namespace shop cannot be read: {expected}"));
        bench.server.mend();
        let found = || bench.object("deployments.apps", Some("shop"), "web");
        let object = crate::support::wait::until("the object to be known", found);
        assert!(object.is_some(), "a failure is not remembered");
    }
}

/// Whatever a client of ours calls things, the path stays where it is.
#[test]
fn a_name_cannot_lead_to_another_path() {
    let bench = Bench::new();
    let odd = ["", ".", "..", "../../secrets/x", "x/scale", "%2e%2e", "a%2fb", "x%00", &"a".repeat(300)];
    for name in odd {
        assert_eq!(bench.found("deployments.apps", Some("shop"), name), None, "{name}");
        assert_eq!(bench.found("deployments.apps", Some(name), "web"), None, "{name}");
        assert_eq!(bench.found(name, Some("shop"), "web"), None, "{name}");
        assert_eq!(bench.found(&format!("deployments.{name}"), Some("shop"), "web"), None, "{name}");
    }
    let asked: Vec<_> = bench.server.requests("").iter().map(ToString::to_string).collect();
    assert_eq!(asked, Vec::<String>::new());

    for (name, segment) in [
        ("system:node", "system%3Anode"),
        ("x?watch=true", "x%3Fwatch%3Dtrue"),
        ("x#y", "x%23y"),
        ("x y", "x%20y"),
        ("x\r\nHost: y", "x%0D%0AHost%3A%20y"),
        ("é", "%C3%A9"),
    ] {
        bench.server.set_object("services", Some("shop"), name, &[]);
        assert!(bench.found("services", Some("shop"), name).is_some(), "{name}");
        let last = bench.server.requests("get ").pop().unwrap();
        assert_eq!(last.path, format!("/api/v1/namespaces/shop/services/{segment}"));
        assert_eq!(last.query, "");
    }
}
