//! Plain data and pure rules: what was measured, and what follows from it.
//!
//! Nothing in here does I/O, reads a clock, or knows Redis's wire format or HTTP. Time is an argument.
//! `collect` builds these values, `catalogue` reads them, `serve` shows them.

pub mod activity;
pub mod consumers;
pub mod counters;
pub mod decimal;
pub mod fault;
pub mod finding;
pub mod flow;
pub mod guests;
pub mod health;
pub mod history;
pub mod lag;
pub mod limits;
pub mod lookup;
pub mod name;
pub mod offer;
pub mod packed;
pub mod pattern;
pub mod points;
pub mod quarters;
pub mod selector;
pub mod share;
pub mod snapshot;
pub mod stream_id;
pub mod time;
