//! One process that holds streams, as one database of it: the connection to it, how far it was searched, and what was
//! proved about its streams.
//!
//! A connection that was kept may have been closed meanwhile, by a timeout of Redis or of something in between: that is
//! found out only at the next request, and is no failure of Redis. It is replaced once, and asked again.

use tokio::time::Instant;

use super::{
    cluster::View,
    connect::{Link, Peer, Sent},
    credentials::Credentials,
    discover::Scan,
    journal::Journal,
    lags::Lags,
    measure::{self, Answer, Order},
    renewal::Renewal,
    roll::Roll,
    trust::Identity,
};
use crate::{
    config::{Address, Budget, RedisServer},
    model::{
        fault::{Fault, FaultKind},
        name::Name,
    },
};

/// A process, and what is remembered of it between polls.
pub struct Node {
    /// Which it is.
    pub peer: Peer,
    /// How far it was searched.
    pub scan: Scan,
    /// How often it was, or may have been, another process than before.
    pub processes: u64,
    /// Whether another node has sent us there in this poll.
    pub is_visited: bool,
    /// Commands sent over connections that are gone, until somebody counts them.
    commands: u64,
    /// Commands sent over the latest connection: it is dropped with a poll that takes too long.
    sent: Sent,
    link: Option<Link>,
    /// Whether the connection is from an earlier poll.
    is_kept: bool,
    renewal: Renewal,
    /// The process at the latest poll; `None` where that is not known.
    identity: Option<Identity>,
    lags: Lags,
    /// Of streams that another node sent here.
    lags_of_guests: Lags,
}

/// How a stream is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visit {
    /// It should be here.
    Own,
    /// Another node of the cluster says that it is here.
    Guest,
    /// Another node of the cluster says that it is on its way here, if it exists.
    Asking,
}

impl Visit {
    /// Each.
    pub const ALL: [Visit; 3] = [Visit::Own, Visit::Guest, Visit::Asking];
}

impl Node {
    /// Not connected to yet.
    #[must_use]
    pub fn new(peer: Peer, budget: Budget) -> Self {
        Node {
            peer,
            scan: Scan::default(),
            processes: 0,
            is_visited: false,
            commands: 0,
            sent: Sent::default(),
            link: None,
            is_kept: false,
            renewal: Renewal::default(),
            identity: None,
            lags: Lags::new(budget),
            lags_of_guests: Lags::new(budget),
        }
    }

    /// Commands sent to it since they were last counted.
    pub fn count_commands(&mut self) -> u64 {
        std::mem::take(&mut self.commands) + self.sent.take()
    }

    /// The next poll opens a new connection.
    pub fn disconnect(&mut self) {
        self.link = None;
    }

    /// The next search goes through all keys, of which nothing is known.
    pub fn search_anew(&mut self) {
        self.scan = Scan::default();
    }

    /// From the next poll on, within this budget.
    pub fn limit(&mut self, budget: Budget) {
        self.lags.limit(budget);
        self.lags_of_guests.limit(budget);
    }

    /// Begins a poll.
    pub async fn begin(&mut self, server: &RedisServer, journal: &Journal) {
        self.is_kept = self.link.is_some();
        self.scan.begin();
        if let Some(link) = self.link.take() {
            self.link = Some(self.renewed(link, server, journal).await);
        }
    }

    /// Asks what it knows of its cluster. A replica must be up to date.
    ///
    /// # Errors
    /// No connection, no reply, or one that is of no use.
    pub async fn view(&mut self, server: &RedisServer) -> Result<View, Fault> {
        let view = async |link: &mut Link, peer: &Peer| {
            let Address::Tcp(place) = &peer.address else {
                return Err(Fault::new(FaultKind::Unexpected, "a cluster is reached over TCP"));
            };
            if peer.read_only {
                link.identify().await?.0.up_to_date()?;
            }
            View::ask(link, place).await
        };
        loop {
            let mut link = self.linked(server).await?;
            let found = view(&mut link, &self.peer).await;
            if let Some(found) = self.after(link, found) {
                return found;
            }
        }
    }

