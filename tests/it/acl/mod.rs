//! Users with exactly the rights that the documentation tells, on every server version that is here.

use streamgauge::collect::commands::{COMMANDS, Command, Feature, Servers, rules, sentinel_rules};

use crate::{
    check::Checked,
    support::{exporter::Streamgauge, redis::RedisServer},
};

mod cluster;
mod refused;
mod sentinel;
mod sufficient;
mod table;

/// What is configured, and so what a user needs.
pub struct Set {
    pub title: &'static str,
    /// Keys that the user may read.
    pub keys: &'static [&'static str],
    /// What the URL begins with.
    pub scheme: &'static str,
    /// What it ends in.
    pub path: &'static str,
    /// The flags that go with it.
    pub flags: &'static [&'static str],
    pub features: &'static [Feature],
}

use Feature::{Cluster, ClusterReplicas, Consumers, Database, Entries, Globs, Login, Resp3};

/// The sets that the documentation has.
pub const SETS: &[Set] = &[
    Set {
        title: "streams by their names",
        keys: &["orders", "events:eu"],
        scheme: "redis",
        path: "",
        flags: &["--streams", "orders,events:eu"],
        features: &[Login, Consumers, Entries],
    },
    Set {
        title: "streams by globs",
        keys: &["orders", "events:*"],
        scheme: "redis",
        path: "",
        flags: &["--streams", "orders,events:*"],
        features: &[Login, Globs, Consumers, Entries],
    },
    Set {
        title: "no consumers",
        keys: &["orders", "events:eu"],
        scheme: "redis",
        path: "",
        flags: &["--streams", "orders,events:eu", "--consumers", "false"],
        features: &[Login, Entries],
    },
    Set {
        title: "no entry is read",
        keys: &["orders", "events:eu"],
        scheme: "redis",
        path: "",
        flags: &["--streams", "orders,events:eu", "--lag.bytes-per-poll", "0"],
        features: &[Login, Consumers],
    },
    Set {
        title: "the least: no consumers, and no entry is read",
        keys: &["orders", "events:eu"],
        scheme: "redis",
        path: "",
        flags: &["--streams", "orders,events:eu", "--consumers", "false", "--lag.bytes-per-poll", "0"],
        features: &[Login],
    },
    Set {
        title: "another database, by RESP3",
        keys: &["orders", "events:eu"],
        scheme: "redis",
        path: "/1?protocol=resp3",
        flags: &["--streams", "orders,events:eu"],
        features: &[Login, Consumers, Entries, Database, Resp3],
    },
];

/// Those for clusters.
pub const CLUSTER_SETS: &[Set] = &[
    Set {
        title: "a cluster",
        keys: &["orders", "events:*"],
        scheme: "redis+cluster",
        path: "",
        flags: &["--streams", "orders,events:*"],
        features: &[Login, Globs, Consumers, Entries, Cluster],
    },
    Set {
        title: "the replicas of a cluster",
        keys: &["orders", "events:*"],
        scheme: "redis+cluster",
        path: "",
        flags: &["--streams", "orders,events:*", "--redis.read-from", "replica"],
        features: &[Login, Globs, Consumers, Entries, Cluster, ClusterReplicas],
    },
];

/// All that can be configured at once of a single server.
pub const EVERYTHING: Set = Set {
    title: "everything",
    keys: &["orders", "events:*"],
    scheme: "redis",
    path: "/1?protocol=resp3",
    flags: &["--streams", "orders,events:*"],
    features: &[Login, Globs, Consumers, Entries, Database, Resp3],
};

/// The commands that belong to that.
fn commands() -> impl Iterator<Item = &'static Command> {
    let is_sent = |feature| feature == Feature::Always || EVERYTHING.features.contains(&feature);
    COMMANDS.iter().copied().filter(move |command| is_sent(command.feature))
}

/// The user of the documentation.
pub const USER: &str = "streamgauge";
pub const PASSWORD: &str = "a-long-password";

impl Set {
    /// Everything that the user of the documentation may do, a word for each.
    pub fn rights(&self, servers: Servers) -> Vec<String> {
        let keys = self.keys.iter().map(|key| servers.key_rule(key));
        keys.chain(rules(self.features, servers)).collect()
    }

    /// The command that makes the user.
    pub fn setuser(&self, servers: Servers) -> String {
        set_user(USER, &self.rights(servers))
    }

    pub fn database(&self) -> u32 {
        u32::from(self.features.contains(&Database))
    }

    /// An exporter that logs in as a user.
    #[track_caller]
    fn gauge(&self, redis: &RedisServer, user: &str) -> Streamgauge {
        self.logged_in(redis, user, Streamgauge::of)
    }

    /// What `check` says as a user.
    #[track_caller]
    pub fn check(&self, redis: &RedisServer, user: &str) -> Checked {
        self.logged_in(redis, user, Checked::of)
    }

    #[track_caller]
    fn logged_in<T>(&self, redis: &RedisServer, user: &str, run: impl FnOnce(&str, &[&str]) -> T) -> T {
        // It is read anew at every poll.
        let file = redis.file("password", PASSWORD);
        let login = ["--redis.username", user, "--redis.password-file", &file];
        let url = redis.url().replace("redis:", &format!("{}:", self.scheme));
        run(&format!("{url}{}", self.path), &[self.flags, &login].concat())
    }
}

pub fn set_user(name: &str, rights: &[String]) -> String {
    format!("ACL SETUSER {name} reset on >{PASSWORD} {}", rights.join(" "))
}

/// The command that makes the user at a Sentinel.
pub fn set_sentinel_user(reads_replica: bool) -> String {
    set_user(USER, &sentinel_rules(reads_replica))
}

/// Which rules the server knows.
pub fn servers_of(redis: &RedisServer) -> Servers {
    match redis.version() {
        (..=6, _) => Servers::V6,
        (7, ..=1) => Servers::V7_0,
        _ => Servers::V7_2,
    }
}

/// Streams that have all that is ever asked for: groups within the stream, pending entries, consumers, large entries.
pub fn fill(redis: &RedisServer, database: u32) {
    for stream in ["orders", "events:eu"] {
        let large = "v".repeat(20_000);
        let adds = (1..=9).map(|ms| format!("XADD {stream} {ms}-0 f {large}"));
        let groups = [
            format!("XGROUP CREATE {stream} early 0"),
            format!("XGROUP CREATE {stream} workers 4-0"),
            format!("XREADGROUP GROUP workers alice COUNT 1 STREAMS {stream} >"),
        ];
        let commands: Vec<_> = adds.chain(groups).collect();
        redis.run_on(database, &commands.iter().map(String::as_str).collect::<Vec<_>>());
    }
    // What the user may not read, and does not ask for.
    redis.run_on(database, &["XADD secret 1-0 f v"]);
}

/// What ACL LOG has of a user: the commands and keys that were refused.
pub fn refusals(redis: &RedisServer, user: &str) -> Vec<String> {
    let log: Vec<std::collections::BTreeMap<String, redis::Value>> = redis.ask(&["ACL", "LOG", "1000"]);
    let text =
        |value: &redis::Value| -> String { redis::FromRedisValue::from_redis_value(value.clone()).unwrap() };
    log.iter().filter(|entry| text(&entry["username"]) == user).map(|entry| text(&entry["object"])).collect()
}
