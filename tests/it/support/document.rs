//! The documents of the repository, and what they show.

use std::{fs, path::Path};

/// The text of a document.
pub fn document(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The YAML documents that a text shows.
pub fn yaml(text: &str) -> Vec<String> {
    let blocks = text.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(|block| block.split("\n---\n")).map(str::to_owned).collect()
}
