//! `POST /-/reload`, as Prometheus has it: asks for a reload, and answers once it is done.

use axum::http::StatusCode;
use tokio::sync::{mpsc, oneshot};

/// A request for a reload: where to say what came of it, all that is wrong with the configuration included.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// Asks for a reload; `None` is that nobody may.
pub async fn reload(requests: Option<&mpsc::Sender<ReloadRequest>>) -> (StatusCode, String) {
    let Some(requests) = requests else {
        return (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.\n".into());
    };
    let (answer, answered) = oneshot::channel();
    let done = match requests.send(answer).await {
        Ok(()) => answered.await.ok(),
        Err(_) => None,
    };
    match done {
        Some(Ok(())) => (StatusCode::OK, "reloaded\n".into()),
        Some(Err(problems)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config:\n{problems}\n"))
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "ending\n".into()),
    }
}
