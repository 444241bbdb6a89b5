//! Which share of the work a pod of a StatefulSet has: its number among the replicas, followed.

use kube::Client;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Cluster, Limits,
    follow::{self, Collection, Item, News},
};
use crate::model::share::{Part, Share};

/// A pod of a StatefulSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Namespace of both.
    pub namespace: String,
    /// Name of the StatefulSet.
    pub set: String,
    /// Number of the pod.
    pub ordinal: u32,
}

/// What a StatefulSet says of its pods.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Spec {
    /// How many there should be; 1 where it does not say.
    replicas: Option<u32>,
    ordinals: Option<Ordinals>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Ordinals {
    /// Number of the first one.
    #[serde(default)]
    start: u32,
}

impl Replica {
    fn collection(&self) -> Collection {
        Collection {
            path: format!("/apis/apps/v1/namespaces/{}/statefulsets", self.namespace),
            only: Some(self.set.clone()),
            metadata_only: false,
            grant: "grant list and watch on this StatefulSet",
        }
    }

    /// The share of this pod among so many. A pod that is to go, or is numbered too low, has none of the streams.
    fn share(&self, spec: &Spec) -> Share {
        let start = spec.ordinals.as_ref().map_or(0, |ordinals| ordinals.start);
        let total = spec.replicas.unwrap_or(1);
        Share { shard: self.ordinal.checked_sub(start).unwrap_or(total), total }
    }
}

impl Cluster {
    /// Follows the share of a pod until cancelled, and publishes it. What was published stays while the StatefulSet is gone
    /// or cannot be read: all shards hold to the same number as long as none hears of another.
    pub async fn follow_share(self, of: Replica, publish: watch::Sender<Part>, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = follow(&self.0.client, self.0.limits, &of, &publish) => {}
        }
    }
}

async fn follow(client: &Client, limits: Limits, of: &Replica, publish: &watch::Sender<Part>) {
    let mut journal = Journal::default();
    follow::follow(client, &of.collection(), limits, |news, _| {
        let found = match news {
            News::Failed(reason) => {
                unknown(&reason, publish);
                return journal.failed(&reason);
            }
            News::Watching => return journal.works(),
            News::Alive => return,
            News::Listed(items) => items.into_iter().find(|item| item.metadata.name == of.set),
            News::Put(item) if item.metadata.name == of.set => Some(item),
            News::Gone(name) if name == of.set => None,
            News::Put(_) | News::Gone(_) => return,
        };
        match &found {
            Some(Item { spec, .. }) => show(of.share(spec), publish),
            None => {
                let reason = format!("there is no StatefulSet {} in namespace {}", of.set, of.namespace);
                unknown(&reason, publish);
                if !journal.is_missing {
                    journal.tell(&reason);
                }
            }
        }
        journal.is_missing = found.is_none();
    })
    .await;
}

/// What was logged, so that it is not logged again.
#[derive(Default)]
struct Journal {
    /// The StatefulSet cannot be followed.
    is_broken: bool,
    /// There is none.
    is_missing: bool,
}

impl Journal {
    fn failed(&mut self, reason: &str) {
        if !self.is_broken {
            self.tell(reason);
        }
        self.is_broken = true;
    }

    fn works(&mut self) {
        if self.is_broken {
            tracing::info!("the share of the streams can be followed again");
        }
        self.is_broken = false;
    }

    fn tell(&self, reason: &str) {
        tracing::warn!(reason, "the share of the streams cannot be followed: what is known of it stays");
    }
}

fn show(share: Share, publish: &watch::Sender<Part>) {
    publish.send_if_modified(|part| {
        let is_news = part.share() != Some(share);
        if is_news {
            let Share { shard, total } = share;
            tracing::info!(shard, total, "this is the share of the streams that is measured here");
            *part = Part::Share(share);
        }
        is_news
    });
}

/// Why it is not known, as long as it never was.
fn unknown(reason: &str, publish: &watch::Sender<Part>) {
    publish.send_if_modified(|part| {
        let is_unknown = matches!(part, Part::Unknown(before) if **before != *reason);
        if is_unknown {
            *part = Part::Unknown(reason.into());
        }
        is_unknown
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_the_number_among_the_replicas() {
        let share = |ordinal: u32, spec: &str| {
            let replica = Replica { namespace: "shop".into(), set: "gauge".into(), ordinal };
            let Share { shard, total } = replica.share(&serde_json::from_str(spec).unwrap());
            (shard, total)
        };
        for (ordinal, spec, expected) in [
            (1, r#"{"replicas": 3}"#, (1, 3)),
            (0, "{}", (0, 1)),
            (7, r#"{"replicas": 3, "ordinals": {"start": 5}}"#, (2, 3)),
            (7, r#"{"replicas": 3, "ordinals": {}}"#, (7, 3)),
            // It is to go, or has yet to.
            (3, r#"{"replicas": 3, "ordinals": null}"#, (3, 3)),
            (4, r#"{"replicas": 3, "ordinals": {"start": 5}}"#, (3, 3)),
            (0, r#"{"replicas": 0}"#, (0, 0)),
        ] {
            assert_eq!(share(ordinal, spec), expected, "{ordinal} {spec}");
        }
    }
}
