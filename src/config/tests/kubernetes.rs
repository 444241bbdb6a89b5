//! The Kubernetes metrics adapter.

use super::*;
use crate::model::{
    lag::{BoundedPolicy, MissingGroupPolicy},
    offer::{Namespaces, Target},
};

mod mistakes;

/// The problems of what stands under `kubernetes`, beside two servers.
fn problems(kubernetes: &str) -> Vec<String> {
    let text = format!("{}\n{kubernetes}\n", SERVERS);
    let told = written().file(text).problems();
    told.into_iter().map(|told| told.replace("streamgauge.yaml:", "")).collect()
}

const SERVERS: &str = "redis: [{name: main, url: h}, {name: spare, url: g}]";

/// The only problem.
#[track_caller]
fn problem(kubernetes: &str) -> String {
    let mut all = problems(kubernetes);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// The adapter, switched on, beside two servers.
fn adapter(kubernetes: &str) -> Kubernetes {
    let text = format!("{SERVERS}\n{kubernetes}\n");
    written().flag("kubernetes.listen-address", &[":0"]).file(text).load().kubernetes.unwrap()
}

fn shown(pattern: Option<&Pattern>) -> Option<String> {
    pattern.map(|pattern| texts(std::slice::from_ref(pattern)).remove(0))
}

fn parts(target: &Target) -> (Option<&str>, Option<String>, Option<String>) {
    (target.redis.as_deref(), shown(target.stream.as_ref()), shown(target.group.as_ref()))
}

fn only(namespaces: &Namespaces) -> Option<Vec<String>> {
    match namespaces {
        Namespaces::All => None,
        Namespaces::Only(patterns) => Some(texts(patterns)),
    }
}

#[test]
fn everything_of_it() {
    let directory = TempDir::new().unwrap();
    let file = |name: &str| {
        let path = directory.path().join(name);
        fs::write(&path, "x").unwrap();
        path
    };
    let (cert, key, ca, kubeconfig) = (file("crt"), file("key"), file("ca"), file("kubeconfig"));
    let text = format!(
        r#"
lag: {{bounded: lower, missing_group: absent}}
redis: [{{name: main, url: h}}, {{name: spare, url: g}}]
kubernetes:
  listen_address: [":6443", "[::1]:0"]
  tls_cert_file: {}
  tls_private_key_file: {}
  requestheader_client_ca_file: {}
  requestheader_allowed_names: [front-proxy-client, other]
  kubeconfig: {}
  metrics:
    order-backlog:
      metric: redis_stream_group_backlog
      redis: main
      stream: orders
      group: "work*"
      namespaces: [shop, "team-*"]
      bounded: upper
      missing_group: zero
    Every.thing_1:
      metric: redis_stream_length
  objects:
    - {{resource: deployments.apps, namespace: shop, name: worker, redis: main, stream: orders, group: workers}}
    - {{resource: deployments.apps, namespace: shop, name: worker, stream: "mail:*"}}
    - {{resource: namespaces, name: shop, stream: "*"}}
  streams:
    - {{redis: spare, stream: "payments*", namespaces: [pay, "audit-*"]}}
    - {{stream: payments, namespaces: shop}}
"#,
        cert.display(),
        key.display(),
        ca.display(),
        kubeconfig.display()
    );
    let Kubernetes { listen, tls, requestheader, kubeconfig: found, offer } =
        written().file(text).load().kubernetes.unwrap();
    assert_eq!(listen.iter().map(ListenAddress::to_string).collect::<Vec<_>>(), [":6443", "[::1]:0"]);
    assert_eq!(tls, Some(TlsFiles { certificate: cert, private_key: key }));
    let allowed_names = vec!["front-proxy-client".to_owned(), "other".to_owned()];
    assert_eq!(requestheader, Some(RequestHeader { client_ca_file: ca, allowed_names }));
    assert_eq!(found, Some(kubeconfig));

    let [backlog, everything] = &offer.named[..] else { panic!("{:?}", offer.named) };
    assert_eq!((&*backlog.name, &*backlog.metric), ("order-backlog", "redis_stream_group_backlog"));
    assert_eq!(parts(&backlog.target), (Some("main"), Some("orders".into()), Some("work*".into())));
    assert_eq!(only(&backlog.namespaces), Some(vec!["shop".into(), "team-*".into()]));
    let own = Policy { bounded: BoundedPolicy::Upper, missing_group: MissingGroupPolicy::Zero };
    assert_eq!(backlog.policy, own);
    assert_eq!((&*everything.name, &*everything.metric), ("Every.thing_1", "redis_stream_length"));
    assert_eq!((parts(&everything.target), only(&everything.namespaces)), ((None, None, None), None));
    let global = Policy { bounded: BoundedPolicy::Lower, missing_group: MissingGroupPolicy::Absent };
    assert_eq!(everything.policy, global);

    let [worker, too, shop] = &offer.objects[..] else { panic!("{:?}", offer.objects) };
    for object in [worker, too] {
        let object = (object.resource.as_str(), object.namespace.as_deref(), object.name.as_str());
        assert_eq!(object, ("deployments.apps", Some("shop"), "worker"));
    }
    assert_eq!(parts(&worker.target), (Some("main"), Some("orders".into()), Some("workers".into())));
    assert_eq!(parts(&too.target), (None, Some("mail:*".into()), None));
    assert_eq!((shop.resource.as_str(), &shop.namespace, shop.name.as_str()), ("namespaces", &None, "shop"));

    let [payments, mine] = &offer.streams[..] else { panic!("{:?}", offer.streams) };
    assert_eq!(parts(&payments.target), (Some("spare"), Some("payments*".into()), None));
    assert_eq!(only(&payments.namespaces), Some(vec!["pay".into(), "audit-*".into()]));
    assert_eq!(parts(&mine.target), (None, Some("payments".into()), None));
    assert_eq!(only(&mine.namespaces), Some(vec!["shop".into()]));
}

/// Without an address it is off, and its files need not be there; mistakes are told all the same.
#[test]
fn off_without_an_address() {
    let off = |written: Written| written.load().kubernetes.is_none();
    assert!(off(written()));
    let files = "tls_cert_file: /n/c, tls_private_key_file: /n/k, requestheader_client_ca_file: /n/a, kubeconfig: /n/f";
    assert!(off(written().file(format!("kubernetes: {{listen_address: [], {files}}}"))));
    assert!(off(written().file("kubernetes: {metrics: {a: {metric: redis_stream_length}}}")));
    assert!(off(written().variable("STREAMGAUGE_KUBERNETES_LISTEN_ADDRESS", "")));
    assert_eq!(
        problem("kubernetes: {streams: [{stream: 'a[', namespaces: b}]}"),
        "2:33: kubernetes.streams[0].stream: the name or glob \"a[\" has a \"[\" without its \"]\" (write \\[ for the character itself)"
    );
    let on = adapter("");
    assert!(on.tls.is_none() && on.requestheader.is_none() && on.kubeconfig.is_none());
    assert!(on.offer.named.is_empty() && on.offer.objects.is_empty() && on.offer.streams.is_empty());
}

#[test]
fn flag_variable_file() {
    let port = |written: &Written| written.load().kubernetes.map(|kubernetes| kubernetes.listen[0].port);
    let both = || {
        written()
            .variable("STREAMGAUGE_KUBERNETES_LISTEN_ADDRESS", ":2")
            .file("kubernetes: {listen_address: ':3'}")
    };
    assert_eq!(port(&both().flag("kubernetes.listen-address", &[":1"])), Some(1));
    assert_eq!(port(&both()), Some(2));
    assert_eq!(port(&written().file("kubernetes: {listen_address: ':3'}")), Some(3));
    assert_eq!(
        written().flag("kubernetes.listen-address", &["6443"]).problems(),
        ["--kubernetes.listen-address: expected host:port or :port, found \"6443\""]
    );
    // Nothing of one section among many can be said by a variable.
    let unheard = written()
        .variable("STREAMGAUGE_KUBERNETES_STREAMS_STREAM", "[")
        .variable("STREAMGAUGE_KUBERNETES_METRICS_METRIC", "x");
    assert!(unheard.load().kubernetes.is_none());
}

#[test]
fn files_that_cannot_be_read() {
    for key in ["requestheader_client_ca_file", "kubeconfig"] {
        assert_eq!(
            problem(&format!("kubernetes: {{listen_address: ':0', {key}: /nonexistent}}")),
            format!(
                "2:{}: kubernetes.{key}: cannot read /nonexistent: No such file or directory (os error 2)",
                38 + key.len()
            )
        );
    }
    let told = written()
        .flag("kubernetes.listen-address", &["wrong"])
        .flag("kubernetes.tls-cert-file", &["/nonexistent"])
        .flag("kubernetes.tls-private-key-file", &["/"])
        .problems();
    assert_eq!(
        told,
        [
            "--kubernetes.listen-address: expected host:port or :port, found \"wrong\"",
            "--kubernetes.tls-cert-file: cannot read /nonexistent: No such file or directory (os error 2)",
            "--kubernetes.tls-private-key-file: cannot read /: Is a directory (os error 21)",
        ]
    );
}

#[test]
fn what_goes_together() {
    for (text, expected) in [
        (
            "tls_cert_file: /c",
            "2:29: kubernetes.tls_cert_file: needs kubernetes.tls_private_key_file besides: give both or neither",
        ),
        (
            "tls_private_key_file: /k",
            "2:36: kubernetes.tls_private_key_file: needs kubernetes.tls_cert_file besides: give both or neither",
        ),
        // One mistake is not told twice.
        (
            "tls_cert_file: 5, tls_private_key_file: /k",
            "2:29: kubernetes.tls_cert_file: expected a string, found 5 (put it in quotes)",
        ),
        (
            "requestheader_allowed_names: [a]",
            "2:43: kubernetes.requestheader_allowed_names: needs kubernetes.requestheader_client_ca_file besides: add that, or leave this out",
        ),
        (
            "requestheader_allowed_names: [a], requestheader_client_ca_file: [b]",
            "2:78: kubernetes.requestheader_client_ca_file: expected a string, found a list",
        ),
        (
            "requestheader_client_ca_file: /a, requestheader_allowed_names: [a, '']",
            "2:81: kubernetes.requestheader_allowed_names: a name is empty: leave it out",
        ),
    ] {
        assert_eq!(problem(&format!("kubernetes: {{{text}}}")), expected);
    }
    // The flag is told where the flag was given.
    assert_eq!(
        written().flag("kubernetes.tls-cert-file", &["/c"]).problems(),
        ["--kubernetes.tls-cert-file: needs kubernetes.tls_private_key_file besides: give both or neither"]
    );
}
