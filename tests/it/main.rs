//! The program against real servers. One binary, so that everything runs side by side.

mod acl;
mod browser;
mod check;
mod cluster;
mod collect;
mod demo;
mod examples;
mod expose;
mod faults;
mod generated;
mod health;
mod house;
mod kubernetes;
mod lifecycle;
mod limits;
mod prom;
mod reach;
mod reload;
mod scrape;
mod seeds;
#[path = "../lag/servers.rs"]
mod servers;
mod sharding;
mod shipped;
mod support;
mod usage;
