//! The commands that are sent to Redis: each once, with the ACL rule that it needs and what is lost without it.
//!
//! The collector builds its requests from this table, `docs/redis-acl.md` is generated from it, and a refusal is
//! answered with the rule that it names.

use std::fmt;

use super::{error, resp::ErrorReply};
use crate::model::{
    fault::{Fault, FaultKind},
    name::Name,
};

/// Where a refusal is explained.
const DOCUMENT: &str = "docs/redis-acl.md";

/// Servers that differ in the rules that they know and need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// Redis 6.0 and 6.2.
    V6,
    /// Redis 7.0.
    V7_0,
    /// Redis 7.2 and later, Valkey.
    V7_2,
}
use Servers::{V6, V7_0, V7_2};

impl Servers {
    /// All of them.
    pub const ALL: &'static [Servers] = &[V6, V7_0, V7_2];

    /// As a heading.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            V6 => "Redis 6.0 and 6.2",
            V7_0 => "Redis 7.0",
            V7_2 => "Redis 7.2 and later, Valkey",
        }
    }

    /// The rule that lets a user read the keys of a pattern, and no more than that where the server can tell.
    #[must_use]
    pub fn key_rule(self, pattern: &str) -> String {
        match self {
            V6 => format!("~{pattern}"),
            V7_0 | V7_2 => format!("%R~{pattern}"),
        }
    }
}

/// What a command belongs to: it is sent only where this is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Always.
    Always,
    /// Globs among the streams.
    Globs,
    /// Consumers are measured.
    Consumers,
    /// Entries may be read in order to count them.
    Entries,
    /// A database other than 0.
    Database,
    /// A cluster.
    Cluster,
    /// Replicas of a cluster are asked.
    ClusterReplicas,
    /// RESP3.
    Resp3,
    /// A password.
    Login,
    /// Sentinels, who have users of their own.
    Sentinel,
    /// Sentinels, and a replica is read.
    SentinelReplicas,
}

impl Feature {
    /// The setting that it follows from.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Feature::Always => "always",
            Feature::Globs => "a glob in `streams`, or none given",
            Feature::Consumers => "`consumers`, as by default",
            Feature::Entries => "`lag.bytes_per_poll` other than 0, as by default",
            Feature::Database => "`database` other than 0",
            Feature::Cluster => "`redis+cluster://` in the URL",
            Feature::ClusterReplicas => "`redis+cluster://` in the URL and `read_from: replica`",
            Feature::Resp3 => "`?protocol=resp3` in the URL",
            Feature::Login => "a user or a password",
            Feature::Sentinel => "to Sentinels: `redis+sentinel://` in the URL",
            Feature::SentinelReplicas => {
                "to Sentinels: `redis+sentinel://` in the URL and `read_from: replica`"
            }
        }
    }
}

/// A command.
#[derive(Debug)]
pub struct Command {
    /// Command and subcommand.
    pub words: &'static str,
    /// Where it is sent.
    pub feature: Feature,
    /// The servers on which a user needs a rule for it. On others it is always allowed, or not known and refused
    /// before the ACL is asked; Redis 7 even refuses a rule with a subcommand that it does not know.
    pub ruled_by: &'static [Servers],
    /// Whether a refusal is reported. What is only an advantage is done without in silence.
    pub is_reported: bool,
    /// What it is for.
    pub purpose: &'static str,
    /// What is lost without it.
    pub without: &'static str,
}

macro_rules! commands {
    ($($name:ident: $words:literal, $feature:ident, $ruled_by:expr, $is_reported:literal, $purpose:literal, $without:literal;)+) => {
        $(#[doc = concat!("`", $words, "`: ", $purpose)]
        pub static $name: Command = Command {
            words: $words,
            feature: Feature::$feature,
            ruled_by: $ruled_by,
            is_reported: $is_reported,
            purpose: $purpose,
            without: $without,
        };)+

        /// Every command that is ever sent.
        pub static COMMANDS: &[&Command] = &[$(&$name),+];
    };
}

