//! The Helm chart's own files: copies of what stands elsewhere, and its README. What it renders is told by `tests/deploy`.

use std::fmt::Write as _;

use serde_json::Value;
use streamgauge::config::reference;

use super::{path, read, yaml};
use crate::generated::documents::{check, with_block};

const CHART: &str = "deploy/helm/streamgauge";

/// Helm reads nothing outside of the chart's folder.
#[test]
fn its_copies_are_the_originals() {
    check(&format!("{CHART}/files/alerts.yml"), |_| read("alerts/streamgauge.yml"));
    let names = |folder: &str| {
        let entries = std::fs::read_dir(path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        // What Kustomize needs besides is not for Helm.
        names.retain(|name| name.ends_with(".json"));
        names.sort();
        names
    };
    for name in names("dashboards") {
        check(&format!("{CHART}/files/dashboards/{name}"), |_| read(&format!("dashboards/{name}")));
    }
    assert_eq!(names(&format!("{CHART}/files/dashboards")), names("dashboards"));
}

/// `config` takes what the program's configuration file takes.
#[test]
fn its_schema_has_the_one_of_the_configuration() {
    check(&format!("{CHART}/values.schema.json"), |found| {
        let mut schema: Value = serde_json::from_str(found).unwrap();
        let mut config = reference::schema();
        config.as_object_mut().unwrap().remove("$schema");
        schema["$defs"]["config"] = config;
        format!("{schema:#}\n")
    });
}

/// A value of the chart: its path, what it is by default, and what is said of it.
struct Documented {
    path: String,
    default: Value,
    said: String,
}

/// Reads the comments of `values.yaml`. A value without one, of its own or of a mapping around it, is refused.
fn documented(text: &str, values: &Value) -> Result<Vec<Documented>, String> {
    let (mut found, mut around): (Vec<Documented>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut comment: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        let depth = (line.len() - trimmed.len()) / 2;
        if let Some(begun) = trimmed.strip_prefix("# -- ") {
            comment = Some(begun.to_owned());
        } else if let Some(more) = trimmed.strip_prefix("# ") {
            if let Some(comment) = &mut comment {
                write!(comment, " {more}").unwrap();
            }
        } else if let Some((key, _)) =
            trimmed.split_once(':').filter(|(key, _)| !key.contains(['-', '#', ' ']))
        {
            around.truncate(depth);
            around.push(key);
            let path = around.join(".");
            let is_within = found.iter().any(|known| path.starts_with(&format!("{}.", known.path)));
            let default = values.pointer(&format!("/{}", around.join("/")));
            match (comment.take(), default) {
                _ if is_within => {}
                (_, None) => return Err(format!("{path} is not read from this line")),
                (Some(said), Some(default)) => {
                    found.push(Documented { path, default: default.clone(), said })
                }
                (None, Some(Value::Object(inside))) if !inside.is_empty() => {}
                (None, Some(_)) => return Err(format!("{path} has no comment")),
            }
        }
    }
    Ok(found)
}

#[test]
fn its_readme_has_every_value() {
    let file = format!("{CHART}/values.yaml");
    let values = documented(&read(&file), &yaml(&file)).unwrap();
    assert!(values.len() > 50, "{}", values.len());
    let mut table = "| value | default | what it is |\n| --- | --- | --- |\n".to_owned();
    for Documented { path, default, said } in values {
        writeln!(table, "| `{path}` | `{default}` | {} |", said.replace('|', "\\|")).unwrap();
    }
    check(&format!("{CHART}/README.md"), |found| with_block(found, "values", &table));
}

#[test]
fn a_value_without_a_comment_is_found() {
    let text = "# -- A\na: 1\n\nb:\n  # -- C\n  c: {}\n  d: x\n";
    let values = serde_json::json!({"a": 1, "b": {"c": {}, "d": "x"}});
    assert_eq!(documented(text, &values).err().as_deref(), Some("b.d has no comment"));
    let values = documented(&text.replace("  d: x\n", ""), &values).unwrap();
    assert_eq!(values.len(), 2);
}
