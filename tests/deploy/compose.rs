//! `deploy/compose`, read by the library that Docker Compose reads its files with (compose-go): schema, types and
//! interpolation. That what it names is there, `tests/it/shipped/compose.rs` shows.

use std::fs;

use serde_json::Value;

use crate::tools;

/// What the library makes of a text in the place of the file.
fn read(text: &str) -> Result<Value, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("compose.yaml");
    fs::write(&file, text).unwrap();
    let mut command = tools::compose(directory.path());
    command.args(["-format", "json"]).arg(&file).current_dir(directory.path());
    let said = tools::output(command)?;
    serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))
}

fn shipped() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/compose/compose.yaml")).unwrap()
}

#[test]
fn docker_compose_takes_the_file() {
    let project = read(&shipped()).unwrap();
    let services: Vec<_> = project["services"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        services,
        ["analytics", "grafana", "producer", "prometheus", "redis", "streamgauge", "worker"]
    );
    // A dollar stands for a variable, if it is not doubled.
    assert_eq!(project["services"]["analytics"]["environment"]["GROUP_START"], "$");
    let streamgauge = &project["services"]["streamgauge"];
    assert_eq!(streamgauge["read_only"], true);
    assert_eq!(streamgauge["cap_drop"], serde_json::json!(["ALL"]));
}

#[test]
fn what_is_wrong_is_found() {
    for (from, to, problem) in [
        ("read_only: true", "readonly: true", "readonly"),
        ("condition: service_healthy", "condition: healthy", "condition"),
        ("replicas: 3", "replicas: many", "replicas"),
    ] {
        let text = shipped();
        assert!(text.contains(from), "{from}");
        let error = read(&text.replace(from, to)).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
}
