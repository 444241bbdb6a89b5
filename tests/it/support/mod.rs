//! What the tests stand on: real servers and the real program, each a process of its own, ended on drop.
//!
//! Nothing here sleeps and hopes: [`wait::until`] looks until a condition holds, and says what it last saw if it never does.

pub mod apiserver;
pub mod cluster;
pub mod document;
pub mod exporter;
pub mod fake;
pub mod hostile;
pub mod http;
pub mod https;
pub mod log;
pub mod pki;
pub mod place;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod redis;
pub mod samples;
pub mod sentinel;
pub mod tool;
pub mod truth;
pub mod wait;
pub mod watch;
