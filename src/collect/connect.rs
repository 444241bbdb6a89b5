//! One connection to one Redis server: opened with the credentials of that moment, never mended, only replaced.
//!
//! A request that fails or times out leaves replies in flight, so the poller drops the link and opens a new one at its
//! next round; all files are read anew then.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use redis::{
    AsyncConnectionConfig, Pipeline, ProtocolVersion, RedisConnectionInfo, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    ask::{self, Ask},
    commands::{self, Command},
    credentials::Credentials,
    decode,
    dial::{self, Stream},
    error, tls,
    trust::{self, Role, ServerInfo},
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
    connection: MultiplexedConnection,
    /// What it was opened with.
    pub credentials: Credentials,
    /// Commands sent so far.
    pub sent: Sent,
    /// Whether questions are about keys that are on their way here from another node of a cluster.
    pub is_asking: bool,
    /// Moves the bytes. It would go on waiting for replies that nobody wants any more.
    _driver: AbortOnDropHandle<()>,
}

/// A count of commands, which outlives its connection.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<AtomicU64>);

impl Sent {
    fn add(&self, commands: usize) {
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
        let timeouts = AsyncConnectionConfig::new().set_response_timeout(Some(server.timeout));
        let settings = settings(protocol, &credentials);
        let opened = MultiplexedConnection::new_with_config(&settings, stream, timeouts).await;
        let (connection, driver) = opened.map_err(|error| handshake_fault(&error, server, address))?;
        let driver = AbortOnDropHandle::new(tokio::spawn(driver));
        Ok(Link { connection, credentials, sent: Sent::default(), is_asking: false, _driver: driver })
    }

    /// Chooses the database. The rest may be refused (an older server, a narrow ACL) without harm.
    async fn greet(&mut self, peer: &Peer) -> Result<(), Fault> {
        let mut pipeline = redis::pipe();
        commands::CLIENT_SETINFO.push(&mut pipeline).arg("LIB-NAME").arg(env!("CARGO_PKG_NAME"));
        commands::CLIENT_SETINFO.push(&mut pipeline).arg("LIB-VER").arg(env!("CARGO_PKG_VERSION"));
        // CLIENT NO-TOUCH is left out: with it, Redis 8.0 crashes at a question about a key whose slot moves.
        let mut needed = Vec::new();
        if peer.database != 0 {
            commands::SELECT.push(&mut pipeline).arg(peer.database);
            needed.push(&commands::SELECT);
        }
        if peer.read_only {
            commands::READONLY.push(&mut pipeline);
            needed.push(&commands::READONLY);
        }
        let replies = self.request(&pipeline, 2 + needed.len()).await?;
        needed
            .into_iter()
            .zip(&replies[2..])
            .try_for_each(|(command, reply)| ask::answer(reply, command, None, |_| Ok(())))
    }

    /// Which server this is at this moment, and its clock. A server that does not say who it is can still be measured,
    /// unless it must have a role.
    ///
    /// # Errors
    /// No reply. Its clock may be refused.
    pub async fn identify(&mut self) -> Result<(ServerInfo, Result<UnixMicros, Fault>), Fault> {
        let replies = self.introduction().await?;
        let info = trust::server_info(&replies[0], &replies[1]);
        Ok((info, ask::answer(&replies[2], &commands::TIME, None, decode::time)))
    }

    /// The same of a process that is to be measured as a certain one.
    ///
    /// # Errors
    /// No reply, an error reply to TIME, or another role.
    pub async fn identify_as(&mut self, peer: &Peer) -> Result<(ServerInfo, UnixMicros), Fault> {
        let replies = self.introduction().await?;
        let info = trust::server_info(&replies[0], &replies[1]);
        if info.is_sentinel() {
            return Err(Fault::new(FaultKind::Connect, IS_SENTINEL).during(&peer.address));
        }
        match (peer.role, info.role) {
            (Some(expected), Some(found)) if expected != found => {
                let message = format!("{} is a {found}, and should be a {expected}", peer.address);
                return Err(Fault::new(FaultKind::WrongRole, message));
            }
            (Some(_), None) => {
                let unseen = |_: &_| Err(decode::Unexpected::Missing("role"));
                return ask::answer(&replies[1], &commands::INFO, None, unseen);
            }
            _ => {}
        }
        Ok((info, ask::answer(&replies[2], &commands::TIME, None, decode::time)?))
    }

    async fn introduction(&mut self) -> Result<Vec<Value>, Fault> {
        let mut pipeline = redis::pipe();
        commands::INFO.push(&mut pipeline).arg("server");
        commands::INFO.push(&mut pipeline).arg("replication");
        commands::TIME.push(&mut pipeline);
        self.request(&pipeline, 3).await
    }

