//! The pods of the namespaces that somebody asks about: a watch for each, ended when nobody asks any more.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use kube::Client;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Limits,
    error::{self, Unavailable},
    follow::{self, Collection, News},
    path,
};

/// Pods by name, with their labels.
pub type Labelled = BTreeMap<String, BTreeMap<String, String>>;

/// The namespaces whose pods are watched.
pub struct Pods {
    client: Client,
    limits: Limits,
    watched: Mutex<HashMap<String, Watched>>,
    /// Whether it was logged that there are more namespaces than are watched at once.
    crowded: AtomicBool,
}

struct Watched {
    known: watch::Receiver<Known>,
    asked: Instant,
    /// Ends with this.
    task: AbortOnDropHandle<()>,
}

impl Pods {
    /// Nothing watched yet.
    pub fn new(client: Client, limits: Limits) -> Self {
        Pods { client, limits, watched: Mutex::default(), crowded: AtomicBool::new(false) }
    }

    /// Reads the pods of a namespace as they are at this moment.
    ///
    /// # Errors
    /// They are not known.
    pub async fn read<T>(
        &self,
        namespace: &str,
        read: impl FnOnce(&Labelled) -> T,
    ) -> Result<T, Unavailable> {
        if !path::is_label(namespace) {
            // No namespace can be called that, so it has no pods.
            return Ok(read(&Labelled::new()));
        }
        let mut known = self.watch(namespace, Instant::now());
        // However this ends, what counts is what is known then.
        let _ = tokio::time::timeout(self.limits.first_list, known.wait_for(Known::has_heard)).await;
        let known = known.borrow();
        match known.pods(Instant::now(), self.limits.proof) {
            Some(pods) => Ok(read(pods)),
            None => Err(self.unavailable(namespace, &known)),
        }
    }

    fn unavailable(&self, namespace: &str, known: &Known) -> Unavailable {
        let verb = if known.proved.is_some() { "watched" } else { "listed" };
        let reason = known.trouble.clone().unwrap_or_else(|| error::no_answer(self.limits.first_list));
        Unavailable::new(format!("pods of namespace {namespace} cannot be {verb}: {reason}"))
    }

    /// The watch of a namespace: the one that there is, or a new one.
    fn watch(&self, namespace: &str, now: Instant) -> watch::Receiver<Known> {
        let mut watched = self.lock();
        if let Some(entry) = watched.get_mut(namespace).filter(|entry| !entry.task.is_finished()) {
            entry.asked = now;
            return entry.known.clone();
        }
        if watched.len() >= self.limits.namespaces {
            let least = watched.iter().min_by_key(|(_, entry)| entry.asked).map(|(name, _)| name.clone());
            least.map(|name| watched.remove(&name));
            if !self.crowded.swap(true, Ordering::Relaxed) {
                let limit = self.limits.namespaces;
                tracing::warn!(limit, "pods are asked for in more namespaces than are watched at once");
            }
        }
        let (publish, known) = watch::channel(Known::default());
        let (client, limits) = (self.client.clone(), self.limits);
        let task = tokio::spawn(follow(client, namespace.to_owned(), limits, publish));
        let entry = Watched { known: known.clone(), asked: now, task: AbortOnDropHandle::new(task) };
        watched.insert(namespace.to_owned(), entry);
        known
    }

    /// Ends the watches that nobody has asked about for too long.
    pub fn sweep(&self, now: Instant) {
        self.lock().retain(|_, entry| now.saturating_duration_since(entry.asked) < self.limits.idle);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Watched>> {
        // Nothing that is done under the lock leaves it half done.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn follow(client: Client, namespace: String, limits: Limits, publish: watch::Sender<Known>) {
    let what = Collection {
        path: format!("/api/v1/namespaces/{namespace}/pods"),
        only: None,
        metadata_only: true,
        grant: "grant list and watch on pods",
    };
    follow::follow(&client, &what, limits, |news, now| {
        publish.send_modify(|known| {
            let failed_before = known.trouble.is_some();
            known.hear(news, now);
            match &known.trouble {
                Some(reason) if !failed_before => tracing::warn!(namespace, reason, "pods cannot be watched"),
                None if failed_before => tracing::info!(namespace, "pods can be watched again"),
                _ => {}
            }
        });
    })
    .await;
}

/// What is known of a namespace's pods.
#[derive(Default)]
struct Known {
    pods: Labelled,
    /// When the API server last said that this is the latest; `None` before the first list.
    proved: Option<Instant>,
    /// Why they cannot be listed or watched.
    trouble: Option<String>,
}

impl Known {
    fn hear(&mut self, news: News, now: Instant) {
        match news {
            News::Failed(reason) => {
                self.trouble = Some(reason);
                return;
            }
            News::Listed(items) => {
                self.pods =
                    items.into_iter().map(|item| (item.metadata.name, item.metadata.labels)).collect();
            }
            // A list alone does not mend what cannot be watched.
            News::Watching => self.trouble = None,
            News::Put(item) => _ = self.pods.insert(item.metadata.name, item.metadata.labels),
            News::Gone(name) => _ = self.pods.remove(&name),
            News::Alive => {}
        }
        self.proved = Some(now);
    }

    fn has_heard(&self) -> bool {
        self.proved.is_some() || self.trouble.is_some()
    }

    /// The pods, where the proof that these are they is fresh.
    fn pods(&self, now: Instant, proof: Duration) -> Option<&Labelled> {
        let age = now.saturating_duration_since(self.proved?);
        (age <= proof).then_some(&self.pods)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROOF: Duration = Duration::from_secs(30);

    fn items(names: &[&str]) -> Vec<follow::Item> {
        names.iter().map(|name| follow::Item::named(name)).collect()
    }

    fn names(known: &Known, now: Instant) -> Option<Vec<&str>> {
        known.pods(now, PROOF).map(|pods| pods.keys().map(String::as_str).collect())
    }

    #[test]
    fn pods_are_known_as_long_as_the_last_proof_is_fresh() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut known = Known::default();
        assert!(!known.has_heard());
        known.hear(News::Listed(items(&["a", "b"])), at(0));
        assert_eq!(names(&known, at(30)), Some(vec!["a", "b"]));
        assert_eq!(names(&known, at(31)), None);
        for (news, second, expected) in [
            (News::Watching, 20, vec!["a", "b"]),
            (News::Put(follow::Item::named("c")), 40, vec!["a", "b", "c"]),
            (News::Gone("a".to_owned()), 60, vec!["b", "c"]),
            (News::Alive, 80, vec!["b", "c"]),
            (News::Listed(items(&["d"])), 100, vec!["d"]),
        ] {
            known.hear(news, at(second));
            assert_eq!(names(&known, at(second + 30)), Some(expected), "{second}");
            assert_eq!(names(&known, at(second + 31)), None, "{second}");
        }
    }

    #[test]
    fn a_failure_proves_nothing_and_a_list_alone_does_not_mend_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut known = Known::default();
        known.hear(News::Failed("why".to_owned()), at(0));
        assert!(known.has_heard() && known.pods(at(0), PROOF).is_none());
        known.hear(News::Listed(items(&["a"])), at(10));
        known.hear(News::Failed("why".to_owned()), at(30));
        assert_eq!((names(&known, at(40)), names(&known, at(41))), (Some(vec!["a"]), None));
        assert!(known.trouble.is_some());
        known.hear(News::Watching, at(50));
        assert!(known.trouble.is_none() && names(&known, at(50)).is_some());
    }
}
