//! A Kubernetes API server as far as streamgauge sees it: discovery, lists, watches and single objects of what a test
//! puts into it. It fails as it is told to. In its words, a request is a verb and a path: `watch /api/v1/namespaces/shop/pods`.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};

use self::{
    request::{Seen, Target},
    store::{Key, Store},
};

mod request;
mod store;

/// What the kubeconfig file shows to the server. It must never be seen anywhere else.
pub const TOKEN: &str = "correct-horse-battery-staple";

/// An API server on a free port; ended on drop.
pub struct ApiServer {
    shared: Arc<Shared>,
    directory: TempDir,
    runtime: Option<Runtime>,
}

struct Shared {
    store: Mutex<Store>,
    /// Told of whatever may concern a watch.
    changed: watch::Sender<()>,
}

/// How a request goes wrong.
#[derive(Clone, Debug)]
pub enum Failure {
    /// With this status, in the words of a real API server.
    Status(u16),
    /// With this status and text, as what stands in front of an API server does it.
    Text(u16, &'static str),
    /// A watch is opened, and says this status.
    InWatch(u16),
    /// It is never answered.
    Hang,
}

impl ApiServer {
    /// A server with the resources of `v1`, `apps/v1` and `batch/v1`, and no objects.
    pub fn start() -> ApiServer {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { store: Mutex::new(Store::new()), changed: watch::channel(()).0 });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        runtime.spawn(async { axum::serve(listener, router).await });
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "streamgauge", "user": {"token": TOKEN}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "streamgauge"}}],
            "current-context": "fake",
        });
        fs::write(directory.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        ApiServer { shared, directory, runtime: Some(runtime) }
    }

    /// The file with which to reach it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Creates a pod, or changes its labels.
    pub fn set_pod(&self, namespace: &str, name: &str, labels: &[(&str, &str)]) {
        let key = Key::new("pods", Some(namespace), name);
        self.change(|store| {
            store.set(key, json!({"labels": map(labels)}), json!({"spec": {"nodeName": "n1"}}))
        });
    }

    pub fn delete_pod(&self, namespace: &str, name: &str) {
        self.delete_object("pods", Some(namespace), name);
    }

    /// Creates an object of a resource such as `deployments.apps`, or changes its annotations.
    pub fn set_object(
        &self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        annotations: &[(&str, &str)],
    ) {
        let key = Key::new(resource, namespace, name);
        let metadata = json!({"annotations": map(annotations)});
        self.change(|store| store.set(key, metadata, json!({"spec": {"replicas": 1}})));
    }

    /// Creates a StatefulSet of so many replicas, or changes their number.
    pub fn set_stateful_set(&self, namespace: &str, name: &str, replicas: u32) {
        let key = Key::new("statefulsets.apps", Some(namespace), name);
        self.change(|store| store.set(key, json!({}), json!({"spec": {"replicas": replicas}})));
    }

    pub fn delete_object(&self, resource: &str, namespace: Option<&str>, name: &str) {
        self.change(|store| store.delete(&Key::new(resource, namespace, name)));
    }

    /// The ConfigMap that says whom the API server vouches for.
    pub fn set_front_proxy(&self, data: &[(&str, &str)]) {
        self.change(|store| store.set(Key::front_proxy(), json!({}), json!({"data": map(data)})));
    }

    pub fn delete_front_proxy(&self) {
        self.change(|store| store.delete(&Key::front_proxy()));
    }

    /// Serves another resource; the version of a group that came first is the preferred one.
    pub fn serve(&self, group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) {
        self.change(|store| store.serve(group, version, plural, kind, namespaced));
    }

    /// Serves a version of a group no more.
    pub fn unserve(&self, group: &str, version: &str) {
        self.change(|store| store.served.retain(|served| served.group != group || served.version != version));
    }

    /// Answers with this at a path, whatever is asked there.
    pub fn answer_with(&self, path: &str, document: Value) {
        self.change(|store| _ = store.documents.insert(path.to_owned(), document));
    }

    /// From now on requests fail whose verb and path hold this text. Watches that are open stay so.
    pub fn fail(&self, what: &str, how: Failure) {
        self.change(|store| store.failures.push((what.to_owned(), how)));
    }

    /// Nothing fails any more. What hangs, hangs on.
    pub fn mend(&self) {
        self.change(|store| store.failures.clear());
    }

    /// Ends all watches that are open, as an API server does it every few minutes.
    pub fn close_watches(&self) {
        self.change(|store| store.watches_closed += 1);
    }

    /// Forgets what was until now: whoever goes on from there must list anew.
    pub fn expire(&self) {
        self.change(Store::expire);
    }

    /// Tells all open watches that nothing has happened.
    pub fn bookmark(&self) {
        self.change(Store::bookmark);
    }

    /// Watches are opened, and told nothing.
    pub fn hold_events(&self) {
        self.change(|store| store.events_held = true);
    }

    /// How many watches are open whose path holds this text.
    pub fn open_watches(&self, path: &str) -> usize {
        self.shared.lock().open.iter().filter(|open| open.contains(path)).count()
    }

    /// The requests so far whose verb and path hold this text.
    pub fn requests(&self, what: &str) -> Vec<Seen> {
        let seen = self.shared.lock().seen.clone();
        seen.into_iter().filter(|seen| seen.to_string().contains(what)).collect()
    }

    /// It is gone, with all its connections.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    fn change(&self, change: impl FnOnce(&mut Store)) {
        change(&mut self.shared.lock());
        self.shared.changed.send_replace(());
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }
}

