//! What can go wrong, in words for people: what happened, and how to mend it.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{
    client::AuthError,
    config::{InClusterError, KubeconfigError},
    core::Status,
};

use crate::model::name::Name;

/// Longest reason that is passed on, in characters: what stands in front of an API server may answer with a page.
const LONGEST_REASON: usize = 400;

/// Why there is no client of the API server.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig file cannot be used.
    #[error("cannot use the kubeconfig file {}: {reason}", .path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No kubeconfig file is given, and this is no pod either.
    #[error(
        "this is no pod of Kubernetes (KUBERNETES_SERVICE_HOST is not set): set kubernetes.kubeconfig to reach an API \
         server, or kubernetes.requestheader_client_ca_file to do without"
    )]
    NotInPod,
    /// The pod has no service account that can be used.
    #[error(
        "cannot use the service account of this pod: {reason}: let it be mounted (automountServiceAccountToken: true), \
         or set kubernetes.kubeconfig"
    )]
    ServiceAccount {
        /// What is wrong with it.
        reason: String,
    },
}

impl ClusterError {
    pub(super) fn kubeconfig(path: &Path, reason: String) -> Self {
        ClusterError::Kubeconfig { path: path.to_owned(), reason }
    }

    pub(super) fn in_pod(error: &InClusterError) -> Self {
        match error {
            InClusterError::ReadEnvironmentVariable(_) => ClusterError::NotInPod,
            other => ClusterError::ServiceAccount { reason: bounded(&other.to_string()) },
        }
    }
}

/// What the API server would have to say is not known now; the message says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(String);

impl Unavailable {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Unavailable(what.into())
    }
}

/// What is wrong with a kubeconfig file. The parser would quote the lines around a mistake: tokens and keys.
pub(super) fn kubeconfig_reason(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(source, _) => source.to_string(),
        KubeconfigError::Parse(error) => match error.location() {
            Some(place) => {
                format!("it is no kubeconfig: see line {}, column {}", place.line(), place.column())
            }
            None => "it is no kubeconfig".to_owned(),
        },
        other => bounded(&other.to_string()),
    }
}

/// Why a request failed. Whoever was to `grant` more, is named where that would mend it.
pub(super) fn reason(error: &kube::Error, grant: &str) -> String {
    bounded(&match error {
        kube::Error::Api(status) => return refusal(status, grant),
        kube::Error::Service(source) => match source.downcast_ref() {
            Some(error) => credentials(error),
            None => no_connection(&**source),
        },
        kube::Error::HyperError(source) => no_connection(source),
        kube::Error::Auth(error) => credentials(error),
        kube::Error::InferKubeconfig(error) => return kubeconfig_reason(error),
        kube::Error::SerdeError(source) => format!("the API server's answer is not understood: {source}"),
        other => other.to_string(),
    })
}

/// What the API server says instead of what it was asked for.
pub(super) fn refusal(status: &Status, grant: &str) -> String {
    let said = bounded(if status.message.is_empty() { &status.reason } else { &status.message });
    match status.code {
        401 => format!("{said} (the API server does not know our token or certificate)"),
        _ if status.is_forbidden() => format!("{said} ({grant})"),
        code => format!("the API server answered {code}: {said}"),
    }
}

/// What is said where nothing was answered in time.
pub(super) fn no_answer(limit: Duration) -> String {
    format!("no answer from the API server within {}", humantime::format_duration(limit))
}

/// What a plugin of a kubeconfig file prints may be a token.
fn credentials(error: &AuthError) -> String {
    let why = match error {
        AuthError::AuthExecRun { cmd, out } => format!("{cmd} failed: {}", out.status),
        AuthError::AuthExecParse(_) => "the plugin's output is not understood".to_owned(),
        other => other.to_string(),
    };
    format!("no credentials for the API server: {why}")
}

/// The causes, without what only says that there is one.
fn no_connection(error: &(dyn Error + 'static)) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let late =
            cause.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::TimedOut);
        let text = if late { "no connection in time".to_owned() } else { cause.to_string() };
        // Some errors repeat their source in their own text.
        if !causes.iter().any(|said| said.ends_with(&text)) {
            causes.push(text);
        }
        next = if late { None } else { cause.source() };
    }
    if causes.len() > 1 {
        causes.remove(0);
    }
    format!("the API server cannot be reached: {}", causes.join(": "))
}

/// On one line, and not too long.
pub(super) fn bounded(text: &str) -> String {
    let mut chars = text.trim().chars();
    let mut start: String = chars.by_ref().take(LONGEST_REASON).collect();
    if chars.next().is_some() {
        start.push('…');
    }
    Name::from(start.as_str()).to_string()
}

#[cfg(test)]
mod tests {
    use std::env::VarError;

    use super::*;

    #[test]
    fn whoever_is_no_pod_learns_what_to_set() {
        let said =
            ClusterError::in_pod(&InClusterError::ReadEnvironmentVariable(VarError::NotPresent)).to_string();
        for word in ["no pod", "kubernetes.kubeconfig", "kubernetes.requestheader_client_ca_file"] {
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn a_pod_without_a_token_learns_how_to_get_one() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let said = ClusterError::in_pod(&InClusterError::ReadDefaultNamespace(missing)).to_string();
        assert!(said.contains("automountServiceAccountToken") && said.contains("not found"), "{said}");
    }

    #[test]
    fn a_connection_that_does_not_come_about_is_told_by_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("client error (Connect)")]
        struct Outer(#[source] io::Error);
        for (cause, expected) in [
            (io::Error::from(io::ErrorKind::ConnectionRefused), "connection refused"),
            (io::Error::new(io::ErrorKind::TimedOut, "deadline has elapsed"), "no connection in time"),
        ] {
            let said = reason(&kube::Error::Service(Box::new(Outer(cause))), "");
            assert_eq!(said, format!("the API server cannot be reached: {expected}"));
        }
    }

    #[test]
    fn an_answer_that_is_a_page_is_cut_and_harmless() {
        let page = format!("<html>\n\x1b[31m{}", "x".repeat(10_000));
        let said = refusal(&Status::failure(&page, "").with_code(502), "");
        assert!(said.len() < 600 && !said.contains(['\n', '\x1b']), "{said}");
        assert!(said.starts_with("the API server answered 502: <html>"), "{said}");
    }
}
