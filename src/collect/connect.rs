//! One connection to one Redis server: opened with the credentials of that moment, never mended, only replaced.
//!
//! A request that fails or times out leaves replies in flight, so the poller drops the link and opens a new one at its
//! next round; the password file is read anew then. Topologies other than a single server plug in behind [`Link`].

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, Pipeline, ProtocolVersion,
    RedisConnectionInfo, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use secrecy::ExposeSecret;

use super::{
    ask::{self, Ask},
    commands::{self, Command},
    decode, error,
    trust::{self, ServerInfo},
};
use crate::{
    config::{Protocol, RedisServer},
    model::{
        fault::{Fault, FaultKind},
        time::UnixMicros,
    },
};

/// Most commands in one pipeline: one of thousands would run into the response timeout.
const COMMANDS_PER_PIPELINE: usize = 400;

/// Most bytes that the replies to one pipeline should have, by what earlier replies had: they stand in Redis's output
/// buffer and in our memory at once.
const BYTES_PER_PIPELINE: u64 = 4 * 1024 * 1024;

/// An open connection to a server.
pub struct Link {
    connection: MultiplexedConnection,
    /// Commands sent so far.
    pub commands: u64,
}

impl Link {
    /// Connects, authenticates, selects the database, and asks not to keep keys warm for eviction.
    ///
    /// # Errors
    /// No connection, wrong credentials, or a password file that cannot be read.
    pub async fn open(server: &RedisServer) -> Result<Link, Fault> {
        let timeouts = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(server.timeout))
            .set_response_timeout(Some(server.timeout));
        let place = format!("cannot connect to {}", server.address);
        let client = client(server)?;
        // The crate's connection timeout covers TCP only; name resolution and the handshake can hang as well.
        let opening = client.get_multiplexed_async_connection_with_config(&timeouts);
        let connection = match tokio::time::timeout(server.timeout, opening).await {
            Ok(opened) => opened.map_err(|error| handshake_fault(&error).during(&place))?,
            Err(_) => return Err(no_answer(server.timeout).during(&place)),
        };
        let mut link = Link { connection, commands: 0 };
        link.greet(server.database).await.map_err(|fault| of_connecting(fault).during(&place))?;
        Ok(link)
    }

    /// Chooses the database. The rest may be refused (an older server, a narrow ACL) without harm.
    async fn greet(&mut self, database: u32) -> Result<(), Fault> {
        let mut pipeline = redis::pipe();
        commands::CLIENT_SETINFO.push(&mut pipeline).arg("LIB-NAME").arg(env!("CARGO_PKG_NAME"));
        commands::CLIENT_SETINFO.push(&mut pipeline).arg("LIB-VER").arg(env!("CARGO_PKG_VERSION"));
        commands::CLIENT_NO_TOUCH.push(&mut pipeline).arg("ON");
        if database == 0 {
            return self.request(&pipeline, 3).await.map(|_| ());
        }
        commands::SELECT.push(&mut pipeline).arg(database);
        let replies = self.request(&pipeline, 4).await?;
        ask::answer(&replies[3], &commands::SELECT, None, |_| Ok(()))
    }

    /// Which server this is at this moment, and its clock. A server that does not say who it is can still be measured.
    ///
    /// # Errors
    /// No reply, or an error reply to TIME.
    pub async fn identify(&mut self) -> Result<(ServerInfo, UnixMicros), Fault> {
        let mut pipeline = redis::pipe();
        commands::INFO.push(&mut pipeline).arg("server");
        commands::INFO.push(&mut pipeline).arg("replication");
        commands::TIME.push(&mut pipeline);
        let replies = self.request(&pipeline, 3).await?;
        let info = trust::server_info(&replies[0], &replies[1]);
        Ok((info, ask::answer(&replies[2], &commands::TIME, None, decode::time)?))
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
    /// No reply, or an error that concerns the whole server; any other error stays in the replies of its question.
    pub async fn ask<'a, T>(
        &mut self,
        asks: &[Ask<'a>],
        read: impl Fn(&Ask<'a>, &[Value]) -> T,
    ) -> Result<Vec<T>, Fault> {
        let mut answers = Vec::with_capacity(asks.len());
        let mut rest = asks;
        while !rest.is_empty() {
            let (mut commands, mut bytes) = (0, 0);
            let fits = |ask: &&Ask<'_>| {
                commands += ask.replies();
                bytes += ask.expected_bytes();
                commands <= COMMANDS_PER_PIPELINE && bytes <= BYTES_PER_PIPELINE
            };
            // A question that is larger than a pipeline gets one of its own.
            let size = rest.iter().take_while(fits).count().max(1);
            let (batch, later) = rest.split_at(size);
            rest = later;
            let mut pipeline = redis::pipe();
            batch.iter().for_each(|ask| ask.push(&mut pipeline));
            let replies = self.request(&pipeline, batch.iter().map(Ask::replies).sum()).await?;
            let mut replies = &replies[..];
            for ask in batch {
                let (own, later) = replies.split_at(ask.replies());
                answers.push(read(ask, own));
                replies = later;
            }
        }
        Ok(answers)
    }

    async fn request(&mut self, pipeline: &Pipeline, count: usize) -> Result<Vec<Value>, Fault> {
        self.commands += count as u64;
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

fn client(server: &RedisServer) -> Result<Client, Fault> {
    let unusable = |error: redis::RedisError| Fault::new(FaultKind::Connect, error.to_string());
    let mut settings = RedisConnectionInfo::default()
        .set_protocol(match server.protocol {
            Protocol::Resp2 => ProtocolVersion::RESP2,
            Protocol::Resp3 => ProtocolVersion::RESP3,
        })
        // It would not be counted, and could not be told apart when it is refused: see `greet`.
        .set_skip_set_lib_name();
    if let Some(username) = &server.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &server.password {
        let password = password.read().map_err(|error| Fault::new(FaultKind::Auth, error.to_string()))?;
        settings = settings.set_password(password.expose_secret());
    } else if server.username.is_some() {
        // Without a password the crate would send no AUTH, and go on as the default user.
        settings = settings.set_password("");
    }
    let address = ConnectionAddr::Tcp(server.address.host.clone(), server.address.port);
    let info = address.into_connection_info().map_err(unusable)?.set_redis_settings(settings);
    Client::open(info).map_err(unusable)
}

fn no_answer(timeout: Duration) -> Fault {
    Fault::new(FaultKind::Timeout, format!("no answer within {}", humantime::format_duration(timeout)))
}

/// The crate sends AUTH, which no rule forbids, or HELLO.
fn handshake_fault(error: &redis::RedisError) -> Fault {
    let fault = of_connecting(error::from_transport(error));
    match fault.kind {
        FaultKind::NoPerm => fault.advising(commands::HELLO.grant(error.detail().unwrap_or_default(), None)),
        _ => fault,
    }
}

/// What is not about credentials, rights or time is about the connection.
fn of_connecting(fault: Fault) -> Fault {
    let kind = match fault.kind {
        FaultKind::Disconnected | FaultKind::Server | FaultKind::Unexpected => FaultKind::Connect,
        kind => kind,
    };
    Fault { kind, ..fault }
}
