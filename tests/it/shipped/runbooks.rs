//! `docs/runbooks/`: a page for each alert, in one shape, whose commands work.

use std::{collections::BTreeSet, fs, process::Command};

use streamgauge::cli;

use super::{alerts::rules, deploy::unknown_names, names_after, path, read, text};
use crate::{
    generated::documents::{check, with_block},
    servers,
    support::{process, redis::RedisServer, tool::needs},
};

const DIRECTORY: &str = "docs/runbooks";

/// The pages, by the names of their alerts.
pub fn names() -> BTreeSet<String> {
    let entries = fs::read_dir(path(DIRECTORY)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| name.strip_suffix(".md").unwrap_or_else(|| panic!("{name}")).to_owned()).collect()
}

fn page(name: &str) -> String {
    read(&format!("{DIRECTORY}/{name}.md"))
}

/// The paragraph that tells what the alert means.
fn meaning(page: &str) -> String {
    let paragraph = page.split("\n\n").nth(1).unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_alert_links_to_its_page() {
    let base = format!("{}/blob/main/{DIRECTORY}/", env!("CARGO_PKG_REPOSITORY"));
    let rules = rules();
    for rule in &rules {
        let name = text(rule, "alert");
        assert_eq!(text(&rule["annotations"], "runbook_url"), format!("{base}{name}.md"));
    }
    let alerts: BTreeSet<_> = rules.iter().map(|rule| text(rule, "alert").to_owned()).collect();
    assert_eq!(names(), alerts, "a page without an alert, or an alert without a page");
}

/// A page tells severity, time and threshold as they are, and has the three parts that a reader looks for.
#[test]
fn pages_have_one_shape() {
    for rule in rules() {
        let name = text(&rule, "alert");
        let page = page(name);
        let headings: Vec<_> = page.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(headings[..3], [&format!("# {name}"), "## Look at", "## Mend"], "{name}");
        // What else there is to say stands in between.
        assert_eq!(headings.last(), Some(&"## When it goes away"), "{name}");
        let after = match text(&rule, "for") {
            "0m" => "at once".to_owned(),
            time => format!("after {time}"),
        };
        let start = format!("*{}, {after}.* ", text(&rule["labels"], "severity"));
        assert!(meaning(&page).starts_with(&start), "{name}: {start:?} is not in {}", meaning(&page));
        // The number that is compared with, where it is not 0 or 1.
        for number in names_after(text(&rule, "expr"), "> ").iter().filter(|number| number.len() > 1) {
            assert!(meaning(&page).contains(&format!(" than {number} ")), "{name}: {number}");
        }
    }
}

/// The rows of the overview: the meaning is the first sentence of the page.
fn overview() -> String {
    let mut table = "| alert | severity | for | fires when |\n| --- | --- | --- | --- |\n".to_owned();
    for rule in rules() {
        let name = text(&rule, "alert");
        let meaning = meaning(&page(name));
        let (_, meaning) = meaning.split_once(".* ").unwrap();
        let sentence = meaning.split_once(". ").map_or(meaning, |(first, _)| first).trim_end_matches('.');
        let (severity, time) = (text(&rule["labels"], "severity"), text(&rule, "for"));
        table += &format!("| [{name}](runbooks/{name}.md) | {severity} | {time} | {sentence} |\n");
    }
    table
}

#[test]
fn the_overview_is_that_of_the_rules() {
    check("docs/alerts.md", |text| with_block(text, "alerts", &overview()));
}

/// The commands of a page: each line of its blocks for the shell.
fn commands(page: &str) -> Vec<&str> {
    let blocks = page.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// The version that a command needs, by the comment at its end.
fn since(command: &str) -> (u32, u32) {
    let Some((_, rest)) = command.split_once("# Redis ") else { return (0, 0) };
    let version = rest.strip_suffix(" and later").unwrap_or_else(|| panic!("no version: {command}"));
    let (major, minor) = version.split_once('.').unwrap();
    (major.parse().unwrap(), minor.parse().unwrap())
}

/// Where the pages send people: `orders` with the group `workers`. Its consumer `alice` died with the entry that is
/// returned, after nine deliveries; `bob` works on another one; more wait.
fn prepared(redis: &RedisServer, name: &str) -> String {
    redis.add("orders", 20);
    redis.run(&[
        "XGROUP CREATE orders workers 0",
        "XREADGROUP GROUP workers alice COUNT 1 STREAMS orders >",
        "XREADGROUP GROUP workers bob COUNT 1 STREAMS orders >",
    ]);
    let first: Vec<(String, Vec<String>)> = redis.ask(&["XRANGE", "orders", "-", "+", "COUNT", "1"]);
    let id = first[0].0.clone();
    redis.run(&[&format!("XCLAIM orders workers alice 0 {id} IDLE 700000 RETRYCOUNT 9 JUSTID")]);
    if name == "PendingDataGone" {
        redis.run(&[&format!("XDEL orders {id}")]);
    }
    id
}

/// Runs a command as it is written, but on this server and with this ID, and gives what it prints.
fn run(redis: &RedisServer, id: &str, line: &str) -> Result<String, String> {
    let words: Vec<_> = line.split(' ').map(|word| if word == "ID" { id } else { word }).collect();
    let here = format!("redis-cli -p {} ", redis.address().port());
    let script = words.join(" ").replacen("redis-cli ", &here, 1);
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    let output = process::run(command, b"");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // An error reply is a line that begins with its code.
    let is_error = |line: &str| {
        let code = line.split(' ').next().unwrap();
        code == "(error)"
            || code.len() > 2 && code.len() < line.len() && code.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    if output.status.success() && !said.lines().any(is_error) { Ok(said) } else { Err(said) }
}

/// The owners of what is pending, by ID.
fn pending(redis: &RedisServer) -> Vec<(String, String)> {
    let entries: Vec<(String, String, u64, u64)> =
        redis.ask(&["XPENDING", "orders", "workers", "-", "+", "100"]);
    entries.into_iter().map(|(id, consumer, ..)| (id, consumer)).collect()
}

/// Every command for Redis runs without an error, in the order of its page, on every version that has it; and what
/// should mend does.
#[test]
fn commands_run_and_mend() {
    needs!("redis-server", "redis-cli");
    let mut seen = 0;
    for version in servers::versions() {
        for name in names() {
            let page = page(&name);
            assert!(
                !page.contains("`redis-cli"),
                "{name}: a command for Redis that no block has is not tested"
            );
            let commands: Vec<_> =
                commands(&page).into_iter().filter(|line| line.starts_with("redis-cli ")).collect();
            if commands.is_empty() {
                continue;
            }
            let redis = version.start();
            let id = prepared(&redis, &name);
            let before = pending(&redis);
            for command in commands {
                if redis.version() >= since(command) {
                    let said = run(&redis, &id, command);
                    let said =
                        said.unwrap_or_else(|error| panic!("{} {name}: {command}: {error}", version.name));
                    if command.contains(" XRANGE ") && name != "PendingDataGone" {
                        assert!(said.contains(&id), "{name}: {command}: {said}");
                    }
                    seen += 1;
                }
            }
            if name == "GroupNoConsumers" {
                assert!(redis.groups("orders").is_empty(), "it is deleted");
                continue;
            }
            let after = pending(&redis);
            match &*name {
                "ConsumerDead" => {
                    assert!(!redis.consumers("orders", "workers").contains_key("alice"), "she is deleted");
                    let ids = |entries: &[(String, String)]| -> Vec<_> {
                        entries.iter().map(|(id, _)| id.clone()).collect()
                    };
                    assert_eq!(ids(&after), ids(&before), "{name}: what she held is not lost");
                }
                "PoisonEntry" | "PendingDataGone" => {
                    assert!(before.iter().any(|(pending, _)| *pending == id), "{name}: {before:?}");
                    assert!(after.iter().all(|(pending, _)| *pending != id), "{name}: {after:?}");
                }
                _ => {}
            }
            if name == "PoisonEntry" {
                assert_eq!(redis.ask::<u64>(&["XLEN", "orders:dead"]), 1);
            }
        }
    }
    assert!(seen > 30, "only {seen} commands were found: the reader is blind");
}

#[test]
fn an_error_reply_is_found() {
    needs!("redis-server", "redis-cli");
    let redis = RedisServer::start();
    let id = prepared(&redis, "");
    assert!(run(&redis, &id, "redis-cli XRANGE orders ID ID").unwrap().starts_with(&id));
    for wrong in ["XRANGE orders ID", "XPENDING orders nobody", "XPENDIGN orders workers", "LLEN orders"] {
        assert!(run(&redis, &id, &format!("redis-cli {wrong}")).is_err(), "{wrong}");
    }
    assert_eq!(since("redis-cli XAUTOCLAIM a b c 1 0   # Redis 6.2 and later"), (6, 2));
    assert_eq!(commands("a\n```sh\nx y\n\nz\n```\n```promql\nup\n```\n"), ["x y", "z"]);
}

/// The commands for streamgauge are those that it takes.
#[test]
fn commands_for_streamgauge_exist() {
    let mut seen = 0;
    for name in names() {
        let page = page(&name);
        assert_eq!(unknown_names(&page), [""; 0], "{name}");
        for line in commands(&page).into_iter().filter(|line| line.starts_with("streamgauge ")) {
            let words = line.split_whitespace().map(|word| word.trim_matches('\''));
            cli::command()
                .try_get_matches_from(words)
                .unwrap_or_else(|error| panic!("{name}: {line}: {error}"));
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} commands were found: the reader is blind");
}
