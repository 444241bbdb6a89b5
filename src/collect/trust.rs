//! Which server this is, and how far its counters can be trusted: from `INFO server` and `INFO replication`.
//!
//! What was measured: Redis 6.0, 7.0, 8.0 and Valkey 9.1 (`docs/lag.md`). Versions beyond get the cautious answer.

use std::fmt;

use super::{decode, resp::Reply};
use crate::{
    config::HostPort,
    model::{
        fault::{Fault, FaultKind},
        lag::tracker::{CounterTrust, Trust},
        name::Name,
    },
};

/// Longest silence of a primary, in seconds: it pings its replicas every ten. Redis itself calls the link down after sixty.
const MAX_SILENCE_SECONDS: u64 = 20;

/// What tells one life of one server's data from another. If any of it changes, nothing remembered holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    run_id: String,
    replication_id: String,
    is_replica: bool,
}

/// What a process is to others with the same data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes the writes.
    Primary,
    /// It follows the primary.
    Replica,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Primary => "primary",
            Role::Replica => "replica",
        })
    }
}

/// A server as it was at one poll.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// Which server; `None` where the user may not ask: then nothing is remembered.
    pub identity: Option<Identity>,
    /// Version that it states; `unknown` where the user may not ask.
    pub version: String,
    /// Whether it is a Valkey.
    pub is_valkey: bool,
    /// `standalone`, `cluster` or `sentinel`; `None` where the user may not ask.
    pub mode: Option<String>,
    /// Where a replica's primary is.
    pub primary: Option<String>,
    /// Where a primary's replicas are.
    pub replicas: Vec<HostPort>,
    /// How far to trust its counters.
    pub trust: Trust,
    /// What it says it is; `None` where the user may not ask.
    pub role: Option<Role>,
    /// Whether a user who has the rights may be told of changes: of Redis 6 it would take the right to HELLO, too.
    pub tells_changes: bool,
    /// Whether it is a replica that has lost its primary: its data may be of any age.
    pub is_stale_replica: bool,
}

impl ServerInfo {
    /// Whether it is no server at all, but a Sentinel.
    #[must_use]
    pub fn is_sentinel(&self) -> bool {
        self.mode.as_deref() == Some("sentinel")
    }

    /// Whether it is a node of a cluster.
    #[must_use]
    pub fn is_cluster_node(&self) -> bool {
        self.mode.as_deref() == Some("cluster")
    }

    /// Whether it says that it is a replica.
    #[must_use]
    pub fn is_replica(&self) -> bool {
        self.role == Some(Role::Replica)
    }

    /// Whether its data can be taken for current.
    ///
    /// # Errors
    /// It cannot.
    pub fn up_to_date(&self) -> Result<(), Fault> {
        let message = "the replica has lost its primary: its data may be old";
        if self.is_stale_replica { Err(Fault::new(FaultKind::MasterDown, message)) } else { Ok(()) }
    }
}

/// Reads the replies to `INFO server` and `INFO replication`; either may be an error.
#[must_use]
pub fn server_info(server: Reply<'_>, replication: Reply<'_>) -> ServerInfo {
    let of_server = |field| decode::info_field(server, field);
    let of_replication = |field| decode::info_field(replication, field);
    let valkey = of_server("valkey_version");
    let version = valkey.clone().or_else(|| of_server("redis_version"));
    let role = of_replication("role").map(|role| if role == "slave" { Role::Replica } else { Role::Primary });
    let is_replica = role == Some(Role::Replica);
    let link_is_down = of_replication("master_link_status").is_some_and(|status| status != "up");
    let silence =
        of_replication("master_last_io_seconds_ago").and_then(|seconds| seconds.parse::<u64>().ok());
    let is_silent = silence.is_some_and(|seconds| seconds > MAX_SILENCE_SECONDS);
    let identity = of_server("run_id")
        .zip(of_replication("master_replid"))
        .map(|(run_id, replication_id)| Identity { run_id, replication_id, is_replica });
    let numbers = version.as_deref().map_or([0; 3], numbers);
    // The server's own count is nil wherever it would be wrong: measured on these, and only these.
    let counts_right = if valkey.is_some() {
        ([9, 1, 2]..[10, 0, 0]).contains(&numbers)
    } else {
        ([8, 0, 2]..[8, 2, 0]).contains(&numbers)
    };
    let newest_measured = if valkey.is_some() { [10, 0, 0] } else { [8, 2, 0] };
    ServerInfo {
        trust: Trust {
            memory: identity.is_some(),
            counter: match (is_replica || identity.is_none(), counts_right) {
                (true, _) => CounterTrust::Never,
                (false, true) => CounterTrust::Always,
                (false, false) => CounterTrust::NothingDeleted,
            },
            hidden_deletions: numbers >= newest_measured || version.is_none(),
        },
        role,
        tells_changes: numbers >= [7, 0, 0],
        is_valkey: valkey.is_some(),
        // The second is Valkey's.
        mode: of_server("redis_mode").or_else(|| of_server("server_mode")),
        primary: of_replication("master_host").zip(of_replication("master_port")).map(|(host, port)| {
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            Name::from(format!("{host}:{port}").as_str()).to_string()
        }),
        replicas: (0..)
            .map_while(|number| decode::info_field(replication, &format!("slave{number}")))
            .filter_map(|replica| {
                let field = |name| replica.split(',').find_map(|field| field.strip_prefix(name));
                Some(HostPort { host: field("ip=")?.to_owned(), port: field("port=")?.parse().ok()? })
            })
            .collect(),
        is_stale_replica: is_replica && (link_is_down || is_silent),
        identity,
        version: version.unwrap_or_else(|| "unknown".to_owned()),
    }
}

