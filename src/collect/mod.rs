//! Everything that talks to Redis: from a configured server to a poll in the snapshot.
//!
//! [`poller`] runs one loop for each server; each round [`connect`]s when needed, [`discover`]s the streams, and
//! [`poll`]s them: questions ([`ask`]) go out in pipelines, replies are [`decode`]d into the model.
//! No other layer imports the redis crate, but the demo, which writes.

pub mod ask;
pub mod connect;
pub mod decode;
pub mod discover;
pub mod error;
pub mod poll;
pub mod poller;
