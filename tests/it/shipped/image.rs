//! `deploy/docker/Dockerfile`: what it copies is there and gets into its context, and what it makes is what the manifests run.

use std::{fs, process::Command};

use super::{path, read, text, yaml};
use crate::support::process;

const DOCKERFILE: &str = "deploy/docker/Dockerfile";

/// The instructions, with what they go on with on further lines.
fn instructions() -> Vec<(String, String)> {
    let lines = read(DOCKERFILE);
    let lines: String = lines
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| line.strip_suffix('\\').map_or_else(|| format!("{line}\n"), str::to_owned))
        .collect();
    let instructions = lines.lines().filter_map(|line| line.split_once(' '));
    instructions.map(|(name, rest)| (name.to_owned(), rest.trim().to_owned())).collect()
}

fn values(instruction: &str) -> Vec<String> {
    instructions().into_iter().filter(|(name, _)| name == instruction).map(|(_, rest)| rest).collect()
}

/// What is copied out of the checkout.
fn copied() -> Vec<String> {
    let copies = values("COPY").into_iter().filter(|rest| !rest.starts_with("--from"));
    copies
        .flat_map(|rest| {
            let words: Vec<_> = rest.split_whitespace().map(str::to_owned).collect();
            words[..words.len() - 1].to_vec()
        })
        .collect()
}

/// Whether the context has a path, by `.dockerignore`: the last pattern that fits decides. Ours have no other
/// wildcards.
fn is_in_context(ignore: &str, file: &str) -> bool {
    let mut is_in = true;
    for line in ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (pattern, takes_back) = line.strip_prefix('!').map_or((line, false), |rest| (rest, true));
        assert!(pattern == "*" || !pattern.contains(['*', '?', '[']), "{pattern}");
        if pattern == "*" || pattern == file || file.starts_with(&format!("{pattern}/")) {
            is_in = takes_back;
        }
    }
    is_in
}

#[test]
fn what_is_copied_is_there_and_all_there_is() {
    let (ignore, copied) = (read(".dockerignore"), copied());
    assert!(copied.len() > 5, "{copied:?}");
    for source in &copied {
        assert!(path(source).exists(), "{source}");
        assert!(is_in_context(&ignore, source), "{source} is in .dockerignore");
    }
    for source in [".git", "target", "target/debug/streamgauge", "docs/lag.md", "tests/it/main.rs", ".env"] {
        assert!(!is_in_context(&ignore, source), "{source} is not in .dockerignore");
    }
    let taken_back = ignore.lines().filter_map(|line| line.strip_prefix('!'));
    assert_eq!(taken_back.filter(|line| !copied.iter().any(|source| source == line)).count(), 0);
}

/// cargo reads the manifest where there is nothing but what is copied, and no source asks for a file outside.
#[test]
fn what_is_copied_is_enough() {
    let directory = tempfile::tempdir().unwrap();
    for source in copied().iter().filter(|source| *source != "src") {
        let target = directory.path().join(source);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path(source), target).unwrap();
    }
    let sources = directory.path().join("src");
    fs::create_dir(&sources).unwrap();
    for file in ["lib.rs", "main.rs"] {
        fs::copy(path("src").join(file), sources.join(file)).unwrap();
    }
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--no-deps", "--format-version=1", "--offline", "--locked"]);
    command.current_dir(directory.path());
    let output = process::run(command, b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let mut files = Vec::new();
    super::deploy::files(&path("src"), &mut files);
    for (file, source) in files {
        for rest in source.split("include_str!(").chain(source.split("include_bytes!(")).skip(1) {
            let named = rest.split('"').nth(1).unwrap_or_default();
            assert!(!rest.starts_with('"') || !named.starts_with(".."), "{file} includes {named}");
        }
    }
}

#[test]
fn it_runs_as_the_manifests_say() {
    assert_eq!(values("USER"), ["65532:65532"]);
    assert_eq!(values("ENTRYPOINT"), ["[\"/usr/local/bin/streamgauge\"]"]);
    assert_eq!(values("CMD"), ["[\"serve\"]"]);
    assert_eq!(values("EXPOSE"), ["9121 6443"]);
    let last = values("FROM").pop();
    assert_eq!(last.as_deref(), Some("scratch"));
    // Where the static binary looks for the CAs that the system believes.
    let cas = "/etc/ssl/certs/ca-certificates.crt";
    assert!(values("COPY").contains(&format!("--from=build {cas} {cas}")));
    assert!(values("RUN").iter().any(|run| run.contains("scripts/static-binary \"$TARGETARCH\"")));
    assert!(values("RUN").iter().any(|run| run.ends_with("/out/usr/local/bin/streamgauge")));
}

/// The compiler of the image is one that the crate can be built with.
#[test]
fn the_compiler_is_new_enough() {
    let args = values("ARG");
    let number =
        |version: &str| -> Vec<u32> { version.split('.').map(|part| part.parse().unwrap()).collect() };
    let rust = args.iter().find_map(|arg| arg.strip_prefix("RUST=")).unwrap();
    assert!(number(rust) >= number(env!("CARGO_PKG_RUST_VERSION")), "{rust}");
}

/// A version is one: of the crate, the chart, and what their texts show.
#[test]
fn the_version_is_the_same_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = yaml("deploy/helm/streamgauge/Chart.yaml");
    assert_eq!([text(&chart, "version"), text(&chart, "appVersion")], [version, version]);
    let images = text(&chart["annotations"], "artifacthub.io/images");
    assert!(images.contains(&format!("ghcr.io/streamgauge/streamgauge:{version}\n")), "{images}");
    for file in [DOCKERFILE, "docs/install.md"] {
        let text = read(file);
        let tags: Vec<_> = text
            .split("ghcr.io/streamgauge/streamgauge:")
            .skip(1)
            .map(|rest| rest.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap())
            .collect();
        assert!(!tags.is_empty() && tags.iter().all(|tag| *tag == version), "{file}: {tags:?}");
    }
}
