//! How docs/benchmarks.md says that it is measured is how `make bench` says it. The figures are a run's.

use super::documents::{check, with_block};

#[path = "../../../benches/side_by_side/prose.rs"]
mod prose;

#[test]
fn how_it_is_measured() {
    check("docs/benchmarks.md", |text| with_block(text, "benchmarks", &prose::how()));
}
