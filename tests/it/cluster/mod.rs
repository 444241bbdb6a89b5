//! What is learned from an API server, and how it is told when nothing is.

use std::{sync::Arc, time::Duration};

use streamgauge::cluster::{Cluster, Limits, Object};
use tokio::runtime::Runtime;

use crate::support::{apiserver::ApiServer, wait};

mod connect;
mod front_proxy;
mod objects;
mod pods;
mod trouble;
mod watches;

/// A cluster on an API server of one's own.
struct Bench {
    server: ApiServer,
    cluster: Cluster,
    // Last: what the cluster does in the background ends before.
    runtime: Runtime,
}

/// Limits that are never reached: a busy machine must not look like an API server that hangs.
fn patient() -> Limits {
    let long = Duration::from_secs(1000);
    Limits { answer: long, look_up: long, first_list: long, proof: long, ..Limits::default() }
}

/// Limits that are soon reached. Only for tests in which they are: a busy machine reaches them as well.
fn short() -> Limits {
    Limits {
        answer: Duration::from_millis(300),
        look_up: Duration::from_millis(300),
        first_list: Duration::from_millis(200),
        watch: Duration::from_secs(1),
        proof: Duration::from_millis(1500),
        ..Limits::default()
    }
}

impl Bench {
    fn new() -> Bench {
        Bench::with(patient())
    }

    fn with(limits: Limits) -> Bench {
        let server = ApiServer::start();
        let runtime = Runtime::new().unwrap();
        let cluster = runtime.block_on(Cluster::with_limits(Some(&server.kubeconfig()), limits)).unwrap();
        Bench { server, cluster, runtime }
    }

    /// All pods of a namespace.
    fn pods(&self, namespace: &str) -> Result<Vec<String>, String> {
        self.runtime.block_on(self.cluster.pods(namespace, |_| true)).map_err(|error| error.to_string())
    }

    /// The pods of a namespace with this label.
    fn labelled(&self, namespace: &str, key: &str, value: &str) -> Vec<String> {
        let fits = |labels: &std::collections::BTreeMap<String, String>| {
            labels.get(key).is_some_and(|label| label == value)
        };
        self.runtime.block_on(self.cluster.pods(namespace, fits)).unwrap()
    }

    fn has_pod(&self, namespace: &str, name: &str) -> bool {
        self.pods(namespace).unwrap().iter().any(|pod| pod == name)
    }

    /// Waits until these are the pods of a namespace; that they are not known is a failure.
    #[track_caller]
    fn until_pods(&self, namespace: &str, expected: &[&str]) {
        wait::until(&format!("pods of {namespace} to be {expected:?}"), || match self.pods(namespace) {
            Ok(pods) if pods == expected => Ok(()),
            Ok(pods) => Err(format!("{pods:?}")),
            Err(error) => panic!("{error}"),
        });
    }

    /// Waits until the pods of a namespace are known, whatever comes before.
    #[track_caller]
    fn until_known(&self, namespace: &str) -> Vec<String> {
        wait::until(&format!("pods of {namespace} to be known"), || self.pods(namespace))
    }

    /// Waits until the pods of a namespace are not known, for this reason.
    #[track_caller]
    fn until_unknown(&self, namespace: &str, expected: &str) {
        wait::until(&format!("pods of {namespace} not to be known: {expected}"), || {
            match self.pods(namespace) {
                Ok(pods) => Err(format!("{pods:?}")),
                Err(error) if error.contains(expected) => Ok(()),
                Err(error) => Err(error),
            }
        });
    }

    #[track_caller]
    fn until_watches(&self, path: &str, count: usize) {
        wait::until(&format!("{count} watches of {path}"), || match self.server.open_watches(path) {
            open if open == count => Ok(()),
            open => Err(format!("{open} open")),
        });
    }

    fn object(
        &self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Arc<Object>>, String> {
        let object = self.cluster.object(resource, namespace, name);
        self.runtime.block_on(object).map_err(|error| error.to_string())
    }
}
