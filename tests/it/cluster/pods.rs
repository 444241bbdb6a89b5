//! Which pods there are.

use super::Bench;

#[test]
fn pods_are_found_by_their_labels() {
    let bench = Bench::new();
    bench.server.set_pod("shop", "web-2", &[("app", "web"), ("tier", "front")]);
    bench.server.set_pod("shop", "web-1", &[("app", "web")]);
    bench.server.set_pod("shop", "worker-1", &[("app", "worker")]);
    bench.server.set_pod("shop", "bare", &[]);
    bench.server.set_pod("bank", "web-3", &[("app", "web")]);
    assert_eq!(bench.pods("shop").unwrap(), ["bare", "web-1", "web-2", "worker-1"]);
    assert_eq!(bench.labelled("shop", "app", "web"), ["web-1", "web-2"]);
    assert_eq!(bench.labelled("bank", "app", "web"), ["web-3"]);
    assert_eq!(bench.labelled("shop", "app", "none"), Vec::<String>::new());
    assert_eq!(bench.pods("empty").unwrap(), Vec::<String>::new());
    assert!(bench.has_pod("shop", "web-1") && !bench.has_pod("shop", "web-3") && !bench.has_pod("shop", ""));
}

#[test]
fn changes_are_followed() {
    let bench = Bench::new();
    bench.server.set_pod("shop", "a", &[("app", "web")]);
    bench.until_pods("shop", &["a"]);
    bench.server.set_pod("shop", "b", &[("app", "web")]);
    bench.until_pods("shop", &["a", "b"]);
    bench.server.set_pod("shop", "a", &[("app", "worker")]);
    bench.server.set_pod("shop", "c", &[]);
    bench.until_pods("shop", &["a", "b", "c"]);
    assert_eq!(bench.labelled("shop", "app", "web"), ["b"]);
    bench.server.delete_pod("shop", "b");
    bench.until_pods("shop", &["a", "c"]);
    assert!(!bench.has_pod("shop", "b"));
    assert_eq!(bench.server.requests("list ").len(), 1, "all of that was told by the watch");
}

/// An answer of the API server holds at most 500 of them.
#[test]
fn a_crowd_of_pods_is_listed_in_pages() {
    let bench = Bench::new();
    let names: Vec<_> = (0..1234).map(|number| format!("web-{number:04}")).collect();
    names.iter().for_each(|name| bench.server.set_pod("shop", name, &[]));
    assert_eq!(bench.pods("shop").unwrap(), names);
    assert_eq!(bench.server.requests("list ").len(), 3);
}

/// Least privilege: nothing but this is asked for, and of the pods only the metadata.
#[test]
fn no_more_is_asked_for_than_is_needed() {
    let bench = Bench::new();
    bench.server.set_pod("shop", "a", &[]);
    bench.until_pods("shop", &["a"]);
    bench.until_watches("/api/v1/namespaces/shop/pods", 1);
    let requests = bench.server.requests("");
    let asked: Vec<_> = requests.iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["list /api/v1/namespaces/shop/pods", "watch /api/v1/namespaces/shop/pods"]);
    for request in requests {
        assert!(request.accept.contains("as=PartialObjectMetadata"), "{request:?}");
        assert!(request.user_agent.starts_with("streamgauge/"), "{request:?}");
    }
}

/// What no namespace can be called has no pods, and is not even asked about.
#[test]
fn a_namespace_cannot_lead_to_another_path() {
    let bench = Bench::new();
    bench.server.set_pod("shop", "a", &[]);
    for namespace in
        ["", ".", "..", "../shop", "shop/pods", "shop%2fpods", "shop?x=", "Shop", "%2e%2e", "shop#"]
    {
        assert_eq!(bench.pods(namespace).unwrap(), Vec::<String>::new(), "{namespace}");
        assert!(!bench.has_pod(namespace, "a"), "{namespace}");
    }
    assert_eq!(bench.server.requests("").len(), 0);
}
