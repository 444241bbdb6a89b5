//! The rights that a Redis user needs, from the table of commands.

use std::fmt::Write as _;

use streamgauge::collect::commands::{COMMANDS, Servers};

use super::documents::{check, with_block};
use crate::acl::{CLUSTER_SETS, SETS, set_sentinel_user};

fn table() -> String {
    let mut text = "| command | rule | sent where | what for | what is lost without it |\n\
                    | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for command in COMMANDS {
        let rule = match command.ruled_by {
            [] => "none: always allowed".to_owned(),
            servers if servers == Servers::ALL => format!("`{}`", command.rule()),
            _ => format!("`{}`, but not on 7.0, which does not know it", command.rule()),
        };
        // A bar in a cell ends it, even in code.
        let (rule, setting) = (rule.replace('|', "\\|"), command.feature.setting());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {rule} | {setting} | {} | {} |",
            command.words, command.purpose, command.without
        );
    }
    text
}

fn users() -> String {
    let mut text = String::new();
    for servers in Servers::ALL {
        let _ = write!(text, "### {}\n\n", servers.label());
        for set in SETS.iter().chain(CLUSTER_SETS) {
            let url = if set.path.is_empty() && set.scheme == "redis" {
                String::new()
            } else {
                format!("--redis.url {}://localhost:6379{} ", set.scheme, set.path)
            };
            let title = set.title[..1].to_uppercase() + &set.title[1..];
            let _ = write!(
                text,
                "{title} (`{url}{}`):\n\n```text\n{}\n```\n\n",
                set.flags.join(" "),
                set.setuser(*servers)
            );
        }
    }
    text
}

fn sentinel_users() -> String {
    let mut text = String::new();
    for (title, reads_replica) in
        [("The primary is read", false), ("A replica is read (`read_from: replica`)", true)]
    {
        let _ = write!(text, "{title}:\n\n```text\n{}\n```\n\n", set_sentinel_user(reads_replica));
    }
    text
}

#[test]
fn rights_of_the_redis_user() {
    check("docs/redis-acl.md", |text| {
        let text = with_block(text, "users", &users());
        let text = with_block(&text, "sentinel-users", &sentinel_users());
        with_block(&text, "commands", &table())
    });
}
