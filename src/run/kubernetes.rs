//! Wiring of the Kubernetes adapter: its port, its certificate, whom it believes, and what it asks the API server.

use std::sync::Arc;

use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{DRAIN_DEADLINE, RunError};
use crate::{
    cluster::{Cluster, FrontProxy},
    config::{Kubernetes, RequestHeader, TlsFiles},
    files::{self, FileError},
    serve::{
        App,
        kubernetes::{
            self, Offered, Shared,
            auth::{Trust, Trusted},
        },
        listener,
        tls::{self, Certificate},
    },
};

/// Starts the adapter on listeners that are bound: its servers end with the cancellation of `app`, what it follows with
/// that of `stop_following`.
///
/// # Errors
/// A file that is of no use, or no way to the API server where one is needed.
pub(super) async fn start(
    config: Kubernetes,
    listeners: Vec<TcpListener>,
    app: App,
    offered: watch::Receiver<Arc<Offered>>,
    servers: &TaskTracker,
    followers: &TaskTracker,
    stop_following: &CancellationToken,
) -> Result<(), RunError> {
    let certificate = certificate(config.tls, followers, stop_following)?;
    let tls = tls::server(certificate).map_err(|error| FileError::Content(error.to_string()))?;
    let tls = Arc::new(tls);
    let (trusted, cluster) = match config.requestheader {
        Some(header) => {
            let trusted = trust_of_file(header, followers, stop_following)?;
            // Without the API server, there are no pods and no annotations: what needs them says so.
            let cluster = match (Cluster::connect(config.kubeconfig.as_deref()).await, &config.kubeconfig) {
                (Ok(cluster), _) => Some(cluster),
                (Err(error), Some(_)) => return Err(error.into()),
                (Err(_), None) => None,
            };
            (trusted, cluster)
        }
        None => {
            let cluster = Cluster::connect(config.kubeconfig.as_deref()).await?;
            (trust_of_cluster(cluster.clone(), followers, stop_following), Some(cluster))
        }
    };
    let draining = app.draining.clone();
    let router = kubernetes::router(Shared { app, offered, cluster, trusted });
    for listener in listeners {
        let address = listener.local_addr()?;
        tracing::info!(%address, "serving the kubernetes adapter");
        let (router, tls, cancel) = (router.clone(), tls.clone(), draining.clone());
        servers.spawn(listener::serve(listener, router, Some(tls), cancel, DRAIN_DEADLINE));
    }
    Ok(())
}

/// The certificate of the files, followed; or one that is made here.
fn certificate(
    files: Option<TlsFiles>,
    followers: &TaskTracker,
    cancel: &CancellationToken,
) -> Result<Arc<Certificate>, RunError> {
    let Some(TlsFiles { certificate, private_key }) = files else {
        tracing::info!("no certificate is given: serving with a self-signed one");
        return Ok(Arc::new(Certificate::self_signed()?));
    };
    let (loaded, contents) = tls::load([&certificate, &private_key])?;
    let (loaded, cancel) = (Arc::new(loaded), cancel.clone());
    let in_use = loaded.clone();
    followers.spawn(async move {
        let paths = [certificate.as_path(), private_key.as_path()];
        files::follow(&paths, contents, cancel, |contents| in_use.replace(paths, contents)).await;
    });
    Ok(loaded)
}

/// Believes the CA of a file, followed.
fn trust_of_file(
    header: RequestHeader,
    followers: &TaskTracker,
    cancel: &CancellationToken,
) -> Result<Trusted, RunError> {
    let trust = |header: &RequestHeader, contents: &[Vec<u8>]| {
        trust(&proxy(header, contents)?).map_err(|error| wrong(header, &error))
    };
    let contents = files::read(&[&header.client_ca_file])?;
    let (publish, trusted) = watch::channel(Some(trust(&header, &contents)?));
    let cancel = cancel.clone();
    followers.spawn(async move {
        let apply = |contents: &[Vec<u8>]| {
            publish.send_replace(Some(trust(&header, contents)?));
            Ok(())
        };
        files::follow(&[&header.client_ca_file], contents, cancel, apply).await;
    });
    Ok(trusted)
}

/// The front proxy of a file, as it is now.
pub(super) fn proxy_of_file(header: &RequestHeader) -> Result<FrontProxy, FileError> {
    proxy(header, &files::read(&[&header.client_ca_file])?)
}

fn proxy(header: &RequestHeader, contents: &[Vec<u8>]) -> Result<FrontProxy, FileError> {
    let pem = contents.first().map(|content| String::from_utf8_lossy(content).into_owned());
    let mut proxy = FrontProxy::new(pem.unwrap_or_default()).map_err(|error| wrong(header, &error))?;
    proxy.allowed_names.clone_from(&header.allowed_names);
    Ok(proxy)
}

fn wrong(header: &RequestHeader, error: &dyn std::fmt::Display) -> FileError {
    FileError::Content(format!("{}: {error}", header.client_ca_file.display()))
}

/// Believes what the API server publishes about its front proxy, followed.
fn trust_of_cluster(cluster: Cluster, followers: &TaskTracker, cancel: &CancellationToken) -> Trusted {
    let (publish_proxy, mut proxies) = watch::channel(None);
    let (publish, trusted) = watch::channel(None);
    followers.spawn(cluster.follow_front_proxy(publish_proxy, cancel.clone()));
    followers.spawn(async move {
        // It ends with the follower above.
        while proxies.changed().await.is_ok() {
            let proxy = proxies.borrow_and_update().clone();
            match proxy.as_deref().map(trust) {
                Some(Ok(trust)) => _ = publish.send_replace(Some(trust)),
                Some(Err(error)) => {
                    tracing::warn!(error, "front proxy's CA is of no use: the one before stays");
                }
                None => {}
            }
        }
    });
    trusted
}

/// How to believe it.
pub(super) fn trust(proxy: &FrontProxy) -> Result<Arc<Trust>, String> {
    let FrontProxy { client_ca, allowed_names, username_headers, group_headers } = proxy;
    Trust::new(client_ca, allowed_names.clone(), username_headers, group_headers).map(Arc::new)
}
