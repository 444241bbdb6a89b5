//! What one poller has to do: its server and all that the configuration says about polling it.

use std::time::Duration;

use crate::{
    config::{Budget, Config, RedisServer},
    model::{health::Rules, lag::Policy, snapshot::Server},
};

/// What one poller has to do. A newer one for the same server takes its place between two polls.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The server, and what to measure on it.
    pub server: RedisServer,
    /// What is published where a lag is not one proved number.
    pub policy: Policy,
    /// Time between two polls.
    pub interval: Duration,
    /// Longest time that a poll may take.
    pub timeout: Duration,
    /// Longest time between two polls of a server that is out of reach.
    pub max_backoff: Duration,
    /// Age at which a poll is stale.
    pub stale_after: Duration,
    /// What may be read in order to count lags.
    pub budget: Budget,
    /// By what groups are judged.
    pub rules: Rules,
    /// How many others there were before for the same server: what was measured by different ones is not to be added up.
    pub number: u64,
}

impl Assignment {
    /// One for each configured server, in the order of the configuration.
    pub fn all(config: &Config) -> impl Iterator<Item = Assignment> {
        config.servers.iter().map(|server| Assignment {
            server: server.clone(),
            policy: config.policy,
            interval: config.poll_interval,
            timeout: config.poll_timeout.unwrap_or(config.stale_after),
            max_backoff: config.max_backoff,
            stale_after: config.stale_after,
            budget: config.budget,
            rules: config.rules,
            number: 0,
        })
    }

    /// Longest time that a search for streams may take of a poll.
    #[must_use]
    pub fn search_time(&self) -> Duration {
        self.server.timeout.min(self.timeout / 2)
    }

    /// The server before its first poll.
    #[must_use]
    pub fn unpolled(&self) -> Server {
        Server::new(self.server.name.clone(), self.stale_after)
    }
}

/// Whether both are one server that is looked at as one user: what was measured for the one is true of the other, and
/// what was proved stays proved.
#[must_use]
pub fn is_same_server(one: &RedisServer, other: &RedisServer) -> bool {
    fn place(server: &RedisServer) -> impl PartialEq + '_ {
        // All fields are named, so that a new one is not forgotten here or in `is_reached_alike`.
        let RedisServer {
            name,
            topology,
            tls,
            read_from,
            username,
            password,
            databases,
            protocol: _,
            timeout: _,
            streams: _,
            groups: _,
            expected: _,
            consumers: _,
            limits: _,
        } = server;
        (name, topology, tls, read_from, username, password, databases)
    }
    place(one) == place(other)
}

/// Whether a connection that was opened for the one does for the other, where they are one server.
#[must_use]
pub fn is_reached_alike(one: &RedisServer, other: &RedisServer) -> bool {
    (one.protocol, one.timeout) == (other.protocol, other.timeout)
}

/// Whether the same streams are looked for.
#[must_use]
pub fn has_same_streams(one: &RedisServer, other: &RedisServer) -> bool {
    let what =
        |server: &RedisServer| (server.streams.clone(), server.expected.clone(), server.limits.streams);
    what(one) == what(other)
}
