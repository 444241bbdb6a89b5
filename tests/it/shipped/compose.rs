//! `deploy/compose`: what it mounts and builds is there, each program takes what it is given, and they find each other. There
//! is no engine of Docker here; `tests/deploy` has the file read by the library that Docker Compose reads it with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{alerts::expression, list, must_pass, path, read, text, yaml};
use crate::support::{exporter::Launch, redis::RedisServer, tool::needs};

const FOLDER: &str = "deploy/compose";

fn services() -> Map<String, Value> {
    yaml(&format!("{FOLDER}/compose.yaml"))["services"].as_object().unwrap().clone()
}

fn service(name: &str) -> Value {
    services()[name].clone()
}

/// A file of the repository, as compose.yaml names it.
fn source(relative: &str) -> PathBuf {
    path(FOLDER).join(relative)
}

/// What is mounted: the file or folder here, and its place in the container.
fn mounts(service: &Value) -> Vec<(PathBuf, String)> {
    let volumes = service["volumes"].as_array().cloned().unwrap_or_default();
    let mount = |volume: &Value| {
        let volume = volume.as_str().unwrap();
        let [from, to, "ro"] = volume.split(':').collect::<Vec<_>>()[..] else { panic!("{volume}") };
        (source(from), to.to_owned())
    };
    volumes.iter().map(mount).collect()
}

/// The file here that a container sees under a path.
fn seen(service: &Value, inside: &str) -> PathBuf {
    let found = mounts(service).into_iter().find_map(|(from, to)| {
        let rest = Path::new(inside).strip_prefix(&to).ok()?;
        Some(if rest.as_os_str().is_empty() { from } else { from.join(rest) })
    });
    let found = found.unwrap_or_else(|| panic!("nothing is mounted at {inside}"));
    assert!(found.is_file(), "{inside}: there is no {}", found.display());
    found
}

/// Host and port where a service answers the others.
fn port_of(name: &str) -> String {
    let service = service(name);
    let [port] = list(&service, "ports") else { panic!("{name}: not one port") };
    let port = port.as_str().unwrap();
    let [_, _, inside] = port.split(':').collect::<Vec<_>>()[..] else { panic!("{port}") };
    format!("{name}:{inside}")
}

#[test]
fn everything_named_is_there_and_pinned() {
    for (name, service) in services() {
        for (from, _) in mounts(&service) {
            assert!(from.exists(), "{name}: there is no {}", from.display());
        }
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port} is open to others");
        }
        let needed = match &service["depends_on"] {
            Value::Object(services) => services.keys().cloned().collect(),
            Value::Array(services) => services.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
            _ => vec![],
        };
        for needed in needed {
            assert!(services().contains_key(&needed), "{name} depends on {needed}");
        }
        if let Some(image) = service["image"].as_str() {
            let (_, tag) = image.rsplit_once(':').unwrap();
            let digits = tag.trim_start_matches('v').split(['.', '-']).take(3);
            assert_eq!(digits.filter(|part| part.parse::<u32>().is_ok()).count(), 3, "{name}: {image}");
        }
        let (context, file) = match &service["build"] {
            Value::Null => continue,
            Value::String(context) => (context.as_str(), "Dockerfile"),
            build => (text(build, "context"), text(build, "dockerfile")),
        };
        assert!(source(context).join(file).is_file(), "{name}: there is no {context}/{file}");
    }
    let image = format!("ghcr.io/streamgauge/streamgauge:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(service("streamgauge")["image"], image);
}

#[test]
fn streamgauge_measures_what_the_workers_read() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let streamgauge = service("streamgauge");
    let words: Vec<_> = list(&streamgauge, "command").iter().map(|word| word.as_str().unwrap()).collect();
    let ["serve", file] = words[..] else { panic!("{words:?}") };
    let file = seen(&streamgauge, file.strip_prefix("--config.file=").unwrap());
    let config = fs::read_to_string(file).unwrap();
    let there = format!("redis://{}", port_of("redis"));
    assert_eq!(config.matches(&there).count(), 1, "{config}");
    let copy = tempfile::NamedTempFile::new().unwrap();
    fs::write(copy.path(), config.replace(&there, &redis.url())).unwrap();
    let gauge = Launch::new(words[0]).args(&[&format!("--config.file={}", copy.path().display())]).start();
    for name in ["worker", "analytics"] {
        let environment = service(name)["environment"].clone();
        assert_eq!(environment["REDIS_URL"], there);
        // `$$` is a dollar to Docker Compose.
        let start = text(&environment, "GROUP_START").replace("$$", "$");
        let (stream, group) = (text(&environment, "STREAM"), text(&environment, "GROUP"));
        redis.run(&[&format!("XGROUP CREATE {stream} {group} {start} MKSTREAM")]);
        gauge.until(
            &format!("redis_stream_group_backlog{{stream=\"{stream}\",group=\"{group}\"}}"),
            Some(0.0),
        );
    }
}

