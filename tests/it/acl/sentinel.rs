//! A user of the Sentinels: what is documented is enough, and each right is needed.

use streamgauge::collect::commands::{COMMANDS, Command, Feature};
use tempfile::NamedTempFile;

use super::{PASSWORD, USER, set_sentinel_user, set_user};
use crate::support::{
    exporter::Streamgauge,
    redis::RedisServer,
    sentinel::{SERVICE, SentinelServer},
    tool::needs,
    wait,
};

const LENGTH: &str = r#"redis_stream_length{stream="orders"}"#;

/// A primary, its replica, and a Sentinel.
struct Scene {
    _servers: [RedisServer; 2],
    sentinel: SentinelServer,
    /// The password of the user: it is read with each connection.
    password: NamedTempFile,
}

impl Scene {
    fn new() -> Scene {
        let primary = RedisServer::start();
        primary.run(&["XADD orders 1-1 a b"]);
        let port = primary.url().rsplit(':').next().unwrap().to_owned();
        let replica = RedisServer::with(&["--replicaof", "127.0.0.1", &port]);
        wait::until("the replica", || {
            let info: String = primary.try_ask(&["INFO", "replication"])?;
            if info.contains("state=online") { Ok(()) } else { Err(info) }
        });
        let sentinel = SentinelServer::start("127.0.0.1", port.parse().unwrap(), 1, &[], None);
        wait::until("the replica at the sentinel", || {
            let replicas: String =
                format!("{:?}", sentinel.try_ask::<redis::Value>(&["SENTINEL", "REPLICAS", SERVICE])?);
            if replicas.contains("bulk-string('\"slave\"')") { Ok(()) } else { Err(replicas) }
        });
        let password = NamedTempFile::new().unwrap();
        std::fs::write(password.path(), PASSWORD).unwrap();
        Scene { _servers: [primary, replica], sentinel, password }
    }

    /// An exporter whose user at the Sentinel is made by this command.
    #[track_caller]
    fn gauge(&self, set_user: &str, service: &str, flags: &[&str]) -> Streamgauge {
        self.sentinel.ask::<()>(&set_user.split(' ').collect::<Vec<_>>());
        self.sentinel.ask::<()>(&["ACL", "LOG", "RESET"]);
        let file = self.password.path().to_str().unwrap();
        let login = ["--redis.sentinel.username", USER, "--redis.sentinel.password-file", file];
        let url = format!("redis+sentinel://127.0.0.1:{}/{service}", self.sentinel.port);
        Streamgauge::of(&url, &[&login, flags].concat())
    }

    fn refusals(&self) -> Vec<redis::Value> {
        self.sentinel.ask(&["ACL", "LOG"])
    }
}

fn flags(reads_replica: bool) -> &'static [&'static str] {
    if reads_replica { &["--redis.read-from", "replica"] } else { &[] }
}

#[test]
fn the_documented_rights_are_enough() {
    needs!("redis-server");
    let scene = Scene::new();
    for reads_replica in [false, true] {
        let gauge = scene.gauge(&set_sentinel_user(reads_replica), SERVICE, flags(reads_replica));
        gauge.poll().check(&[("redis_up", Some(1.0)), (LENGTH, Some(1.0))]);
        assert_eq!(scene.refusals(), []);
    }
}

#[test]
fn each_right_is_needed_and_its_lack_is_told() {
    needs!("redis-server");
    let scene = Scene::new();
    let of_sentinels =
        |command: &&&Command| matches!(command.feature, Feature::Sentinel | Feature::SentinelReplicas);
    let all: Vec<_> = COMMANDS.iter().filter(of_sentinels).collect();
    assert_eq!(all.len(), 5);
    for command in &all {
        let rights: Vec<_> =
            all.iter().filter(|other| other.words != command.words).map(|other| other.rule()).collect();
        // What it watches is asked only where it does not watch the service.
        let service = if command.words == "SENTINEL MASTERS" { "other" } else { SERVICE };
        let gauge = scene.gauge(&set_user(USER, &rights), service, flags(true));
        let (rule, metrics) = (command.rule(), gauge.metrics());
        let refused = format!("{:?}", scene.refusals());
        assert!(refused.contains(rule.trim_start_matches('+')), "{rule}: {refused}");
        let error = gauge.groups()["servers"][0]["error"].as_str().map(str::to_owned);
        if command.is_reported {
            let error = error.unwrap();
            assert!(error.contains(command.words) && error.contains(": NOPERM "), "{rule}: {error}");
            assert!(error.ends_with(&format!(": grant {rule} (docs/redis-acl.md)")), "{rule}: {error}");
            metrics.check(&[("redis_up", Some(0.0)), (LENGTH, None)]);
        } else if service == SERVICE {
            assert_eq!(error, None, "{rule}");
            metrics.check(&[("redis_up", Some(1.0)), (LENGTH, Some(1.0))]);
        } else {
            assert_eq!(error.unwrap(), "the Sentinels do not watch \"other\": write another in the URL");
        }
    }
}
