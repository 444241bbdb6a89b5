//! THE table of settings. The command line, the variables, the file, its JSON Schema, `--help` and
//! `docs/configuration.md` all come from it.
//!
//! To add a setting, add a row to [`SETTINGS`] and read it in `validate`.

use std::time::Duration;

/// One setting: a row of the table.
#[derive(Debug)]
pub struct Setting {
    /// Place in the file: keys joined by dots; `redis[]` is one server of the list.
    pub path: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// What holds where nothing is said.
    pub default: Option<&'static str>,
    /// Flag of the command line, without the dashes; secrets have none, since every process can read it.
    pub flag: Option<&'static str>,
    /// Variable that other tools use for the same: read last.
    pub fallback: Option<&'static str>,
    /// A value to show in the docs.
    pub example: &'static str,
    /// What it does, for `--help` and the docs: one paragraph.
    pub help: &'static str,
}

/// Type and range of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string that is never shown.
    Secret,
    /// True or false.
    Bool,
    /// A whole number between two bounds, both included.
    Count(i64, i64),
    /// A duration between two bounds, both included: `500ms`, `5s`, `1m30s`.
    Duration(Duration, Duration),
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list of strings; on the command line separated by commas, and the flag may be repeated.
    List,
}

impl Setting {
    /// Name of its variable.
    #[must_use]
    pub fn variable(&self) -> String {
        let name = self.flag.map_or_else(|| self.path.replace("[]", ""), str::to_owned);
        format!("STREAMGAUGE_{}", name.replace(['.', '-'], "_").to_uppercase())
    }
}

const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const HOUR: Duration = Duration::from_secs(3600);

