//! What is wrong with metrics, objects and streams: each mistake at its line and column.

use super::*;

#[test]
fn all_mistakes_are_told_at_once() {
    let text = r#"kubernetes:
  listen_adress: ":6443"
  metrics:
    order-backlog:
      stream: orders
    backlog:
      metric: redis_stream_group_backlogs
      redis: mian
      namespaces: []
    no backlog: {metric: redis_up}
    redis_stream_group_lag: {metric: redis_stream_length, group: workers}
    redis_stream_pending_messages: {metric: redis_stream_length, bounded: length}
    16: {metric: redis_stream_length, stream: "x["}
    scalar: redis_stream_length
    empty:
  objects:
    - resource: Deployment
      namespace: shop
    - resource: namespaces
      namespace: shop
      name: "order-*"
      stream: ""
      redis: third
    - deployments
  streams:
    - {}
    - {stream: orders, namespaces: [], group: workers}
    - {stream: orders, namespaces: [Shop, "team-*", 5], name: x}
    - {strean: orders, namespaces: pay}
"#;
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("kubernetes-mistakes", format!("{SERVERS}\n{text}---\n{}", problems(text).join("\n")));
    });
}

#[test]
fn names_of_metrics() {
    let longest = "a".repeat(253);
    for name in ["a", "A-1", "orders.backlog_2", &longest] {
        let config =
            adapter(&format!("kubernetes: {{metrics: {{{name}: {{metric: redis_stream_length}}}}}}"));
        assert_eq!(&*config.offer.named[0].name, name);
    }
    let too_long = "a".repeat(254);
    for name in ["", "-a", "a-", "a/b", "a b", "é", "a\\n", &too_long] {
        let told =
            problem(&format!("kubernetes: {{metrics: {{\"{name}\": {{metric: redis_stream_length}}}}}}"));
        let expected = format!(
            "2:24: kubernetes.metrics.{name}: expected letters, digits, \".\", \"_\" and \"-\", at most 253, with a letter or digit at both ends, found \"{name}\""
        );
        assert_eq!(told, expected);
    }
    for name in ["1", "0x10", "true", "1.5", "~", "[a]"] {
        let told =
            problem(&format!("kubernetes:\n  metrics:\n    ? {name}\n    : {{metric: redis_stream_length}}"));
        assert!(told.ends_with(": the name is no string: put it in quotes"), "{told}");
    }
    for name in ["redis_up", "redis_stream_group_lag", "redis_stream_pending_messages"] {
        assert_eq!(
            problem(&format!("kubernetes:\n  metrics:\n    {name}: {{metric: redis_stream_length}}")),
            format!("4:5: kubernetes.metrics.{name}: {name} is taken: choose another name")
        );
    }
}

/// The same name twice would be two metrics of which one is lost.
#[test]
fn a_name_stands_once() {
    for (first, second) in [("a", "a"), ("a", "'a'"), ("a", "!!str a"), ("a", "&x a")] {
        let metric = "{metric: redis_stream_length}";
        let told =
            problem(&format!("kubernetes:\n  metrics:\n    {first}: {metric}\n    {second}: {metric}"));
        assert_eq!(told, "5:5: duplicated key in mapping");
        let told = problem(&format!("kubernetes: {{metrics: {{{first}: {metric}, {second}: {metric}}}}}"));
        assert!(told.ends_with(": duplicated key in mapping"), "{told}");
    }
}

