//! Follows a collection of the API server: lists it, watches it from there on, and goes on wherever that ends.
//!
//! The watcher of the kube crate does not tell when it is whole again after a failure, and waits without end for an
//! answer that does not come. Here every sign of life is told, and nothing is waited for without end: so whoever listens
//! knows at each moment when the last proof came that what he knows is the latest.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream::BoxStream};
use kube::{
    Client,
    api::{ListParams, WatchEvent, WatchParams},
    core::{ListMeta, Status},
};
use serde::{Deserialize, Deserializer};

use super::{Limits, error, stateful_set::Spec};

/// Most objects in one answer.
const PAGE: u32 = 500;
/// How much longer than asked for a watch may last before it counts as dead.
const MARGIN: Duration = Duration::from_secs(5);
/// Pause after the first of several failures; it doubles from one to the next.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A watch that ends sooner counts as a failure when it comes to pauses: a server that closes each at once is not to be
/// asked in a tight loop.
const SETTLED: Duration = Duration::from_secs(1);

const NO_VERSION: &str = "the API server's answer has no resourceVersion";

/// What a watch tells.
type Events = BoxStream<'static, kube::Result<WatchEvent<Item>>>;

/// What is followed.
pub struct Collection {
    /// Its path on the API server.
    pub path: String,
    /// The name of the only object that matters.
    pub only: Option<String>,
    /// Whether the metadata is all that is asked for.
    pub metadata_only: bool,
    /// What an administrator has to grant where it is forbidden.
    pub grant: &'static str,
}

/// An object, as far as anybody here needs to know it.
#[derive(Clone, Debug, Deserialize)]
pub struct Item {
    /// Its name and labels.
    pub metadata: Metadata,
    /// What a ConfigMap holds.
    #[serde(default, deserialize_with = "or_default")]
    pub data: BTreeMap<String, String>,
    /// What a StatefulSet says of its pods.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: Spec,
}

/// The part of an object's metadata that matters.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// The labels.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// The version of the collection at which this was true.
    #[serde(default)]
    resource_version: String,
}

#[cfg(test)]
impl Item {
    /// Of that name, and nothing else.
    pub fn named(name: &str) -> Item {
        let metadata =
            Metadata { name: name.to_owned(), labels: BTreeMap::new(), resource_version: String::new() };
        Item { metadata, data: BTreeMap::new(), spec: Spec::default() }
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default, deserialize_with = "or_default")]
    items: Vec<Item>,
}

/// What is empty may be null: that is how Go writes it.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// What is heard of a collection.
#[derive(Debug)]
pub enum News {
    /// This is all there is.
    Listed(Vec<Item>),
    /// A watch was opened: changes since the list, and since earlier watches, will be told.
    Watching,
    /// An object is new or has changed.
    Put(Item),
    /// The object of this name is gone.
    Gone(String),
    /// Nothing has changed, and the API server says so.
    Alive,
    /// It cannot be listed or watched, and why. It will be tried again.
    Failed(String),
}

/// Why a round ended early.
enum Trouble {
    /// The API server has forgotten the version that was known: the list has to be read anew, and no harm is done.
    Stale,
    /// What came cannot be relied on: the list has to be read anew.
    Lost(String),
    /// No answer, or a refusal: what is known may still be gone on from.
    Failed(String),
}

/// Follows for ever; `tell` hears of everything, and when it was so.
pub async fn follow(client: &Client, what: &Collection, limits: Limits, mut tell: impl FnMut(News, Instant)) {
    let mut follower = Follower::new(client, what, limits);
    let mut pause = Duration::ZERO;
    loop {
        let began = Instant::now();
        let ended = follower.round(&mut tell).await;
        let settled = ended.is_ok() && began.elapsed() >= SETTLED;
        match ended {
            Ok(()) => {}
            Err(Trouble::Stale) => follower.version.clear(),
            Err(Trouble::Lost(reason)) => {
                follower.version.clear();
                tell(News::Failed(reason), Instant::now());
            }
            Err(Trouble::Failed(reason)) => tell(News::Failed(reason), Instant::now()),
        }
        pause = if settled { Duration::ZERO } else { (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE) };
        tokio::time::sleep(pause).await;
    }
}

/// All there is at this moment.
///
/// # Errors
/// It cannot be listed, and why.
pub async fn once(client: &Client, what: &Collection, limits: Limits) -> Result<Vec<Item>, String> {
    let mut all = Vec::new();
    let tell = &mut |news, _| {
        if let News::Listed(items) = news {
            all = items;
        }
    };
    match Follower::new(client, what, limits).list(tell).await {
        Ok(()) => Ok(all),
        Err(Trouble::Stale) => Err("the list changed while it was read: try again".to_owned()),
        Err(Trouble::Lost(reason) | Trouble::Failed(reason)) => Err(reason),
    }
}

struct Follower<'a> {
    client: &'a Client,
    what: &'a Collection,
    limits: Limits,
    /// The version of the collection that was reached; empty where it has to be listed.
    version: String,
    /// When the API server last proved that what was told was the latest.
    proved: Instant,
}

