//! All that can be switched, together with all else: each set fits the schemas, itself and the program.

use serde_json::json;

use super::render;
use crate::{
    objects::{find, kind, merge},
    rendered::{self, workload::Workload},
    support::pki::Authority,
};

/// How the adapter is verified; the first is that there is none.
fn adapters() -> Vec<serde_json::Value> {
    let ca = Authority::new("ca").certificate;
    vec![
        json!({"enabled": false}),
        json!({"certificate": {"mode": "generated"}}),
        json!({"certificate": {"mode": "certManager"}}),
        json!({"certificate": {"mode": "certManager", "certManager": {"issuerRef": {"name": "ca", "kind": "ClusterIssuer"}}}}),
        json!({"certificate": {"mode": "secret", "secretName": "adapter-tls", "caBundle": ca}}),
        json!({"certificate": {"mode": "insecure"}}),
    ]
}

/// Switches, and what they are when they are on.
fn switches() -> Vec<serde_json::Value> {
    let tls = json!({"caKey": "ca.crt", "certKey": "tls.crt", "keyKey": "tls.key"});
    let mut credentials =
        json!({"server": "main", "secretName": "redis", "passwordKey": "p", "usernameKey": "u"});
    credentials.as_object_mut().unwrap().extend(tls.as_object().unwrap().clone());
    vec![
        json!({"config": {"redis": [{"name": "main", "url": "rediss://redis:6379"}]}, "credentials": [credentials]}),
        json!({"serviceMonitor": {"enabled": true}, "prometheusRule": {"enabled": true}, "dashboards": {"enabled": true},
               "networkPolicy": {"enabled": true}}),
        json!({"adapter": {"apiServices": {"custom": true}, "pods": {"namespaces": ["shop", "mail"]},
               "objects": {"rules": [{"apiGroups": ["apps"], "resources": ["deployments"]}], "namespaces": ["shop"]}}}),
        json!({"adapter": {"apiServices": {"create": false}}, "podDisruptionBudget": {"enabled": false}, "replicaCount": 2}),
        json!({"sharding": {"enabled": true}, "extraEnv": [{"name": "STREAMGAUGE_LOG_LEVEL", "value": "debug"}]}),
    ]
}

#[test]
fn every_combination_is_sound() {
    let switches = switches();
    for adapter in adapters() {
        for chosen in 0..1 << switches.len() {
            let mut values = json!({"adapter": adapter});
            for (at, switch) in switches.iter().enumerate() {
                if chosen & (1 << at) != 0 {
                    merge(&mut values, switch.clone());
                }
            }
            let objects = render(&values.to_string());
            assert_eq!(rendered::problems(&objects), [""; 0], "{values}");
            // What is not there is not asked for: without the adapter the set needs no cluster-wide right at all.
            if adapter["enabled"] == false {
                let of_adapter = ["ClusterRole", "ClusterRoleBinding", "APIService", "Secret"];
                assert!(objects.iter().all(|object| !of_adapter.contains(&kind(object))), "{values}");
                let bindings = objects.iter().filter(|object| kind(object) == "RoleBinding").count();
                assert_eq!(bindings, usize::from(values["sharding"]["enabled"] == true), "{values}");
            }
        }
    }
}

/// That the sets are looked at: what is wrong with one is found.
#[test]
fn an_unsound_set_is_found_out() {
    let sound = render("adapter: {apiServices: {custom: true}}");
    type Spoil = fn(&mut serde_json::Value);
    let spoilt = |kind_of: &str, name: &str, spoil: Spoil| {
        let mut objects = sound.clone();
        let object =
            objects.iter_mut().find(|object| kind(object) == kind_of && object["metadata"]["name"] == name);
        spoil(object.unwrap());
        rendered::problems(&objects)
    };
    let cases: [(&str, &str, Spoil, &str); 10] = [
        (
            "Deployment",
            "streamgauge",
            |d| d["spec"]["template"]["spec"]["containers"][0]["args"][1] = "--config.fil=x".into(),
            "unexpected argument '--config.fil' found",
        ),
        (
            "Deployment",
            "streamgauge",
            |d| d["spec"]["template"]["spec"]["containers"][0]["args"][2] = "--web.listen-address=:80".into(),
            "its ports are",
        ),
        (
            "Deployment",
            "streamgauge",
            |d| {
                d["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] =
                    "http".into()
            },
            "its readinessProbe asks",
        ),
        (
            "Deployment",
            "streamgauge",
            |d| d["spec"]["template"]["spec"]["securityContext"]["runAsUser"] = 0.into(),
            "the securityContext of the pod is",
        ),
        (
            "Deployment",
            "streamgauge",
            |d| d["spec"]["template"]["spec"]["automountServiceAccountToken"] = false.into(),
            "a token of its account is for the adapter",
        ),
        (
            "Deployment",
            "streamgauge",
            |d| d["kind"] = "StatefulSet".into(),
            "it looks for null, not for {\"kind\":\"StatefulSet\"",
        ),
        (
            "ConfigMap",
            "streamgauge",
            |c| c["data"]["streamgauge.yaml"] = "redis: [{ulr: x}]".into(),
            "unknown key",
        ),
        (
            "Service",
            "streamgauge",
            |s| s["spec"]["ports"][0]["targetPort"] = "htp".into(),
            "its port \"htp\" is none of the pods",
        ),
        (
            "ClusterRole",
            "streamgauge-pods",
            |r| r["rules"][0]["verbs"] = json!(["get", "list", "watch"]),
            "is not [\"list\", \"watch\"]",
        ),
        (
            "APIService",
            "v1beta1.external.metrics.k8s.io",
            |a| a["spec"]["service"]["port"] = 443.into(),
            "the service has no port 443",
        ),
    ];
    for (kind, name, spoil, problem) in cases {
        let said = spoilt(kind, name, spoil).join("\n");
        assert!(said.contains(problem), "{problem}: {said}");
    }
    assert_eq!(rendered::problems(&sound), [""; 0]);
}

/// `helm test` looks with what the Deployment runs with.
#[test]
fn the_test_runs_as_the_deployment_does() {
    let objects = render("credentials: [{server: main, secretName: redis, passwordKey: p}]");
    let workload = Workload::find(&objects).unwrap();
    let pod = find(&objects, "Pod", "streamgauge-check");
    let container = &pod["spec"]["containers"][0];
    for key in ["image", "securityContext", "volumeMounts", "resources"] {
        assert_eq!(container[key], workload.container[key], "{key}");
    }
    for key in ["securityContext", "volumes", "serviceAccountName", "automountServiceAccountToken"] {
        assert_eq!(pod["spec"][key], workload.pod[key], "{key}");
    }
    let (checks, serves) = (container["args"].as_array().unwrap(), workload.arguments());
    assert_eq!((checks[0].as_str(), serves[0].as_str()), (Some("check"), "serve"));
    assert!(checks[1..].iter().map(|argument| argument.as_str().unwrap()).eq(serves[1..].iter()));
    let arguments: Vec<_> = checks.iter().map(|argument| argument.as_str().unwrap().into()).collect();
    let line = ["streamgauge".into()].into_iter().chain(arguments);
    let invocation = streamgauge::cli::parse(line, []).unwrap();
    assert_eq!(invocation.action, streamgauge::cli::Action::Check { json: false });
}
