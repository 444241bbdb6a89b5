//! A real Prometheus.

use std::{fs, net::SocketAddr, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{http, process::Process, redis::free_port, wait};

/// A Prometheus that scrapes exporters, mostly in a job called streamgauge; killed on drop.
pub struct Prometheus {
    // Ended before its directory is removed.
    _process: Process,
    _directory: TempDir,
    address: SocketAddr,
}

impl Prometheus {
    pub fn scraping(exporter: SocketAddr) -> Prometheus {
        Prometheus::with_jobs(&[("streamgauge", &[exporter])])
    }

    /// One that scrapes several jobs.
    pub fn with_jobs(jobs: &[(&str, &[SocketAddr])]) -> Prometheus {
        Prometheus::start(&static_jobs(jobs), "1s", &[])
    }

    /// One with these scrape jobs, as its configuration has them.
    pub fn configured(jobs: &[Value]) -> Prometheus {
        Prometheus::start(jobs, "1s", &[])
    }

    /// One that evaluates these rules, twice a second, on what several exporters say.
    pub fn alerting(exporters: &[SocketAddr], rules: &[Value]) -> Prometheus {
        Prometheus::start(&static_jobs(&[("streamgauge", exporters)]), "500ms", rules)
    }

    fn start(jobs: &[Value], interval: &str, rules: &[Value]) -> Prometheus {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("prometheus.yml");
        // JSON is YAML.
        let yaml = json!({
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "rule_files": ["rules.yml"],
            "scrape_configs": jobs,
        });
        fs::write(&config, yaml.to_string()).unwrap();
        let rules = json!({"groups": [{"name": "rules", "rules": rules}]});
        fs::write(directory.path().join("rules.yml"), rules.to_string()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"));
        let mut process = Process::spawn(command);
        wait::until("Prometheus to be ready", || {
            assert!(process.exit_status().is_none(), "it ended: {}", process.stderr.text());
            match http::get(address, "/-/ready", &[])? {
                answer if answer.status == 200 => Ok(()),
                answer => Err(answer.text().to_owned()),
            }
        });
        Prometheus { _process: process, _directory: directory, address }
    }

    fn api(&self, path: &str) -> Result<Value, String> {
        let answer = http::get(self.address, path, &[])?.json();
        match &answer["status"] {
            status if status == "success" => Ok(answer["data"].clone()),
            _ => Err(answer.to_string()),
        }
    }

    /// The result of a query: the value of every series, with its labels.
    pub fn query(&self, promql: &str) -> Result<Vec<(Value, f64)>, String> {
        let encoded: String = url::form_urlencoded::byte_serialize(promql.as_bytes()).collect();
        let data = self.api(&format!("/api/v1/query?query={encoded}"))?;
        let series = data["result"].as_array().ok_or_else(|| data.to_string())?;
        let value = |series: &Value| series["value"][1].as_str()?.parse().ok();
        series
            .iter()
            .map(|series| Ok((series["metric"].clone(), value(series).ok_or_else(|| series.to_string())?)))
            .collect()
    }

    /// Waits until the query gives this one value.
    #[track_caller]
    pub fn until(&self, promql: &str, expected: f64) {
        wait::until(&format!("{promql} to be {expected}"), || match &self.query(promql)?[..] {
            [(_, value)] if *value == expected => Ok(()),
            other => Err(format!("{other:?}; target: {}", self.target()?)),
        });
    }

    /// The alerts that are pending or firing.
    pub fn alerts(&self) -> Result<Vec<Value>, String> {
        let data = self.api("/api/v1/alerts")?;
        data["alerts"].as_array().cloned().ok_or_else(|| data.to_string())
    }

    /// What Prometheus says of its one target.
    pub fn target(&self) -> Result<Value, String> {
        Ok(self.api("/api/v1/targets")?["activeTargets"][0].clone())
    }
}

/// Jobs with targets that are known.
fn static_jobs(jobs: &[(&str, &[SocketAddr])]) -> Vec<Value> {
    let job = |(name, targets): &(&str, &[SocketAddr])| json!({"job_name": name, "static_configs": [{"targets": targets}]});
    jobs.iter().map(job).collect()
}
