//! What is shipped for Kubernetes: each object is what Kubernetes and its operators take, and fits the program that it
//! starts.
//!
//! `make test-deploy` fetches the tools (`scripts/test-deploy`) and runs this. No cluster is needed; what a real API server
//! makes of the objects is told by `tests/kubernetes`.

mod chart;
mod compose;
mod image;
mod kustomize;
mod objects;
mod rendered;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "shared with the other integration binaries")]
mod support;
mod tools;
mod typed;
