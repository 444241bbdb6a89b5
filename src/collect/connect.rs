//! One connection to one Redis server: opened with the credentials of that moment, never mended, only replaced.
//!
//! A request that fails or times out leaves replies in flight, so the poller drops the link and opens a new one at its
//! next round; all files are read anew then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    ask,
    commands::{self, Command},
    credentials::Credentials,
    decode,
    dial::{self, Stream},
    error,
    request::{Arg, Requests},
    resp::{ErrorReply, Reply},
    tls,
    tracking::Tracking,
    trust::{self, Role, ServerInfo},
    wire::Wire,
};
use crate::{
    config::{Address, Protocol, RedisServer},
    model::{
        fault::{Fault, FaultKind},
        time::UnixMicros,
    },
};

/// What to mend where a login is refused.
pub const MEND_LOGIN: &str =
    "check the username and the password, and that this server has the user: users are not replicated";

/// What to mend where a Sentinel was taken for a server.
const IS_SENTINEL: &str = "this is a Sentinel: write redis+sentinel://host[:port]/service in the URL";

/// A process to connect to, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it is.
    pub address: Address,
    /// Number of the database.
    pub database: u32,
    /// Whether it is a replica in a cluster, which answers only those who ask for a replica's answers.
    pub read_only: bool,
    /// What it must be to be measured; `None` is whatever it is.
    pub role: Option<Role>,
}

/// An open connection to a process.
pub struct Link {
    pub(super) wire: Wire,
    /// What it was opened with.
    pub credentials: Credentials,
    /// Commands sent so far.
    pub sent: Sent,
    /// Whether questions are about keys that are on their way here from another node of a cluster.
    pub is_asking: bool,
    /// Shortest time that a request took which is next to none for Redis.
    pub(super) round_trip: Duration,
    /// What Redis tells of.
    pub tracking: Tracking,
}

/// A count of commands, which outlives its connection.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<AtomicU64>);

impl Sent {
    pub(super) fn add(&self, commands: usize) {
        self.0.fetch_add(commands as u64, Ordering::Relaxed);
    }

    /// The count, which begins anew.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Link {
    /// Connects, authenticates and selects the database.
    ///
    /// # Errors
    /// No connection, or wrong credentials.
    pub async fn open(server: &RedisServer, peer: &Peer, credentials: Credentials) -> Result<Link, Fault> {
        let mut link = Link::reach(server, server.protocol, &peer.address, credentials).await?;
        match link.greet(peer).await {
            Ok(()) => Ok(link),
            Err(fault) => {
                let fault = opening_fault(fault, server, &peer.address);
                let place = cannot(fault.kind, &peer.address);
                let fault = match peer.database {
                    0 => fault.during(place),
                    database => fault.during(format!("{place}, database {database}")),
                };
                // A Sentinel has no databases.
                let is_sentinel = fault.message.contains("unknown command");
                Err(if is_sentinel { fault.advising(IS_SENTINEL) } else { fault })
            }
        }
    }

    /// Connects and authenticates, and no more.
    ///
    /// # Errors
    /// No connection, or wrong credentials.
    pub async fn reach(
        server: &RedisServer,
        protocol: Protocol,
        address: &Address,
        credentials: Credentials,
    ) -> Result<Link, Fault> {
        // Name resolution and both handshakes can hang as well.
        let opening = Link::handshake(server, protocol, address, credentials);
        let opened = tokio::time::timeout(server.timeout, opening).await;
        opened.unwrap_or_else(|_| Err(no_answer(server))).map_err(|fault| {
            let what = cannot(fault.kind, address);
            fault.during(what)
        })
    }

    async fn handshake(
        server: &RedisServer,
        protocol: Protocol,
        address: &Address,
        credentials: Credentials,
    ) -> Result<Link, Fault> {
        let stream = dial::dial(address, server.tls.as_ref(), &credentials).await?;
        Link::login(server, protocol, address, credentials, stream).await
    }

