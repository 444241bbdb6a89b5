//! The metrics that the documents name, and their links.

use std::fs;

use streamgauge::catalogue::PENDING_OF_POD;

use super::{path, promql, read, runbooks};

/// Documents for users.
pub fn documents() -> Vec<(String, String)> {
    let mut names = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned(), "deploy/README.md".to_owned()];
    names.push("deploy/examples/order-processor/README.md".to_owned());
    for entry in fs::read_dir(path("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        names.extend(name.ends_with(".md").then(|| format!("docs/{name}")));
    }
    names.extend(runbooks::names().into_iter().map(|name| format!("docs/runbooks/{name}.md")));
    names.into_iter().map(|name| (name.clone(), read(&name))).collect()
}

/// The queries of a document: each line of its PromQL blocks.
pub fn queries(document: &str) -> Vec<&str> {
    let blocks = document.split("```promql\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).filter(|line| !line.trim().is_empty()).collect()
}

/// What a guide calls by names that nothing has: ours tells what was meant.
const OF_THE_GUIDE: [&str; 2] = ["redis_consumer_group_last_delivered_id", "redis_consumer_group_pending"];

/// Words that look like metrics and are none.
fn unknown_metrics(document: &str) -> Vec<&str> {
    let words = document.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| {
            let rest = word.strip_prefix("redis_").or_else(|| word.strip_prefix("streamgauge_"));
            rest.is_some_and(|rest| !rest.is_empty())
        })
        // Autoscalers know one metric more: a pod's, under the name that a guide gave it.
        .filter(|word| !["redis_exporter", PENDING_OF_POD].contains(word) && !OF_THE_GUIDE.contains(word))
        .filter(|word| promql::metric(word).is_none())
        .collect()
}

/// Links to files of the repository that are not there.
fn broken_links(name: &str, document: &str) -> Vec<String> {
    let directory = path(name).parent().unwrap().to_owned();
    let targets = document.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .filter(|target| !directory.join(target.split('#').next().unwrap()).exists())
        .map(str::to_owned)
        .collect()
}

#[test]
fn queries_name_what_exists() {
    let mut seen = 0;
    for (name, document) in documents() {
        for query in queries(&document) {
            assert_eq!(promql::problems(query), [""; 0], "{name}: {query}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "only {seen} queries were found: the reader is blind");
}

#[test]
fn documents_name_what_exists() {
    for (name, document) in documents() {
        assert_eq!(unknown_metrics(&document), [""; 0], "{name}");
        assert_eq!(broken_links(&name, &document), [""; 0], "{name}");
    }
}

#[test]
fn what_does_not_exist_is_found() {
    let document = "a `redis_stream_legnth` of [redis_exporter](none.md#x), [b](../Cargo.toml), `streamgauge_…`, [c](https://d/e)\n\
                    ```promql\nredis_up   # f\n\nredis_down\n```\n";
    assert_eq!(unknown_metrics(document), ["redis_stream_legnth", "redis_down"]);
    assert_eq!(broken_links("docs/some.md", document), ["none.md#x"]);
    assert_eq!(queries(document), ["redis_up   # f", "redis_down"]);
}
