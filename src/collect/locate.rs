//! Where the processes of a server are: as configured, or as others tell.

use super::connect::Peer;
use crate::{
    config::{Address, RedisServer, Topology},
    model::fault::{Fault, FaultKind},
};

/// Finds the processes of one server, anew for each poll.
#[derive(Default)]
pub struct Locator;

/// Where the processes are at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Each of them.
    pub addresses: Vec<Address>,
    /// Whether they are replicas in a cluster.
    pub read_only: bool,
}

impl Locator {
    /// Where the processes are now.
    ///
    /// # Errors
    /// Nobody who should know can be asked, or knows.
    pub async fn locate(&mut self, server: &RedisServer) -> Result<Located, Fault> {
        match &server.topology {
            Topology::Single(address) => Ok(Located { addresses: vec![address.clone()], read_only: false }),
            Topology::Sentinel(_) | Topology::Cluster(_) => {
                Err(Fault::new(FaultKind::Connect, "only single servers can be reached yet"))
            }
        }
    }
}

impl Located {
    /// The processes as those who hold a database.
    pub fn peers(&self, database: u32) -> impl Iterator<Item = Peer> {
        let read_only = self.read_only;
        self.addresses.iter().map(move |address| Peer { address: address.clone(), database, read_only })
    }
}
