//! A real Prometheus.

use std::{fs, net::SocketAddr, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::{http, process::Process, redis::free_port, wait};

/// A Prometheus that scrapes one exporter every second; killed on drop.
pub struct Prometheus {
    // Ended before its directory is removed.
    _process: Process,
    _directory: TempDir,
    address: SocketAddr,
}

impl Prometheus {
    pub fn scraping(exporter: SocketAddr) -> Prometheus {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("prometheus.yml");
        let yaml = format!(
            "global: {{scrape_interval: 1s}}\n\
             scrape_configs: [{{job_name: streamgauge, static_configs: [{{targets: ['{exporter}']}}]}}]\n"
        );
        fs::write(&config, yaml).unwrap();
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

    /// What Prometheus says of its one target.
    pub fn target(&self) -> Result<Value, String> {
        Ok(self.api("/api/v1/targets")?["activeTargets"][0].clone())
    }
}