/// Their programs read all that they are told.
#[test]
fn workers_know_their_variables() {
    for (name, program) in [("producer", "producer.py"), ("worker", "worker.py"), ("analytics", "worker.py")]
    {
        let service = service(name);
        let context = source(text(&service, "build"));
        let code: String =
            [program, "orders.py"].map(|file| fs::read_to_string(context.join(file)).unwrap()).concat();
        for variable in service["environment"].as_object().unwrap().keys() {
            assert!(code.contains(&format!("\"{variable}\"")), "{name}: {variable}");
        }
        let command = service["command"].as_array().cloned().unwrap_or_default();
        let dockerfile = fs::read_to_string(context.join("Dockerfile")).unwrap();
        assert!(
            command.iter().any(|word| *word == program) || dockerfile.contains(&format!("\"{program}\""))
        );
    }
}

#[test]
fn prometheus_takes_its_configuration_and_rules() {
    needs!("promtool");
    let prometheus = service("prometheus");
    let configuration = "/etc/prometheus/prometheus.yml";
    assert_eq!(list(&prometheus, "command")[0], format!("--config.file={configuration}"));
    // As it lies in the container.
    let root = tempfile::tempdir().unwrap();
    for (from, to) in mounts(&prometheus) {
        let to = root.path().join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
    let there = root.path().join(configuration.trim_start_matches('/'));
    must_pass("promtool", &["check", "config", there.to_str().unwrap()]);

    let config = yaml(&format!("{FOLDER}/prometheus/prometheus.yml"));
    let [rules] = list(&config, "rule_files") else { panic!("not one file of rules") };
    seen(&prometheus, &format!("/etc/prometheus/{}", rules.as_str().unwrap()));
    let [job] = list(&config, "scrape_configs") else { panic!("not one job") };
    assert!(expression("StreamgaugeDown").contains(&format!("job={:?}", text(job, "job_name"))));
    assert_eq!(job["static_configs"][0]["targets"][0], port_of("streamgauge"));
}

/// The provisioning that is shipped is what the compose file mounts.
#[test]
fn grafana_finds_its_data_and_dashboards() {
    let grafana = service("grafana");
    let provisioned = |file: &str| {
        let seen = seen(&grafana, &format!("/etc/grafana/provisioning/{file}"));
        let file = yaml(seen.to_str().unwrap());
        assert_eq!(file["apiVersion"], 1);
        file
    };
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();

    let sources = provisioned("datasources/prometheus.yaml");
    assert_eq!(keys(&sources), ["apiVersion", "datasources"]);
    let [source] = list(&sources, "datasources") else { panic!("not one source") };
    assert_eq!(keys(source), ["access", "isDefault", "jsonData", "name", "type", "uid", "url"]);
    assert_eq!(source["url"], format!("http://{}", port_of("prometheus")));
    let scraped = yaml(&format!("{FOLDER}/prometheus/prometheus.yml"))["global"]["scrape_interval"].clone();
    assert_eq!(source["jsonData"]["timeInterval"], scraped);
    for (name, dashboard) in super::dashboards::dashboards() {
        let variables = list(&dashboard["templating"], "list");
        let variable = variables.iter().find(|variable| variable["type"] == "datasource").unwrap();
        assert_eq!(variable["query"], source["type"], "{name}");
    }

    let providers = provisioned("dashboards/streamgauge.yaml");
    assert_eq!(keys(&providers), ["apiVersion", "providers"]);
    let [provider] = list(&providers, "providers") else { panic!("not one provider") };
    assert_eq!(keys(provider), ["name", "options", "type"]);
    assert_eq!(provider["type"], "file");
    let folder = text(&provider["options"], "path");
    for name in super::dashboards::dashboards().keys() {
        assert_eq!(
            fs::read_to_string(seen(&grafana, &format!("{folder}/{name}"))).unwrap(),
            read(&format!("dashboards/{name}"))
        );
    }
    seen(&grafana, text(&grafana["environment"], "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"));
}
