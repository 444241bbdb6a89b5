//! Everything that talks to the Kubernetes API server: which pods there are, what an object is, whom to trust.
//!
//! `pods` watches the namespaces that somebody asks about; `objects` looks single objects up; `front_proxy` follows whom
//! the API server vouches for, `stateful_set` how many share the streams. `follow` is the list and watch under three of
//! them, `connect` the way in.
//! No other layer imports the kube crate.
//!
//! `look` asks once, for `streamgauge check`: that may ask for more, and does without.
//!
//! What it may do, and no more: `list` and `watch` pods in the namespaces that are asked about, `get` the objects that
//! are asked for, and read one ConfigMap, which the Role `extension-apiserver-authentication-reader` in `kube-system`
//! allows; as a shard, `list` and `watch` the StatefulSet whose pod it is. Of pods and objects it reads the metadata only.

mod connect;
mod error;
mod follow;
mod front_proxy;
mod look;
mod memory;
mod objects;
mod path;
mod pods;
mod stateful_set;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use kube::Client;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::{objects::Objects, pods::Pods};

pub use self::{
    error::{ClusterError, Unavailable},
    front_proxy::{FrontProxy, FrontProxyError},
    look::{ApiService, Looked},
    objects::Object,
    stateful_set::Replica,
};

/// How often idle watches and old answers are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How long things may take and be remembered, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time to wait for a page of a list, or for a watch to be opened.
    pub answer: Duration,
    /// Longest time that a caller waits for an object.
    pub look_up: Duration,
    /// Longest time that a caller waits for the first list of a namespace's pods.
    pub first_list: Duration,
    /// Time after which the API server is to end a watch, so that it is opened anew. That it was opened proves that what
    /// is known is the latest, so this is well below `proof`; whole seconds.
    pub watch: Duration,
    /// Longest time that a list of pods is answered after the last proof that it is the latest.
    pub proof: Duration,
    /// Time after which the pods of a namespace that nobody asks about are not watched any more.
    pub idle: Duration,
    /// Most namespaces whose pods are watched at once.
    pub namespaces: usize,
    /// Time for which an object is remembered, or that there is none.
    pub object: Duration,
    /// Most objects that are remembered at once.
    pub objects: usize,
    /// Time for which the kind and version of a resource are remembered.
    pub resource: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Limits {
            answer: seconds(10),
            look_up: seconds(5),
            first_list: seconds(5),
            watch: seconds(20),
            proof: seconds(30),
            idle: seconds(600),
            namespaces: 256,
            object: seconds(10),
            objects: 512,
            resource: seconds(300),
        }
    }
}

/// A client of the API server; cheap to clone. All that it does in the background ends with the last clone.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    client: Client,
    limits: Limits,
    pods: Pods,
    objects: Objects,
    _sweeper: AbortOnDropHandle<()>,
}

impl Cluster {
    /// From a kubeconfig file, or else from the service account of the pod that this is. Asks the API server nothing:
    /// one that is down is news to whoever asks later.
    ///
    /// # Errors
    /// The file or the service account cannot be used.
    pub async fn connect(kubeconfig: Option<&Path>) -> Result<Cluster, ClusterError> {
        Cluster::with_limits(kubeconfig, Limits::default()).await
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// See [`Cluster::connect`].
    pub async fn with_limits(kubeconfig: Option<&Path>, limits: Limits) -> Result<Cluster, ClusterError> {
        let client = connect::client(kubeconfig).await?;
        Ok(Cluster(Arc::new_cyclic(|inner| Inner {
            pods: Pods::new(client.clone(), limits),
            objects: Objects::new(client.clone(), limits),
            client,
            limits,
            _sweeper: AbortOnDropHandle::new(tokio::spawn(sweep(inner.clone()))),
        })))
    }

    /// Names of the namespace's pods whose labels satisfy `fits`, in order. The first call for a namespace begins to
    /// watch its pods and waits for the first list; later ones answer from memory.
    ///
    /// # Errors
    /// It is not known which pods there are at this moment.
    pub async fn pods(
        &self,
        namespace: &str,
        fits: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> Result<Vec<String>, Unavailable> {
        let all = |pods: &pods::Labelled| {
            pods.iter().filter(|(_, labels)| fits(labels)).map(|(name, _)| name.clone()).collect()
        };
        self.0.pods.read(namespace, all).await
    }

    /// An object named as in the URL of a metric: a resource such as `deployments.apps`, `services` or `namespaces`, a
    /// namespace where the resource is namespaced, and a name. `None` where there is no such thing.
    ///
    /// # Errors
    /// It is not known whether there is such a thing.
    pub async fn object(
        &self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Arc<Object>>, Unavailable> {
        self.0.objects.read(resource, namespace, name).await
    }

    /// Follows the ConfigMap `extension-apiserver-authentication` until cancelled: publishes what it says, and whenever
    /// that changes. What was published stays while the ConfigMap is malformed, gone or cannot be read.
    pub async fn follow_front_proxy(
        self,
        publish: watch::Sender<Option<Arc<FrontProxy>>>,
        cancel: CancellationToken,
    ) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = front_proxy::follow(&self.0.client, self.0.limits, &publish) => {}
        }
    }

    /// Ends what is not used any more as of `now`: watches that nobody asks about, and answers that are too old. It
    /// happens by itself every minute.
    pub fn sweep(&self, now: Instant) {
        self.0.sweep(now);
    }
}

impl Inner {
    fn sweep(&self, now: Instant) {
        self.pods.sweep(now);
        self.objects.sweep(now);
    }
}

async fn sweep(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let Some(inner) = inner.upgrade() else { return };
        inner.sweep(Instant::now());
    }
}
