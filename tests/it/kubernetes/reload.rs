//! What autoscalers are offered follows the configuration.

use std::fs;

use super::{Adapter, CUSTOM, EXTERNAL};
use crate::support::{http, redis::RedisServer, tool::needs};

impl Adapter {
    /// Goes over to another file.
    #[track_caller]
    pub fn reload(&self, yaml: &str) {
        fs::write(self.directory.path().join("streamgauge.yaml"), yaml).unwrap();
        let answer = http::request("POST", self.gauge.address, "/-/reload", &[]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The names that discovery lists for external and custom metrics, and the ETag of both together.
    fn listed(&self) -> [Vec<String>; 2] {
        ["external.metrics.k8s.io/v1beta1", "custom.metrics.k8s.io/v1beta2"].map(|path| {
            let list = self.get(&format!("/apis/{path}")).json();
            let resources = list["resources"].as_array().unwrap().clone();
            resources.iter().map(|resource| resource["name"].as_str().unwrap().to_owned()).collect()
        })
    }
}

#[test]
fn the_offer_follows() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 5);
    redis.add("mail", 2);
    redis.run(&["XGROUP CREATE orders workers 0", "XGROUP CREATE mail workers 0"]);
    let file = |offer: &str| format!("redis: [{{name: main, url: '{}'}}]\nkubernetes:\n{offer}", redis.url());
    let adapter = Adapter::with_file(
        &file("  metrics: {work: {metric: redis_stream_group_lag, stream: orders}}"),
        &["--web.enable-lifecycle"],
    );
    let (work, lag) = (format!("{EXTERNAL}/shop/work"), format!("{EXTERNAL}/shop/redis_stream_group_lag"));
    let of_mail = format!("{lag}?labelSelector=stream%3Dmail");
    let object = format!("{CUSTOM}/shop/widgets.example.com/one/redis_stream_group_lag");
    assert_eq!((adapter.values(&work), adapter.values(&of_mail)), (vec!["5".into()], vec!["2".into()]));
    let [external, custom] = adapter.listed();
    assert!(external.contains(&"work".into()) && !custom.iter().any(|name| name.starts_with("widgets.")));
    let etag = adapter.get("/apis/external.metrics.k8s.io/v1beta1").header("etag").unwrap().to_owned();

    // Another target, another object, and a stream that is no longer for all.
    adapter.reload(&file(
        "  metrics: {work: {metric: redis_stream_group_lag, stream: mail, namespaces: [post]}, more: {metric: redis_stream_length}}
  objects: [{resource: widgets.example.com, namespace: shop, name: one, stream: orders}]
  streams: [{stream: mail, namespaces: [post]}]",
    ));
    adapter.refusal(&work, 404);
    assert_eq!(adapter.values(&work.replace("/shop/", "/post/")), ["2"]);
    adapter.refusal(&of_mail, 404);
    assert_eq!(adapter.values(&of_mail.replace("/shop/", "/post/")), ["2"]);
    assert_eq!(adapter.values(&object), ["5"]);
    let [external, custom] = adapter.listed();
    assert!(
        external.contains(&"more".into())
            && custom.contains(&"widgets.example.com/redis_stream_group_lag".into())
    );
    let again =
        adapter.client.get("/apis/external.metrics.k8s.io/v1beta1", &[super::USER, ("If-None-Match", &etag)]);
    assert_eq!(again.status, 200, "the document is another");
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let aggregated = adapter.client.get("/apis", &[super::USER, ("Accept", accept)]);
    assert!(aggregated.text().contains("\"more\""));

    // And all of it back.
    adapter.reload(&file("  metrics: {work: {metric: redis_stream_group_lag, stream: orders}}"));
    assert_eq!((adapter.values(&work), adapter.values(&of_mail)), (vec!["5".into()], vec!["2".into()]));
    adapter.refusal(&format!("{EXTERNAL}/shop/more"), 404);
    let [external, custom] = adapter.listed();
    assert!(!external.contains(&"more".into()) && !custom.iter().any(|name| name.starts_with("widgets.")));
    assert_eq!(adapter.get("/apis/external.metrics.k8s.io/v1beta1").header("etag"), Some(etag.as_str()));
}

/// A server that is new has no numbers yet: a sum over all is an error until it has, and never a part of it.
#[test]
fn a_sum_waits_for_a_server_that_is_new() {
    needs!("redis-server");
    let (redis, new) = (RedisServer::start(), RedisServer::start());
    for redis in [&redis, &new] {
        redis.add("orders", 5);
        redis.run(&["XGROUP CREATE orders workers 0"]);
    }
    let one = format!("redis:\n- {{name: main, url: '{}'}}\n", redis.url());
    let two = format!("{one}- {{name: new, url: '{}', timeout: 1h}}\n", new.url());
    let adapter = Adapter::with_file(&one, &["--web.enable-lifecycle"]);
    let lag = format!("{EXTERNAL}/shop/redis_stream_group_lag");
    assert_eq!(adapter.values(&lag), ["5"]);
    new.pause();
    adapter.reload(&two);
    let told = adapter.refusal(&lag, 503);
    assert!(told.contains(r#"redis "new" cannot be polled"#) && told.contains("the first poll"), "{told}");
    assert_eq!(adapter.values(&format!("{lag}?labelSelector=redis%3Dmain")), ["5"]);
    assert_eq!(adapter.get("/readyz").status, 200);
    new.resume();
    adapter.gauge.until(r#"redis_up{redis="new"}"#, Some(1.0));
    assert_eq!(adapter.values(&lag), ["5", "5"]);
    new.pause();
    adapter.reload(&one);
    assert_eq!(adapter.values(&lag), ["5"]);
}
