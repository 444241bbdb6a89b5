//! What a reload can change, and what not.

use super::*;

/// What comes and goes with a reload. Anything else needs a restart, or somebody who makes it follow and adds it here.
const RELOADABLE: [&str; 8] = [
    "poll.",
    "lag.",
    "health.",
    "log.",
    "redis[]",
    "kubernetes.metrics{}",
    "kubernetes.objects[]",
    "kubernetes.streams[]",
];

#[test]
fn every_setting_can_be_reloaded_or_needs_a_restart() {
    for setting in settings::all() {
        let is_reloadable = RELOADABLE.iter().any(|prefix| setting.path.starts_with(prefix));
        assert_ne!(is_reloadable, setting.restart, "{}", setting.path);
    }
}

/// What is told when one file takes the place of another.
fn told(before: &str, after: &str) -> Vec<String> {
    let (before, after) = (written().file(before), written().file(after));
    let directory = format!("{}/", after.directory.as_ref().unwrap().path().display());
    let problems = before.load().startup.changed_in(&after.load().startup);
    problems.iter().map(|problem| problem.to_string().replace(&directory, "")).collect()
}

#[test]
fn whatever_needs_a_restart_is_named_with_its_place() {
    const MEND: &str = "needs a restart to change: restart streamgauge, or put back what it was started with";
    // The adapter is off: its files need not be there.
    let common = "web: {listen_address: ':1', telemetry_path: /m, enable_lifecycle: true}
kubernetes:
  tls_cert_file: /a
  tls_private_key_file: /b
  requestheader_client_ca_file: /c
  requestheader_allowed_names: [d]
  kubeconfig: /e
";
    let off = |more: &str| {
        let told = told("", &format!("{common}sharding: {{{more}}}\n"));
        told.iter().map(|told| told.split(": ").nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let expected = settings::all().filter(|setting| setting.restart).map(|setting| setting.path);
    // That one would switch the adapter on; and a share is told in one of two ways.
    let expected: Vec<_> = expected.filter(|path| *path != "kubernetes.listen_address").collect();
    let without =
        |other: &str| expected.iter().copied().filter(|path| !path.starts_with(other)).collect::<Vec<_>>();
    assert_eq!(off("shard: 0, total_shards: 2, guest_streams: 7"), without("sharding.pod"));
    assert_eq!(
        told("sharding: {shard: 0, total_shards: 2}", "sharding: {shard: 1, total_shards: 2}").len(),
        1
    );
    let pod = "sharding: {pod: a-0, pod_namespace: b}";
    assert_eq!(told(pod, "").len(), 2);
    assert_eq!(told(pod, "sharding: {pod: a-1, pod_namespace: b}").len(), 1);
    assert_eq!(
        told("", "web:\n  enable_lifecycle: true\n"),
        [format!("streamgauge.yaml:2:21: web.enable_lifecycle: {MEND}")]
    );
    // What is written no more has no place.
    assert_eq!(told("web: {telemetry_path: /m}", ""), [format!("default: web.telemetry_path: {MEND}")]);
    assert_eq!(told("kubernetes: {kubeconfig: /e}", ""), [format!("default: kubernetes.kubeconfig: {MEND}")]);
    let addresses =
        ["127.0.0.1:1", "127.0.0.1:2"].map(|one| format!("kubernetes: {{listen_address: '{one}'}}"));
    assert_eq!(told(&addresses[0], &addresses[1]).len(), 1);
    assert_eq!(told("", &addresses[0]).len(), 1, "the adapter is switched on");
    assert_eq!(told(&addresses[0], "").len(), 1, "the adapter is switched off");
}

#[test]
fn what_is_only_written_otherwise_has_not_changed() {
    let none: [&str; 0] = [];
    assert_eq!(told("", "web: {listen_address: [':9121'], telemetry_path: /metrics}"), none);
    assert_eq!(told("web: {listen_address: ':1'}", "# moved\n\nweb:\n  listen_address:\n  - ':1'\n"), none);
    assert_eq!(told("", "poll: {interval: 1s}\nredis: [{name: a}, {name: b}]\nlog: {level: debug}"), none);
    // What a flag says stays, whatever the file says.
    let flagged = |file: &str| written().flag("web.listen-address", &[":7"]).file(file).load().startup;
    assert_eq!(flagged("web: {listen_address: ':1'}").changed_in(&flagged("")), []);
}
