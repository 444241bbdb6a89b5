//! From what was written to a [`Config`], or to problems that say where and how to mend them.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::model::pattern::Pattern;

mod file;
mod kubernetes;
mod precedence;
mod secrets;
mod sharding;
mod startup;
mod tls;
mod url;

/// What a user wrote.
#[derive(Default)]
struct Written {
    sources: Sources,
    directory: Option<TempDir>,
}

impl Written {
    fn flag(mut self, name: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        self.sources.flags.insert(name.to_owned(), values);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("streamgauge.yaml");
        fs::write(&path, bytes).unwrap();
        self.sources.file = Some(path);
        self.directory = Some(directory);
        self
    }

    fn load(&self) -> Config {
        load(&self.sources).unwrap()
    }

    /// The only server.
    fn server(&self) -> RedisServer {
        let mut servers = self.load().servers;
        assert_eq!(servers.len(), 1);
        servers.remove(0)
    }

    /// Every problem as it is printed; the directory of the file is left out.
    fn problems(&self) -> Vec<String> {
        let error = load(&self.sources).unwrap_err();
        let directory = self.directory.as_ref().map(|directory| format!("{}/", directory.path().display()));
        error.to_string().lines().map(|line| line.replace(directory.as_deref().unwrap_or("\0"), "")).collect()
    }
}

fn written() -> Written {
    Written::default()
}

fn texts(patterns: &[Pattern]) -> Vec<String> {
    let text = |pattern: &Pattern| match pattern {
        Pattern::Exact(name) => name.text().to_owned(),
        Pattern::Glob(glob) => glob.text().to_owned(),
    };
    patterns.iter().map(text).collect()
}

fn secret(credential: &Option<Credential>) -> Option<String> {
    credential.as_ref().map(|credential| credential.read().unwrap().expose_secret().to_owned())
}

fn username(server: &RedisServer) -> Option<String> {
    secret(&server.username)
}

fn password(server: &RedisServer) -> Option<String> {
    secret(&server.password)
}

#[test]
fn nothing_written_is_sound() {
    let config = written().load();
    assert_eq!(config.poll_interval, Duration::from_secs(5));
    assert_eq!(config.stale_after, Duration::from_secs(15));
    assert_eq!((config.poll_timeout, config.max_backoff), (None, Duration::from_secs(30)));
    assert_eq!(config.listen.iter().map(ListenAddress::to_string).collect::<Vec<_>>(), [":9121"]);
    assert_eq!(config.telemetry_path, "/metrics");
    assert_eq!(config.log.level, tracing::Level::INFO);
    assert!(!config.log.json);
    let server = written().server();
    assert_eq!(&*server.name, "127.0.0.1:6379");
    assert_eq!(server.topology.to_string(), "127.0.0.1:6379");
    assert_eq!(
        (username(&server), server.databases.clone(), server.protocol),
        (None, BTreeSet::from([0]), Protocol::Resp2)
    );
    assert!(server.password.is_none() && server.consumers);
    assert_eq!(server.timeout, Duration::from_secs(5));
    assert_eq!((texts(&server.streams), texts(&server.groups.include)), (vec!["*".into()], vec!["*".into()]));
    assert!(server.groups.exclude.is_empty());
    let limits = Limits { streams: 100_000, groups_per_stream: 1000, consumers_per_group: 1000 };
    assert_eq!(server.limits, limits);
}

#[test]
fn everything_in_a_file() {
    let config = written()
        .file(
            r#"
poll: {interval: 1m30s, stale_after: 10, timeout: 1m, max_backoff: 2m}
web:
  listen_address: ["127.0.0.1:80", "[::1]:0"]
  telemetry_path: /of/redis
log: {level: debug, format: json}
redis:
  - name: main
    url: redis://h:7000/2?protocol=resp3
    username: u
    password: p
    timeout: 250ms
    streams: [orders, "events:*"]
    groups: {include: [a, "b*"], exclude: "bc*"}
    consumers: false
    limits: {streams: 10, groups_per_stream: 20, consumers_per_group: 30}
  - url: other:7001
    database: 4
"#,
        )
        .load();
    assert_eq!(
        (config.poll_interval, config.stale_after),
        (Duration::from_secs(90), Duration::from_secs(900))
    );
    assert_eq!(
        (config.poll_timeout, config.max_backoff),
        (Some(Duration::from_secs(60)), Duration::from_secs(120))
    );
    assert_eq!(config.listen[1], ListenAddress { host: Some("::1".into()), port: 0 });
    assert_eq!(config.listen[1].to_string(), "[::1]:0");
    assert_eq!(config.telemetry_path, "/of/redis");
    assert_eq!((config.log.level, config.log.json), (tracing::Level::DEBUG, true));
    let [main, other] = &config.servers[..] else { panic!("{config:?}") };
    assert_eq!((&*main.name, main.topology.to_string().as_str()), ("main", "h:7000"));
    assert_eq!((main.databases.clone(), main.protocol), (BTreeSet::from([2]), Protocol::Resp3));
    assert_eq!((username(main).as_deref(), password(main).as_deref()), (Some("u"), Some("p")));
    assert_eq!(main.timeout, Duration::from_millis(250));
    assert_eq!(texts(&main.streams), ["orders", "events:*"]);
    assert!(!main.consumers);
    let limits = Limits { streams: 10, groups_per_stream: 20, consumers_per_group: 30 };
    assert_eq!(main.limits, limits);
    let groups = ["a", "bb", "bcd", "c"].map(|name| main.groups.includes(&name.into()));
    assert_eq!(groups, [true, true, false, false]);
    assert_eq!((&*other.name, &other.databases), ("other:7001", &BTreeSet::from([4])));
}

#[test]
fn an_empty_file_says_nothing() {
    for text in ["", "\n", "# nothing\n", "{}\n", "---\n{}\n", "---\n{}\n...\n"] {
        assert_eq!(written().file(text).load().servers.len(), 1, "{text:?}");
    }
}

#[test]
fn anchors_may_be_used() {
    let config =
        written().file("redis:\n- name: a\n  groups: &g {include: [x]}\n- name: b\n  groups: *g\n").load();
    assert_eq!(texts(&config.servers[1].groups.include), ["x"]);
}

/// Every row of the table is read by somebody: none is accepted and then ignored.
#[test]
fn every_setting_of_the_table_is_read() {
    let of_code = concat!(
        include_str!("validate.rs"),
        include_str!("server.rs"),
        include_str!("topology.rs"),
        include_str!("kubernetes.rs"),
        include_str!("sharding.rs")
    );
    for setting in settings::all() {
        assert!(of_code.contains(&format!("\"{}\"", setting.path)), "{} is read nowhere", setting.path);
    }
}
