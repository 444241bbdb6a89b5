//! What a node of a cluster says of the cluster, and where it sends those who ask it for what is elsewhere.
//!
//! Slots come from `CLUSTER SLOTS`, which names nodes as clients are to reach them. It leaves out primaries that have no
//! slot; keys may be on their way to these, so `CLUSTER NODES` is asked besides.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    ask, commands,
    connect::Link,
    decode::{self, Unexpected},
    error,
    request::Requests,
    resp::Reply,
};
use crate::{
    config::HostPort,
    model::{
        fault::{Fault, FaultKind},
        name::Name,
    },
};

/// Slots of a cluster.
pub const SLOTS: u16 = 16384;

/// The slot of a key: of what stands between its first `{` and the next `}`, or of all of it.
#[must_use]
pub fn slot(key: &Name) -> u16 {
    let key = key.as_bytes();
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let length = rest.iter().position(|byte| *byte == b'}').filter(|length| *length > 0)?;
        Some(&rest[..length])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let shift = |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
        (0..8).fold(crc ^ u16::from(*byte) << 8, shift)
    })
}

/// The cluster as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Who has which slots.
    pub ranges: Vec<Range>,
    /// Primaries that have no slot.
    pub idle: Vec<HostPort>,
    /// IDs of all nodes that it knows.
    pub ids: BTreeSet<String>,
    /// Whether the node itself is a replica.
    pub is_replica: bool,
}

/// Slots in a row, and who has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The lowest of them.
    pub first: u16,
    /// The highest of them.
    pub last: u16,
    /// Where the primary is.
    pub primary: HostPort,
    /// ID of the primary: another node may know it by another address.
    pub id: String,
    /// Where its replicas are.
    pub replicas: Vec<HostPort>,
}

/// Another node to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Where it is.
    pub to: HostPort,
    /// Whether the stream is only on its way there, if there is one: it must be asked for as such.
    pub is_asking: bool,
}

impl View {
    /// Asks a node, which was reached at `asked`.
    ///
    /// # Errors
    /// No reply, an error reply, or the node belongs to no cluster.
    pub async fn ask(link: &mut Link, asked: &HostPort) -> Result<View, Fault> {
        let mut requests = Requests::one(&commands::CLUSTER_SLOTS, &[]);
        requests.add(&commands::CLUSTER_NODES, &[]);
        let replies = link.request(&requests).await?;
        let ranges = ask::answer(replies[0], &commands::CLUSTER_SLOTS, None, |reply| ranges(reply, asked));
        let ranges = ranges.map_err(|fault| match fault.kind {
            FaultKind::Server => fault.advising("if this is no cluster, write redis:// in the URL"),
            _ => fault,
        })?;
        let names_hosts = ranges.iter().any(|range| range.primary.host.parse::<IpAddr>().is_err());
        let nodes = |reply: Reply<'_>| nodes(reply, asked, names_hosts);
        let view = ask::answer(replies[1], &commands::CLUSTER_NODES, None, nodes)?;
        if ranges.is_empty() {
            return Err(Fault::new(FaultKind::ClusterDown, "the node knows of no node that has slots"));
        }
        Ok(View { ranges, ..view })
    }
}