commands! {
    AUTH: "AUTH", Login, &[], true, "logs in", "no connection";
    HELLO: "HELLO", Resp3, &[], true, "switches to RESP3, and logs in", "no connection";
    SELECT: "SELECT", Database, Servers::ALL, true, "chooses the database", "no connection";
    READONLY: "READONLY", ClusterReplicas, Servers::ALL, true, "asks a replica for its own answers", "no connection";
    CLUSTER_SLOTS: "CLUSTER SLOTS", Cluster, Servers::ALL, true,
        "which node of a cluster has which streams", "every number: the poll fails";
    CLUSTER_NODES: "CLUSTER NODES", Cluster, Servers::ALL, true,
        "the nodes of a cluster that have no slots yet: streams may be on their way there", "every number: the poll fails";
    ASKING: "ASKING", Cluster, Servers::ALL, true,
        "asks a node for a stream that is on its way there", "such streams, until they have arrived";
    CLIENT_SETINFO: "CLIENT SETINFO", Always, &[V6, V7_2], false,
        "shows streamgauge by its name in `CLIENT LIST`", "the name there; nothing is reported";
    INFO: "INFO", Always, Servers::ALL, false,
        "the version, and whether the server was restarted, has failed over, or is a replica without its primary; with large entries, whether anything happened that it does not tell of",
        "nothing is remembered between polls, so more lags are counted or bounded; whether a pending entry between the ends of its stream still exists is not known; the data of a replica without its primary is taken for current; streams with large entries are read in each poll; nothing is reported, but with Sentinels every number is lost, since what was the primary may be a replica by now";
    TIME: "TIME", Always, Servers::ALL, true, "the clock that ages are told by", "every number: the poll fails";
    CLIENT_TRACKING: "CLIENT TRACKING", Always, &[V7_0, V7_2], false,
        "has Redis tell when a stream with large entries changes", "with large entries, time of Redis: `XINFO STREAM` returns the first and the last one whole, and is then sent in every poll; nothing is reported";
    CLIENT_CACHING: "CLIENT CACHING", Always, &[V7_0, V7_2], false,
        "says for which stream", "the same; nothing is reported";
    SCAN: "SCAN", Globs, Servers::ALL, true,
        "finds the streams that a glob means", "the streams that a glob means; `redis_up` is 0, those with exact names are measured";
    MULTI: "MULTI", Always, Servers::ALL, true, "reads a stream and its groups at one moment", "every stream";
    XINFO_STREAM: "XINFO STREAM", Always, Servers::ALL, true, "length, ends and counters of a stream", "every stream";
    XINFO_GROUPS: "XINFO GROUPS", Always, Servers::ALL, true, "the groups of a stream", "every stream";
    XRANGE: "XRANGE", Entries, Servers::ALL, true,
        "counts entries, at most as many as the budget allows; finds the oldest undelivered one; looks whether an entry still exists",
        "lags that do not follow from the ends of the stream are bounded, and `redis_stream_up` is 0 there; the age of the oldest undelivered entry where the ends do not tell it, which alone leaves `redis_stream_up` at 1";
    XREVRANGE: "XREVRANGE", Entries, Servers::ALL, true,
        "the same, downwards",
        "lags that can only be counted downwards, or in both directions at once, are bounded; `redis_stream_up` is 0";
    EXEC: "EXEC", Always, Servers::ALL, true, "reads a stream and its groups at one moment", "every stream";
    XPENDING: "XPENDING", Always, Servers::ALL, true,
        "the oldest pending entry of a group that has any, and who owns the entries where there are too many consumers to ask for",
        "the series of the oldest pending entry, and those of the owners; `redis_stream_up` is 0";
    XINFO_CONSUMERS: "XINFO CONSUMERS", Consumers, Servers::ALL, true,
        "the consumers of a group", "the series of consumers; `redis_stream_up` is 0";
    SENTINEL_GET_MASTER_ADDR_BY_NAME: "SENTINEL GET-MASTER-ADDR-BY-NAME", Sentinel, Servers::ALL, true,
        "where the primary is, also in the midst of a failover", "every number after the next start; until then, the server is polled where it was";
    SENTINEL_MASTER: "SENTINEL MASTER", Sentinel, Servers::ALL, true,
        "which configuration that is of, and whether the primary is down",
        "every number after the next start; until then, the server is polled where it was";
    SENTINEL_SENTINELS: "SENTINEL SENTINELS", Sentinel, Servers::ALL, false,
        "other Sentinels, to be asked where those in the URL are gone", "them; nothing is reported";
    SENTINEL_REPLICAS: "SENTINEL REPLICAS", SentinelReplicas, Servers::ALL, true, "where the replicas are",
        "every number after the next start; until then, the server is polled where it was";
    SENTINEL_MASTERS: "SENTINEL MASTERS", Sentinel, Servers::ALL, false,
        "what the Sentinels watch, to be told where they do not watch the service", "that in an error; nothing is reported";
}

impl Command {
    /// The rule that allows it, and nothing else.
    #[must_use]
    pub fn rule(&self) -> String {
        format!("+{}", self.words.to_lowercase().replace(' ', "|"))
    }

    /// The fault that an error reply to it is. A refusal says what to grant, by what was sent.
    #[must_use]
    pub fn fault(&self, reply: &ErrorReply, key: Option<&Name>) -> Fault {
        let fault = error::from_reply(reply).during(self);
        match fault.kind {
            FaultKind::NoPerm => fault.advising(self.grant(reply.parts().1, key)),
            _ => fault,
        }
    }

