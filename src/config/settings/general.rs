//! The rows of the program as a whole: polls, lags, the web port, the log.

use std::time::Duration;

use super::{BLANK, HOUR, Kind, Setting, millis};

/// What may stand for a lag between two bounds.
pub const BOUNDED: &[&str] = &["estimate", "lower", "upper", "absent"];

/// What may stand for the lag of a group that does not exist.
pub const MISSING_GROUP: &[&str] = &["length", "zero", "absent"];

/// The rows, in the order in which they are shown.
pub static ROWS: &[Setting] = &[
    Setting {
        path: "poll.interval",
        kind: Kind::Duration(millis(100), HOUR),
        default: Some("5s"),
        flag: Some("poll.interval"),
        example: "5s",
        help: "Time between two polls of a Redis server. Every reader gets the result of the latest poll, so more readers do not mean more work for Redis.",
        ..BLANK
    },
    Setting {
        path: "poll.stale_after",
        kind: Kind::Count(1, 1000),
        default: Some("3"),
        flag: Some("poll.stale-after"),
        example: "3",
        help: "Number of poll intervals after which a measurement is stale. A stale one is not shown: redis_up is 0 and the server has no other redis_ series.",
        ..BLANK
    },
    Setting {
        path: "poll.timeout",
        kind: Kind::Duration(millis(100), HOUR),
        flag: Some("poll.timeout"),
        example: "15s",
        help: "Longest time that a poll of a server may take, over all its commands: then it has failed, and its connections are closed. Without it, as long as a measurement counts: poll.stale_after poll intervals.",
        ..BLANK
    },
    Setting {
        path: "poll.max_backoff",
        kind: Kind::Duration(millis(100), HOUR),
        default: Some("30s"),
        flag: Some("poll.max-backoff"),
        example: "30s",
        help: "Longest time between two polls of a server that cannot be reached, does not answer in time or refuses the credentials: after each such poll the time doubles, from the poll interval on, give or take a fifth. The first poll that succeeds ends that. A value below the poll interval means the interval.",
        ..BLANK
    },
    Setting {
        path: "lag.bounded",
        kind: Kind::Choice(BOUNDED),
        default: Some("estimate"),
        flag: Some("lag.bounded"),
        example: "upper",
        help: "What to publish as the lag where it is only known to lie between two bounds: the best estimate, the lower or the upper bound, or nothing. The bounds themselves are always published.",
        ..BLANK
    },
    Setting {
        path: "lag.missing_group",
        kind: Kind::Choice(MISSING_GROUP),
        default: Some("length"),
        flag: Some("lag.missing-group"),
        example: "zero",
        help: "What to publish as the lag of an expected group that does not exist while its stream does: the length of the stream (right for a group that will be created at 0), zero (at $), or nothing.",
        ..BLANK
    },
    Setting {
        path: "lag.entries_per_group",
        kind: Kind::Count(0, 1_000_000),
        default: Some("100"),
        flag: Some("lag.entries-per-group"),
        example: "100",
        help: "Most entries to read in one poll in order to count the lag of one group; beside these at most 16, to find the oldest one that waits for it. With 0 nothing is counted, more lags are bounded, and fewer groups have an age of the oldest undelivered entry.",
        ..BLANK
    },
    Setting {
        path: "lag.bytes_per_group",
        kind: Kind::Count(0, 1 << 30),
        default: Some("1048576"),
        flag: Some("lag.bytes-per-group"),
        example: "1048576",
        help: "Most bytes to read in one poll in order to count the lag of one group, by the average size of the stream's entries.",
        ..BLANK
    },
    Setting {
        path: "lag.entries_per_poll",
        kind: Kind::Count(0, 100_000_000),
        default: Some("20000"),
        flag: Some("lag.entries-per-poll"),
        example: "20000",
        help: "Most entries to read from one server, or from one node of a cluster, in one poll in order to count lags. Groups that do not get their turn get it at the next poll.",
        ..BLANK
    },
    Setting {
        path: "lag.bytes_per_poll",
        kind: Kind::Count(0, 1 << 40),
        default: Some("16777216"),
        flag: Some("lag.bytes-per-poll"),
        example: "16777216",
        help: "Most bytes to read from one server, or from one node of a cluster, in one poll in order to count lags, by the average size of each stream's entries. With 0 no entry is ever read, neither to count nor to look whether it still exists: XRANGE and XREVRANGE are not sent, nothing is remembered between polls, more lags are bounded, and fewer groups have an age of the oldest undelivered entry.",
        ..BLANK
    },
    Setting {
        path: "health.window",
        kind: Kind::Duration(millis(10_000), Duration::from_secs(86_400)),
        default: Some("5m"),
        flag: Some("health.window"),
        example: "5m",
        help: "How far back to look in order to say how a group is and how fast entries come and go. A longer one reacts more slowly, and takes burstier work for what it is.",
        ..BLANK
    },
    Setting {
        path: "health.claim_time",
        kind: Kind::Duration(millis(1000), Duration::from_secs(604_800)),
        default: Some("60s"),
        flag: Some("health.claim-time"),
        example: "60s",
        help: "Time after which the entries of a consumer that is not heard of are anybody's: choose that by which your workers claim (the min-idle-time of XAUTOCLAIM and XCLAIM), and longer than a worker takes for what it reads at once. A consumer that is silent for longer counts as idle, or as dead where it holds entries; work that nobody moves for so long makes a group stalled.",
        ..BLANK
    },
    Setting {
        path: "health.ghost_after",
        kind: Kind::Duration(millis(1000), Duration::from_secs(31_536_000)),
        default: Some("1h"),
        flag: Some("health.ghost-after"),
        example: "1h",
        help: "Time after which a consumer that is not heard of and holds no entries counts as a ghost: it was named after a pod that is gone, and will hardly come back. A consumer that waits in one command for so long counts as one too.",
        ..BLANK
    },
    Setting {
        path: "health.floor",
        kind: Kind::Count(0, 1_000_000_000),
        default: Some("10"),
        flag: Some("health.floor"),
        example: "10",
        help: "A backlog of at most so many entries never makes a group fall behind, and is no sign of missing consumers before it has waited for health.claim_time.",
        ..BLANK
    },
    Setting {
        path: "web.listen_address",
        kind: Kind::List,
        default: Some(":9121"),
        flag: Some("web.listen-address"),
        restart: true,
        example: ":9121",
        help: "Addresses to serve on, as host:port; without a host on all of them.",
        ..BLANK
    },
    Setting {
        path: "web.telemetry_path",
        kind: Kind::Text,
        default: Some("/metrics"),
        flag: Some("web.telemetry-path"),
        restart: true,
        example: "/metrics",
        help: "Path under which the metrics are served.",
        ..BLANK
    },
    Setting {
        path: "web.enable_lifecycle",
        kind: Kind::Bool,
        default: Some("false"),
        flag: Some("web.enable-lifecycle"),
        restart: true,
        example: "true",
        help: "Whether POST /-/reload on the web port reloads the configuration. Whoever reaches the port can then ask for it, and is told all that is wrong with the file.",
        ..BLANK
    },
    Setting {
        path: "log.level",
        kind: Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        default: Some("info"),
        flag: Some("log.level"),
        example: "info",
        help: "Least severe log messages to write.",
        ..BLANK
    },
    Setting {
        path: "log.format",
        kind: Kind::Choice(&["text", "json"]),
        default: Some("text"),
        flag: Some("log.format"),
        example: "json",
        help: "Format of the log, which goes to standard error: text for people, or one JSON object a line.",
        ..BLANK
    },
];
