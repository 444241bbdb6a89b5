//! Discovery and OpenAPI, as the aggregator asks for them.

use serde_json::Value;

use super::Adapter;
use crate::support::redis::RedisServer;

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

fn adapter() -> (RedisServer, Adapter) {
    let redis = RedisServer::start();
    let yaml = format!(
        "redis: [{{name: main, url: '{}'}}]
kubernetes:
  metrics: {{order-backlog: {{metric: redis_stream_group_backlog, stream: orders}}}}
  objects: [{{resource: widgets.example.com, namespace: shop, name: w, stream: orders}}]",
        redis.url()
    );
    let adapter = Adapter::with_file(&yaml, &[]);
    (redis, adapter)
}

impl Adapter {
    fn get_with(&self, path: &str, header: (&str, &str)) -> crate::support::http::Answer {
        self.client.get(path, &[super::USER, header])
    }
}

#[test]
fn apis_come_in_the_form_that_is_asked_for() {
    let (_redis, adapter) = adapter();
    for (accept, kind, content_type) in [
        (format!("{V2},{V2BETA1}"), "APIGroupDiscoveryList", V2),
        (format!("{V2BETA1},{V2}"), "APIGroupDiscoveryList", V2BETA1),
        (format!("{V2},application/json"), "APIGroupDiscoveryList", V2),
        (V2BETA1.replace(';', "; "), "APIGroupDiscoveryList", V2BETA1),
        (format!("application/json,{V2}"), "APIGroupList", "application/json"),
        (V2.replace("v=v2;", "v=v3;"), "APIGroupList", "application/json"),
        ("application/vnd.kubernetes.protobuf, */*".into(), "APIGroupList", "application/json"),
        ("application/vnd.kubernetes.protobuf".into(), "APIGroupList", "application/json"),
        ("*/*".into(), "APIGroupList", "application/json"),
    ] {
        let answer = adapter.get_with("/apis", ("Accept", &accept));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{accept}");
        assert_eq!(answer.json()["kind"], kind, "{accept}");
    }
}

#[test]
fn what_is_known_already_is_not_sent_again() {
    let (_redis, adapter) = adapter();
    for path in ["/apis", "/apis/external.metrics.k8s.io/v1beta1", "/openapi/v2", "/openapi/v3"] {
        let first = adapter.get(path);
        let etag = first.header("etag").unwrap();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        let again = adapter.get_with(path, ("If-None-Match", etag));
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(etag)), "{path}");
        assert_eq!(adapter.get_with(path, ("If-None-Match", "\"other\"")).status, 200, "{path}");
    }
    // Each form has a tag of its own.
    let tag = |accept: &str| adapter.get_with("/apis", ("Accept", accept)).header("etag").unwrap().to_owned();
    assert_ne!(tag(V2), tag(V2BETA1));
    assert_ne!(tag(V2), tag("application/json"));
}

#[test]
fn what_the_configuration_adds_is_discovered() {
    let (_redis, adapter) = adapter();
    let names = |path: &str| -> Vec<String> {
        let list: Value = adapter.get(path).json();
        list["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap().to_owned()).collect()
    };
    let external = names("/apis/external.metrics.k8s.io/v1beta1/");
    assert!(external.contains(&"order-backlog".to_owned()), "{external:?}");
    assert!(!external.contains(&"redis_up".to_owned()), "{external:?}");
    let custom = names("/apis/custom.metrics.k8s.io/v1beta2");
    for name in [
        "pods/redis_stream_pending_messages",
        "pods/redis_stream_group_consumer_idle_seconds",
        "deployments.apps/redis_stream_group_backlog",
        "namespaces/redis_stream_length",
        "widgets.example.com/redis_stream_group_lag",
    ] {
        assert!(custom.contains(&name.to_owned()), "{name}: {custom:?}");
    }
    assert!(
        !custom.iter().any(|name| name.starts_with("pods/") && name.contains("group_backlog")),
        "{custom:?}"
    );
}

#[test]
fn an_openapi_document_is_found_by_its_hash() {
    let (_redis, adapter) = adapter();
    let root = adapter.get("/openapi/v3").json();
    let paths = root["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 3);
    for (name, entry) in paths {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        let document = adapter.get(url);
        assert_eq!(document.status, 200);
        assert!(document.header("cache-control").unwrap().contains("immutable"), "{name}");
        let json = document.json();
        assert_eq!(json["openapi"], "3.0.0");
        assert!(json["paths"].as_object().unwrap().keys().all(|path| path.starts_with(&format!("/{name}/"))));
        let moved = adapter.get(&format!("/openapi/v3/{name}?hash=OLD"));
        assert_eq!((moved.status, moved.header("location")), (301, Some(url)));
        let plain = adapter.get(&format!("/openapi/v3/{name}"));
        assert_eq!((plain.status, plain.header("cache-control")), (200, None));
    }
}

/// Every `$ref` leads somewhere, and no operation shares its name with another.
#[test]
fn openapi_documents_hold_together() {
    fn walk<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| match value {
                Value::String(text) if ["$ref", "operationId"].contains(&key.as_str()) => {
                    found.push((key, text))
                }
                value => walk(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let (_redis, adapter) = adapter();
    let v2 = adapter.get("/openapi/v2").json();
    let root = adapter.get("/openapi/v3").json();
    let v3 = root["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(|name| adapter.get(&format!("/openapi/v3/{name}")).json());
    for document in v3.chain([v2]) {
        let mut found = Vec::new();
        walk(&document, &mut found);
        let (refs, mut operations): (Vec<_>, Vec<_>) = found.into_iter().partition(|(key, _)| *key == "$ref");
        assert!(!refs.is_empty() && !operations.is_empty());
        for (_, reference) in refs {
            assert!(!document.pointer(reference.trim_start_matches('#')).unwrap().is_null(), "{reference}");
        }
        let count = operations.len();
        operations.sort_unstable();
        operations.dedup();
        assert_eq!(operations.len(), count);
    }
}
