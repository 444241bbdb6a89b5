//! The Kubernetes adapter: an aggregated API server for `external.metrics.k8s.io` and `custom.metrics.k8s.io`.
//!
//! ```text
//! TLS (listener) ──► count ──► who is it? (auth) ──► documents: discovery, OpenAPI
//!                                              └──► external, custom ──► scaling ──► answers
//! ```
//!
//! Health and the version are answered to everybody, anything else only to the API server's front proxy. All numbers come
//! from the snapshot, so no request costs Redis anything; but for streams of other shards, which are polled from the first
//! request on.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{FromRef, Request, State, rejection::PathRejection},
    http::{HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::json;
use tokio::sync::watch;
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_http::{
    CompressionLevel, catch_panic::CatchPanicLayer, compression::CompressionLayer,
    limit::RequestBodyLimitLayer, set_header::SetResponseHeaderLayer, timeout::TimeoutLayer,
};

use super::{App, asking::Need, http, scaling::Value};
use crate::{
    cluster::Cluster,
    model::{offer::Offer, selector::Selector, snapshot::Snapshot},
};

pub mod answers;
pub mod auth;
pub mod custom;
pub mod discovery;
mod documents;
pub mod external;
pub mod openapi;
pub mod quantity;
pub mod status;

use auth::Trusted;
use documents::Documents;
use status::Status;

/// Most requests to one API that are being answered at once; further ones wait. Those of custom metrics wait for the API
/// server, and external ones do not wait for them.
const MAX_REQUESTS: usize = 64;
/// Longest time to answer a request. The API server itself waits longer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Largest body of a request, in bytes: none of the routes reads one.
const MAX_BODY: usize = 16 * 1024;

/// What the handlers share.
#[derive(Clone)]
pub struct Shared {
    /// What was measured, readiness, and counters.
    pub app: App,
    /// What the configuration offers, which a reload replaces.
    pub offered: watch::Receiver<Arc<Offered>>,
    /// The API server, for pods and objects; `None` where it cannot be reached.
    pub cluster: Option<Cluster>,
    /// Whom to believe.
    pub trusted: Trusted,
}

/// What a configuration offers, and the documents about it.
pub struct Offered {
    offer: Offer,
    documents: Documents,
}

impl Offered {
    /// Writes the documents.
    #[must_use]
    pub fn new(offer: Offer) -> Offered {
        Offered { documents: Documents::new(&offer), offer }
    }
}

/// What one request is answered from: the offer of the moment in which it came.
struct Adapter {
    app: App,
    offered: Arc<Offered>,
    cluster: Option<Cluster>,
}

impl FromRef<Shared> for Adapter {
    fn from_ref(Shared { app, offered, cluster, .. }: &Shared) -> Adapter {
        Adapter { app: app.clone(), offered: offered.borrow().clone(), cluster: cluster.clone() }
    }
}

/// The routes of the adapter's port.
pub fn router(shared: Shared) -> Router {
    let gate = Arc::new(auth::Gate::new(shared.trusted.clone()));
    let limits = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest));
    let documents = documents::router().with_state(shared.clone());
    let limited = |routes: Router<Shared>| routes.layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS));
    let metrics = limited(external::router()).merge(limited(custom::router())).with_state(shared.clone());
    let closed = documents
        .merge(metrics)
        .fallback(async |uri: Uri| Status::not_found(format!("there is nothing at {}", uri.path())))
        .method_not_allowed_fallback(async || {
            Status::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served here")
        })
        .layer(limits)
        .layer(middleware::from_fn_with_state(gate, auth::authenticate));
    // Probes wait for nobody, and need no certificate.
    let healthy = get(async || "ok\n");
    let open = Router::new()
        .route("/healthz", healthy.clone())
        .route("/livez", healthy)
        .route("/readyz", get(ready))
        .route("/version", get(version))
        .with_state(shared.clone());
    let outermost = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(shared, count))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            let message = "this request could not be answered: a mistake in streamgauge";
            Status::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
        }))
        .layer(SetResponseHeaderLayer::overriding(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ));
    closed.merge(open).layer(outermost)
}

/// Ready where the web port is, once it is known whom to believe.
async fn ready(State(shared): State<Shared>) -> (StatusCode, String) {
    if shared.trusted.borrow().is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, "waiting for the CA of the front proxy\n".into());
    }
    http::readiness(&shared.app)
}

/// `/version`, as `kubectl version` reads it.
async fn version() -> Json<serde_json::Value> {
    let [major, minor] = [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR")];
    let git_version = concat!("v", env!("CARGO_PKG_VERSION"));
    let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
    Json(json!({"major": major, "minor": minor, "gitVersion": git_version, "platform": platform}))
}

/// Counts a request by the API that it is for.
async fn count(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let api = api(request.uri().path());
    let answer = next.run(request).await;
    shared.app.requests.answered(api, answer.status().as_u16());
    answer
}

/// The `api` label of a path: what lies below the version of a metrics API is a metric.
fn api(path: &str) -> &'static str {
    let mut parts = path.trim_matches('/').split('/');
    match (parts.next(), parts.next(), parts.nth(1)) {
        (Some("apis"), Some(discovery::EXTERNAL), Some(_)) => external::API,
        (Some("apis"), Some(discovery::CUSTOM), Some(_)) => custom::API,
        (Some("apis" | "openapi"), ..) => "discovery",
        (Some("healthz" | "livez" | "readyz" | "version"), None, _) => "health",
        _ => "other",
    }
}

impl Adapter {
    /// A snapshot that has all that a question needs, also of other shards.
    async fn snapshot(&self, needs: impl Fn(&Snapshot) -> Vec<Need>) -> Result<Arc<Snapshot>, Status> {
        Ok(self.app.asking.snapshot(self.app.snapshot.clone(), needs).await?)
    }

    /// Takes note of how old the measurements are that are answered with.
    fn observe<'v>(&self, api: &'static str, values: impl IntoIterator<Item = &'v Value>) {
        if let Some(oldest) = values.into_iter().map(|value| value.measured_at).min() {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.app.requests.measured(api, (now.as_secs_f64() - oldest.seconds()).max(0.0));
        }
    }
}

/// Makes an answer aside: one over tens of thousands of series takes a while, in which its thread would answer no probe.
fn aside(make: impl FnOnce() -> Result<Response, Status>) -> Result<Response, Status> {
    tokio::task::block_in_place(make)
}

/// A path whose parts are no text.
fn bad_path(rejection: PathRejection) -> Status {
    Status::new(StatusCode::BAD_REQUEST, format!("the path cannot be read: {rejection}"))
}

/// A selector among the parameters of a request; all, where there is none.
fn selector(query: Option<&str>, name: &str) -> Result<Selector, Status> {
    let parameters = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut values = parameters.filter(|(key, _)| key == name).map(|(_, value)| value);
    let value = values.next().unwrap_or_default();
    let bad = |message: String| Status::new(StatusCode::BAD_REQUEST, message);
    if values.next().is_some() {
        return Err(bad(format!("{name} is given more than once")));
    }
    Selector::parse(&value).map_err(|error| bad(format!("{name}: {error}")))
}
