//! Values that make no sense are refused, and the message says which and why.

use super::{template, try_render};

#[test]
fn what_makes_no_sense_is_refused() {
    for (values, message) in [
        // by the schema
        ("replicas: 2", "additional properties 'replicas' not allowed"),
        ("replicaCount: -1", "at '/replicaCount': minimum: got -1, want 0"),
        ("config: {redis: []}", "at '/config/redis': minItems: got 0, want 1"),
        ("config: {redis: [{ulr: x}]}", "at '/config/redis/0': additional properties 'ulr' not allowed"),
        ("config: {poll: {interval: 5}}", "at '/config/poll/interval': got number, want string"),
        ("image: {digest: latest}", "at '/image/digest': 'latest' does not match pattern"),
        (
            "adapter: {apiServices: {externl: true}}",
            "at '/adapter/apiServices': additional properties 'externl' not allowed",
        ),
        ("adapter: {certificate: {mode: none}}", "at '/adapter/certificate/mode': value must be one of"),
        (
            "adapter: {certificate: {caBundle: Q0E=}}",
            "at '/adapter/certificate/caBundle': 'Q0E=' does not match pattern",
        ),
        ("adapter: {objects: {rules: [{resources: [services]}]}}", "missing property 'apiGroups'"),
        ("credentials: [{server: main, secretName: x}]", "at '/credentials/0': 'anyOf' failed"),
        (
            "credentials: [{server: main, secretName: x, certKey: c}]",
            "'keyKey' required, if 'certKey' exists",
        ),
        ("networkPolicy: {redis: {ports: []}}", "at '/networkPolicy/redis/ports': minItems: got 0, want 1"),
        ("serviceMonitor: {interval: fast}", "at '/serviceMonitor/interval': 'fast' does not match pattern"),
        ("extraArgs: [check]", "at '/extraArgs/0': 'check' does not match pattern"),
        // by the templates
        (
            "credentials: [{server: mian, secretName: x, passwordKey: p}]",
            "credentials: config.redis has no server with the name \"mian\"",
        ),
        (
            "config: {kubernetes: {listen_address: ':443'}}",
            "config.kubernetes.listen_address: leave it out: the chart says this itself",
        ),
        (
            "config: {web: {listen_address: ':80'}}",
            "config.web.listen_address: leave it out: the chart says this itself",
        ),
        (
            "config: {sharding: {shard: 0, total_shards: 2}}",
            "config.sharding.shard: leave it out: the chart says this itself, by sharding.enabled and replicaCount",
        ),
        ("adapter: {certificate: {mode: secret}}", "name it in adapter.certificate.secretName"),
        ("adapter: {certificate: {mode: secret, secretName: x}}", "in adapter.certificate.caBundle"),
        (
            "adapter: {certificate: {generated: {validDays: 30}}}",
            "validDays must be more than renewBeforeDays",
        ),
        (
            "prometheusRule: {enabled: true, disabled: [RedisUp]}",
            "prometheusRule.disabled: there is no alert \"RedisUp\": StreamgaugeDown, ",
        ),
    ] {
        let said = try_render(values).err().unwrap_or_else(|| panic!("not refused: {values}"));
        assert!(said.contains(message), "{values}: {said}");
    }
}

#[test]
fn without_the_api_service_a_secret_needs_no_ca() {
    let values = "adapter: {apiServices: {create: false}, certificate: {mode: secret, secretName: x}}";
    assert_eq!(crate::rendered::problems(&try_render(values).unwrap()), [""; 0]);
}

/// An old cluster is told so.
#[test]
fn an_old_kubernetes_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut helm = crate::tools::helm(home.path());
    helm.args(["template", "streamgauge", super::CHART, "--kube-version=1.29.9"]);
    let said = crate::tools::output(helm).unwrap_err();
    assert!(said.contains("chart requires kubeVersion: >=1.30.0-0"), "{said}");
    // That of a managed cluster has a suffix.
    let mut helm = crate::tools::helm(home.path());
    helm.args(["template", "streamgauge", super::CHART, "--kube-version=1.30.1-eks-49c6de4"]);
    crate::tools::output(helm).unwrap();
    template("other", "").unwrap();
}
