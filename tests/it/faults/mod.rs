//! Bad input from Redis, and what it gets: the other streams keep their numbers, the failing one says why.

mod absent;
mod clock;
mod names;
mod replies;
mod secrets;
mod streams;
