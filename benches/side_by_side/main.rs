//! streamgauge beside redis_exporter and the floor, on the same Redis and data, in turns: `make bench`.
//!
//! It states how the targets are met; it fails only where something could not be measured.

use std::{
    error::Error,
    path::{Path, PathBuf},
    time::Duration,
};

use comparison::{Comparison, Workload};
use data::Data;

mod comparison;
mod data;
mod floor;
mod gauge;
mod http;
mod peer;
mod process;
mod proxy;
mod series;
mod server;
mod table;

/// The result of whatever may go wrong: then the bench ends, and says what it was.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const WORKLOADS: [Workload; 1] = [Workload {
    name: "2000",
    title: "2,000 streams",
    data: Data::usual(2000),
    round_trip: Duration::ZERO,
    rounds: 9,
    peer_rounds: 9,
    interval: Duration::from_secs(6),
}];

fn main() -> Result<()> {
    let only: Vec<_> = std::env::args().skip_while(|argument| argument != "--only").skip(1).collect();
    let (redis, exporter) = (server()?, program("STREAMGAUGE_BENCH_REDIS_EXPORTER")?);
    for workload in WORKLOADS {
        if only.iter().any(|name| name == workload.name) || only.is_empty() {
            let directory = tempfile::tempdir()?;
            let run = Comparison::run(workload, &redis, &exporter, directory.path())?;
            println!("## {}\n\n{run}", workload.title);
        }
    }
    Ok(())
}

/// The program that this variable names.
fn program(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).filter(|path| Path::new(path).is_file());
    Ok(path.ok_or_else(|| format!("{variable} names no program: run `make bench`"))?.into())
}

/// The redis-server that scripts/test-servers tells of: it must be one that tells of its event loop.
fn server() -> Result<PathBuf> {
    let servers = std::env::var("STREAMGAUGE_TEST_SERVERS").unwrap_or_default();
    let path = servers.split(',').find_map(|server| server.strip_prefix("redis-8.0="));
    Ok(path.ok_or("STREAMGAUGE_TEST_SERVERS names no redis-8.0: run `make bench`")?.into())
}
