//! The reference documents: prose, with generated blocks between marks.

use std::{fmt::Write as _, fs, path::Path};

use streamgauge::{
    catalogue::{CATALOGUE, Combine, Metric},
    cli,
    config::{self, Sources, reference},
};

use super::with_files;

/// Compares a file of the repository with what it should be, or rewrites it where that is asked for.
pub fn check(path: &str, generated: impl FnOnce(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let found = fs::read_to_string(&path).unwrap_or_default();
    let expected = generated(&found);
    if found == expected {
        return;
    }
    if std::env::var_os("STREAMGAUGE_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, expected).unwrap();
        return;
    }
    let line = found.lines().zip(expected.lines()).take_while(|(a, b)| a == b).count();
    panic!(
        "{} is not as the code has it, from line {} on.\nexpected: {:?}\nfound:    {:?}\n\
         Rewrite it with: STREAMGAUGE_BLESS=1 cargo test",
        path.display(),
        line + 1,
        expected.lines().nth(line),
        found.lines().nth(line),
    );
}

/// The text with the generated block of this name replaced; what is around it stays.
pub fn with_block(text: &str, name: &str, content: &str) -> String {
    let start = format!("<!-- generated: {name} -->\n");
    let end = "<!-- end of generated -->";
    let (before, rest) = text.split_once(&start).unwrap_or_else(|| panic!("there is no line {start:?}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("there is no {end:?} after {start:?}"));
    format!("{before}{start}\n{}\n\n{end}{after}", content.trim())
}

#[test]
fn only_the_block_is_replaced() {
    let text = "a\n<!-- generated: x -->\nold\n<!-- end of generated -->\nb\n";
    let once = with_block(text, "x", "new\n");
    assert_eq!(once, "a\n<!-- generated: x -->\n\nnew\n\n<!-- end of generated -->\nb\n");
    assert_eq!(with_block(&once, "x", "new\n"), once);
}

/// Titles of the sections, by the labels that all their metrics have.
const SCOPES: [(&[&str], &str); 5] = [
    (&["redis"], "Servers"),
    (&["redis", "db", "stream"], "Streams"),
    (&["redis", "db", "stream", "group"], "Groups"),
    (&["redis", "db", "stream", "group", "consumer"], "Consumers"),
    (&[], "streamgauge itself"),
];

/// The labels of a metric: those of its scope, and one of its own.
fn labels(metric: &Metric) -> (Vec<&'static str>, Option<&'static str>) {
    const OF_SCOPES: [&str; 5] = ["redis", "db", "stream", "group", "consumer"];
    let (scope, own): (Vec<_>, Vec<_>) =
        metric.read.labels().into_iter().partition(|label| OF_SCOPES.contains(label));
    (scope, own.first().copied())
}

fn metrics() -> String {
    let mut text = String::new();
    let mut written = 0;
    for (scope, title) in SCOPES {
        let shown: Vec<_> = scope.iter().map(|label| format!("`{label}`")).collect();
        let shown = if shown.is_empty() { "none".to_owned() } else { shown.join(", ") };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "### {title}\n\nLabels: {shown}.\n\n| name | type | unit | meaning | several are combined by |\n| --- | --- | --- | --- | --- |\n"
        );
        for metric in CATALOGUE {
            let (of_scope, own) = labels(metric);
            if of_scope != scope {
                continue;
            }
            let own = own.map(|label| format!(" Further label: `{label}`.")).unwrap_or_default();
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {}{own} | {} |",
                metric.name,
                metric.kind.label(),
                metric.unit.map_or("-", |unit| unit.label()),
                metric.help.replace('|', "\\|"),
                metric.combine.label(),
            );
            written += 1;
        }
        text.push('\n');
    }
    assert_eq!(written, CATALOGUE.len(), "a metric has a scope without a section");
    text
}

#[test]
fn metrics_reference() {
    check("docs/metrics.md", |text| with_block(text, "metrics", &metrics()));
}

/// The prose says what an autoscaler may read; the catalogue must not say otherwise.
#[test]
fn autoscalers_read_measures_of_work_only() {
    for metric in CATALOGUE.iter().filter(|metric| metric.combine != Combine::Never) {
        assert!(metric.read.labels().contains(&"stream"), "{} is of no stream", metric.name);
    }
}

#[test]
fn configuration_reference() {
    check("docs/configuration.md", |text| {
        let example = format!("```yaml\n{}```", reference::example());
        let text = with_block(text, "example", &example);
        with_block(&text, "settings", &reference::markdown())
    });
}

/// The YAML blocks of a document.
fn yaml_blocks(markdown: &str) -> Vec<String> {
    let blocks = markdown.split("```yaml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// What the documentation shows is a file that the program takes.
#[test]
fn the_examples_of_the_documentation_are_sound() {
    let directory = tempfile::tempdir().unwrap();
    let (secret, file) = (directory.path().join("secret"), directory.path().join("streamgauge.yaml"));
    fs::write(&secret, "x").unwrap();
    let mut examples = ["docs/configuration.md", "docs/redis.md", "README.md"].map(|path| {
        let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        yaml_blocks(&document)
    });
    assert!(examples[0].contains(&reference::example()));
    // What else is YAML there is for Prometheus and Kubernetes.
    examples[2].retain(|example| example.lines().any(|line| line == "redis:"));
    assert!(examples[0].len() > 1 && !examples[1].is_empty() && examples[2].len() == 1);
    for example in examples.concat() {
        let example = with_files(&example, &secret);
        fs::write(&file, &example).unwrap();
        let sources = Sources { file: Some(file.clone()), ..Sources::default() };
        config::load(&sources).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

fn commands() -> String {
    let mut root = cli::command().term_width(100);
    root.build();
    let mut text = section("streamgauge", &root.render_long_help().to_string());
    for command in root.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let title = format!("streamgauge {}", command.get_name());
        let mut command = command.clone().term_width(100);
        text += &section(&title, &command.render_long_help().to_string());
    }
    text
}

fn section(title: &str, help: &str) -> String {
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    format!("## {title}\n\n```text\n{}\n```\n\n", lines.join("\n").trim())
}

#[test]
fn command_line_reference() {
    check("docs/command-line.md", |text| with_block(text, "commands", &commands()));
}
