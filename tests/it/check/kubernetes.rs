//! The Kubernetes adapter: its certificate, the API server, the front proxy, the APIServices, our rights, and its metrics.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Checked;
use crate::support::{
    apiserver::{ApiServer, Failure, TOKEN},
    exporter::Launch,
    pki::{Authority, Pair},
    redis::RedisServer,
    tool::needs,
};

const EXTERNAL: &str = "v1beta1.external.metrics.k8s.io";
const CUSTOM: [&str; 2] = ["v1beta2.custom.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io"];
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// A cluster in which all is well, a Redis, and the files of an adapter.
struct Bench {
    server: ApiServer,
    redis: RedisServer,
    authority: Authority,
    directory: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench {
            server: ApiServer::start(),
            redis: RedisServer::start(),
            authority: Authority::new("serving-ca"),
            directory: tempfile::tempdir().unwrap(),
        };
        bench.redis.add("orders", 7);
        bench.redis.run(&["XGROUP CREATE orders workers 0"]);
        let proxy = Authority::new("front-proxy-ca").certificate;
        bench.server.set_front_proxy(&[
            ("requestheader-client-ca-file", &proxy),
            ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
        ]);
        bench.server.answer_with("/version", json!({"gitVersion": "v1.36.1"}));
        bench.may_watch_pods(true);
        for name in [EXTERNAL, CUSTOM[0], CUSTOM[1]] {
            bench.api_service(name, "streamgauge", json!({"insecureSkipTLSVerify": true}), "True");
        }
        bench
    }

    fn may_watch_pods(&self, allowed: bool) {
        self.server.answer_with(REVIEWS, json!({"status": {"allowed": allowed}}));
    }

    fn api_service(&self, name: &str, service: &str, tls: Value, available: &str) {
        let mut spec = json!({"service": {"namespace": "gauges", "name": service, "port": 6443}});
        spec.as_object_mut().unwrap().extend(tls.as_object().unwrap().clone());
        let condition =
            json!({"type": "Available", "status": available, "reason": "R", "message": "no endpoints"});
        let document =
            json!({"metadata": {"name": name}, "spec": spec, "status": {"conditions": [condition]}});
        self.server.answer_with(&format!("/apis/apiregistration.k8s.io/v1/apiservices/{name}"), document);
    }

    #[track_caller]
    fn check(&self, yaml: &str, arguments: &[&str]) -> Checked {
        let file = self.directory.path().join("gauge.yaml");
        let redis = format!("redis: [{{name: main, url: '{}', streams: [orders]}}]\n", self.redis.url());
        std::fs::write(&file, redis + yaml).unwrap();
        let checked = Checked::by(
            Launch::new("check")
                .args(&[
                    "--config.file",
                    file.to_str().unwrap(),
                    "--kubernetes.listen-address",
                    "127.0.0.1:0",
                ])
                .args(&["--kubernetes.kubeconfig", self.server.kubeconfig().to_str().unwrap()])
                .args(arguments),
        );
        assert!(!checked.text.contains(TOKEN), "{}", checked.text);
        checked
    }

    /// With a certificate of its own.
    #[track_caller]
    fn check_with(&self, pair: &Pair) -> Checked {
        let (certificate, key) = pair.write(self.directory.path());
        let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
        let files = ["--kubernetes.tls-cert-file", certificate, "--kubernetes.tls-private-key-file", key];
        self.check("", &files)
    }

    /// As `caBundle` has it.
    fn bundle(authority: &Authority) -> Value {
        json!({"caBundle": k8s_openapi::ByteString(authority.certificate.clone().into_bytes())})
    }
}

#[test]
fn all_is_well() {
    needs!("redis-server");
    let bench = Bench::new();
    let checked = bench.check(
        "kubernetes: {metrics: {order-backlog: {metric: redis_stream_group_backlog, stream: orders}}}\n",
        &[],
    );
    checked.all_ok();
    checked.one("certificate", "ok").says("signed by itself", "");
    checked.one("api_server", "ok").says("v1.36.1", "");
    checked.one("front_proxy", "ok").says("allowed is front-proxy-client", "");
    checked.one("rbac", "ok").says("pods can be listed and watched", "");
    checked.one("metric", "ok").says("order-backlog is 7 for namespace default (1 item)", "");
    assert_eq!(checked.all("api_service").len(), 3);
}

#[test]
fn rights_that_lack() {
    needs!("redis-server");
    let bench = Bench::new();
    bench.server.fail("configmaps", Failure::Status(403));
    bench.server.fail("apiservices", Failure::Status(403));
    bench.may_watch_pods(false);
    let checked = bench.check("", &[]);
    assert_eq!((checked.code, checked.wrong().len()), (1, 2), "{}", checked.text);
    checked
        .one("front_proxy", "fail")
        .says("is forbidden", "--role=extension-apiserver-authentication-reader");
    checked.one("rbac", "warn").says("we may not list and watch pods", "RoleBinding");
    // What the exporter does not need is no failure.
    assert!(checked.all("api_service").iter().all(|line| line.status == "skip"), "{}", checked.text);
}

