//! Who gets in: the API server's front proxy, by its client certificate, and nobody else.
//!
//! The API server has authenticated and authorized the user by then, and names them in headers. These are believed of a
//! client whose certificate is signed by the requestheader CA and has an allowed name; to any other they give nothing.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::sync::watch;

use super::status::Status;
use crate::{pem, serve::listener::Peer, x509};

/// Whom to believe.
#[derive(Debug)]
pub struct Trust {
    verifier: Arc<dyn ClientCertVerifier>,
    /// Common names that the certificate may have; empty is any.
    allowed_names: Vec<String>,
    user_headers: Vec<HeaderName>,
    group_headers: Vec<HeaderName>,
}

/// The trust of this moment; `None` until it is known.
pub type Trusted = watch::Receiver<Option<Arc<Trust>>>;

/// Why a client is not believed; for the log.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Stranger {
    #[error("no client certificate")]
    NoCertificate,
    #[error("client certificate not signed by the requestheader CA, or not valid: {0}")]
    NotSigned(String),
    #[error("client certificate of {0:?}, which is not an allowed name")]
    NotAllowed(String),
    #[error("no header with the user's name")]
    NoUser,
}

impl Trust {
    /// Believes clients whose certificate is signed by one of these CAs (PEM) and has one of these common names, empty being
    /// any; the headers are those that the API server puts the user and the groups in.
    ///
    /// # Errors
    /// No CA, or a malformed one; a header that is none.
    pub fn new(
        client_ca: &str,
        allowed_names: Vec<String>,
        user_headers: &[String],
        group_headers: &[String],
    ) -> Result<Trust, String> {
        let mut roots = RootCertStore::empty();
        for certificate in pem::certificates(client_ca.as_bytes())? {
            roots.add(certificate).map_err(|error| format!("a CA certificate is of no use: {error}"))?;
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| error.to_string())?;
        let headers = |names: &[String]| {
            let header = |name: &String| name.parse().map_err(|_| format!("{name:?} is no name of a header"));
            names.iter().map(header).collect::<Result<_, String>>()
        };
        let (user_headers, group_headers) = (headers(user_headers)?, headers(group_headers)?);
        Ok(Trust { verifier, allowed_names, user_headers, group_headers })
    }

    /// The user for whom a believed client asks.
    fn user<'h>(
        &self,
        certificates: &[CertificateDer<'_>],
        headers: &'h HeaderMap,
    ) -> Result<&'h [u8], Stranger> {
        let [own, others @ ..] = certificates else { return Err(Stranger::NoCertificate) };
        let now = UnixTime::now();
        self.verifier
            .verify_client_cert(own, others, now)
            .map_err(|error| Stranger::NotSigned(error.to_string()))?;
        if !self.allowed_names.is_empty() {
            let name = x509::common_name(own).unwrap_or_default();
            if !self.allowed_names.contains(&name) {
                return Err(Stranger::NotAllowed(name));
            }
        }
        let mut values = self.user_headers.iter().filter_map(|name| headers.get(name));
        values.find(|value| !value.is_empty()).map(|value| value.as_bytes()).ok_or(Stranger::NoUser)
    }
}

/// Shortest time between two warnings of refused certificates: a stranger must not fill the log.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// What requests come through.
#[derive(Debug)]
pub struct Gate {
    trusted: Trusted,
    warned: Mutex<Option<Instant>>,
}

impl Gate {
    /// Nobody has been refused yet.
    #[must_use]
    pub fn new(trusted: Trusted) -> Gate {
        Gate { trusted, warned: Mutex::new(None) }
    }

    /// A certificate that is refused is most likely the API server's, and the configuration is wrong. Who shows none is
    /// nobody.
    fn warn_of(&self, stranger: &Stranger) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = warned.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL);
        if *stranger != Stranger::NoCertificate && is_due {
            *warned = Some(Instant::now());
            tracing::warn!(reason = %stranger, "request refused: is this the front proxy of another cluster?");
        }
    }
}

/// Lets a request in, or answers 401.
pub async fn authenticate(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request,
    next: Next,
) -> Response {
    let trust = gate.trusted.borrow().clone();
    let Some(trust) = trust else {
        let message = "the CA of the front proxy is not known yet: see the log of streamgauge";
        return Status::unavailable(message).into_response();
    };
    match trust.user(&peer.certificates, request.headers()) {
        Ok(user) => {
            let groups = trust.group_headers.iter().flat_map(|name| request.headers().get_all(name));
            let groups: Vec<_> = groups.map(|group| String::from_utf8_lossy(group.as_bytes())).collect();
            let (user, uri) = (String::from_utf8_lossy(user), request.uri());
            tracing::debug!(?user, ?groups, method = %request.method(), ?uri, "request");
        }
        Err(stranger) => {
            tracing::debug!(reason = %stranger, "request refused");
            gate.warn_of(&stranger);
            let message = "Unauthorized: only the Kubernetes API server's front proxy may ask here";
            return Status::new(StatusCode::UNAUTHORIZED, message).into_response();
        }
    }
    peer.is_known.store(true, std::sync::atomic::Ordering::Relaxed);
    next.run(request).await
}
