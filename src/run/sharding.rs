//! Wiring of sharding: which of the streams are measured here, as configured or as the API server tells.

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::RunError;
use crate::{
    cluster::{Cluster, Replica},
    config::Sharding,
    model::share::Part,
};

/// What of the streams is measured here; of a StatefulSet, followed until `cancel`.
///
/// # Errors
/// There is no way to the API server, where one is needed.
pub(super) async fn part(
    sharding: Option<Sharding>,
    followers: &TaskTracker,
    cancel: &CancellationToken,
) -> Result<watch::Receiver<Part>, RunError> {
    let (namespace, set, ordinal, kubeconfig) = match sharding {
        None => return Ok(watch::channel(Part::All).1),
        Some(Sharding::Fixed(share)) => return Ok(watch::channel(Part::Share(share)).1),
        Some(Sharding::StatefulSet { namespace, name, ordinal, kubeconfig }) => {
            (namespace, name, ordinal, kubeconfig)
        }
    };
    let cluster = Cluster::connect(kubeconfig.as_deref()).await?;
    let why = format!("waiting for the API server's word of StatefulSet {set} in namespace {namespace}");
    let (publish, part) = watch::channel(Part::Unknown(why.into()));
    followers.spawn(cluster.follow_share(Replica { namespace, set, ordinal }, publish, cancel.clone()));
    Ok(part)
}
