//! What the documents show of Kustomize: each kustomization builds, with this checkout in the place of its URLs.

use serde_json::json;

use super::{Folder, overlay};
use crate::{
    objects::{find, list, name, of_kind, text},
    rendered,
    support::document::{document, yaml},
};

const INSTALL: &str = "docs/install.md";
const README: &str = "deploy/kustomize/README.md";

/// The block of a document that has this text.
#[track_caller]
fn block(path: &str, with: &str) -> String {
    let found: Vec<_> = yaml(&document(path)).into_iter().filter(|block| block.contains(with)).collect();
    let [block] = &found[..] else { panic!("{path}: {} blocks have {with:?}", found.len()) };
    block.clone()
}

/// The same with this checkout in the place of the URLs, which are those of this version.
fn local(block: &str, folder: &Folder, below: &str) -> String {
    let end = format!("?ref=v{}", env!("CARGO_PKG_VERSION"));
    let mut pieces = block.split("https://github.com/streamgauge/streamgauge//deploy/kustomize/");
    let mut text = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (part, rest) = piece.split_once(&end).unwrap_or_else(|| panic!("not of this version: {piece}"));
        text += &folder.to(below, part);
        text += rest;
    }
    text
}

/// The folder that makes the Secret of a certificate of one's own.
pub fn certificate(folder: &Folder, certificate: &str, key: &str, authority: &str) {
    let files = [("tls.crt", certificate), ("tls.key", key), ("ca.crt", authority)];
    let shown = block(README, "# certificate/kustomization.yaml");
    for (name, content) in files.into_iter().chain([("kustomization.yaml", &*shown)]) {
        folder.write(&format!("certificate/{name}"), content);
    }
}

/// The path of `docs/install.md`: the two files that it shows make what it says.
#[test]
fn the_files_of_the_guide_install_what_it_says() {
    let folder = Folder::new();
    folder.write("kustomization.yaml", &local(&block(INSTALL, "# kustomization.yaml"), &folder, ""));
    folder.write("streamgauge.yaml", &block(INSTALL, "# streamgauge.yaml"));
    let objects = folder.build();
    rendered::check(&objects);
    let config = text(find(&objects, "ConfigMap", "streamgauge"), "/data/streamgauge.yaml");
    assert_eq!(config, block(INSTALL, "# streamgauge.yaml"));

    // The Secret that it has its reader create is the one that the pod mounts, with both of its keys.
    let pod = &find(&objects, "Deployment", "streamgauge")["spec"]["template"]["spec"];
    let secrets: Vec<_> = list(pod, "/volumes").iter().filter_map(|volume| volume.get("secret")).collect();
    let secret = secrets.iter().find(|secret| secret["secretName"] == "streamgauge-redis").unwrap();
    let create = document(INSTALL);
    let wanted = "kubectl create secret generic streamgauge-redis --namespace streamgauge ";
    let create = create.lines().find(|line| line.starts_with(wanted)).unwrap();
    for item in list(secret, "/items") {
        assert!(create.contains(&format!("={}=", text(item, "/key"))), "{create}: {item}");
    }

    // What its HPA asks for is measured.
    let hpa = block(INSTALL, "# hpa.yaml");
    let hpa = crate::objects::parse(&hpa);
    crate::typed::check(&hpa[0]).unwrap();
    assert_eq!(rendered::metrics::problems(&hpa), [""; 0]);
    let labels = &hpa[0]["spec"]["metrics"][0]["external"]["metric"]["selector"]["matchLabels"];
    let expected = format!("{}={}", text(labels, "/stream"), text(labels, "/group"));
    assert!(config.contains(&format!("expect: [{expected}]")), "{config}");
    assert!(config.contains(&format!("name: {}\n", text(labels, "/redis"))), "{config}");
}