/// Every setting there is, in the order in which it is shown.
pub static SETTINGS: &[Setting] = &[
    Setting {
        path: "poll.interval",
        kind: Kind::Duration(millis(100), HOUR),
        default: Some("5s"),
        flag: Some("poll.interval"),
        fallback: None,
        example: "5s",
        help: "Time between two polls of a Redis server. Every reader gets the result of the latest poll, so more readers do not mean more work for Redis.",
    },
    Setting {
        path: "poll.stale_after",
        kind: Kind::Count(1, 1000),
        default: Some("3"),
        flag: Some("poll.stale-after"),
        fallback: None,
        example: "3",
        help: "Number of poll intervals after which a measurement is stale. A stale one is not shown: redis_up is 0 and the server has no other redis_ series.",
    },
    Setting {
        path: "lag.bounded",
        kind: Kind::Choice(&["estimate", "lower", "upper", "absent"]),
        default: Some("estimate"),
        flag: Some("lag.bounded"),
        fallback: None,
        example: "upper",
        help: "What to publish as the lag where it is only known to lie between two bounds: the best estimate, the lower or the upper bound, or nothing. The bounds themselves are always published.",
    },
    Setting {
        path: "lag.missing_group",
        kind: Kind::Choice(&["length", "zero", "absent"]),
        default: Some("length"),
        flag: Some("lag.missing-group"),
        fallback: None,
        example: "zero",
        help: "What to publish as the lag of an expected group that does not exist while its stream does: the length of the stream (right for a group that will be created at 0), zero (at $), or nothing.",
    },
    Setting {
        path: "lag.entries_per_group",
        kind: Kind::Count(0, 1_000_000),
        default: Some("100"),
        flag: Some("lag.entries-per-group"),
        fallback: None,
        example: "100",
        help: "Most entries to read in one poll in order to count the lag of one group. With 0 nothing is counted, and more lags are bounded.",
    },
    Setting {
        path: "lag.bytes_per_group",
        kind: Kind::Count(0, 1 << 30),
        default: Some("1048576"),
        flag: Some("lag.bytes-per-group"),
        fallback: None,
        example: "1048576",
        help: "Most bytes to read in one poll in order to count the lag of one group, by the average size of the stream's entries.",
    },
    Setting {
        path: "lag.entries_per_poll",
        kind: Kind::Count(0, 100_000_000),
        default: Some("20000"),
        flag: Some("lag.entries-per-poll"),
        fallback: None,
        example: "20000",
        help: "Most entries to read from one server in one poll in order to count lags. Groups that do not get their turn get it at the next poll.",
    },
    Setting {
        path: "lag.bytes_per_poll",
        kind: Kind::Count(0, 1 << 40),
        default: Some("16777216"),
        flag: Some("lag.bytes-per-poll"),
        fallback: None,
        example: "16777216",
        help: "Most bytes to read from one server in one poll in order to count lags, by the average size of each stream's entries.",
    },
    Setting {
        path: "web.listen_address",
        kind: Kind::List,
        default: Some(":9121"),
        flag: Some("web.listen-address"),
        fallback: None,
        example: ":9121",
        help: "Addresses to serve on, as host:port; without a host on all of them.",
    },
    Setting {
        path: "web.telemetry_path",
        kind: Kind::Text,
        default: Some("/metrics"),
        flag: Some("web.telemetry-path"),
        fallback: None,
        example: "/metrics",
        help: "Path under which the metrics are served.",
    },
    Setting {
        path: "log.level",
        kind: Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        default: Some("info"),
        flag: Some("log.level"),
        fallback: None,
        example: "info",
        help: "Least severe log messages to write.",
    },
    Setting {
        path: "log.format",
        kind: Kind::Choice(&["text", "json"]),
        default: Some("text"),
        flag: Some("log.format"),
        fallback: None,
        example: "json",
        help: "Format of the log, which goes to standard error: text for people, or one JSON object a line.",
    },
    Setting {
        path: "redis[].name",
        kind: Kind::Text,
        default: None,
        flag: Some("redis.name"),
        fallback: None,
        example: "main",
        help: "Name of the server, unique: the redis label of its series. Without it, host:port.",
    },
    Setting {
        path: "redis[].url",
        kind: Kind::Text,
        default: Some("redis://127.0.0.1:6379"),
        flag: Some("redis.url"),
        fallback: Some("REDIS_ADDR"),
        example: "redis://redis.shop.svc:6379/0",
        help: "Where the server is: redis://[username[:password]@]host[:port][/database][?protocol=resp3], or host:port. On the command line, where every process can read it, it must not hold a password.",
    },
    Setting {
        path: "redis[].username",
        kind: Kind::Text,
        default: None,
        flag: Some("redis.username"),
        fallback: Some("REDIS_USER"),
        example: "streamgauge",
        help: "ACL user to log in as.",
    },
    Setting {
        path: "redis[].password",
        kind: Kind::Secret,
        default: None,
        flag: None,
        fallback: Some("REDIS_PASSWORD"),
        example: "",
        help: "Password to log in with. Never shown. Not a flag, since every process can read the command line.",
    },
    Setting {
        path: "redis[].password_file",
        kind: Kind::Text,
        default: None,
        flag: Some("redis.password-file"),
        fallback: None,
        example: "/run/secrets/redis-password",
        help: "File that holds the password, in place of password; read anew for every connection. A newline at its end does not count.",
    },
    Setting {
        path: "redis[].database",
        kind: Kind::Count(0, 65535),
        default: None,
        flag: Some("redis.database"),
        fallback: None,
        example: "0",
        help: "Number of the database, 0 where neither this nor the URL says otherwise.",
    },
    Setting {
        path: "redis[].timeout",
        kind: Kind::Duration(millis(10), HOUR),
        default: Some("5s"),
        flag: Some("redis.timeout"),
        fallback: None,
        example: "5s",
        help: "Longest time to wait for a connection, and for the replies to one pipeline.",
    },
    Setting {
        path: "redis[].streams",
        kind: Kind::List,
        default: Some("*"),
        flag: Some("streams"),
        fallback: None,
        example: "orders",
        help: "Streams to measure: names and globs (*, ?, [a-z], \\ before a character that stands for itself). Only globs need SCAN. A stream that is named and does not exist is shown as such.",
    },
    Setting {
        path: "redis[].groups.include",
        kind: Kind::List,
        default: Some("*"),
        flag: Some("groups.include"),
        fallback: None,
        example: "*",
        help: "Groups to measure: names and globs.",
    },
    Setting {
        path: "redis[].groups.exclude",
        kind: Kind::List,
        default: None,
        flag: Some("groups.exclude"),
        fallback: None,
        example: "tmp-*",
        help: "Groups to leave out of those included: names and globs.",
    },
    Setting {
        path: "redis[].groups.expect",
        kind: Kind::List,
        default: None,
        flag: Some("groups.expect"),
        fallback: None,
        example: "orders=processing_group",
        help: "Groups that should exist, as stream=group (write \\= for an equals sign in a name). As long as one does not exist it is shown as such, with a lag by lag.missing_group; without its stream, with a lag of 0.",
    },
    Setting {
        path: "redis[].consumers",
        kind: Kind::Bool,
        default: Some("true"),
        flag: Some("consumers"),
        fallback: None,
        example: "true",
        help: "Whether to measure each consumer. Without, XINFO CONSUMERS is not sent and there are no consumer series.",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_keeps_the_rules() {
        let mut seen = HashSet::new();
        for setting in SETTINGS {
            assert!(seen.insert(setting.path.to_owned()), "{} stands twice", setting.path);
            assert!(seen.insert(setting.variable()), "{} shares its variable", setting.path);
            assert!(setting.help.ends_with('.'), "{}: help", setting.path);
            assert_eq!(
                setting.flag.is_none(),
                setting.kind == Kind::Secret,
                "{}: flags are for all but secrets",
                setting.path
            );
        }
    }
}
