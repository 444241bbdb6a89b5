//! A server for one address, plain or TLS, that bounds what any client can cost.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::CertificateDer},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::untaken::{Counted, Untaken};

/// Most connections at once. When a further one comes, the oldest idle one gives way, or else the oldest to a client that does
/// not take its answer; while all are busy, it waits.
const MAX_CONNECTIONS: usize = 512;
/// Longest time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time a client may take to send the head of a request, and to stay idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time a client may take for a piece of an answer, which may be all of it: longer than any scrape is waited for, and
/// shorter than it takes for many snapshots to be made, each of which has a text.
const TAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes of the headers of an HTTP/2 request: a user of Kubernetes may be in hundreds of groups.
const MAX_HEADERS: u32 = 256 * 1024;
/// Most requests that a client may have cancelled before they were looked at: the API server passes its clients' on.
const MAX_CANCELLED: usize = 200;

/// Who is at the other end of a connection: an extension of every request.
#[derive(Debug, Default)]
pub struct Peer {
    /// The certificates that it showed, its own first, and proved to have the key of. By whom they are signed, nobody has
    /// looked at yet.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Set once a request of it was authenticated: strangers give way first.
    pub is_known: AtomicBool,
}

/// Serves until cancelled, then answers what is under way, within `deadline`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    cancel: CancellationToken,
    deadline: Duration,
) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEADER_TIMEOUT)
        .max_concurrent_streams(64)
        .max_header_list_size(MAX_HEADERS)
        .max_pending_accept_reset_streams(MAX_CANCELLED);
    let tls = tls.map(TlsAcceptor::from);
    let server = Arc::new(Server { builder, router, tls, cancel: cancel.clone() });
    let graceful = GracefulShutdown::new();
    let crowd = Arc::new(Crowd::default());
    loop {
        let seat = tokio::select! {
            () = cancel.cancelled() => break,
            seat = crowd.enter() => seat,
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
        // The second part of an answer must not wait 40 ms for the first to be acknowledged. Refused, it is only slower.
        let _ = stream.set_nodelay(true);
        let (server, watcher) = (server.clone(), graceful.watcher());
        tokio::spawn(async move {
            let evicted = seat.member.evicted.clone();
            tokio::select! {
                () = evicted.cancelled() => tracing::debug!("connection gave way to another"),
                () = server.connection(stream, watcher, &seat) => {}
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(deadline, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were cut: they did not end in time");
    }
}

struct Server {
    builder: auto::Builder<TokioExecutor>,
    router: Router,
    tls: Option<TlsAcceptor>,
    cancel: CancellationToken,
}

impl Server {
    async fn connection(&self, stream: TcpStream, watcher: Watcher, seat: &Seat) {
        let Some(tls) = &self.tls else {
            return self.requests(stream, Vec::new(), watcher, seat).await;
        };
        let handshake = tokio::select! {
            // Whoever has not come in yet holds up no end.
            () = self.cancel.cancelled() => return,
            handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)) => handshake,
        };
        match handshake {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let certificates = shown.iter().map(|certificate| certificate.clone().into_owned()).collect();
                self.requests(stream, certificates, watcher, seat).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "tls handshake failed"),
            Err(_) => tracing::debug!("tls handshake took too long"),
        }
    }

    async fn requests(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        certificates: Vec<CertificateDer<'static>>,
        watcher: Watcher,
        seat: &Seat,
    ) {
        let peer = Arc::new(Peer { certificates, ..Peer::default() });
        let _ = seat.member.peer.set(peer.clone());
        let service = service_fn(|mut request: axum::http::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let (router, busy, untaken) =
                (self.router.clone(), Busy::new(&seat.member), seat.member.untaken.clone());
            async move {
                let answer = router.oneshot(request).await;
                drop(busy);
                answer.map(|answer| answer.map(|body| Counted::new(body, untaken)))
            }
        });
        let connection = self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::select! {
            ended = watcher.watch(connection.into_owned()) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended early");
                }
            }
            () = seat.member.takes_too_long() => {
                tracing::debug!("connection was cut: its client does not take the answer");
            }
        }
    }
}

/// The connections that are open, oldest first: idle ones cannot keep others out.
#[derive(Default)]
struct Crowd {
    members: Mutex<(u64, BTreeMap<u64, Arc<Member>>)>,
    /// Somebody left, or is no longer busy.
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct Member {
    /// Requests that are being answered.
    busy: AtomicUsize,
    /// What of answers waits for the client to take it.
    untaken: Arc<Untaken>,
    evicted: CancellationToken,
    peer: std::sync::OnceLock<Arc<Peer>>,
    changed: Arc<Notify>,
}

impl Member {
    fn is_known(&self) -> bool {
        self.peer.get().is_some_and(|peer| peer.is_known.load(Ordering::Relaxed))
    }

    /// Waits until it is a stranger's, and that does not take its answer. The API server has the requests of many on one
    /// connection, and gives up by itself what one of them does not take (`--request-timeout`).
    async fn takes_too_long(&self) {
        loop {
            self.untaken.overdue(TAKE_TIMEOUT).await;
            if !self.is_known() {
                return;
            }
            tokio::time::sleep(TAKE_TIMEOUT).await;
        }
    }
}

/// A place among the connections; given back on drop.
struct Seat {
    number: u64,
    member: Arc<Member>,
    crowd: Arc<Crowd>,
}

impl Crowd {
    /// Takes a place, which the oldest connection that is not busy gives up where there is none: a stranger's rather than a known
    /// one's, and of those an idle one rather than one in the midst of an answer.
    async fn enter(self: &Arc<Self>) -> Seat {
        loop {
            let changed = self.changed.notified();
            if let Some(seat) = self.try_enter() {
                return seat;
            }
            changed.await;
        }
    }

    fn try_enter(self: &Arc<Self>) -> Option<Seat> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, members) = &mut *members;
        if members.len() >= MAX_CONNECTIONS {
            let is_idle = |member: &Member| member.busy.load(Ordering::Acquire) == 0;
            let is_sending = |member: &Member| member.untaken.any();
            let idle = members.iter().filter(|(_, member)| is_idle(member));
            let order =
                |(number, member): &(&u64, &Arc<Member>)| (member.is_known(), is_sending(member), **number);
            let (&oldest, _) = idle.min_by_key(order)?;
            members.remove(&oldest)?.evicted.cancel();
        }
        let member = Arc::new(Member {
            busy: AtomicUsize::new(0),
            untaken: Arc::default(),
            evicted: CancellationToken::new(),
            peer: std::sync::OnceLock::new(),
            changed: self.changed.clone(),
        });
        let number = *next;
        *next += 1;
        members.insert(number, member.clone());
        Some(Seat { number, member, crowd: self.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.members.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&self.number);
        self.crowd.changed.notify_one();
    }
}

/// A request that is being answered.
struct Busy(Arc<Member>);

impl Busy {
    fn new(member: &Arc<Member>) -> Busy {
        member.busy.fetch_add(1, Ordering::AcqRel);
        Busy(member.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_one();
    }
}
