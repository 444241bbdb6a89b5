//! Those who are not measured now: replicas, which may be the primary tomorrow, and all Sentinels, of which the poll asks
//! one. What is wrong with them shows only once they are needed.

use futures_util::future::join_all;

use super::mend;
use crate::{
    collect::{
        connect::{Link, Peer},
        credentials::Credentials,
        sentinel::{Sentinels, Service},
        trust::ServerInfo,
    },
    config::{Address, RedisServer, Topology},
    model::{
        fault::FaultKind,
        finding::{Check, Finding},
    },
};

/// The Sentinels that cannot be asked, and those that can, in words; neither where there are none.
pub async fn sentinels(server: &RedisServer) -> (Vec<Finding>, Option<String>) {
    let Topology::Sentinel(sentinel) = &server.topology else { return (Vec::new(), None) };
    let (mut findings, mut well) = (Vec::new(), Vec::new());
    for (place, said) in Sentinels::each(Service { server, sentinel }).await {
        match said {
            Ok(Some(_)) => well.push(place.to_string()),
            Ok(None) => {
                let message = format!("Sentinel {place} does not watch {:?}", sentinel.service);
                findings.push(Finding::warn(Check::Topology, message, "let it watch: SENTINEL MONITOR"));
            }
            Err(fault) => {
                let (reason, advice) = fault.parts();
                let message = format!("a Sentinel cannot be asked: {reason}");
                findings.push(Finding::warn(Check::Topology, message, advice.unwrap_or(mend(fault.kind))));
            }
        }
    }
    (findings, Some(format!("Sentinels that answer: {}", well.join(", "))))
}

/// Replicas of a primary at which the login is refused: the first failover would lock us out. One that is out of reach may
/// have another address for us.
pub async fn stand_ins(server: &RedisServer, primary: &ServerInfo) -> Vec<Finding> {
    if matches!(server.topology, Topology::Single(_)) {
        return Vec::new();
    }
    let logins = primary.replicas.iter().map(async |place| {
        let peer = Peer { address: Address::Tcp(place.clone()), database: 0, read_only: false, role: None };
        let login = async || {
            let mut link = Link::open(server, &peer, Credentials::read(server)?).await?;
            link.identify().await.map(|_| ())
        };
        login().await.err().filter(|fault| fault.kind == FaultKind::Auth)
    });
    let refused = join_all(logins).await.into_iter().flatten();
    refused
        .map(|fault| {
            let (reason, advice) = fault.parts();
            let message = format!("a replica, which a failover would make the primary: {reason}");
            Finding::warn(Check::Auth, message, advice.unwrap_or(mend(fault.kind)))
        })
        .collect()
}
