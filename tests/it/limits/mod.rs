//! How much is asked of Redis, and what is said of the rest.

mod counts;
mod search;
