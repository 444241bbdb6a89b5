//! `deploy/`, and the README beside it: its flags, variables and files are those of the program.

use std::{fs, path::Path};

use clap::Command;
use streamgauge::{
    cli,
    config::{self, Sources, settings},
};

use super::{alerts::expression, list, must_pass, path, read, text, verdict, yaml};
use crate::support::{
    document,
    tool::{is_installed, needs},
};

const UNIT: &str = "deploy/systemd/streamgauge.service";
const PROMETHEUS: &str = "deploy/prometheus/prometheus.yml";

/// Programs of others, whose flags are theirs: a line or a piece of code that begins with one.
const OTHERS: [&str; 9] =
    ["cargo", "docker", "helm", "kubectl", "prometheus", "promtool", "redis-cli", "systemctl", "systemd-run"];

/// Files and folders that are not about our flags: what images are made of, a compose file (which
/// [`compose`](super::compose) holds against its programs), and programs with what building them leaves.
const OF_OTHERS: [&str; 5] = ["Dockerfile", "compose.yaml", "go", "python", "target"];

pub fn files(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if OF_OTHERS.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Every flag that the program and its subcommands have.
fn flags_of(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned));
    own.chain(command.get_subcommands().flat_map(flags_of)).chain(["help".into(), "version".into()]).collect()
}

/// Flags and variables in a text that the program does not have.
pub fn unknown_names(document: &str) -> Vec<String> {
    let known = flags_of(&cli::command());
    let mut variables: Vec<_> = settings::all().filter_map(|setting| setting.variable()).collect();
    variables.push("STREAMGAUGE_CONFIG_FILE".into());
    let (mut found, mut is_continued) = (Vec::new(), false);
    // A piece of code is a line of its own here.
    for piece in document.split(['\n', '`']) {
        let piece = piece.trim_start_matches(['#', '$', ' ']);
        let program = piece.split_whitespace().next().unwrap_or_default();
        let is_of_others = OTHERS.contains(&program) || is_continued && program.starts_with('-');
        is_continued = is_of_others && piece.ends_with('\\');
        let flags = piece.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        let flags = flags
            .map(|flag| flag.split('=').next().unwrap())
            .filter(|flag| flag.starts_with(|c: char| c.is_ascii_alphabetic()));
        if !is_of_others {
            found.extend(
                flags.filter(|flag| !known.iter().any(|name| name == flag)).map(|flag| format!("--{flag}")),
            );
        }
        let words = piece.split(|c: char| !c.is_ascii_uppercase() && c != '_');
        let ours = words.filter(|word| word.starts_with("STREAMGAUGE_"));
        found.extend(ours.filter(|word| !variables.iter().any(|name| name == word)).map(str::to_owned));
    }
    found
}

#[test]
fn flags_and_variables_exist() {
    let mut found = Vec::new();
    files(&path("deploy"), &mut found);
    let all: String = found.iter().map(|(_, text)| text.as_str()).collect();
    for part in ["--redis.password-file", "STREAMGAUGE_REDIS_URL"] {
        assert!(all.contains(part), "{part}");
    }
    // Its instructions have flags of their own; it names none of ours.
    found.retain(|(name, _)| !name.ends_with("/Dockerfile"));
    found.push(("README.md".into(), read("README.md")));
    for (name, document) in found {
        assert_eq!(unknown_names(&document), [""; 0], "{name}");
    }
}

#[test]
fn what_does_not_exist_is_found() {
    let document = "a `--redis.urls x` or `--redis.url=y`\nstreamgauge serve --stream z\n\
                    # prometheus --storage.tsdb.path a\nhelm install \\\n  --set a=b\n| --- | STREAMGAUGE_REDIS_URI=b STREAMGAUGE_STREAMS=c\n";
    assert_eq!(unknown_names(document), ["--redis.urls", "--stream", "STREAMGAUGE_REDIS_URI"]);
}

#[test]
fn prometheus_takes_its_configuration() {
    needs!("promtool");
    must_pass("promtool", &["check", "config", PROMETHEUS]);
}

/// The alert that tells that streamgauge is gone looks for the job that scrapes it.
#[test]
fn the_job_is_the_one_of_the_alert() {
    let config = yaml(PROMETHEUS);
    let [job] = list(&config, "scrape_configs") else { panic!("not one job") };
    let selector = format!("{{job=\"{}\"}}", text(job, "job_name"));
    assert_eq!(expression("StreamgaugeDown").matches(&selector).count(), 2, "{selector}");
    assert_eq!(list(&config, "rule_files"), ["../../alerts/streamgauge.yml"]);
    let port = settings::all().find(|setting| setting.path == "web.listen_address").unwrap().default.unwrap();
    assert_eq!(job["static_configs"][0]["targets"][0], format!("localhost{port}"));
}

