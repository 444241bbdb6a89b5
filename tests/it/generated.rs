//! What is generated from the code is as the code has it. `STREAMGAUGE_BLESS=1 cargo test` rewrites it.

use std::path::Path;

use streamgauge::config::settings::{self, Kind};

mod acl;
mod benchmarks;
pub mod documents;
pub mod schema;

/// An example with a file that exists in place of each that the table shows.
fn with_files(example: &str, file: &Path) -> String {
    let files = settings::all().filter(|setting| setting.kind == Kind::File);
    files.fold(example.to_owned(), |text, setting| text.replace(setting.example, file.to_str().unwrap()))
}