    /// Sends a pipeline of one command and decodes its reply.
    ///
    /// # Errors
    /// No reply, an error reply, or one of unexpected shape.
    pub async fn single<T>(
        &mut self,
        pipeline: &Pipeline,
        command: &Command,
        decode: impl Fn(&Value) -> Result<T, decode::Unexpected>,
    ) -> Result<T, Fault> {
        let replies = self.request(pipeline, 1).await?;
        ask::answer(&replies[0], command, None, decode)
    }

    /// Puts many questions, in as few pipelines as their number and size allow, and reads the replies to each. What is
    /// not kept of a pipeline's replies is gone before the next one is sent.
    ///
    /// # Errors
    /// No reply, ASKING is refused, or an error that concerns the whole server; any other error stays in the replies of
    /// its question.
    pub async fn ask<'a, T>(
        &mut self,
        asks: &[Ask<'a>],
        read: impl Fn(&Ask<'a>, &[Value]) -> T,
    ) -> Result<Vec<T>, Fault> {
        let mut answers = Vec::with_capacity(asks.len());
        // One in front of each question, be it a transaction or a command.
        let asking = usize::from(self.is_asking);
        let mut rest = asks;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(ask::fitting(rest));
            rest = later;
            let mut pipeline = redis::pipe();
            for ask in batch {
                if self.is_asking {
                    commands::ASKING.push(&mut pipeline);
                }
                ask.push(&mut pipeline);
            }
            let count = batch.iter().map(|ask| asking + ask.replies()).sum();
            let replies = self.request(&pipeline, count).await?;
            let mut replies = &replies[..];
            for ask in batch {
                let (own, later) = replies.split_at(asking + ask.replies());
                let (asking, own) = own.split_at(asking);
                asking
                    .iter()
                    .try_for_each(|reply| ask::answer(reply, &commands::ASKING, None, |_| Ok(())))?;
                answers.push(read(ask, own));
                replies = later;
            }
        }
        Ok(answers)
    }

    /// Sends a pipeline of so many commands; their replies, in which there may be errors that do not concern the whole
    /// server.
    ///
    /// # Errors
    /// No reply, or an error that concerns the whole server.
    pub(super) async fn request(&mut self, pipeline: &Pipeline, count: usize) -> Result<Vec<Value>, Fault> {
        self.sent.add(count);
        let replies = self
            .connection
            .req_packed_commands(pipeline, 0, count)
            .await
            .map_err(|error| error::from_transport(&error))?;
        if replies.len() != count {
            let message = format!("{count} commands got {} replies", replies.len());
            return Err(Fault::new(FaultKind::Unexpected, message));
        }
        for reply in &replies {
            if let Value::ServerError(reply) = reply {
                let fault = error::from_reply(reply);
                if fault.kind.is_server_wide() {
                    return Err(fault);
                }
            }
        }
        Ok(replies)
    }
}

/// What could not be done at an address.
fn cannot(fault: FaultKind, address: &Address) -> String {
    let what = if fault == FaultKind::Auth { "log in" } else { "connect" };
    format!("cannot {what} to {address}")
}

fn settings(protocol: Protocol, credentials: &Credentials) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default()
        .set_protocol(match protocol {
            Protocol::Resp2 => ProtocolVersion::RESP2,
            Protocol::Resp3 => ProtocolVersion::RESP3,
        })
        // It would not be counted, and could not be told apart when it is refused: see `greet`.
        .set_skip_set_lib_name();
    if let Some(username) = &credentials.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &credentials.password {
        settings = settings.set_password(password);
    } else if credentials.username.is_some() {
        // Without a password the crate would send no AUTH, and go on as the default user.
        settings = settings.set_password("");
    }
    settings
}

/// A port without TLS waits for the rest of what it takes for a command.
pub(super) fn no_answer(server: &RedisServer) -> Fault {
    let timeout = humantime::format_duration(server.timeout);
    let fault = Fault::new(FaultKind::Timeout, format!("no answer within {timeout}"));
    match server.tls {
        Some(_) => fault.advising("does it hang, or is this not its TLS port?"),
        None => fault,
    }
}

/// The crate sends AUTH, which no rule forbids, or HELLO.
fn handshake_fault(error: &redis::RedisError, server: &RedisServer, address: &Address) -> Fault {
    let fault = error::from_transport(error);
    if fault.kind == FaultKind::NoPerm {
        return fault.advising(commands::HELLO.grant(error.detail().unwrap_or_default(), None));
    }
    opening_fault(fault, server, address)
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
