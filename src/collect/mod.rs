//! Everything that talks to Redis: from a configured server to a poll in the snapshot.
//!
//! The [`fleet`] has a [`poller`] for each server with its [`assignment`]: one loop. Where several processes share the streams,
//! it has a [`host`] besides, for those of others that are [`invited`]: the [`roll`] has the names of either. Each [`gauge`]
//! [`locate`]s the processes of the server (as configured, or as [`sentinel`]s know) and polls each of its databases: a [`keyspace`] of one [`node`] or
//! of several. Of a [`cluster`], a [`survey`] finds the nodes and the [`route`] to each stream. A node [`connect`]s when
//! needed ([`dial`]s, over [`tls`] or not, with the [`credentials`] of that moment, which get their [`renewal`]),
//! [`discover`]s streams (all nodes in one [`search`]), and [`measure`]s them: questions ([`ask`]) go out in a
//! [`pipeline`] of [`request`]s, the [`commands`] that a user needs, over the [`wire`]; replies ([`resp`]) are [`decode`]d
//! into the model, but for what did not change since ([`tracking`]), and [`lags`] keeps what earlier polls proved, as far as
//! the process can be [`trust`]ed. The [`chronicle`] remembers what polls saw of each group, to judge it by; what is
//! remembered is [`align`]ed with what is there. Of what was
//! judged there is a [`tally`]; the [`journal`] logs what changes, with what it [`told`] of groups before it, and
//! [`backoff`] spares a server that is down. [`check`] takes the same way
//! once, and tells of each step.
//! No other layer speaks Redis's protocol, but the demo, which writes, and does so by the redis crate.

pub mod align;
pub mod ask;
pub mod assignment;
pub mod backoff;
pub mod check;
pub mod chronicle;
pub mod cluster;
pub mod commands;
pub mod connect;
pub mod credentials;
pub mod decode;
pub mod dial;
pub mod discover;
pub mod error;
pub mod fleet;
pub mod gauge;
pub mod host;
pub mod invited;
pub mod journal;
pub mod keyspace;
pub mod lags;
pub mod locate;
pub mod measure;
pub mod node;
pub mod pipeline;
pub mod poller;
pub mod renewal;
pub mod request;
pub mod resp;
pub mod roll;
pub mod route;
pub mod search;
pub mod sentinel;
pub mod survey;
pub mod tally;
pub mod tls;
pub mod told;
pub mod tracking;
pub mod trust;
pub mod wire;
