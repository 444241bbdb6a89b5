//! streamgauge beside redis_exporter and the floor, on the same Redis and data, in turns: `make bench`.
//!
//! It states which targets are met, and fails only where something could not be measured. With `--only NAME` (a workload,
//! `growth`, `scrapes` or `autoscalers`; several may follow) it measures that and prints it; without, or with `--write`, it writes
//! `docs/benchmarks.md`, too.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

use comparison::Comparison;
use data::Data;
use document::Document;
use growth::Growth;

mod apart;
mod autoscaler;
mod comparison;
mod data;
mod document;
mod floor;
mod gauge;
mod growth;
mod http;
mod load;
mod machine;
mod measured;
mod peer;
mod prose;
mod proxy;
mod series;
mod server;
mod table;
mod targets;
mod workloads;

/// The result of whatever may go wrong: then the bench ends, and says what it was.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long all of it may take before it is ended, with all that it has started.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

fn main() -> Result<()> {
    let only = std::env::args().skip_while(|argument| argument != "--only").skip(1);
    let only: Vec<_> = only.take_while(|argument| !argument.starts_with("--")).collect();
    let is_written = only.is_empty() || std::env::args().any(|argument| argument == "--write");
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|wanted| wanted == name);
    let names =
        workloads::ALL.map(|workload| workload.name).into_iter().chain(["growth", "scrapes", "autoscalers"]);
    if let Some(unknown) = only.iter().find(|only| !names.clone().any(|name| name == **only)) {
        let names: Vec<_> = names.collect();
        return Err(format!("--only {unknown}: there are {}", names.join(", ")).into());
    }
    let (redis, exporter) = (server()?, program("STREAMGAUGE_BENCH_REDIS_EXPORTER")?);
    gauge::program()?;
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        eprintln!("the bench has taken longer than {PATIENCE:?}");
        // What it has started ends with it.
        process::exit(1);
    });
    let started = Instant::now();
    let mut document = Document { machine: machine::describe(&redis, &exporter)?, ..Document::default() };
    for workload in workloads::ALL.into_iter().filter(|workload| is_wanted(workload.name)) {
        say(started, workload.title);
        let directory = tempfile::tempdir()?;
        let comparison = Comparison::run(workload, &redis, &exporter, directory.path())?;
        println!("## {}\n\n{comparison}", workload.title);
        document.comparisons.push(comparison);
    }
    if is_wanted("growth") {
        say(started, "growth");
        let growth = Growth::measure(&redis, tempfile::tempdir()?.path())?;
        println!("## {}\n\n{growth}", growth::TITLE);
        document.growth = Some(growth);
    }
    if is_wanted("scrapes") {
        say(started, "scrapes while polls go on");
        document.scrapes =
            Some(load::scrapes(Data::usual(load::SCRAPED_STREAMS), &redis, tempfile::tempdir()?.path())?);
    }
    if is_wanted("autoscalers") {
        say(started, "answers to autoscalers");
        document.autoscalers =
            Some(load::autoscalers(Data::usual(20_000), &redis, tempfile::tempdir()?.path())?);
    }
    println!("{}\n{}", document.loads(), document.targets());
    if is_written {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
        fs::write(&path, document.to_string())?;
        say(started, &format!("written: {}", path.display()));
    }
    Ok(())
}

/// Says on standard error what comes next, and after how long.
fn say(started: Instant, what: &str) {
    eprintln!("bench: {:>4} s: {what}", started.elapsed().as_secs());
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
