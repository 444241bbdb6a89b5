//! The documents of the repository, and what they show.

use std::{fs, path::Path};

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::Value;

/// The text of a document.
pub fn document(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The YAML documents that a text shows.
pub fn yaml(text: &str) -> Vec<String> {
    let blocks = text.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(|block| block.split("\n---\n")).map(str::to_owned).collect()
}

/// The values of a YAML text, one for each of its documents.
///
/// # Errors
/// What is no YAML.
pub fn values(text: &str) -> Result<Vec<Value>, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    Ok(documents.iter().map(json).collect())
}

fn json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Boolean(value)) => (*value).into(),
        Yaml::Value(Scalar::Integer(value)) => (*value).into(),
        Yaml::Value(Scalar::FloatingPoint(value)) => value.into_inner().into(),
        Yaml::Value(Scalar::String(text)) => text.as_ref().into(),
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(pairs) => {
            let key = |key: &Yaml<'_>| match json(key) {
                Value::String(key) => key,
                other => panic!("{other} is a key"),
            };
            pairs.iter().map(|(name, value)| (key(name), json(value))).collect()
        }
        // A tag of YAML itself on a plain value (`!!str`).
        Yaml::Representation(text, ..) => text.as_ref().into(),
        other => panic!("not expected in these files: {other:?}"),
    }
}
