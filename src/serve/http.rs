//! The web port: its routes, and what one request may cost.

use std::time::{Duration, Instant};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, limit::RequestBodyLimitLayer,
    set_header::SetResponseHeaderLayer, timeout::TimeoutLayer,
};

use super::{App, lifecycle, page, process, prometheus, report};
use crate::{catalogue::exporter::Exporter, model::share::Part};

/// Most requests that are being answered at once; further ones wait.
const MAX_REQUESTS: usize = 32;
/// Longest time to answer a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest body of a request, in bytes: none of the routes reads one.
const MAX_BODY: usize = 16 * 1024;

/// The routes of the web port.
pub fn router(app: App) -> Router {
    let healthy = get(async || "ok\n");
    let limits = ServiceBuilder::new()
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS))
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(SetResponseHeaderLayer::overriding(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(CompressionLayer::new());
    let answers = Router::new()
        .route("/", get(show_page))
        .route("/api/v1/groups", get(groups))
        .route(&app.telemetry_path, get(metrics))
        .route("/-/reload", post(reload))
        .fallback(async || (StatusCode::NOT_FOUND, "not found; / lists what there is\n"))
        .layer(limits);
    // Probes wait for nobody: a busy server is a healthy one.
    let probes = Router::new()
        .route("/-/healthy", healthy.clone())
        .route("/healthz", healthy.clone())
        .route("/livez", healthy)
        .route("/-/ready", get(ready))
        .route("/readyz", get(ready));
    answers.merge(probes).with_state(app)
}

async fn show_page(State(app): State<App>) -> Response {
    let html = page::page(&app.snapshot(), Instant::now(), &app.telemetry_path).into_string();
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, html).into_response()
}

async fn groups(State(app): State<App>) -> Response {
    let report = Json(report::report(&app.snapshot(), Instant::now())).into_response();
    ([(header::CACHE_CONTROL, "no-store")], report).into_response()
}

async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    let format = prometheus::Format::negotiate(&headers);
    // Encoding tens of thousands of series takes milliseconds: not on a thread that also answers probes.
    let encoded = tokio::task::spawn_blocking(move || {
        let snapshot = app.snapshot();
        let exporter = Exporter {
            version: env!("CARGO_PKG_VERSION"),
            process: process::read(),
            config: Some(*app.loads.borrow()),
            share: snapshot.part.share(),
            adapters: app.requests.stats(),
        };
        prometheus::exposition(snapshot, exporter, Instant::now(), format)
    });
    match encoded.await {
        Ok(Ok(text)) => {
            let headers = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept")];
            (headers, text).into_response()
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be encoded\n").into_response(),
    }
}

async fn reload(State(app): State<App>) -> (StatusCode, String) {
    lifecycle::reload(app.reload.as_ref()).await
}

async fn ready(State(app): State<App>) -> (StatusCode, String) {
    readiness(&app)
}

/// Ready once the first poll of every server has ended, however it ended: a Redis that is down is news to report. From
/// then on it stays ready: a server that a reload adds takes nothing from the others. A shard must know which one it is.
pub(super) fn readiness(app: &App) -> (StatusCode, String) {
    if app.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "ending\n".into());
    }
    let snapshot = app.snapshot();
    if let Part::Unknown(why) = &snapshot.part {
        let text = format!("which streams to measure is not known yet: {why}\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text);
    }
    let waiting: Vec<_> = snapshot.waiting().map(|server| &*server.name).collect();
    if snapshot.was_complete || waiting.is_empty() {
        (StatusCode::OK, "ready\n".into())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for the first poll of {}\n", waiting.join(", ")))
    }
}