fn map(pairs: &[(&str, &str)]) -> Value {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let seen = Seen::new(uri.path(), query.as_deref().unwrap_or_default(), &headers);
    let failure = {
        let mut store = shared.lock();
        store.seen.push(seen.clone());
        store.failures.iter().find(|(what, _)| seen.to_string().contains(what)).map(|(_, how)| how.clone())
    };
    if headers.get(header::AUTHORIZATION).is_none_or(|value| *value != format!("Bearer {TOKEN}")) {
        return status(&seen, 401);
    }
    match failure {
        Some(Failure::Status(code)) => return status(&seen, code),
        Some(Failure::Text(code, text)) => return text_answer(code, text),
        Some(Failure::Hang) => std::future::pending().await,
        Some(Failure::InWatch(code)) if seen.verb == "watch" => {
            return Body::from(line("ERROR", &seen.status(code))).into_response();
        }
        Some(Failure::InWatch(_)) | None => {}
    }
    let target = shared.lock().target(&seen);
    let answer = match target {
        Some(Target::Document(document)) => Ok(document),
        Some(Target::Collection(of)) if seen.verb == "watch" => return stream(shared, seen, of),
        Some(Target::Collection(of)) => shared.lock().list(&seen, &of),
        Some(Target::Object(key)) => shared.lock().get(&key).map(|object| seen.shape(object)).ok_or(404),
        None if seen.place().is_some() => {
            return (StatusCode::NOT_FOUND, axum::Json(Seen::nothing_there())).into_response();
        }
        None => return text_answer(404, "404 page not found"),
    };
    answer.map_or_else(|code| status(&seen, code), |found| axum::Json(found).into_response())
}

fn status(seen: &Seen, code: u16) -> Response {
    (StatusCode::from_u16(code).unwrap(), axum::Json(seen.status(code))).into_response()
}

fn text_answer(code: u16, text: &'static str) -> Response {
    (StatusCode::from_u16(code).unwrap(), text).into_response()
}

fn line(kind: &str, object: &Value) -> String {
    json!({"type": kind, "object": object}).to_string() + "\n"
}

/// An open watch, counted as long as it lives.
struct Open {
    shared: Arc<Shared>,
    path: String,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut store = self.shared.lock();
        let place = store.open.iter().position(|open| *open == self.path).unwrap();
        store.open.remove(place);
    }
}

fn stream(shared: Arc<Shared>, seen: Seen, of: Key) -> Response {
    let mut store = shared.lock();
    let mut reached: u64 =
        seen.parameter("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
    if reached < store.oldest {
        return Body::from(line("ERROR", &seen.status(410))).into_response();
    }
    let closed = store.watches_closed;
    store.open.push(seen.path.clone());
    drop(store);
    let mut changed = shared.changed.subscribe();
    let open = Open { shared, path: seen.path.clone() };
    let timeout = seen.parameter("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(300);
    let end = tokio::time::Instant::now() + Duration::from_secs(timeout);
    let (lines, body) = tokio::sync::mpsc::channel(1);
    // It ends when the client is gone, for then the body is gone.
    tokio::spawn(async move {
        loop {
            let found = {
                let store = open.shared.lock();
                if store.watches_closed != closed {
                    return;
                }
                store.next_event(&seen, &of, reached)
            };
            if let Some((version, kind, object)) = found {
                reached = version;
                if lines.send(line(kind, &seen.shape(object))).await.is_err() {
                    return;
                }
                continue;
            }
            tokio::select! {
                () = lines.closed() => return,
                () = tokio::time::sleep_until(end) => return,
                _ = changed.changed() => {}
            }
        }
    });
    let body = futures_util::stream::unfold(body, async |mut body| {
        let line = body.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(line), body))
    });
    Body::from_stream(body).into_response()
}
