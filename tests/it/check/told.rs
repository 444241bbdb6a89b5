//! How it is told: configurations that are wrong, the JSON, the text, the document, and no secret anywhere.

use std::fs;

use regex::Regex;
use streamgauge::model::finding::{Check, Status};

use super::Checked;
use crate::{
    acl::{self, SETS, servers_of, set_user},
    generated::documents::{check, with_block},
    support::{exporter::Launch, redis::RedisServer, tool::needs},
};

const PASSWORD: &str = "correct-horse-battery";

#[test]
fn every_problem_of_a_configuration_is_a_finding() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gauge.yaml");
    fs::write(&file, format!("poll:\n  intervall: 5s\nredis:\n  - url: http://u:{PASSWORD}@h\n")).unwrap();
    let file = file.to_str().unwrap();
    let checked = Checked::by(Launch::new("check").args(&["--config.file", file]));
    let lines = checked.lines();
    assert_eq!(lines.len(), 2, "{}", checked.text);
    lines[0].says(
        &format!("{file}:2:3: poll.intervall: unknown key; did you mean \"poll.interval\"?"),
        "check again",
    );
    lines[1].says(&format!("{file}:4:10: redis[0].url: the scheme http:// is not supported"), "");
    assert!(lines.iter().all(|line| (&*line.check, &*line.status) == ("config", "fail")));
    assert!(!checked.text.contains(PASSWORD), "{}", checked.text);

    let checked = Checked::by(Launch::new("check").args(&["--config.file", "/nonexistent.yaml"]));
    checked
        .one("config", "fail")
        .says("/nonexistent.yaml: cannot read the configuration file: No such file", "");
}

/// A command line that is no command line is another thing.
#[test]
fn a_wrong_command_line() {
    for arguments in [&["--output", "table"][..], &["--no-such-flag"], &["--watch"]] {
        let output = Launch::new("check").args(arguments).output();
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]), "{arguments:?}");
    }
}

#[test]
fn the_json_has_the_documented_shape() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let checked = Checked::of(&redis.url(), &["--streams", "absent"]);
    let object = checked.said.as_object().unwrap();
    assert_eq!(object.keys().collect::<Vec<_>>(), ["checks", "ok"]);
    for line in object["checks"].as_array().unwrap() {
        let line = line.as_object().unwrap();
        assert_eq!(line.keys().collect::<Vec<_>>(), ["advice", "check", "message", "redis", "status"]);
        let known = Check::ALL.iter().find(|check| line["check"] == check.label()).unwrap();
        assert_eq!(line["redis"].as_str(), known.is_of_redis().then_some("main"), "{line:?}");
        assert!(Status::ALL.iter().any(|status| line["status"] == status.label()), "{line:?}");
        let is_wrong = ["warn", "fail"].contains(&line["status"].as_str().unwrap());
        assert_eq!(line["advice"].is_string(), is_wrong, "{line:?}");
    }
}

#[test]
fn no_secret_is_told() {
    needs!("redis-server");
    for server_password in [PASSWORD, "another"] {
        let redis = RedisServer::with(&["--requirepass", server_password]);
        let with_password = redis.url().replace("redis://", &format!("redis://default:{PASSWORD}@"));
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        fs::write(&secret, PASSWORD).unwrap();
        let secret = secret.to_str().unwrap();
        let url = redis.url();
        for (arguments, variables) in [
            (&[][..], &[("STREAMGAUGE_REDIS_URL", with_password.as_str())][..]),
            (&["--redis.url", &url], &[("STREAMGAUGE_REDIS_PASSWORD", PASSWORD)]),
            (&["--redis.url", &url, "--redis.password-file", secret], &[]),
        ] {
            for output in ["text", "json"] {
                let launch =
                    Launch::new("check").args(arguments).args(&["--log.level", "trace", "--output", output]);
                let launch = variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
                let output = launch.output();
                assert_eq!(output.status.code(), Some(i32::from(server_password != PASSWORD)));
                let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
                assert!(!said.contains(PASSWORD) && said.contains("auth"), "{said}");
            }
        }
    }
}

/// What the document shows is what is said, but for numbers that are others every time.
#[test]
fn the_document() {
    needs!("redis-server");
    let redis = RedisServer::start();
    redis.add("orders", 3);
    redis.run(&["XGROUP CREATE orders workers 0"]);
    let rights = SETS[1].rights(servers_of(&redis)).into_iter().filter(|right| right != "+xpending");
    redis.run(&[&set_user("gauge", &rights.collect::<Vec<_>>())]);
    let url = redis.url().replace("redis://", "redis://gauge@");
    let arguments = ["--redis.url", &url, "--redis.name", "main", "--streams", "orders,events:*"];
    let output =
        Launch::new("check").args(&arguments).env("STREAMGAUGE_REDIS_PASSWORD", acl::PASSWORD).output();
    assert_eq!(output.status.code(), Some(1));
    let mut said = String::from_utf8(output.stdout).unwrap();
    let port = redis.url().rsplit_once(':').unwrap().1.to_owned();
    for (varying, fixed) in [
        (&*port, "6379"),
        (r"\d+\.\d m?s", "0.4 ms"),
        (r"(redis|valkey) \d+\.\d+\.\d+", "redis 7.0.15"),
        ("behind this", "ahead of this"),
        // These are the words of Redis, and of what it can do.
        (r"NOPERM [^(]* \(lost", "NOPERM this user has no permissions to run the 'xpending' command (lost"),
        (
            r"lags are [^(]* \(now",
            "lags are exact wherever they are proved or can be counted within the budget; Redis's own number is used where nothing was deleted (now",
        ),
    ] {
        said = Regex::new(varying).unwrap().replace_all(&said, fixed).into_owned();
    }
    let mut table = "| check | what it looks at |\n| --- | --- |\n".to_owned();
    for one in Check::ALL {
        table += &format!("| `{}` | {} |\n", one.label(), one.about());
    }
    let example = format!(
        "```console\n$ STREAMGAUGE_REDIS_PASSWORD=… streamgauge check --redis.url redis://gauge@127.0.0.1:6379 --redis.name main --streams 'orders,events:*'\n{said}```"
    );
    check("docs/check.md", |text| {
        let text = with_block(text, "example", &example);
        with_block(&text, "checks", &table)
    });
}
