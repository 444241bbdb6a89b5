//! The way in: a client from a kubeconfig file or from the pod's service account.

use std::{path::Path, time::Duration};

use hyper::header::{HeaderValue, USER_AGENT};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use secrecy::ExposeSecret as _;

use super::error::{self, ClusterError};

/// Longest time until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that has not asked anything yet.
///
/// # Errors
/// The file or the service account cannot be used.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client, ClusterError> {
    // Without a choice the crates below would panic if there ever were two of them.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = match kubeconfig {
        Some(path) => from_file(path).await?,
        None => Config::incluster().map_err(|error| ClusterError::in_pod(&error))?,
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // The crate would try again for minutes, and keep the cause to itself.
    config.default_retry = false;
    config
        .headers
        .push((USER_AGENT, HeaderValue::from_static(concat!("streamgauge/", env!("CARGO_PKG_VERSION")))));
    Client::try_from(config).map_err(|error| {
        let reason = error::reason(&error, "");
        match kubeconfig {
            Some(path) => ClusterError::kubeconfig(path, reason),
            None => ClusterError::ServiceAccount { reason },
        }
    })
}

async fn from_file(path: &Path) -> Result<Config, ClusterError> {
    let unusable = |error| ClusterError::kubeconfig(path, error::kubeconfig_reason(&error));
    let file = Kubeconfig::read_from(path).map_err(unusable)?;
    let config =
        Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(unusable)?;
    // The crates below would panic.
    if config
        .auth_info
        .token
        .as_ref()
        .is_some_and(|token| HeaderValue::from_str(token.expose_secret()).is_err())
    {
        return Err(ClusterError::kubeconfig(path, "the token holds what no HTTP header may".to_owned()));
    }
    Ok(config)
}