#[test]
fn no_api_server() {
    needs!("redis-server");
    let mut bench = Bench::new();
    bench.server.stop();
    let checked = bench.check("", &[]);
    checked.one("api_server", "fail").says("cannot be reached", "kubeconfig");
    checked.one("front_proxy", "skip");
    checked.one("rbac", "skip");

    // Whom to believe is in a file: then the API server is needed for pods only.
    let ca = bench.directory.path().join("ca.crt");
    std::fs::write(&ca, Authority::new("front-proxy-ca").certificate).unwrap();
    let launch =
        Launch::new("check").args(&["--redis.url", &bench.redis.url(), "--kubernetes.listen-address", ":0"]);
    let with_file = launch.args(&["--kubernetes.requestheader-client-ca-file", ca.to_str().unwrap()]);
    let checked = Checked::by(with_file);
    assert_eq!(checked.code, 0, "{}", checked.text);
    checked.one("front_proxy", "ok").says("any name is allowed", "");
    checked.one("api_server", "skip").says("this is no pod", "");
    let launch =
        Launch::new("check").args(&["--redis.url", &bench.redis.url(), "--kubernetes.listen-address", ":0"]);
    Checked::by(launch).one("api_server", "fail").says("this is no pod", "docs/kubernetes.md");
}

#[test]
fn who_owns_the_apis() {
    needs!("redis-server");
    let bench = Bench::new();
    let skips = json!({"insecureSkipTLSVerify": true});
    bench.api_service(EXTERNAL, "keda-operator-metrics-apiserver", skips.clone(), "True");
    bench.api_service(CUSTOM[0], "streamgauge", skips, "False");
    bench.server.fail(CUSTOM[1], Failure::Status(404));
    let checked = bench.check("", &[]);
    assert_eq!(checked.code, 0, "{}", checked.text);
    let [external, custom, older] = &checked.all("api_service")[..] else { panic!("{}", checked.text) };
    assert_eq!(
        [&*external.status, &*custom.status, &*older.status],
        ["warn", "warn", "skip"],
        "{}",
        checked.text
    );
    external.says("belongs to the Service gauges/keda-operator-metrics-apiserver", "an API has one owner");
    custom.says("which is not available: R: no endpoints", "selector and port");
    older.says("does not exist", "");

    bench.server.fail(EXTERNAL, Failure::Status(404));
    let checked = bench.check("", &[]);
    checked.all("api_service")[0].says("HPAs with metrics of type External get none", "create it");
}

#[test]
fn certificates() {
    needs!("redis-server");
    let bench = Bench::new();
    let host = "streamgauge.gauges.svc";
    bench.api_service(EXTERNAL, "streamgauge", Bench::bundle(&bench.authority), "True");
    bench.check_with(&bench.authority.server(host)).all_ok();

    let wrong = |pair: &Pair, message: &str| {
        let checked = bench.check_with(pair);
        let line = checked.all("api_service").remove(0);
        assert_eq!(line.status, "fail", "{}", checked.text);
        line.says(message, "caBundle");
        checked
    };
    wrong(&bench.authority.server("other.gauges.svc"), "does not verify the certificate: ");
    wrong(&Authority::new("other").server(host), "does not verify the certificate: ");
    let expired = wrong(&bench.authority.expired_server(host), "does not verify the certificate: ");
    expired.one("certificate", "fail").says("expired ", "renew the certificate");
    let soon = bench.check_with(&bench.authority.server_for_days(host, 3));
    soon.one("certificate", "warn").says("expires in 3 days", "renew");

    // One that is made at each start, and a CA that cannot know it.
    let checked = bench.check("", &[]);
    let line = checked.all("api_service").remove(0);
    line.says("cannot verify a certificate that is made at each start", "insecureSkipTLSVerify: true");
    assert_eq!(checked.code, 1);
    // The key of another.
    let mixed = Pair { key: bench.authority.server(host).key, ..bench.authority.server(host) };
    let checked = bench.check_with(&mixed);
    checked
        .one("certificate", "fail")
        .says("cannot be used with the key", "a certificate and its private key");
    assert!(!checked.text.contains("PRIVATE KEY"));
}

#[test]
fn metrics_with_names_of_ones_own() {
    needs!("redis-server");
    let bench = Bench::new();
    let checked = bench.check(
        "kubernetes:\n  metrics:\n    \
         mine: {metric: redis_stream_group_backlog, stream: orders, namespaces: [shop]}\n    \
         nobody: {metric: redis_stream_group_backlog, stream: absent}\n    \
         teams: {metric: redis_stream_length, stream: orders, namespaces: ['team-*']}\n",
        &[],
    );
    let said: Vec<_> = checked.all("metric").into_iter().map(|line| (line.status, line.message)).collect();
    let line = |status: &str, message: &str| (status.to_owned(), message.to_owned());
    assert_eq!(said[0], line("ok", "mine is 7 for namespace shop (1 item)"), "{}", checked.text);
    assert!(said[1].0 == "warn" && said[1].1.starts_with("nobody has no value: "), "{}", checked.text);
    assert_eq!(said[2], line("ok", "teams is 7 for namespace team- (1 item)"), "{}", checked.text);

    bench.redis.run(&["DEL orders", "SET orders x"]);
    let checked = bench
        .check("kubernetes: {metrics: {mine: {metric: redis_stream_group_backlog, stream: orders}}}\n", &[]);
    checked.one("metric", "fail").says("mine has no value: stream \"orders\" on redis \"main\"", "HPAs hold");
}