    /// What to grant after a refusal; where it is not told what lacks, command and key are named.
    pub(super) fn grant(&self, text: &str, key: Option<&Name>) -> String {
        let rule = self.rule();
        let lack = Lack::told_by(text);
        let Some(key) = key.filter(|_| lack != Some(Lack::Command)) else {
            return format!("grant {rule} ({DOCUMENT})");
        };
        let pattern = pattern(key);
        let keys = format!("{} (before Redis 7.0: {})", V7_2.key_rule(&pattern), V6.key_rule(&pattern));
        match lack {
            Some(Lack::Key) => format!("grant {keys} ({DOCUMENT})"),
            _ => format!("grant {rule} and {keys} ({DOCUMENT})"),
        }
    }
}

/// What a refusal is about. The command is looked at first: where the key lacks, the command does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// The command, or its subcommand.
    Command,
    /// The right to read the key.
    Key,
}

impl Lack {
    /// By the text of the refusal, which differs between versions, but not in how it ends; `None` where it ends otherwise.
    pub(super) fn told_by(text: &str) -> Option<Lack> {
        const ENDS: [(&str, Lack); 4] = [
            ("command", Lack::Command),
            ("subcommand", Lack::Command),
            ("key", Lack::Key),
            ("keys used as arguments", Lack::Key),
        ];
        ENDS.into_iter().find(|(end, _)| text.ends_with(end)).map(|(_, lack)| lack)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)
    }
}

/// The pattern of one key and no other.
fn pattern(key: &Name) -> String {
    let mut pattern = String::new();
    for c in key.to_string().chars() {
        if matches!(c, '*' | '?' | '[' | ']') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// The rules for a user of the server, by what is configured, in the order of the table.
#[must_use]
pub fn rules(features: &[Feature], servers: Servers) -> Vec<String> {
    let needed = COMMANDS.iter().filter(|command| {
        command.ruled_by.contains(&servers)
            && (command.feature == Feature::Always || features.contains(&command.feature))
    });
    needed.map(|command| command.rule()).collect()
}

/// The rules for a user of the Sentinels.
#[must_use]
pub fn sentinel_rules(reads_replica: bool) -> Vec<String> {
    let needed = COMMANDS.iter().filter(|command| match command.feature {
        Feature::Sentinel => true,
        Feature::SentinelReplicas => reads_replica,
        _ => false,
    });
    needed.map(|command| command.rule()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::resp::{Reply, tests::parsed};

    fn refused(command: &Command, text: &str, key: Option<&str>) -> String {
        let fault = |reply: Reply<'_>| command.fault(&reply.error().unwrap(), key.map(Name::from).as_ref());
        parsed(format!("-{text}\r\n").as_bytes(), fault).message.clone()
    }

    /// The texts of Redis 6.0, 7.0 and 8.0.
    #[test]
    fn a_refusal_names_the_missing_rule() {
        for text in [
            "NOPERM this user has no permissions to run the 'xinfo' command or its subcommand",
            "NOPERM this user has no permissions to run the 'xinfo|stream' command",
            "NOPERM User key has no permissions to run the 'xinfo|stream' command",
        ] {
            let expected = format!("XINFO STREAM: {text}: grant +xinfo|stream ({DOCUMENT})");
            assert_eq!(refused(&XINFO_STREAM, text, Some("orders")), expected);
        }
        let keys = "%R~orders (before Redis 7.0: ~orders)";
        for text in [
            "NOPERM this user has no permissions to access one of the keys used as arguments",
            "NOPERM No permissions to access a key",
        ] {
            let expected = format!("XPENDING: {text}: grant {keys} ({DOCUMENT})");
            assert_eq!(refused(&XPENDING, text, Some("orders")), expected);
        }
        let text = "NOPERM computer says no";
        let expected = format!("XRANGE: {text}: grant +xrange and {keys} ({DOCUMENT})");
        assert_eq!(refused(&XRANGE, text, Some("orders")), expected);
        assert_eq!(refused(&TIME, text, None), format!("TIME: {text}: grant +time ({DOCUMENT})"));
        assert_eq!(refused(&TIME, "ERR out of time", None), "TIME: ERR out of time");
    }

    /// A refused EXEC is told as an aborted transaction.
    #[test]
    fn a_refusal_inside_an_abort_is_one() {
        let text = "EXECABORT Transaction discarded because of: NOPERM User u has no permissions to run the 'exec' command";
        assert!(refused(&EXEC, text, Some("orders")).ends_with(": grant +exec (docs/redis-acl.md)"));
    }

    #[test]
    fn a_pattern_means_one_key() {
        let names = ["orders", "a*b", "[x]?"].map(|name| pattern(&name.into()));
        assert_eq!(names, ["orders", r"a\*b", r"\[x\]\?"]);
    }

    #[test]
    fn a_rule_is_there_for_every_command_that_a_server_rules() {
        let least = rules(&[], V7_0);
        assert_eq!(least[..2], ["+info", "+time"]);
        assert!(rules(&[Feature::Consumers], V7_2).contains(&"+client|setinfo".to_owned()));
        assert!(!least.contains(&"+client|setinfo".to_owned()) && !least.contains(&"+scan".to_owned()));
    }
}