/// Names and namespaces in its commands are those of the objects.
#[test]
fn the_commands_of_the_guide_name_what_is_there() {
    let objects = super::overlay("default");
    let document = document(INSTALL);
    let commands: Vec<_> = document.lines().filter(|line| line.starts_with("kubectl ")).collect();
    assert!(commands.len() > 8, "{commands:?}");
    let mut seen = 0;
    for word in commands.iter().flat_map(|command| command.split_whitespace()) {
        let Some((sort, called)) = word.split_once('/') else { continue };
        let kind = match sort {
            "deployment" => "Deployment",
            "service" => "Service",
            "apiservice" => "APIService",
            _ => continue,
        };
        find(&objects, kind, called);
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} names were found: the reader is blind");
    let apis = of_kind(&objects, "APIService");
    let asked = commands.iter().find(|command| command.starts_with("kubectl get apiservice ")).unwrap();
    for api in asked.split_whitespace().filter(|word| word.starts_with("v1")) {
        assert!(apis.iter().any(|object| name(object) == api), "{api}");
    }
    // `check` is told what the program is told.
    let (_, rest) = document.split_once("deployment/streamgauge -- ").unwrap();
    let command = rest.split("\nkubectl ").next().unwrap().replace("\\\n", " ");
    let words: Vec<_> = command.split_whitespace().skip(2).collect();
    let deployment = find(&objects, "Deployment", "streamgauge");
    let arguments = list(deployment, "/spec/template/spec/containers/0/args").iter().skip(1);
    assert_eq!(words, arguments.map(|word| word.as_str().unwrap()).collect::<Vec<_>>());
    assert!(command.starts_with("/usr/local/bin/streamgauge check "), "{command}");
    let (_, example) = document.split_once("\nkubectl apply -k deploy/kustomize/overlays/").unwrap();
    assert!(!overlay(example.lines().next().unwrap()).is_empty());
}

#[test]
fn the_kustomizations_of_the_readme_build() {
    let config = block(INSTALL, "# streamgauge.yaml");
    let folder = Folder::new();
    folder.write("kustomization.yaml", &local(&block(README, "overlays/default?"), &folder, ""));
    folder.write("streamgauge.yaml", &config);
    rendered::check(&folder.build());

    // An overlay of one's own, first as it stands, then with the namespace that is shown.
    let own = block(README, "ServiceMonitor|PrometheusRule");
    for namespace in [false, true] {
        let folder = Folder::new();
        let mut own = local(&own, &folder, "");
        if namespace {
            let at = own.find("transformers:\n").unwrap();
            own.replace_range(at.., "transformers: [namespace]\n");
            let shown = local(&block(README, "# namespace/kustomization.yaml"), &folder, "namespace");
            folder.write("namespace/kustomization.yaml", &shown);
        }
        folder.write("kustomization.yaml", &own).write("streamgauge.yaml", &config);
        let objects = folder.build();
        rendered::check(&objects);
        for kind in ["ServiceMonitor", "PrometheusRule"] {
            let object = find(&objects, kind, "streamgauge");
            assert_eq!(text(object, "/metadata/labels/release"), "kube-prometheus-stack");
            assert_eq!(
                text(object, "/metadata/namespace"),
                if namespace { "monitoring" } else { "streamgauge" }
            );
        }
    }
}

#[test]
fn a_certificate_of_ones_own_becomes_what_the_api_server_verifies_by() {
    let components = ["adapter", "external-metrics", "custom-metrics", "given-certificate"];
    let folder = Folder::composed(&components, &json!({"resources": ["certificate"]}), "streamgauge");
    let authority = crate::support::pki::Authority::new("own");
    let pair = authority.server("streamgauge.streamgauge.svc");
    certificate(&folder, &pair.certificate, &pair.key, &authority.certificate);
    let objects = folder.build();
    rendered::check(&objects);
    let bundle = serde_json::to_value(k8s_openapi::ByteString(authority.certificate.into_bytes())).unwrap();
    let apis = of_kind(&objects, "APIService");
    assert_eq!(apis.len(), 3);
    for api in apis {
        assert_eq!(api["spec"]["caBundle"], bundle);
        assert_eq!(api["spec"].get("insecureSkipTLSVerify"), None);
    }
}
