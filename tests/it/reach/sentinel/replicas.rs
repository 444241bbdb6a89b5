//! `read_from: replica`: which process gets the commands, and what happens when it goes.

use super::*;

const REPLICA: [&str; 2] = ["--redis.read-from", "replica"];

/// The server that the exporter has its connection to.
#[track_caller]
fn read(service: &Service, besides: &[usize]) -> usize {
    wait::until("a connection to one server", || {
        let places = [0, 1, 2].into_iter().filter(|place| !besides.contains(place));
        let connected: Vec<_> =
            places.filter(|place| service.connections(*place, USER).is_ok_and(|count| count > 0)).collect();
        if connected.len() == 1 { Ok(connected[0]) } else { Err(format!("{connected:?}")) }
    })
}

#[test]
fn one_replica_gets_the_commands_and_another_one_when_it_goes() {
    needs!("redis-server");
    let mut service = service();
    let gauge = gauge(&service, &REPLICA);
    let first = read(&service, &[]);
    assert_ne!(first, 0);
    no_poll_failed(&gauge);
    assert_eq!(read(&service, &[]), first, "it is kept");
    let other = 3 - first;
    let reads =
        |service: &Service, place: usize| service.servers[place].calls().get("xinfo").copied().unwrap_or(0);
    assert!(reads(&service, first) > 0);
    assert_eq!([reads(&service, 0), reads(&service, other)], [0, 0]);

    service.servers[first].kill();
    assert_eq!(read(&service, &[first]), other);
    // Within the same poll: none has failed.
    no_poll_failed(&gauge);
    assert_eq!(reads(&service, 0), 0);

    // The last one goes: the primary is not asked in its place.
    service.servers[other].kill();
    wait::until("the lack of replicas to be told", || {
        let groups = gauge.groups();
        let error = groups["servers"][0]["error"].as_str().unwrap_or_default();
        let said = error.starts_with("no replica of \"shop\" can be read: ")
            && [first, other]
                .iter()
                .all(|place| error.contains(&format!("127.0.0.1:{}", service.ports[*place])));
        if said { Ok(()) } else { Err(groups.to_string()) }
    });
    assert_eq!((reads(&service, 0), service.connections(0, USER)), (0, Ok(0)));
    gauge.metrics().check(&[("redis_up", Some(0.0))]);
}

#[test]
fn a_replica_that_becomes_the_primary_is_left() {
    needs!("redis-server");
    let service = service();
    let gauge = gauge(&service, &REPLICA);
    let first = read(&service, &[]);
    // The one that is read is promoted.
    let other = 3 - first;
    service.servers[first].run(&["CONFIG SET replica-priority 10"]);
    service.servers[other].run(&["CONFIG SET replica-priority 100"]);
    let priority = |sentinel: &SentinelServer| -> Result<bool, String> {
        let replicas: Vec<std::collections::BTreeMap<String, String>> =
            sentinel.try_ask(&["SENTINEL", "REPLICAS", "shop"])?;
        Ok(replicas.iter().any(|replica| replica["slave-priority"] == "10"))
    };
    wait::until("the sentinels to know the priority", || {
        let known = service.sentinels.iter().map(priority).collect::<Result<Vec<_>, _>>()?;
        if known == [true; 3] { Ok(()) } else { Err(format!("{known:?}")) }
    });
    assert_eq!(service.fail_over(0), first);
    let now = read(&service, &[]);
    assert_ne!(now, first);
    service.servers[first].add("orders", 1);
    gauge.until(LAG, Some(4.0));
}

#[test]
fn without_a_replica_that_is_told() {
    needs!("redis-server");
    let alone = RedisServer::start();
    fill(&alone);
    let sentinel = SentinelServer::start("127.0.0.1", port(&alone.url()), 1, &[], None);
    let url = format!("redis+sentinel://127.0.0.1:{}/shop", sentinel.port);
    assert_eq!(
        refusal(&url, &REPLICA, "connect"),
        "the Sentinels know no replica of \"shop\": start one, or set read_from to primary"
    );
    assert!(!alone.calls().contains_key("xinfo"));
}