#[test]
fn the_metric_is_one_that_autoscalers_may_read() {
    let told = |metric: &str| problem(&format!("kubernetes: {{metrics: {{a: {{metric: {metric}}}}}}}"));
    for (metric, found, meant) in [
        ("redis_stream_group_lga", "\"redis_stream_group_lga\"", "redis_stream_group_lag"),
        ("redis_stream_lenght", "\"redis_stream_lenght\"", "redis_stream_length"),
    ] {
        assert_eq!(
            told(metric),
            format!(
                "2:36: kubernetes.metrics.a.metric: expected a metric that autoscalers may read, found {found}; did you mean \"{meant}\"?"
            )
        );
    }
    // One that exists is not misspelled.
    for metric in ["redis_up", "redis_stream_group_consumers", "lag"] {
        let told = told(metric);
        let start = format!(
            "2:36: kubernetes.metrics.a.metric: expected a metric that autoscalers may read, found \"{metric}\"; choose one of redis_stream_length, redis_stream_group_lag, "
        );
        assert!(told.starts_with(&start) && told.contains(", redis_stream_group_backlog, "), "{told}");
        assert!(!told.contains("redis_up,"), "{told}");
    }
    let group = |metric| format!("kubernetes: {{metrics: {{a: {{metric: {metric}, group: b}}}}}}");
    assert_eq!(
        problem(&group("redis_stream_length")),
        "2:64: kubernetes.metrics.a.group: redis_stream_length is not of groups: leave it out"
    );
    for metric in ["redis_stream_group_lag", "redis_stream_group_consumer_messages_pending"] {
        assert_eq!(parts(&adapter(&group(metric)).offer.named[0].target), (None, None, Some("b".into())));
    }
}

#[test]
fn servers_are_those_that_are_configured() {
    let named =
        |server: &str| format!("kubernetes: {{streams: [{{redis: '{server}', stream: a, namespaces: b}}]}}");
    assert_eq!(
        problem(&named("mian")),
        "2:32: kubernetes.streams[0].redis: no server is named \"mian\"; did you mean \"main\"?"
    );
    assert_eq!(
        problem(&named("third")),
        "2:32: kubernetes.streams[0].redis: no server is named \"third\": choose one of main, spare"
    );
    // Without a name it is host:port, also where it is not in the file.
    let config = written().flag("redis.url", &["h:7000"]).file(named("h:7000")).load();
    assert!(config.kubernetes.is_none());
    assert_eq!(
        written().file(named("main")).problems(),
        [
            "streamgauge.yaml:1:32: kubernetes.streams[0].redis: no server is named \"main\": choose one of 127.0.0.1:6379"
        ]
    );
    // A server whose name is not known may be the one.
    let told = written().file(format!("redis: [{{name: 5}}]\n{}", named("5"))).problems();
    assert_eq!(told, ["streamgauge.yaml:1:16: redis[0].name: expected a string, found 5 (put it in quotes)"]);
}

#[test]
fn an_unknown_key_may_be_a_misspelled_one() {
    for (text, expected) in [
        ("kubernets: {}", "2:1: kubernets: unknown key; did you mean \"kubernetes\"?"),
        (
            "kubernetes: {metric: {}}",
            "2:14: kubernetes.metric: unknown key; did you mean \"kubernetes.metrics\"?",
        ),
        // What was meant is not missing besides.
        (
            "kubernetes: {metrics: {a: {metrik: redis_stream_length}}}",
            "2:28: kubernetes.metrics.a.metrik: unknown key; did you mean \"metric\"?",
        ),
        (
            "kubernetes: {streams: [{stream: a, namespace: b}]}",
            "2:36: kubernetes.streams[0].namespace: unknown key; did you mean \"namespaces\"?",
        ),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn a_resource_is_named_as_in_a_url() {
    let object = |text: &str| format!("kubernetes: {{objects: [{{{text}, name: a, stream: b}}]}}");
    for (text, expected) in [
        (
            "resource: deployment, namespace: c",
            "Kubernetes has no resource \"deployment\"; did you mean \"deployments.apps\"?",
        ),
        (
            "resource: deployments, namespace: c",
            "Kubernetes has no resource \"deployments\"; did you mean \"deployments.apps\"?",
        ),
        (
            "resource: job.batch, namespace: c",
            "Kubernetes has no resource \"job.batch\"; did you mean \"jobs.batch\"?",
        ),
        (
            "resource: service, namespace: c",
            "Kubernetes has no resource \"service\"; did you mean \"services\"?",
        ),
        ("resource: deployments.apps", "needs namespace besides: deployments.apps lie in namespaces"),
    ] {
        assert_eq!(problem(&object(text)), format!("2:35: kubernetes.objects[0].resource: {expected}"));
    }
    for text in
        ["resource: deployments.example.com", "resource: services, namespace: c", "resource: namespaces"]
    {
        assert_eq!(adapter(&object(text)).offer.objects.len(), 1, "{text}");
    }
}
