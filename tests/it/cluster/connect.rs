//! The way in.

use std::path::Path;

use streamgauge::cluster::Cluster;
use tokio::runtime::Runtime;

use crate::support::apiserver::TOKEN;

fn refused(path: &Path) -> String {
    match Runtime::new().unwrap().block_on(Cluster::connect(Some(path))) {
        Ok(_) => panic!("{} is taken", path.display()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_kubeconfig_file_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kubeconfig");
    let file = path.display();
    assert_eq!(
        refused(&path),
        format!("cannot use the kubeconfig file {file}: No such file or directory (os error 2)")
    );
    let context = "contexts: [{name: c, context: {cluster: k, user: u}}]\ncurrent-context: c\n";
    for (text, expected) in [
        ("", "failed to determine current context"),
        ("current-context: c\n", "failed to load current context: c"),
        (context, "failed to load the cluster of context: k"),
        (
            &format!("{context}clusters: [{{name: k, cluster: {{}}}}]\n"),
            "cluster url is missing on selected cluster",
        ),
        (
            &format!(
                "{context}clusters: [{{name: k, cluster: {{server: 'https://x', certificate-authority: /none}}}}]\n"
            ),
            "failed to load certificate authority: failed to read file '\"/none\"': No such file or directory (os error 2)",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(refused(&path), format!("cannot use the kubeconfig file {file}: {expected}"));
    }
}

/// Whatever is wrong with the file, what is secret in it is not repeated.
#[test]
fn a_kubeconfig_file_that_cannot_be_used_is_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kubeconfig");
    let user = format!("users: [{{name: u, user: {{token: {TOKEN}, client-key-data: {TOKEN}}}}}]\n");
    let rest = "clusters: [{name: k, cluster: {server: 'https://x'}}]\n\
                contexts: [{name: c, context: {cluster: k, user: u}}]\ncurrent-context: c\n";
    for text in [
        format!("{user}clusters: {{{{\n"),
        format!("users: [{{name: u, user: {TOKEN}}}]\n{rest}"),
        format!("users: [{{name: u, user: {{token: [{TOKEN}]}}}}]\n{rest}"),
        // no certificate to the key, and no key in the base64
        format!("{user}{rest}"),
        format!("users: [{{name: u, user: {{token: \"{TOKEN}\\n\"}}}}]\n{rest}"),
    ] {
        std::fs::write(&path, &text).unwrap();
        let said = refused(&path);
        assert!(!said.contains(TOKEN), "{said}");
        assert!(said.starts_with(&format!("cannot use the kubeconfig file {}: ", path.display())), "{said}");
    }
}

/// That the API server is down is no reason not to start.
#[test]
fn nothing_is_asked_at_first() {
    let server = crate::support::apiserver::ApiServer::start();
    let (runtime, file) = (Runtime::new().unwrap(), server.kubeconfig());
    runtime.block_on(Cluster::connect(Some(&file))).unwrap();
    assert_eq!(server.requests("").len(), 0);
}