    /// Searches for streams, `until` then.
    ///
    /// # Errors
    /// No connection, no reply, or SCAN is refused.
    pub async fn search(&mut self, server: &RedisServer, known: &Roll, until: Instant) -> Result<(), Fault> {
        loop {
            let mut link = self.linked(server).await?;
            let found = self.scan.search(&mut link, known, until).await;
            if let Some(found) = self.after(link, found) {
                return found;
            }
        }
    }

    /// Measures streams, whose names come in order. Where that is the order, it searches for others beside.
    ///
    /// # Errors
    /// A fault that concerns the whole process.
    pub async fn measure(
        &mut self,
        server: &RedisServer,
        names: &[&Name],
        visit: Visit,
        order: Order,
        known: &Roll,
    ) -> Result<Answer, Fault> {
        loop {
            let mut link = self.linked(server).await?;
            let lags = match visit {
                Visit::Own => &mut self.lags,
                Visit::Guest | Visit::Asking => &mut self.lags_of_guests,
            };
            link.is_asking = visit == Visit::Asking;
            let beside = match order {
                Order::Beside(until) => Some(self.scan.beside(known, until)),
                Order::After | Order::Again => None,
            };
            let answer = measure::measure(&mut link, lags, server, &self.peer, names, order, beside).await;
            link.is_asking = false;
            if let Some(answer) = self.after(link, answer) {
                if let Ok(answer) = &answer {
                    let is_another = self.identity.is_some() && self.identity != answer.identity;
                    self.recognised(answer.identity.clone(), !is_another);
                }
                return answer;
            }
        }
    }

    /// The connection there is, or a new one, for whatever it leads to.
    async fn linked(&mut self, server: &RedisServer) -> Result<Link, Fault> {
        if let Some(link) = self.link.take() {
            return Ok(link);
        }
        let credentials = self.credentials(server)?;
        self.opened(server, credentials).await
    }

    /// A new connection. A search that has begun goes on only where it leads to the same process; whether what was proved
    /// still holds, each poll looks.
    async fn opened(&mut self, server: &RedisServer, credentials: Credentials) -> Result<Link, Fault> {
        let mut link = Link::open(server, &self.peer, credentials).await?;
        if self.scan.has_begun() {
            let identity = match link.identify().await {
                Ok((info, _)) => info.identity,
                Err(fault) if fault.kind.is_server_wide() => return Err(closed_again(fault)),
                Err(_) => None,
            };
            // One that is not known may be another one.
            let is_same = identity.is_some() && self.identity == identity;
            self.recognised(identity, is_same);
        }
        self.commands += self.sent.take();
        self.sent = link.sent.clone();
        Ok(link)
    }

    fn recognised(&mut self, identity: Option<Identity>, is_same: bool) {
        if !is_same {
            self.scan.restart();
            self.processes += 1;
        }
        self.identity = identity;
    }

    /// Keeps the connection after a request, unless replies to it may still be in flight. `None` is to ask again.
    fn after<T>(&mut self, link: Link, result: Result<T, Fault>) -> Option<Result<T, Fault>> {
        match &result {
            Err(fault) if fault.kind == FaultKind::Disconnected && self.is_kept => {
                self.is_kept = false;
                return None;
            }
            Err(fault) if fault.kind.is_server_wide() => {}
            _ if !link.wire.is_clean() => {}
            _ => self.link = Some(link),
        }
        Some(result.map_err(closed_again))
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
            Ok(credentials) => self.opened(server, credentials).await,
            Err(fault) => Err(fault),
        };
        match opened {
            Ok(new) => {
                journal.renewed(&self.peer);
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

/// What is found out at a connection that is new.
fn closed_again(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Disconnected => {
            fault.advising("if Redis closes it, its log says why (client-output-buffer-limit, say)")
        }
        _ => fault,
    }
}
