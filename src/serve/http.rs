//! The web port: its routes, and what one request may cost.

use std::{
    io,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_http::{
    CompressionLevel, catch_panic::CatchPanicLayer, compression::CompressionLayer,
    limit::RequestBodyLimitLayer, set_header::SetResponseHeaderLayer, timeout::TimeoutLayer,
};

use super::{App, lifecycle, page, process, prometheus, report};
use crate::{
    catalogue::{exporter::Exporter, samples::Source},
    model::share::Part,
};

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
        ));
    let answers = Router::new()
        .route("/", get(show_page))
        .route("/api/v1/groups", get(groups))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
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
    let (snapshot, path) = (app.snapshot(), app.telemetry_path.clone());
    let html = move || page::page(&snapshot, Instant::now(), &path).into_string().into_response();
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, aside(&app, html).await).into_response()
}

async fn groups(State(app): State<App>) -> Response {
    let snapshot = app.snapshot();
    let report = move || Json(report::report(&snapshot, Instant::now())).into_response();
    ([(header::CACHE_CONTROL, "no-store")], aside(&app, report).await).into_response()
}

/// Makes an answer aside: one over tens of thousands of streams takes a while, in which its thread would answer no probe.
async fn aside(app: &App, make: impl FnOnce() -> Response + Send + 'static) -> Response {
    app.aside.spawn_blocking(make).await.unwrap_or_else(|_| {
        let message = "this request could not be answered: a mistake in streamgauge\n";
        (StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
    })
}

async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    let (format, coding) = (prometheus::Format::negotiate(&headers), prometheus::Coding::negotiate(&headers));
    match exposition(app, format, coding).await {
        Ok(pieces) => {
            let mut answer = Response::new(Body::new(pieces));
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
            headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
            if coding == prometheus::Coding::Gzip {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            answer
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be encoded\n").into_response()
        }
    }
}

async fn exposition(
    app: App,
    format: prometheus::Format,
    coding: prometheus::Coding,
) -> io::Result<prometheus::Pieces> {
    let (snapshot, now) = (app.snapshot(), Instant::now());
    let body = app.expositions.body(&snapshot, now, format, coding).await?;
    // /proc is asked, which may take a while: not on a thread that also answers probes.
    let whole = tokio::task::spawn_blocking(move || {
        let exporter = Exporter {
            version: env!("CARGO_PKG_VERSION"),
            process: process::read(),
            config: Some(*app.loads.borrow()),
            share: snapshot.part.share(),
            adapters: app.requests.stats(),
        };
        let source = Source { snapshot: &snapshot, exporter: &exporter, now };
        prometheus::exposition(&source, &body, format, coding)
    });
    whole.await?.map_err(io::Error::other)
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
