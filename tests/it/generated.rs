//! What is generated from the code is as the code has it. `STREAMGAUGE_BLESS=1 cargo test` rewrites it.

mod documents;
mod schema;
