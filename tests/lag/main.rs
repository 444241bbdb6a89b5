//! The proof that a lag is true: the tracker against real servers of several versions, compared with a brute-force
//! count taken in the same transaction.
//!
//! `STREAMGAUGE_TEST_SERVERS` names further servers (`make test-servers` fetches them and prints its value);
//! `STREAMGAUGE_TEST_SEEDS` is the number of random histories for each server.

mod concurrent;
mod fuzz;
mod gauge;
mod history;
mod oldest;
mod published;
mod servers;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "shared with the other integration binary")]
mod support;
mod truth_table;
mod workloads;
