//! `docs/guide.md` shows the files of the example as they are, and commands that work.

use std::collections::BTreeSet;

use super::{DIRECTORY, scene::GROUP};
use crate::{
    generated::documents::{check, with_block},
    shipped::{deploy::unknown_names, read},
    support::{exporter::Streamgauge, redis::RedisServer, tool::needs},
};

const GUIDE: &str = "docs/guide.md";

/// The blocks that are files, or parts of them: name in the guide, file, and where the part begins and ends.
const BLOCKS: [(&str, &str, &str, &str); 8] = [
    ("worker-loop", "python/worker.py", "    def step(self):", "    def given_up(self"),
    ("worker-leave", "python/worker.py", "    def leave(self):", "\n\ndef main"),
    ("workers", "workers.yaml", "", "\n---\n"),
    ("exporter", "redis-exporter.yaml", "", ""),
    ("streamgauge", "streamgauge.yaml", "", ""),
    ("hpa-guide", "hpa-guide.yaml", "", ""),
    ("hpa", "hpa.yaml", "", ""),
    ("alerts", "alerts.yml", "", ""),
];

/// A file, or a part of it, as a block of code.
fn block(file: &str, from: &str, to: &str) -> String {
    let text = read(&format!("{DIRECTORY}/{file}"));
    let part = &text[text.find(from).unwrap_or_else(|| panic!("{file} has no {from:?}"))..];
    let part = match to {
        "" => part,
        to => part.split_once(to).unwrap_or_else(|| panic!("{file} has no {to:?} after {from:?}")).0,
    };
    let language = if file.ends_with(".py") { "python" } else { "yaml" };
    format!("```{language}\n{}\n```", part.trim_end())
}

#[test]
fn it_shows_the_files_as_they_are() {
    check(GUIDE, |text| {
        BLOCKS.iter().fold(text.to_owned(), |text, (name, file, from, to)| {
            with_block(&text, name, &block(file, from, to))
        })
    });
    // All that is YAML or Python in it is one of these: nothing else can drift.
    let text = read(GUIDE);
    for language in ["yaml", "python"] {
        let parts: Vec<_> = text.split(&format!("```{language}\n")).skip(1).collect();
        assert!(!parts.is_empty(), "{language}");
        for part in parts {
            let shown = part.split("\n```").next().unwrap();
            let is_shown =
                |(_, file, from, to): &(&str, &str, &str, &str)| block(file, from, to).contains(shown);
            assert!(BLOCKS.iter().any(is_shown), "{shown}");
        }
    }
}

#[test]
fn it_names_flags_variables_and_files_that_exist() {
    let text = read(GUIDE);
    assert_eq!(unknown_names(&text), [""; 0]);
    let files: BTreeSet<_> = text
        .split(|c: char| c.is_whitespace() || "`()".contains(c))
        .filter(|word| word.starts_with(DIRECTORY))
        .collect();
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        assert!(crate::shipped::path(file).exists(), "{file}");
    }
}

/// The groups, made as the guide says, are as it says.
#[test]
fn its_commands_make_the_groups() {
    needs!("redis-server");
    let text = read(GUIDE);
    let commands: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("redis-cli ")).collect();
    let [processing, analytics] = commands[..] else { panic!("{commands:?}") };
    let redis = RedisServer::start();
    redis.add("orders", 5);
    redis.run(&[processing, analytics]);
    let metrics = Streamgauge::of(&redis.url(), &[]).poll();
    for (group, lag) in [(GROUP, 5.0), ("analytics_group", 0.0)] {
        let lag_of = format!("redis_stream_group_lag{{stream=\"orders\",group=\"{group}\"}}");
        assert_eq!(metrics.value(&lag_of), Some(lag), "{group}");
    }
}