impl<'a> Follower<'a> {
    fn new(client: &'a Client, what: &'a Collection, limits: Limits) -> Self {
        Follower { client, what, limits, version: String::new(), proved: Instant::now() }
    }
    /// Lists where no version is known, and watches until that ends.
    async fn round(&mut self, tell: &mut impl FnMut(News, Instant)) -> Result<(), Trouble> {
        if self.version.is_empty() {
            self.list(tell).await?;
        }
        let mut events = self.open().await?;
        if self.proved.elapsed() > self.limits.proof {
            // What has changed meanwhile takes a moment to be told: nobody may take what is known for the latest.
            drop(events);
            self.list(tell).await?;
            events = self.open().await?;
        }
        self.hear(News::Watching, Instant::now(), tell);
        self.watch(events, tell).await
    }

    fn hear(&mut self, news: News, at: Instant, tell: &mut impl FnMut(News, Instant)) {
        self.proved = at;
        tell(news, at);
    }

    async fn list(&mut self, tell: &mut impl FnMut(News, Instant)) -> Result<(), Trouble> {
        let selector = self.what.selector();
        let mut params = ListParams { field_selector: selector, limit: Some(PAGE), ..ListParams::default() };
        let (began, mut items) = (Instant::now(), Vec::new());
        loop {
            let urls = kube::core::Request::new(&self.what.path);
            let request =
                if self.what.metadata_only { urls.list_metadata(&params) } else { urls.list(&params) };
            let page: Page = self.answer(request, async |request| self.client.request(request).await).await?;
            items.extend(page.items);
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                self.version = page.metadata.resource_version.unwrap_or_default();
                if self.version.is_empty() {
                    return Err(Trouble::Lost(NO_VERSION.to_owned()));
                }
                // All pages are of the moment of the first.
                self.hear(News::Listed(items), began, tell);
                return Ok(());
            }
        }
    }

    /// Opens a watch of what comes after the version that was reached.
    async fn open(&self) -> Result<Events, Trouble> {
        let params = WatchParams {
            field_selector: self.what.selector(),
            timeout: Some(self.seconds()),
            ..WatchParams::default()
        };
        let urls = kube::core::Request::new(&self.what.path);
        let request = if self.what.metadata_only {
            urls.watch_metadata(&params, &self.version)
        } else {
            urls.watch(&params, &self.version)
        };
        self.answer(request, async |request| Ok(self.client.request_events(request).await?.boxed())).await
    }

    /// Hears what a watch tells until it ends, is cut, or has died: none of that says anything about the objects.
    async fn watch(
        &mut self,
        mut events: Events,
        tell: &mut impl FnMut(News, Instant),
    ) -> Result<(), Trouble> {
        let dead = tokio::time::Instant::now() + Duration::from_secs(self.seconds().into()) + MARGIN;
        while let Ok(next) = tokio::time::timeout_at(dead, events.next()).await {
            let (reached, news) = match next {
                None | Some(Err(kube::Error::ReadEvents(_) | kube::Error::HyperError(_))) => return Ok(()),
                Some(Ok(WatchEvent::Added(item) | WatchEvent::Modified(item))) => {
                    (item.metadata.resource_version.clone(), News::Put(item))
                }
                Some(Ok(WatchEvent::Deleted(item))) => {
                    (item.metadata.resource_version, News::Gone(item.metadata.name))
                }
                Some(Ok(WatchEvent::Bookmark(mark))) => (mark.metadata.resource_version, News::Alive),
                Some(Ok(WatchEvent::Error(status)) | Err(kube::Error::Api(status))) => {
                    return Err(self.broken_off(&status));
                }
                Some(Err(error)) => return Err(Trouble::Lost(error::reason(&error, self.what.grant))),
            };
            if reached.is_empty() {
                return Err(Trouble::Lost(NO_VERSION.to_owned()));
            }
            self.version = reached;
            self.hear(news, Instant::now(), tell);
        }
        Ok(())
    }

    /// The answer to a request, if it comes in time.
    async fn answer<T>(
        &self,
        request: Result<hyper::Request<Vec<u8>>, kube::core::request::Error>,
        ask: impl AsyncFnOnce(hyper::Request<Vec<u8>>) -> kube::Result<T>,
    ) -> Result<T, Trouble> {
        let request = request.map_err(|error| Trouble::Lost(error.to_string()))?;
        match tokio::time::timeout(self.limits.answer, ask(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) => Err(self.refused(&status)),
            Ok(Err(error)) => Err(Trouble::Failed(error::reason(&error, self.what.grant))),
            Err(_) => Err(Trouble::Failed(error::no_answer(self.limits.answer))),
        }
    }

    /// A request that was refused. Whoever may not ask, or asks too often, may go on from where he is; any other mistake
    /// of ours can only be about the version.
    fn refused(&self, status: &Status) -> Trouble {
        let reason = error::refusal(status, self.what.grant);
        match status.code {
            410 => Trouble::Stale,
            401 | 403 | 429 => Trouble::Failed(reason),
            400..500 => Trouble::Lost(reason),
            _ => Trouble::Failed(reason),
        }
    }

    /// A watch that says itself that it cannot go on.
    fn broken_off(&self, status: &Status) -> Trouble {
        match status.code {
            410 => Trouble::Stale,
            _ => Trouble::Lost(error::refusal(status, self.what.grant)),
        }
    }

    /// Time that a watch is asked to last.
    fn seconds(&self) -> u32 {
        u32::try_from(self.limits.watch.as_secs()).unwrap_or(u32::MAX).max(1)
    }
}

impl Collection {
    fn selector(&self) -> Option<String> {
        self.only.as_ref().map(|name| format!("metadata.name={name}"))
    }
}