    /// Authenticates on a stream of bytes that was opened with these credentials. Without any, nothing is sent: whether
    /// that is enough, the first request shows.
    ///
    /// # Errors
    /// Wrong credentials, or no Redis at the other end.
    pub(super) async fn login(
        server: &RedisServer,
        protocol: Protocol,
        address: &Address,
        credentials: Credentials,
        stream: Box<dyn Stream>,
    ) -> Result<Link, Fault> {
        let mut link = Link {
            wire: Wire::new(stream, server.timeout),
            credentials,
            sent: Sent::default(),
            is_asking: false,
            round_trip: Duration::MAX,
            tracking: Tracking::default(),
        };
        if let Some(login) = login(protocol, &link.credentials) {
            let replies =
                link.request(&login).await.map_err(|fault| opening_fault(fault, server, address))?;
            if let Some(reply) = replies.iter().find_map(|reply| reply.error()) {
                return Err(refused_login(&reply, protocol, server, address));
            }
            // Connecting is not counted: as many commands as configured are sent to whoever is measured.
            link.sent.take();
        }
        Ok(link)
    }

    /// Chooses the database. The rest may be refused (an older server, a narrow ACL) without harm.
    async fn greet(&mut self, peer: &Peer) -> Result<(), Fault> {
        let mut requests = Requests::default();
        let setinfo = [("LIB-NAME", env!("CARGO_PKG_NAME")), ("LIB-VER", env!("CARGO_PKG_VERSION"))];
        for (what, value) in setinfo {
            requests.add(&commands::CLIENT_SETINFO, &[what.into(), value.into()]);
        }
        // CLIENT NO-TOUCH is left out: with it, Redis 8.0 crashes at a question about a key whose slot moves.
        let mut needed = Vec::new();
        if peer.database != 0 {
            requests.add(&commands::SELECT, &[u64::from(peer.database).into()]);
            needed.push(&commands::SELECT);
        }
        if peer.read_only {
            requests.add(&commands::READONLY, &[]);
            needed.push(&commands::READONLY);
        }
        let replies = self.request(&requests).await?;
        needed
            .into_iter()
            .zip(&replies[2..])
            .try_for_each(|(command, reply)| ask::answer(*reply, command, None, |_| Ok(())))
    }

    /// Which server this is at this moment, and its clock. A server that does not say who it is can still be measured,
    /// unless it must have a role.
    ///
    /// # Errors
    /// No reply. Its clock may be refused.
    pub async fn identify(&mut self) -> Result<(ServerInfo, Result<UnixMicros, Fault>), Fault> {
        let replies = self.introduction().await?;
        let info = trust::server_info(replies[0], replies[1]);
        Ok((info, ask::answer(replies[2], &commands::TIME, None, decode::time)))
    }

    /// The same of a process that is to be measured as a certain one.
    ///
    /// # Errors
    /// No reply, an error reply to TIME, or another role.
    pub async fn identify_as(&mut self, peer: &Peer) -> Result<(ServerInfo, UnixMicros), Fault> {
        let replies = self.introduction().await?;
        let info = trust::server_info(replies[0], replies[1]);
        if info.is_sentinel() {
            return Err(Fault::new(FaultKind::Connect, IS_SENTINEL).during(&peer.address));
        }
        match (peer.role, info.role) {
            (Some(expected), Some(found)) if expected != found => {
                let message = format!("{} is a {found}, and should be a {expected}", peer.address);
                return Err(Fault::new(FaultKind::WrongRole, message));
            }
            (Some(_), None) => {
                let unseen = |_: Reply<'_>| Err(decode::Unexpected::Missing("role"));
                return ask::answer(replies[1], &commands::INFO, None, unseen);
            }
            _ => {}
        }
        Ok((info, ask::answer(replies[2], &commands::TIME, None, decode::time)?))
    }

    async fn introduction(&mut self) -> Result<Vec<Reply<'_>>, Fault> {
        let mut requests = Requests::default();
        requests.add(&commands::INFO, &["server".into()]);
        requests.add(&commands::INFO, &["replication".into()]);
        requests.add(&commands::TIME, &[]);
        let (before, started) = (self.round_trip, Instant::now());
        self.exchange(&requests).await?;
        self.round_trip = before.min(started.elapsed());
        self.replies()
    }

    /// Sends one command and decodes its reply.
    ///
    /// # Errors
    /// No reply, an error reply, or one of unexpected shape.
    pub async fn single<T>(
        &mut self,
        command: &Command,
        args: &[Arg<'_>],
        decode: impl Fn(Reply<'_>) -> Result<T, decode::Unexpected>,
    ) -> Result<T, Fault> {
        let replies = self.request(&Requests::one(command, args)).await?;
        ask::answer(replies[0], command, None, decode)
    }

    /// Sends commands together; their replies, in which there may be errors that do not concern the whole server.
    ///
    /// # Errors
    /// No reply, or an error that concerns the whole server.
    pub(super) async fn request(&mut self, requests: &Requests) -> Result<Vec<Reply<'_>>, Fault> {
        self.exchange(requests).await?;
        self.replies()
    }

    async fn exchange(&mut self, requests: &Requests) -> Result<(), Fault> {
        self.sent.add(requests.count());
        self.wire.send(requests).await;
        self.wire.receive(requests.count()).await
    }

    fn replies(&self) -> Result<Vec<Reply<'_>>, Fault> {
        let replies: Vec<_> = self.wire.replies().collect();
        server_wide(&replies)?;
        Ok(replies)
    }
}

