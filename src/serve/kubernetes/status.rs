//! Errors as the Kubernetes API has them: a `Status` with a reason and a message for people.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::serve::scaling::Refusal;

/// An answer that is an error. Its reason, one of Kubernetes's own words, follows from the code.
#[derive(Clone, Debug)]
pub struct Status {
    code: StatusCode,
    message: String,
}

/// Reasons of `k8s.io/apimachinery/pkg/apis/meta/v1`, by code.
const REASONS: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "BadRequest"),
    (StatusCode::UNAUTHORIZED, "Unauthorized"),
    (StatusCode::NOT_FOUND, "NotFound"),
    (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    (StatusCode::NOT_ACCEPTABLE, "NotAcceptable"),
    (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
    (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
];

impl Status {
    /// An error with its message.
    pub fn new(code: StatusCode, message: impl Into<String>) -> Status {
        Status { code, message: message.into() }
    }

    /// What is asked for does not exist.
    pub fn not_found(message: impl Into<String>) -> Status {
        Status::new(StatusCode::NOT_FOUND, message)
    }

    /// It may exist, but nothing true can be said of it now.
    pub fn unavailable(message: impl Into<String>) -> Status {
        Status::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        let code = match refusal {
            Refusal::Bad(_) => StatusCode::BAD_REQUEST,
            Refusal::NotFound(_) => StatusCode::NOT_FOUND,
            Refusal::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Status::new(code, refusal.to_string())
    }
}

impl IntoResponse for Status {
    fn into_response(self) -> Response {
        let reason = REASONS.iter().find(|(code, _)| *code == self.code).map_or("", |(_, reason)| reason);
        let status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": reason,
            "code": self.code.as_u16(),
        });
        (self.code, Json(status)).into_response()
    }
}
