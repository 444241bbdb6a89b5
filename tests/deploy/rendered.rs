//! A set of rendered objects, held against each other and against the program that they start.

use serde_json::Value;

use crate::typed;

pub mod metrics;
pub mod references;
pub mod rights;
pub mod workload;

/// What is wrong with a set: a line each.
pub fn problems(objects: &[Value]) -> Vec<String> {
    let mut found: Vec<_> = objects.iter().filter_map(|object| typed::check(object).err()).collect();
    found.extend(references::problems(objects));
    found.extend(rights::problems(objects));
    found.extend(metrics::problems(objects));
    match workload::Workload::find(objects) {
        Ok(workload) => found.extend(workload.problems()),
        Err(problem) => found.push(problem),
    }
    found
}

/// Fails where anything is wrong with a set.
#[track_caller]
pub fn check(objects: &[Value]) {
    assert_eq!(problems(objects), [""; 0]);
}
