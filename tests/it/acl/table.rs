//! The table of commands and what is really sent are the same.

use std::{collections::BTreeSet, fs, path::Path};

use super::{EVERYTHING, commands, fill};
use crate::{
    servers,
    support::{redis::RedisServer, tool::needs},
};

/// Redis's own count of what was called, with subcommands where the server tells them apart.
fn called(redis: &RedisServer) -> BTreeSet<String> {
    let info: String = redis.ask(&["INFO", "commandstats"]);
    let lines = info.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
    lines.filter(|(_, rest)| !rest.starts_with("0,")).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn what_is_sent_is_the_table() {
    needs!("redis-server");
    for version in servers::versions() {
        let redis = version.start();
        fill(&redis, 1);
        redis.run(&[&super::set_user("all", &["~*".to_owned(), "+@all".to_owned()])]);
        redis.run(&["CONFIG RESETSTAT"]);
        let gauge = EVERYTHING.gauge(&redis, "all");
        gauge.poll();
        let mut called = called(&redis);
        // This test's own.
        ["config|resetstat", "config"].iter().for_each(|own| _ = called.remove(*own));

        let has_subcommands = redis.version() >= (7, 0);
        let known = |rule: &str| redis.version() >= (7, 2) || rule != "client|setinfo";
        let expected: BTreeSet<_> = commands()
            // A password goes with HELLO there.
            .filter(|command| command.words != "AUTH")
            .map(|command| command.rule().trim_start_matches('+').to_owned())
            .filter(|rule| !has_subcommands || known(rule))
            .map(|rule| if has_subcommands { rule } else { rule.split('|').next().unwrap().to_owned() })
            .collect();
        assert_eq!(called, expected, "{version:?}");
    }
}

/// A command that is written out where it is sent would not be in the table.
#[test]
fn no_command_is_written_elsewhere() {
    let mut seen = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/collect")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.ends_with("commands.rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for written in [".cmd(", "redis::cmd(", "Cmd::"] {
            assert!(!source.contains(written), "{} has {written}: see commands.rs", path.display());
        }
        seen += ["requests.add(", "Requests::one(", "link.single("]
            .map(|built| source.matches(built).count())
            .iter()
            .sum::<usize>();
    }
    assert!(seen >= 10, "only {seen} commands are built from the table: the test is blind");
}