impl Redirect {
    /// Where the replies to one question send it, if they do; they came from a node that was reached at `asked`.
    #[must_use]
    pub fn of(replies: &[Reply<'_>], asked: &HostPort) -> Option<Redirect> {
        let reply = replies.iter().find_map(|reply| reply.error())?;
        let (code, details) = error::reason(&reply);
        let is_asking = match code {
            "ASK" => true,
            "MOVED" => false,
            _ => return None,
        };
        let (_, place) = details.split_once(' ')?;
        let (host, port) = place.rsplit_once(':')?;
        let to = endpoint(Some(host), port.parse().ok()?, asked, None)?;
        Some(Redirect { to, is_asking })
    }
}

/// Where a node is that is named so. A node that does not know its address, or hides it, is where the one is that was asked;
/// one whose name is not known may have an address all the same.
fn endpoint(host: Option<&str>, port: u16, asked: &HostPort, ip: Option<&str>) -> Option<HostPort> {
    let host = match host {
        None | Some("") => &asked.host,
        Some("?") => ip.filter(|ip| !ip.is_empty())?,
        Some(host) => host,
    };
    (port != 0).then(|| HostPort { host: host.to_owned(), port })
}

/// Reads `CLUSTER SLOTS`: `[first, last, primary, replica, …]` for each range. A range whose primary cannot be reached by
/// what is said of it is left out, as if nobody had it.
fn ranges(reply: Reply<'_>, asked: &HostPort) -> Result<Vec<Range>, Unexpected> {
    const SHAPE: Unexpected =
        Unexpected::Shape("CLUSTER SLOTS", "[first slot, last slot, [host, port, …], …]");
    let mut ranges = Vec::new();
    for range in decode::items("CLUSTER SLOTS", reply)? {
        let mut parts = decode::items("CLUSTER SLOTS", range)?;
        let (Some(first), Some(last), Some(primary)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SHAPE);
        };
        let slot = |value| {
            let slot = decode::integer(value).and_then(|slot| u16::try_from(slot).ok());
            slot.filter(|slot| *slot < SLOTS).ok_or(SHAPE)
        };
        let (first, last) = (slot(first)?, slot(last)?);
        let replicas = parts.map(|replica| node(replica, asked));
        let replicas =
            replicas.collect::<Result<Vec<_>, _>>()?.into_iter().filter_map(|(place, _)| place).collect();
        if let (Some(primary), id) = node(primary, asked)? {
            ranges.push(Range { first, last, primary, id, replicas });
        }
    }
    Ok(ranges)
}

/// One node of `CLUSTER SLOTS`: `[host, port, ID, metadata]`, of which the last came with Redis 7.0. Where it is, if that
/// can be told, and its ID.
fn node(reply: Reply<'_>, asked: &HostPort) -> Result<(Option<HostPort>, String), Unexpected> {
    const SHAPE: Unexpected = Unexpected::Shape("a node of CLUSTER SLOTS", "[host, port, ID, …]");
    let mut parts = decode::items("a node of CLUSTER SLOTS", reply)?;
    let (Some(host), Some(port), Some(id)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(SHAPE);
    };
    let port = decode::integer(port).and_then(|port| u16::try_from(port).ok()).ok_or(SHAPE)?;
    let ip = parts.next().and_then(|metadata| decode::fields(metadata, ["ip"]).ok()?[0].bytes());
    let ip = ip.and_then(|ip| std::str::from_utf8(ip).ok());
    let host = if host.is_nil() { None } else { Some(text(host).ok_or(SHAPE)?) };
    let id = text(id).ok_or(SHAPE)?.to_owned();
    Ok((endpoint(host, port, asked, ip), id))
}

/// Reads `CLUSTER NODES`: all but the slots. Primaries that are known to have failed are left out, and the others are called
/// by their names where those with slots are.
fn nodes(reply: Reply<'_>, asked: &HostPort, names_hosts: bool) -> Result<View, Unexpected> {
    const SHAPE: Unexpected = Unexpected::Shape("CLUSTER NODES", "a line of at least 8 fields for each node");
    let reply = text(reply).ok_or(SHAPE)?;
    let mut view = View::default();
    for line in reply.lines() {
        let [id, address, flags, _, _, _, _, _, slots @ ..] = &line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(SHAPE);
        };
        view.ids.insert((*id).to_owned());
        // Slots in brackets are on their way.
        let has_slots = slots.iter().any(|slot| !slot.is_empty() && !slot.starts_with('['));
        let has = |flag| flags.split(',').any(|other| other == flag);
        view.is_replica |= has("myself") && has("slave");
        if has_slots || !has("master") || has("fail") || has("noaddr") || has("handshake") {
            continue;
        }
        // `ip:port@bus port,hostname,…`
        let (place, rest) = address.split_once('@').ok_or(SHAPE)?;
        let (ip, port) = place.rsplit_once(':').ok_or(SHAPE)?;
        let name = rest.split(',').nth(1).filter(|name| names_hosts && !name.is_empty());
        let port = port.parse().map_err(|_| SHAPE)?;
        view.idle.extend(endpoint(Some(name.unwrap_or(ip)), port, asked, None));
    }
    Ok(view)
}

fn text(reply: Reply<'_>) -> Option<&str> {
    std::str::from_utf8(reply.bytes()?).ok()
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
