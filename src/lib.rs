//! streamgauge measures Redis Streams consumer groups truthfully and hands the numbers to everyone who acts on them.
//!
//! Data flows one way, and so do imports:
//!
//! ```text
//! config ──► collect ──► model::snapshot::Snapshot ──► serve
//!            (Redis)     (watch channel of Arc)        (/metrics, page, JSON, terminal)
//!                                                         ▲
//!                                                      cluster
//!                                                (Kubernetes: pods, objects)
//! ```
//!
//! | module | what it is for | may import |
//! | --- | --- | --- |
//! | [`model`] | plain data and pure rules; no I/O, no clock | nothing |
//! | [`catalogue`] | the table of metrics and how to read each from the model | `model` |
//! | [`config`] | flags, variables and file to a sound `Config` | `catalogue`, `model` |
//! | [`collect`] | all that talks to Redis | `config`, `files`, `model`, `pem`, `x509` |
//! | [`cluster`] | all that talks to the Kubernetes API server | `model`, `pem` |
//! | [`files`] | files that are read again when they change | nothing |
//! | [`pem`] | certificates and keys, with errors that quote nothing | nothing |
//! | [`x509`] | what a certificate says of itself | `model` |
//! | [`serve`] | all that answers | `catalogue`, `cluster`, `files`, `model`, `pem`, `x509` |
//! | [`demo`] | a private Redis with a sample workload | nothing |
//! | [`cli`], [`run`] | the command line, and the wiring | all |
//!
//! A test fails on an import against this order.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod catalogue;
pub mod cli;
pub mod cluster;
pub mod collect;
pub mod config;
pub mod demo;
pub mod files;
pub mod model;
pub mod pem;
pub mod run;
pub mod serve;
pub mod x509;
