//! What goes wrong with Redis and on the way to it, and what comes of it.
//!
//! Bad input: the other streams keep their numbers, the failing one says why (`names`, `replies`, `secrets`, `streams`). A
//! server that fails whole: `absent` in simple steps; the rest on a [`scene`] where work goes on, and a watcher holds every
//! number that is published, all the time, against the truth ([`watcher`] shows that it sees what is wrong). After each fault all numbers are there within two polls.

mod absent;
mod clock;
mod crash;
mod endurance;
mod mass;
mod names;
mod refusals;
mod replies;
mod scene;
mod secrets;
mod streams;
mod watcher;
mod wire;
