//! `streamgauge demo`: a private redis-server with a sample workload on it.
//!
//! - `server`: the redis-server process, its port and its temporary directory
//! - `workload`: the tables that say which streams, groups, producers and workers there are
//! - `tasks`: the loops that run one row of those tables each
//!
//! Nothing outlives a [`Demo`]: stopping or dropping it ends the tasks, the process and the directory.

use std::{io, process::ExitStatus};

use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use server::Server;

mod server;
mod tasks;
mod workload;

/// What can go wrong when the demo starts.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is no such program.
    #[error(
        "cannot find `{binary}`: install it (Debian and Ubuntu: `apt-get install redis-server`; macOS: \
         `brew install redis`), or set {} to the path of a redis-server",
        server::BINARY_VARIABLE
    )]
    ServerNotFound {
        /// The program that was looked for.
        binary: String,
    },
    /// The program is there but does not run.
    #[error(
        "cannot run `{binary}`: set {} to the path of a redis-server that this user may run",
        server::BINARY_VARIABLE
    )]
    Spawn {
        /// The program that was tried.
        binary: String,
        /// Why it does not run.
        source: io::Error,
    },
    /// No temporary directory for the server's files.
    #[error(
        "cannot make a temporary directory for redis-server: set TMPDIR to a directory that can be written to"
    )]
    Directory(#[source] io::Error),
    /// No free port on the loopback address.
    #[error("cannot find a free port on 127.0.0.1")]
    Port(#[source] io::Error),
    /// The server ended before it answered.
    #[error("redis-server ended at once ({status}); the end of its log:\n{log}")]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// The server runs but does not answer.
    #[error("redis-server did not answer on 127.0.0.1:{port} within {seconds} s; the end of its log:\n{log}")]
    Silent {
        /// The port that it was given.
        port: u16,
        /// How long it was waited for.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// The server answers, but the sample streams and groups could not be created on it.
    #[error("redis-server refused the sample workload, which needs Redis 5 or later")]
    Workload(#[source] redis::RedisError),
}

/// A running private redis-server with the sample workload on it.
#[derive(Debug)]
pub struct Demo {
    // Dropped in this order: first the workload ends, then the server.
    cancel: DropGuard,
    tasks: TaskTracker,
    server: Server,
}

impl Demo {
    /// Starts redis-server, creates the streams and groups, and starts the workload.
    ///
    /// The program is `redis-server` from `PATH`, or the one that `STREAMGAUGE_DEMO_REDIS_SERVER` names.
    pub async fn start() -> Result<Demo, DemoError> {
        let server = Server::start().await?;
        workload::prepare(server.client()).await.map_err(DemoError::Workload)?;

        let cancel = CancellationToken::new();
        let tasks = TaskTracker::new();
        workload::spawn(server.client(), &tasks, &cancel);
        tasks.close();

        Ok(Demo { cancel: cancel.drop_guard(), tasks, server })
    }

    /// Port on 127.0.0.1 of the private Redis.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Ends the workload, then the server, then removes the directory; nothing is left behind.
    pub async fn stop(self) {
        let Demo { cancel, tasks, server } = self;
        drop(cancel);
        tasks.wait().await;
        server.stop().await;
    }
}