/// The login that a connection begins with, if it does.
fn login(protocol: Protocol, credentials: &Credentials) -> Option<Requests> {
    let Credentials { username, password, .. } = credentials;
    // Without a password, whoever has a user is still not the default one.
    let password = password.as_deref().or(username.is_some().then_some(""));
    match (protocol, password) {
        (Protocol::Resp2, None) => None,
        (Protocol::Resp2, Some(password)) => {
            let args: Vec<_> = username.as_deref().into_iter().chain([password]).map(Arg::from).collect();
            Some(Requests::one(&commands::AUTH, &args))
        }
        (Protocol::Resp3, None) => Some(Requests::one(&commands::HELLO, &["3".into()])),
        (Protocol::Resp3, Some(password)) => {
            let username = username.as_deref().unwrap_or("default");
            let args = ["3", "AUTH", username, password].map(Arg::from);
            Some(Requests::one(&commands::HELLO, &args))
        }
    }
}

/// No rule forbids AUTH, but HELLO may be forbidden.
fn refused_login(reply: &ErrorReply, protocol: Protocol, server: &RedisServer, address: &Address) -> Fault {
    let fault = match protocol {
        Protocol::Resp2 => error::from_login(reply),
        Protocol::Resp3 => error::from_reply(reply),
    };
    if fault.kind == FaultKind::NoPerm {
        return fault.advising(commands::HELLO.grant(reply.parts().1, None));
    }
    opening_fault(fault, server, address)
}

/// The error among replies that concerns the whole server.
pub(super) fn server_wide(replies: &[Reply<'_>]) -> Result<(), Fault> {
    let mut faults = replies.iter().filter_map(|reply| reply.error()).map(|error| error::from_reply(&error));
    faults.find(|fault| fault.kind.is_server_wide()).map_or(Ok(()), Err)
}

/// What could not be done at an address.
fn cannot(fault: FaultKind, address: &Address) -> String {
    let what = if fault == FaultKind::Auth { "log in" } else { "connect" };
    format!("cannot {what} to {address}")
}

/// A port without TLS waits for the rest of what it takes for a command.
pub(super) fn no_answer(server: &RedisServer) -> Fault {
    let fault = error::no_answer(server.timeout);
    match server.tls {
        Some(_) => fault.advising("does it hang, or is this not its TLS port?"),
        None => fault,
    }
}

/// A fault of a connection that was just opened. A server that wants another client certificate may say so only now: in
/// TLS 1.3 its half of the handshake ends last.
pub(super) fn opening_fault(fault: Fault, server: &RedisServer, address: &Address) -> Fault {
    let is_over = matches!(fault.kind, FaultKind::Disconnected | FaultKind::Unexpected);
    let mend = match (fault.kind, &server.tls, address) {
        (FaultKind::Auth, ..) => Some(MEND_LOGIN.to_owned()),
        (_, Some(settings), _) if is_over => Some(tls::refused(settings)),
        (_, None, Address::Tcp(_)) if is_over => {
            Some("if it is a TLS port, write rediss:// in the URL".to_owned())
        }
        _ => None,
    };
    let fault = of_connecting(fault);
    match mend {
        Some(mend) => fault.advising(mend),
        None => fault,
    }
}

/// What is not about credentials, rights or time is about the connection.
fn of_connecting(mut fault: Fault) -> Fault {
    if matches!(fault.kind, FaultKind::Disconnected | FaultKind::Server | FaultKind::Unexpected) {
        fault.kind = FaultKind::Connect;
    }
    fault
}