impl ServerInfo {
    /// What the lags of its groups can be, in words: see `docs/lag.md`.
    #[must_use]
    pub fn promise(&self) -> &'static str {
        let sees_deletions = numbers(&self.version)[0] >= 7;
        match self.trust {
            Trust { memory: false, .. } => {
                "lags are exact at the ends of a stream and wherever the budget reaches; nothing is remembered, since INFO is refused"
            }
            _ if !sees_deletions => {
                "lags are exact at the ends of a stream and wherever the budget reaches: this version does not tell what was deleted"
            }
            Trust { counter: CounterTrust::Never, .. } => {
                "lags are exact wherever they are proved or can be counted within the budget: a replica's own counters are not used"
            }
            Trust { hidden_deletions: true, .. } => {
                "lags are exact wherever they are proved or can be counted within the budget: this version was not measured, and is \
                 trusted the least"
            }
            Trust { counter: CounterTrust::NothingDeleted, .. } => {
                "lags are exact wherever they are proved or can be counted within the budget; Redis's own number is used where nothing \
                 was deleted"
            }
            Trust { counter: CounterTrust::Always, .. } => {
                "lags are exact wherever they are proved or can be counted within the budget; Redis's own number is used where it \
                 exists"
            }
        }
    }
}

fn numbers(version: &str) -> [u32; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;
    use crate::collect::resp::tests::read;

    fn info(server: &str, replication: &str) -> ServerInfo {
        let text = |text: &str| Value::BulkString(text.replace('\n', "\r\n").into_bytes());
        read(&text(server), |server| read(&text(replication), |replication| server_info(server, replication)))
    }

    #[test]
    fn trust_follows_from_version_and_role() {
        let primary = "# Replication\nrole:master\nmaster_replid:abc\n";
        let replica = "role:slave\nmaster_link_status:up\nmaster_replid:abc\n";
        for (version, replication, counter, hidden) in [
            ("redis_version:6.0.16", primary, CounterTrust::NothingDeleted, false),
            ("redis_version:7.0.15", primary, CounterTrust::NothingDeleted, false),
            ("redis_version:7.4.2", primary, CounterTrust::NothingDeleted, false),
            ("redis_version:8.0.2", primary, CounterTrust::Always, false),
            ("redis_version:8.0.2", replica, CounterTrust::Never, false),
            ("redis_version:8.2.0", primary, CounterTrust::NothingDeleted, true),
            ("redis_version:7.2.4\nvalkey_version:9.1.2", primary, CounterTrust::Always, false),
            ("redis_version:7.2.4\nvalkey_version:8.0.1", primary, CounterTrust::NothingDeleted, false),
            ("redis_version:7.2.4\nvalkey_version:10.0.0", primary, CounterTrust::NothingDeleted, true),
        ] {
            let info = info(&format!("# Server\n{version}\nrun_id:r1\n"), replication);
            assert_eq!(
                info.trust,
                Trust { memory: true, counter, hidden_deletions: hidden },
                "{version} {replication}"
            );
        }
    }

    #[test]
    fn without_info_nothing_is_remembered() {
        let info = read(&Value::Nil, |refused| server_info(refused, refused));
        assert_eq!(info.identity, None);
        assert_eq!(info.trust, Trust { memory: false, counter: CounterTrust::Never, hidden_deletions: true });
    }

    #[test]
    fn a_replica_that_lost_its_primary_is_stale() {
        let server = "redis_version:7.0.15\nrun_id:r1";
        assert!(info(server, "role:slave\nmaster_link_status:down\nmaster_replid:abc").is_stale_replica);
        assert!(!info(server, "role:slave\nmaster_link_status:up\nmaster_replid:abc").is_stale_replica);
        let silent = |seconds| {
            format!(
                "role:slave\nmaster_link_status:up\nmaster_last_io_seconds_ago:{seconds}\nmaster_replid:abc"
            )
        };
        assert!(!info(server, &silent(10)).is_stale_replica);
        assert!(info(server, &silent(21)).is_stale_replica);
        assert!(!info(server, "role:master\nmaster_replid:abc").is_stale_replica);
    }
}
