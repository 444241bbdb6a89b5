//! Those who are not measured now, and may be tomorrow: replicas, and the Sentinels that the poll does not ask.

use super::{Checked, Line};
use crate::support::{
    cluster::Cluster,
    exporter::Launch,
    redis::RedisServer,
    sentinel::{Service, Setup},
    tool::needs,
};

const USER: &str = "ACL SETUSER gauge on >a-password ~* +@all";

fn checked(url: &str) -> Checked {
    let launch = Launch::new("check").args(&["--redis.url", url, "--redis.username", "gauge"]);
    Checked::by(launch.env("STREAMGAUGE_REDIS_PASSWORD", "a-password"))
}

/// The one line of this check with this status.
#[track_caller]
fn only(checked: &Checked, check: &str, status: &str) -> Line {
    let mut lines = checked.all(check);
    lines.retain(|line| line.status == status);
    assert_eq!(lines.len(), 1, "{}", checked.text);
    lines.remove(0)
}

fn fill(redis: &RedisServer) {
    redis.add("orders", 3);
    redis.run(&["XGROUP CREATE orders workers 0", USER]);
}

#[test]
fn replicas_and_sentinels_of_a_service() {
    needs!("redis-server");
    let mut service = Service::with(&Setup::default());
    fill(&service.servers[0]);
    let locked_out = checked(&service.url());
    assert_eq!(locked_out.code, 0, "{}", locked_out.text);
    let refused = locked_out.all("auth");
    for replica in &service.ports[1..] {
        let place = format!("cannot log in to 127.0.0.1:{replica}");
        let told = refused.iter().find(|line| line.message.contains(&place));
        let told = told.unwrap_or_else(|| panic!("{}", locked_out.text));
        assert_eq!(told.status, "warn");
        told.says("a replica, which a failover would make the primary", "users are not replicated");
    }
    service.servers[1..].iter().for_each(|replica| replica.run(&[USER]));
    let well = checked(&service.url());
    well.all_ok();
    let told = only(&well, "topology", "ok");
    for sentinel in &service.sentinels {
        assert!(told.message.contains(&sentinel.port.to_string()), "{told:?}");
    }
    service.sentinels[1].kill();
    let dead = service.sentinels[1].port;
    let checked = checked(&service.url());
    assert_eq!((checked.code, checked.wrong().len()), (0, 1), "{}", checked.text);
    only(&checked, "topology", "warn")
        .says(&format!("a Sentinel cannot be asked: cannot connect to 127.0.0.1:{dead}"), "");
}

#[test]
fn a_replica_in_a_cluster() {
    needs!("redis-server");
    let cluster = Cluster::start(3, 1);
    let stream = cluster.key_on(0, "orders-");
    cluster.fill(&stream, 3);
    cluster.nodes[..5].iter().for_each(|node| node.run(&[USER]));
    let told = checked(&cluster.url());
    assert_eq!((told.code, told.wrong().len()), (0, 1), "{}", told.text);
    only(&told, "auth", "warn").says(&cluster.address(5), "users are not replicated");
    cluster.nodes[5].run(&[USER]);
    checked(&cluster.url()).all_ok();
}
