//! The machine and the versions that the figures belong to.

use std::{fs, path::Path, process::Command};

use crate::Result;

/// Lines of what was measured where.
pub fn describe(redis: &Path, exporter: &Path) -> Result<Vec<(&'static str, String)>> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism()?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let memory: f64 = memory.trim().trim_end_matches(" kB").parse()?;
    let said = Command::new(exporter).arg("-version").output()?;
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let version = said.split("Redis Metrics Exporter ").nth(1).and_then(|rest| rest.split(' ').next());
    let redis = Command::new(redis).arg("--version").output()?.stdout;
    let redis = String::from_utf8(redis)?;
    let redis = redis.split(' ').find_map(|word| word.strip_prefix("v=")).ok_or("Redis tells no version")?;
    Ok(vec![
        ("date", output("date", &["--utc", "+%Y-%m-%d %H:%M UTC"])?),
        ("streamgauge", env!("CARGO_PKG_VERSION").to_owned() + ", " + &commit()),
        ("redis_exporter", version.ok_or("redis_exporter tells no version")?.to_owned() + " (Debian)"),
        ("Redis", redis.to_owned() + " (Debian)"),
        ("CPU", format!("{}, {cores} cores", model.map_or("unknown", |(_, name)| name))),
        ("memory", format!("{:.0} GB", memory / 1e6)),
        ("kernel", output("uname", &["-srm"])?),
        (
            "load before the run",
            fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().to_owned(),
        ),
    ])
}

/// The commit that is measured, as far as git can tell.
fn commit() -> String {
    match output("git", &["describe", "--always", "--dirty"]) {
        Ok(commit) => format!("commit {commit}"),
        Err(_) => "no commit".to_owned(),
    }
}

fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("{program} fails: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
