//! What a Sentinel says of the processes that it watches, and of other Sentinels.

use super::{Unexpected, all_of, fields, items};
use crate::{collect::resp::Reply, config::HostPort};

/// One process: an item of `SENTINEL MASTER`, `MASTERS`, `REPLICAS` or `SENTINELS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// `name`: of the service, where it is the primary of one.
    pub name: String,
    /// `ip` and `port`; the first may be a name.
    pub place: HostPort,
    /// `flags`: `master`, `slave` or `sentinel`, and how it is, separated by commas.
    pub flags: String,
    /// `config-epoch`, of a primary: it grows with each failover.
    pub epoch: i64,
    /// `master-link-status` other than `ok`, of a replica.
    pub has_lost_primary: bool,
}

impl Watched {
    /// Whether the Sentinel holds it to be down.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.flags.split(',').any(|flag| TROUBLES[..2].contains(&flag))
    }

    /// Whether it may be of little use: the Sentinel has no connection to it, or it has none to its primary.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.has_lost_primary || self.troubles().is_some()
    }

    /// What the Sentinel holds against it: that it is down, in the eyes of this Sentinel or of all, or not connected to.
    #[must_use]
    pub fn troubles(&self) -> Option<String> {
        let troubles = self.flags.split(',').filter(|flag| TROUBLES.contains(flag)).collect::<Vec<_>>();
        (!troubles.is_empty()).then(|| troubles.join(", "))
    }
}

const TROUBLES: [&str; 3] = ["s_down", "o_down", "disconnected"];

/// Reads `SENTINEL MASTER`.
///
/// # Errors
/// A field that is needed is missing or has another shape.
pub fn watched(reply: Reply<'_>) -> Result<Watched, Unexpected> {
    let names = ["name", "ip", "port", "flags", "config-epoch", "master-link-status"];
    let [name, ip, port, flags, epoch, status] = fields(reply, names)?;
    let port = port.integer()?;
    Ok(Watched {
        name: name.name()?.to_string(),
        place: HostPort { host: ip.name()?.to_string(), port: as_port(port)? },
        flags: flags.name()?.to_string(),
        epoch: epoch.optional_integer()?.unwrap_or(0),
        has_lost_primary: status.value.is_some_and(|status| status.bytes() != Some(b"ok")),
    })
}

/// Reads `SENTINEL MASTERS`, `REPLICAS` and `SENTINELS`.
///
/// # Errors
/// See [`watched`], for any of them.
pub fn all_watched(reply: Reply<'_>) -> Result<Vec<Watched>, Unexpected> {
    items("SENTINEL", reply)?.map(watched).collect()
}

/// Reads `SENTINEL GET-MASTER-ADDR-BY-NAME`: `None` for a service that is not watched.
///
/// # Errors
/// Another shape than a host and a port.
pub fn primary(reply: Reply<'_>) -> Result<Option<HostPort>, Unexpected> {
    const SHAPE: Unexpected = Unexpected::Shape("SENTINEL GET-MASTER-ADDR-BY-NAME", "[host, port]");
    if reply.is_nil() {
        return Ok(None);
    }
    let [host, port] = all_of("SENTINEL GET-MASTER-ADDR-BY-NAME", reply)?.ok_or(SHAPE)?;
    let host = host.bytes().and_then(|host| std::str::from_utf8(host).ok()).ok_or(SHAPE)?;
    let port = super::integer(port).ok_or(SHAPE)?;
    Ok(Some(HostPort { host: host.to_owned(), port: as_port(port)? }))
}

fn as_port(number: i64) -> Result<u16, Unexpected> {
    u16::try_from(number).map_err(|_| Unexpected::Shape("port", "0 to 65535"))
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;
    use crate::collect::resp::tests::read;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn replica(flags: &str, status: &str) -> Vec<(&'static str, String)> {
        let fields = [
            ("name", "127.0.0.1:28802"),
            ("ip", "127.0.0.1"),
            ("port", "28802"),
            ("flags", flags),
            ("master-link-status", status),
        ];
        fields.map(|(name, value)| (name, value.to_owned())).to_vec()
    }

    #[test]
    fn both_protocols_say_the_same() {
        let fields = replica("s_down,slave,disconnected", "err");
        let flat = Value::Array(fields.iter().flat_map(|(name, value)| [text(name), text(value)]).collect());
        let map = Value::Map(fields.iter().map(|(name, value)| (text(name), text(value))).collect());
        let found = read(&flat, watched).unwrap();
        assert_eq!(read(&Value::Array(vec![map]), all_watched), Ok(vec![found.clone()]));
        assert_eq!(found.place.to_string(), "127.0.0.1:28802");
        assert_eq!(found.troubles().as_deref(), Some("s_down, disconnected"));
        assert!(found.is_down() && found.has_lost_primary);
    }

    #[test]
    fn a_service_that_is_not_watched_is_no_error() {
        assert_eq!(read(&Value::Nil, primary), Ok(None));
        let place = HostPort { host: "::1".into(), port: 6379 };
        assert_eq!(read(&Value::Array(vec![text("::1"), text("6379")]), primary), Ok(Some(place)));
        assert!(read(&Value::Array(vec![text("::1"), text("66379")]), primary).is_err());
    }
}
