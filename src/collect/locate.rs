//! Where the processes of a server are: as configured, or as others tell.

use super::{
    connect::Peer,
    journal::Journal,
    sentinel::{Sentinels, Service},
    trust::Role,
};
use crate::{
    config::{Address, RedisServer, Topology},
    model::fault::Fault,
};

/// Finds the processes of one server, anew for each poll.
#[derive(Default)]
pub struct Locator {
    sentinels: Sentinels,
}

/// Where the processes are at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Each of them; of a cluster, whose nodes are found by asking them, none.
    pub addresses: Vec<Address>,
    /// What they must be to be measured; `None` is whatever they are.
    pub role: Option<Role>,
}

impl Locator {
    /// Where the processes are now.
    ///
    /// # Errors
    /// Nobody who should know can be asked, or knows.
    pub async fn locate(&mut self, server: &RedisServer, journal: &mut Journal) -> Result<Located, Fault> {
        match &server.topology {
            Topology::Single(address) => Ok(Located { addresses: vec![address.clone()], role: None }),
            Topology::Sentinel(sentinel) => {
                self.sentinels.locate(Service { server, sentinel }, journal).await
            }
            Topology::Cluster(_) => Ok(Located { addresses: Vec::new(), role: None }),
        }
    }

    /// Where the processes are after all, now that they were polled, with this fault or with none; `None` is where they
    /// were polled.
    ///
    /// # Errors
    /// The same fault in other words, or another one that explains it.
    pub async fn check(
        &mut self,
        server: &RedisServer,
        journal: &mut Journal,
        polled: &Located,
        fault: Option<&Fault>,
    ) -> Result<Option<Located>, Fault> {
        match &server.topology {
            Topology::Sentinel(sentinel) => {
                self.sentinels.check(Service { server, sentinel }, journal, polled, fault).await
            }
            Topology::Single(_) | Topology::Cluster(_) => Ok(None),
        }
    }

    /// Whether somebody else says where the processes are now.
    pub fn is_guided(&self) -> bool {
        self.sentinels.are_in_reach()
    }

    /// Commands sent since this was asked last.
    pub fn take_commands(&mut self) -> u64 {
        std::mem::take(&mut self.sentinels.commands)
    }
}

impl Located {
    /// The processes as those who hold a database.
    pub fn peers(&self, database: u32) -> impl Iterator<Item = Peer> {
        let role = self.role;
        let peer =
            move |address: &Address| Peer { address: address.clone(), database, read_only: false, role };
        self.addresses.iter().map(peer)
    }
}
