//! The web port: its routes, and a server that bounds what any client can cost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, limit::RequestBodyLimitLayer,
    set_header::SetResponseHeaderLayer, timeout::TimeoutLayer,
};

use super::{App, page, process, prometheus, report};
use crate::catalogue::Exporter;

/// Most connections at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 512;
/// Most requests that are being answered at once; further ones wait.
const MAX_REQUESTS: usize = 32;
/// Longest time to answer a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time a client may take to send the head of a request, and to stay idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
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
        let exporter = Exporter { version: env!("CARGO_PKG_VERSION"), process: process::read() };
        prometheus::exposition(app.snapshot(), exporter, Instant::now(), format)
    });
    match encoded.await {
        Ok(Ok(text)) => {
            let headers = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept")];
            (headers, text).into_response()
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be encoded\n").into_response(),
    }
}

/// Ready once the first poll of every server has ended, however it ended: a Redis that is down is news to report.
async fn ready(State(app): State<App>) -> (StatusCode, String) {
    if app.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "ending\n".into());
    }
    let snapshot = app.snapshot();
    let waiting: Vec<_> = snapshot
        .servers
        .iter()
        .filter(|server| server.latest.is_none())
        .map(|server| &*server.name)
        .collect();
    if waiting.is_empty() {
        (StatusCode::OK, "ready\n".into())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for the first poll of {}\n", waiting.join(", ")))
    }
}

/// Serves until cancelled, then answers what is under way, within `deadline`.
pub async fn serve(listener: TcpListener, router: Router, cancel: CancellationToken, deadline: Duration) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEADER_TIMEOUT).max_concurrent_streams(64);
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let permit = tokio::select! {
            () = cancel.cancelled() => break,
            permit = permits.clone().acquire_owned() => permit,
        };
        let stream = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: connections that end give them back.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(deadline, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were cut: they did not end in time");
    }
}
