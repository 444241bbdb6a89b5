//! The rows of a Redis server: where it is, how to get in, and what to measure there.

use super::{BLANK, HOUR, Kind, Setting, millis};

/// The rows, in the order in which they are shown.
pub static ROWS: &[Setting] = &[
    Setting {
        path: "redis[].name",
        kind: Kind::Text,
        flag: Some("redis.name"),
        example: "main",
        help: "Name of the server, unique: the redis label of its series. Without it, host:port, or the path of the socket.",
        ..BLANK
    },
    Setting {
        path: "redis[].url",
        kind: Kind::Text,
        default: Some("redis://127.0.0.1:6379"),
        flag: Some("redis.url"),
        fallback: Some("REDIS_ADDR"),
        example: "rediss+sentinel://sentinel-0.shop.svc,sentinel-1.shop.svc/mymaster",
        help: "Where the server is: redis://[username[:password]@]host[:port][/database][?protocol=resp3], redis+unix:///path/to/socket[?db=database], redis+sentinel://host[:port],…/service[/database] with the Sentinels of a service, redis+cluster://host[:port],… with some nodes of a cluster, the same with rediss in place of redis for TLS, or host:port. On the command line, where every process can read it, it must not hold a password.",
        ..BLANK
    },
    Setting {
        path: "redis[].username",
        kind: Kind::Text,
        flag: Some("redis.username"),
        fallback: Some("REDIS_USER"),
        example: "",
        help: "ACL user to log in as.",
        ..BLANK
    },
    Setting {
        path: "redis[].username_file",
        kind: Kind::File,
        flag: Some("redis.username-file"),
        example: "/run/secrets/redis-username",
        help: "File that holds the ACL user, in place of username; read anew when it changes. A newline at its end does not count.",
        ..BLANK
    },
    Setting {
        path: "redis[].password",
        kind: Kind::Secret,
        fallback: Some("REDIS_PASSWORD"),
        example: "",
        help: "Password to log in with. Never shown. Not a flag, since every process can read the command line.",
        ..BLANK
    },
    Setting {
        path: "redis[].password_file",
        kind: Kind::File,
        flag: Some("redis.password-file"),
        example: "/run/secrets/redis-password",
        help: "File that holds the password, in place of password; read anew when it changes. A newline at its end does not count.",
        ..BLANK
    },
    Setting {
        path: "redis[].tls.ca_file",
        kind: Kind::File,
        flag: Some("redis.tls.ca-file"),
        example: "/etc/streamgauge/redis/ca.crt",
        help: "File that holds the CA of the server's certificate, in PEM, for rediss://; read anew when it changes. Without it, those CAs are believed that the system believes.",
        ..BLANK
    },
    Setting {
        path: "redis[].tls.cert_file",
        kind: Kind::File,
        flag: Some("redis.tls.cert-file"),
        example: "/etc/streamgauge/redis/tls.crt",
        help: "File that holds the certificate to show to the server and those between it and its CA, in PEM; read anew when it changes.",
        ..BLANK
    },
    Setting {
        path: "redis[].tls.key_file",
        kind: Kind::File,
        flag: Some("redis.tls.key-file"),
        example: "/etc/streamgauge/redis/tls.key",
        help: "File that holds the private key of the certificate, in PEM; read anew when it changes.",
        ..BLANK
    },
    Setting {
        path: "redis[].tls.server_name",
        kind: Kind::Text,
        flag: Some("redis.tls.server-name"),
        example: "redis.shop.svc",
        help: "Name or IP address that the server's certificate must be for. Without it, the host of the URL.",
        ..BLANK
    },
    Setting {
        path: "redis[].tls.insecure_skip_verify",
        kind: Kind::Bool,
        default: Some("false"),
        flag: Some("redis.tls.insecure-skip-verify"),
        example: "false",
        help: "Whether to believe every server, whatever its certificate. Whoever is in between can then read the password.",
        ..BLANK
    },
    Setting {
        path: "redis[].database",
        kind: Kind::Counts(0, 65535),
        flag: Some("redis.database"),
        example: "[0, 1]",
        help: "Number of the database, or of several: 0 where neither this nor the URL says otherwise. Each is measured over a connection of its own. A cluster has only 0.",
        ..BLANK
    },
    Setting {
        path: "redis[].read_from",
        kind: Kind::Choice(&["primary", "replica"]),
        default: Some("primary"),
        flag: Some("redis.read-from"),
        example: "replica",
        help: "Whom to ask where Sentinels or a cluster tell who is there: the primary, or one of its replicas. A replica says later what has happened, and what it says of lags is believed less, so more of them are bounded. If there is none in reach, nothing is measured.",
        ..BLANK
    },
    Setting {
        path: "redis[].sentinel.username",
        kind: Kind::Text,
        flag: Some("redis.sentinel.username"),
        example: "",
        help: "ACL user to log in to the Sentinels as. The username and password of the server are not shown to them.",
        ..BLANK
    },
    Setting {
        path: "redis[].sentinel.username_file",
        kind: Kind::File,
        flag: Some("redis.sentinel.username-file"),
        example: "/run/secrets/sentinel-username",
        help: "File that holds the ACL user for the Sentinels, in place of sentinel.username; read anew when it changes. A newline at its end does not count.",
        ..BLANK
    },
    Setting {
        path: "redis[].sentinel.password",
        kind: Kind::Secret,
        example: "",
        help: "Password to log in to the Sentinels with. Never shown. Not a flag, since every process can read the command line.",
        ..BLANK
    },
    Setting {
        path: "redis[].sentinel.password_file",
        kind: Kind::File,
        flag: Some("redis.sentinel.password-file"),
        example: "/run/secrets/sentinel-password",
        help: "File that holds the password for the Sentinels, in place of sentinel.password; read anew when it changes. A newline at its end does not count.",
        ..BLANK
    },
    Setting {
        path: "redis[].timeout",
        kind: Kind::Duration(millis(10), HOUR),
        default: Some("5s"),
        flag: Some("redis.timeout"),
        example: "5s",
        help: "Longest time to wait for a connection, and for the replies to one batch of questions.",
        ..BLANK
    },
    Setting {
        path: "redis[].streams",
        kind: Kind::List,
        default: Some("*"),
        flag: Some("streams"),
        example: "orders",
        help: "Streams to measure: names and globs (*, ?, [a-z], \\ before a character that stands for itself). Only globs need SCAN. A stream that is named and does not exist is shown as such.",
        ..BLANK
    },
    Setting {
        path: "redis[].groups.include",
        kind: Kind::List,
        default: Some("*"),
        flag: Some("groups.include"),
        example: "*",
        help: "Groups to measure: names and globs.",
        ..BLANK
    },
    Setting {
        path: "redis[].groups.exclude",
        kind: Kind::List,
        flag: Some("groups.exclude"),
        example: "tmp-*",
        help: "Groups to leave out of those included: names and globs.",
        ..BLANK
    },
    Setting {
        path: "redis[].groups.expect",
        kind: Kind::List,
        flag: Some("groups.expect"),
        example: "orders=processing_group",
        help: "Groups that should exist, as stream=group (write \\= for an equals sign in a name). As long as one does not exist it is shown as such, with a lag by lag.missing_group; without its stream, with a lag of 0.",
        ..BLANK
    },
    Setting {
        path: "redis[].consumers",
        kind: Kind::Bool,
        default: Some("true"),
        flag: Some("consumers"),
        example: "true",
        help: "Whether to measure each consumer. Without, XINFO CONSUMERS is not sent and there are no consumer series.",
        ..BLANK
    },
    Setting {
        path: "redis[].limits.streams",
        kind: Kind::Count(1, 10_000_000),
        default: Some("100000"),
        flag: Some("limits.streams"),
        example: "100000",
        help: "Most streams to measure in each database of the server. Streams that are named always are; of those that globs find, the first ones by name. The others cost Redis nothing, and streamgauge_limit_dropped_total counts them.",
        ..BLANK
    },
    Setting {
        path: "redis[].limits.groups_per_stream",
        kind: Kind::Count(1, 1_000_000),
        default: Some("1000"),
        flag: Some("limits.groups-per-stream"),
        example: "1000",
        help: "Most groups to show of a stream. Groups that are expected always are; of the others that the filters let through, the first ones by name. streamgauge_limit_dropped_total counts the rest.",
        ..BLANK
    },
    Setting {
        path: "redis[].limits.consumers_per_group",
        kind: Kind::Count(1, 100_000),
        default: Some("1000"),
        flag: Some("limits.consumers-per-group"),
        example: "1000",
        help: "Most consumers of a group to ask for: a list of 1000 takes Redis about half a millisecond, during which it does nothing else. Of a group with more, XINFO CONSUMERS is not sent. Their number is shown, and those that own pending entries, as long as the entries are fewer than this. streamgauge_limit_dropped_total counts the rest.",
        ..BLANK
    },
];