/// What is wrong with a unit file.
fn problems(unit: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines: Vec<_> =
        unit.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '['])).collect();
    let values = |key: &str| -> Vec<&str> {
        lines.iter().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    };
    let sections: Vec<_> = unit.lines().filter(|line| line.starts_with('[')).collect();
    if sections != ["[Unit]", "[Service]", "[Install]"] {
        found.push(format!("its sections are {sections:?}"));
    }
    for (key, value) in [
        ("DynamicUser", "yes"),
        ("CapabilityBoundingSet", ""),
        ("NoNewPrivileges", "yes"),
        ("PrivateDevices", "yes"),
        ("PrivateTmp", "yes"),
        ("ProtectHome", "yes"),
        ("ProtectSystem", "strict"),
        ("RestrictNamespaces", "yes"),
        ("SystemCallArchitectures", "native"),
        ("WantedBy", "multi-user.target"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
    ] {
        if values(key) != [value] {
            found.push(format!("{key} is {:?}", values(key)));
        }
    }
    found.extend(lines.iter().filter(|line| !line.contains('=')).map(|line| format!("no setting: {line}")));
    let [command] = values("ExecStart")[..] else {
        found.push("not one ExecStart".into());
        return found;
    };
    for credential in values("LoadCredential") {
        let name = credential.split(':').next().unwrap();
        if !command.contains(&format!("--redis.password-file ${{CREDENTIALS_DIRECTORY}}/{name}")) {
            found.push(format!("the credential {name} is not used"));
        }
    }
    if let Err(error) = cli::command().try_get_matches_from(command.split(' ')) {
        found.push(error.to_string().lines().next().unwrap().to_owned());
    }
    found
}

#[test]
fn the_unit_is_sound() {
    let unit = read(UNIT);
    assert_eq!(problems(&unit), [""; 0]);
    if !is_installed("systemd-analyze") {
        return;
    }
    // It wants a program that is there. Units of this machine may have problems of their own: they are not ours.
    let directory = tempfile::tempdir().unwrap();
    let program = format!("\"{}\"", env!("CARGO_BIN_EXE_streamgauge"));
    let complaints = |unit: &str| {
        let file = directory.path().join("streamgauge.service");
        fs::write(&file, unit.replace("/usr/local/bin/streamgauge", &program)).unwrap();
        let (_, said) = verdict("systemd-analyze", &["verify", file.to_str().unwrap()]);
        said.lines()
            .filter(|line| line.contains("streamgauge.service"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(complaints(&unit), [""; 0]);
    assert_eq!(complaints(&unit.replace("ProtectHome=", "ProtectHouse=")).len(), 1);
    assert_eq!(complaints(&unit.replace("/usr/local/bin/streamgauge", "/nowhere/streamgauge")).len(), 1);
}

/// The drop-ins that the document shows: their commands are the program's, and of two passwords each is where the
/// configuration looks for it.
#[test]
fn the_drop_ins_are_sound() {
    const COPIES: &str = "/run/credentials/streamgauge.service/";
    let document = read("deploy/README.md");
    let drop_ins: Vec<_> = document
        .split("```ini\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap().lines().collect::<Vec<_>>())
        .collect();
    assert_eq!(drop_ins.len(), 2);
    for drop_in in &drop_ins {
        let commands: Vec<_> =
            drop_in.iter().filter_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/")).collect();
        let [command] = commands[..] else { panic!("not one command: {drop_in:?}") };
        cli::command().try_get_matches_from(command.split(' ')).unwrap();
        // What the unit has is taken back first.
        for key in ["LoadCredential=", "ExecStart="] {
            assert_eq!(drop_in.iter().find(|line| line.starts_with(key)), Some(&key));
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let copies = format!("{}/", directory.path().display());
    for credential in drop_ins[1].iter().filter_map(|line| line.strip_prefix("LoadCredential=")) {
        if let Some((name, _)) = credential.split_once(':') {
            fs::write(directory.path().join(name), "x").unwrap();
        }
    }
    let [example] = &document::yaml(&document)[..] else { panic!("not one configuration file") };
    assert_eq!(example.matches(COPIES).count(), 2);
    let file = directory.path().join("streamgauge.yaml");
    fs::write(&file, example.replace(COPIES, &copies)).unwrap();
    config::load(&Sources { file: Some(file), ..Sources::default() }).unwrap();
}

#[test]
fn an_unsound_unit_is_found_out() {
    let unit = read(UNIT);
    for (from, to, problem) in [
        ("DynamicUser=yes", "DynamicUser=no", "DynamicUser is [\"no\"]"),
        ("ProtectSystem=strict\n", "", "ProtectSystem is []"),
        ("[Install]", "[Instal]", "its sections are [\"[Unit]\", \"[Service]\", \"[Instal]\"]"),
        ("kill -HUP", "kill -TERM", "ExecReload is [\"/bin/kill -TERM $MAINPID\"]"),
        ("redis-password:", "password:", "the credential password is not used"),
        ("Restart=on-failure", "Restart", "no setting: Restart"),
        ("serve --", "serve --poll.intervall 5s --", "error: unexpected argument '--poll.intervall' found"),
    ] {
        assert_eq!(problems(&unit.replacen(from, to, 1)), [problem], "{from}");
    }
}
