//! What a real kube-apiserver and HPA controller 1.36 sent, replayed: each request gets the right answer with the front
//! proxy's certificate, and none without.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Adapter, FRONT_PROXY, refusal};
use crate::support::{
    apiserver::ApiServer,
    http::Answer,
    https::{Https, Protocol},
    pki::Authority,
    redis::RedisServer,
};

/// One request.
struct Captured {
    path: String,
    headers: Vec<(String, String)>,
}

fn captured() -> Vec<Captured> {
    let lines = include_str!("requests-1.36.jsonl").lines();
    lines
        .map(|line| {
            let request: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&request["method"], &request["client_certificate"]), (&"GET".into(), &true.into()));
            let headers = request["headers"].as_object().unwrap().iter();
            Captured {
                path: request["path"].as_str().unwrap().to_owned(),
                headers: headers
                    .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                    .collect(),
            }
        })
        .collect()
}

impl Captured {
    #[track_caller]
    fn send(&self, client: &Https) -> Answer {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        client.get(&self.path, &headers)
    }
}

/// The scene of the captures: 950 entries wait for the group, of which two pods hold 30 and 12 unacknowledged.
fn scene(cluster: &ApiServer) -> (RedisServer, Adapter) {
    let redis = RedisServer::start();
    redis
        .run(&["XGROUP CREATE orders processing_group 0 MKSTREAM", "XGROUP CREATE orders analytics_group $"]);
    redis.add("orders", 950);
    for (pod, count) in
        [("order-processor-a", "30"), ("order-processor-b", "12"), ("order-processor-gone", "8")]
    {
        redis.run(&[&format!("XREADGROUP GROUP processing_group {pod} COUNT {count} STREAMS orders >")]);
    }
    for pod in ["order-processor-a", "order-processor-b", "order-processor-new"] {
        cluster.set_pod("default", pod, &[("app", "order-processor")]);
    }
    cluster.set_pod("default", "other", &[("app", "other")]);
    let object = "{resource: deployments.apps, namespace: default, name: order-processor, stream: orders, group: processing_group}";
    let yaml =
        format!("redis: [{{name: main, url: '{}'}}]\nkubernetes: {{objects: [{object}]}}", redis.url());
    let adapter =
        Adapter::with_file(&yaml, &["--kubernetes.kubeconfig", cluster.kubeconfig().to_str().unwrap()]);
    (redis, adapter)
}

/// An answer as a golden file shows it: the code, the type, and the document with its times and hashes put aside.
fn shown(answer: &Answer) -> String {
    let body: Value = match answer.header("content-encoding") {
        Some("gzip") => serde_json::from_str(&answer.gunzipped()).unwrap(),
        _ => answer.json(),
    };
    let content_type = answer.header("content-type").unwrap();
    let text = serde_json::to_string_pretty(&body).unwrap();
    let lines = text.lines().map(|line| match line.split_once("\"timestamp\": \"") {
        Some((before, time)) => {
            let time = time.trim_end_matches(['"', ',']);
            let time = humantime::parse_rfc3339(time).unwrap().duration_since(UNIX_EPOCH).unwrap();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            assert!(
                time <= now && now - time < Duration::from_secs(3600),
                "measured at {time:?}, it is {now:?}"
            );
            format!("{before}\"timestamp\": …")
        }
        None => match line.split_once("?hash=") {
            Some((before, hash)) => format!("{before}?hash=…{}", &hash[64..]),
            None => line.to_owned(),
        },
    });
    format!("{} {content_type}\n{}\n", answer.status, lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn every_request_gets_its_answer() {
    let cluster = ApiServer::start();
    let (_redis, adapter) = scene(&cluster);
    for (number, request) in captured().iter().enumerate() {
        let answer = request.send(&adapter.client);
        let name = format!(
            "{:02}-{}",
            number + 1,
            request.path.trim_matches('/').replace(['/', '%', '?', '='], "-")
        );
        insta::with_settings!({description => request.path.clone(), omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name, shown(&answer));
        });
        // The same over HTTP/2, which the API server prefers.
        let headers: Vec<_> = request.headers.iter().filter(|(name, _)| name != "Host").collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let over_http2 = adapter.client.clone().over(Protocol::Http2).get(&request.path, &headers);
        assert_eq!(shown(&over_http2), shown(&answer), "{}", request.path);
    }
}

#[test]
fn nobody_else_gets_one() {
    let cluster = ApiServer::start();
    let (_redis, adapter) = scene(&cluster);
    let other = Authority::new("front-proxy-ca");
    let strangers = [
        ("no certificate", None),
        ("another authority", Some(other.client(FRONT_PROXY))),
        ("another name", Some(adapter.authority.client("somebody"))),
        ("no name", Some(adapter.authority.client(""))),
        ("expired", Some(adapter.authority.expired_client(FRONT_PROXY))),
        ("for servers", Some(adapter.authority.server(FRONT_PROXY))),
    ];
    for (who, certificate) in &strangers {
        let client = Https::new(adapter.address, certificate.as_ref());
        for request in captured() {
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let headers = request.headers.iter().filter(|(name, _)| name != "Host");
                let headers: Vec<_> = headers.map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let answer = client.clone().over(protocol).get(&request.path, &headers);
                let message = refusal(&answer, 401);
                assert!(message.starts_with("Unauthorized"), "{who}: {message}");
            }
        }
    }
    // The right certificate, and no user: whoever holds it is not acting as a front proxy.
    for request in captured() {
        refusal(&adapter.client.get(&request.path, &[]), 401);
        refusal(&adapter.client.get(&request.path, &[("X-Remote-User", "")]), 401);
    }
}

#[test]
fn health_and_version_are_for_everybody() {
    let redis = RedisServer::start();
    let adapter = Adapter::of(&redis.url());
    let stranger = Https::new(adapter.address, None);
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(stranger.get(path, &[]).status, 200, "{path}");
    }
    let version = stranger.get("/version", &[]).json();
    assert_eq!(version["gitVersion"], concat!("v", env!("CARGO_PKG_VERSION")));
    for path in ["/", "/metrics", "/api/v1/groups", "/apis", "/healthz/etcd", "/openapi/v2", "/nowhere"] {
        refusal(&stranger.get(path, &[]), 401);
    }
}
