//! One process that holds streams, as one database of it: the connection to it, how far it was searched, and what was
//! proved about its streams.
//!
//! A connection that was kept may have been closed meanwhile, by a timeout of Redis or of something in between: that is
//! found out only at the next request, and is no failure of Redis. It is replaced once, and asked again.

use tokio::time::Instant;

use super::{
    connect::{Link, Peer},
    credentials::Credentials,
    discover::Scan,
    journal::Journal,
    lags::Lags,
    measure::{self, Answer},
    renewal::Renewal,
};
use crate::{
    config::{Budget, RedisServer},
    model::{
        fault::{Fault, FaultKind},
        name::Name,
        pattern::Glob,
    },
};

/// A process, and what is remembered of it between polls.
pub struct Node {
    /// Which it is.
    pub peer: Peer,
    /// Commands sent to it, until somebody counts them.
    pub commands: u64,
    link: Option<Link>,
    /// Whether the connection is from an earlier poll.
    is_kept: bool,
    renewal: Renewal,
    scan: Scan,
    lags: Lags,
}

impl Node {
    /// Not connected to yet.
    #[must_use]
    pub fn new(peer: Peer, budget: Budget) -> Self {
        Node {
            peer,
            commands: 0,
            link: None,
            is_kept: false,
            renewal: Renewal::default(),
            scan: Scan::default(),
            lags: Lags::new(budget),
        }
    }

    /// The next poll opens a new connection.
    pub fn disconnect(&mut self) {
        self.link = None;
    }

    /// The next poll goes through all keys.
    pub fn search_anew(&mut self) {
        self.scan.restart();
    }

    /// From the next poll on, within this budget.
    pub fn limit(&mut self, budget: Budget) {
        self.lags.limit(budget);
    }

    /// Searches for streams, which begins a poll.
    ///
    /// # Errors
    /// No connection, no reply, or SCAN is refused.
    pub async fn search(
        &mut self,
        server: &RedisServer,
        globs: &[Glob],
        journal: &Journal,
    ) -> Result<Vec<Name>, Fault> {
        self.is_kept = self.link.is_some();
        if let Some(link) = self.link.take() {
            self.link = Some(self.renewed(link, server, journal).await);
        }
        loop {
            let mut link = self.linked(server).await?;
            let found = self.scan.search(&mut link, globs).await;
            if let Some(found) = self.after(link, found) {
                return found;
            }
        }
    }

    /// Measures streams, whose names come in order.
    ///
    /// # Errors
    /// A fault that concerns the whole process.
    pub async fn measure(&mut self, server: &RedisServer, names: &[&Name]) -> Result<Answer, Fault> {
        loop {
            let mut link = self.linked(server).await?;
            let answer = measure::measure(&mut link, &mut self.lags, server, &self.peer, names).await;
            if let Some(answer) = self.after(link, answer) {
                return answer;
            }
        }
    }

    /// The connection there is, or a new one, for whatever it leads to.
    async fn linked(&mut self, server: &RedisServer) -> Result<Link, Fault> {
        if let Some(link) = self.link.take() {
            return Ok(link);
        }
        self.scan.restart();
        self.lags.forget_all();
        Link::open(server, &self.peer, self.credentials(server)?).await
    }

    /// Keeps the connection after a request, unless replies to it may still be in flight. `None` is to ask again.
    fn after<T>(&mut self, mut link: Link, result: Result<T, Fault>) -> Option<Result<T, Fault>> {
        self.commands += std::mem::take(&mut link.commands);
        match &result {
            Err(fault) if fault.kind == FaultKind::Disconnected && self.is_kept => {
                self.is_kept = false;
                return None;
            }
            Err(fault) if fault.kind.is_server_wide() => {}
            _ => self.link = Some(link),
        }
        Some(result)
    }

    fn credentials(&self, server: &RedisServer) -> Result<Credentials, Fault> {
        let place = format!("cannot connect to {}", self.peer.address);
        Credentials::read(server).map_err(|fault| fault.during(place))
    }

    /// A new connection to the same process in place of one whose credentials are no longer those of the files; the one
    /// there is, as long as that cannot be had. What was proved stays: whether the process is the same, each poll looks.
    async fn renewed(&mut self, link: Link, server: &RedisServer, journal: &Journal) -> Link {
        let (read, now) = (self.credentials(server), Instant::now());
        if !self.renewal.is_due(&link.credentials, &read, now) {
            return link;
        }
        let opened = match read.clone() {
            Ok(credentials) => Link::open(server, &self.peer, credentials).await,
            Err(fault) => Err(fault),
        };
        match opened {
            Ok(new) => {
                journal.renewed(&self.peer);
                self.scan.restart();
                new
            }
            Err(fault) => {
                if self.renewal.failed(read, &fault, now) {
                    journal.not_renewed(&self.peer, &fault);
                }
                link
            }
        }
    }
}
