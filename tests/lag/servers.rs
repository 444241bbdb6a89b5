//! The server versions to test against.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::support::redis::{RedisServer, free_port};

/// A version: how it is called, and the program to run.
#[derive(Clone, Debug)]
pub struct Version {
    pub name: String,
    pub binary: PathBuf,
}

/// The installed redis-server, and those of `STREAMGAUGE_TEST_SERVERS` (`name=program`, separated by commas).
pub fn versions() -> Vec<Version> {
    let installed = Version { name: "installed".to_owned(), binary: PathBuf::from("redis-server") };
    let named = env::var("STREAMGAUGE_TEST_SERVERS").unwrap_or_default();
    let others = named.split(',').filter(|item| !item.is_empty()).map(|item| {
        let (name, binary) = item
            .split_once('=')
            .unwrap_or_else(|| panic!("STREAMGAUGE_TEST_SERVERS: {item:?} is not name=program"));
        assert!(Path::new(binary).exists(), "STREAMGAUGE_TEST_SERVERS: {binary} does not exist");
        Version { name: name.to_owned(), binary: binary.into() }
    });
    [installed].into_iter().chain(others).collect()
}

impl Version {
    pub fn start(&self) -> RedisServer {
        RedisServer::of(
            &self.binary,
            free_port(),
            &["--enable-debug-command", "yes"][..self.debug_arguments()],
        )
    }

    /// Whether it counts neither what was ever added to a stream nor what groups have read: before Redis 7.0.
    pub fn lacks_counters(&self) -> bool {
        self.name.contains("6.0")
    }

    /// Redis 6.0 knows no such setting and needs none.
    fn debug_arguments(&self) -> usize {
        if self.lacks_counters() { 0 } else { 2 }
    }
}
