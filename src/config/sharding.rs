//! Sharding: what is configured of it, and what the table of settings cannot say about that.

use std::path::PathBuf;

use super::{Config, Problem, section::Section, validate::must_be_readable};
use crate::model::share::{Part, Share};

/// How this process is one of several that share the streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sharding {
    /// It has this share.
    Fixed(Share),
    /// It is a pod of a StatefulSet, whose replicas share them.
    StatefulSet {
        /// Namespace of both.
        namespace: String,
        /// Name of the StatefulSet.
        name: String,
        /// Number of the pod.
        ordinal: u32,
        /// How to reach the API server; `None` is the service account of the pod.
        kubeconfig: Option<PathBuf>,
    },
}

impl Config {
    /// What of the streams is measured, as far as the configuration alone tells: one of a StatefulSet looks at all of them
    /// where it looks but once.
    #[must_use]
    pub fn fixed_part(&self) -> Part {
        match self.sharding {
            Some(Sharding::Fixed(share)) => Part::Share(share),
            Some(Sharding::StatefulSet { .. }) | None => Part::All,
        }
    }
}

const SHARD: &str = "sharding.shard";
const TOTAL: &str = "sharding.total_shards";
const POD: &str = "sharding.pod";
const NAMESPACE: &str = "sharding.pod_namespace";

pub(super) fn sharding(globals: &Section, problems: &mut Vec<Problem>) -> Option<Sharding> {
    for [one, other] in [[SHARD, TOTAL], [TOTAL, SHARD], [POD, NAMESPACE], [NAMESPACE, POD]] {
        if globals.get(one).is_some() && globals.lacks(other) {
            problems.push(globals.problem(one, format!("needs {other} besides: give both or neither")));
        }
    }
    let is_fixed = [SHARD, TOTAL].iter().any(|path| globals.get(path).is_some());
    let of_pod = [POD, NAMESPACE].into_iter().find(|path| globals.get(path).is_some());
    if let Some(path) = of_pod.filter(|_| is_fixed) {
        let message = format!("cannot be combined with {SHARD} and {TOTAL}: leave these or that out");
        problems.push(globals.problem(path, message));
    }
    match (globals.text(POD), globals.text(NAMESPACE)) {
        (Some(pod), Some(namespace)) => stateful_set(globals, &pod, namespace, problems),
        _ => fixed(globals, problems),
    }
}

fn fixed(globals: &Section, problems: &mut Vec<Problem>) -> Option<Sharding> {
    let number = |path| globals.get(path).map(|_| u32::try_from(globals.count(path)).unwrap_or_default());
    let (shard, total) = (number(SHARD)?, number(TOTAL)?);
    if shard >= total {
        let message = format!("expected a number below {TOTAL}, {total}, found {shard}: the first one is 0");
        problems.push(globals.problem(SHARD, message));
    }
    Some(Sharding::Fixed(Share { shard, total }))
}

fn stateful_set(
    globals: &Section,
    pod: &str,
    namespace: String,
    problems: &mut Vec<Problem>,
) -> Option<Sharding> {
    const KUBECONFIG: &str = "kubernetes.kubeconfig";
    let kubeconfig = globals.text(KUBECONFIG).map(PathBuf::from);
    if let Some(file) = &kubeconfig
        && globals.get("kubernetes.listen_address").is_none()
    {
        // Where the adapter is on, that was looked at for it.
        must_be_readable(globals, KUBECONFIG, file, problems);
    }
    // The table of settings has looked at its form.
    let (name, ordinal) = pod.rsplit_once('-')?;
    let (name, ordinal) = (name.to_owned(), ordinal.parse().ok()?);
    Some(Sharding::StatefulSet { namespace, name, ordinal, kubeconfig })
}
