//! How much is asked of Redis, how often, for how long, and what is said of the rest.

mod counts;
mod pace;
mod search;
