//! Sentinels that are away: one costs nothing, and all of them cost only the knowledge of a failover.

use super::*;

const UNGUIDED: &str = "no sentinel can be asked: redis is polled where it was";

#[test]
fn one_that_is_dead_or_hangs_costs_no_poll() {
    needs!("redis-server");
    let mut service = service();
    let gauge = gauge(&service, &[]);
    // One of them is the one that is asked.
    for place in 0..3 {
        service.sentinels[place].pause();
        no_poll_failed(&gauge);
        // Nor does it keep a new exporter from starting.
        measures(&service.url(), &LOGIN);
        service.sentinels[place].resume();
    }
    for place in 0..3 {
        service.sentinels[place].kill();
        no_poll_failed(&gauge);
        measures(&service.url(), &LOGIN);
        service.sentinels[place].restart();
        no_poll_failed(&gauge);
    }
    assert_eq!(gauge.logged(UNGUIDED), Vec::<serde_json::Value>::new());
}

#[test]
fn all_that_are_away_cost_no_number() {
    needs!("redis-server");
    let mut service = service();
    let gauge = gauge(&service, &[]);
    service.sentinels.iter_mut().for_each(SentinelServer::kill);
    wait::until_true("the log to say so", || !gauge.logged(UNGUIDED).is_empty());
    no_poll_failed(&gauge);
    no_poll_failed(&gauge);
    let logged = gauge.logged(UNGUIDED);
    assert_eq!(logged.len(), 1, "{logged:?}");
    let reason = logged[0]["reason"].as_str().unwrap();
    // Of each: that it cannot be reached, or, where it died while it was being asked, that it did not answer.
    for sentinel in &service.sentinels {
        assert!(reason.contains(&format!("127.0.0.1:{}: ", sentinel.port)), "{reason}");
    }
    // Whoever starts now knows nothing, and says what of each.
    let error = refusal(&service.url(), &[], "connect");
    assert!(error.starts_with("no Sentinel says where \"shop\" is: cannot connect to 127.0.0.1:"), "{error}");
    assert_eq!(error.matches("Connection refused").count(), 3, "{error}");

    // Without them and without the server nothing is left, and both are told.
    service.servers[0].kill();
    wait::until("both reasons", || {
        let groups = gauge.groups();
        let error = groups["servers"][0]["error"].as_str().unwrap_or_default();
        let place = format!("cannot connect to 127.0.0.1:{}: ", service.ports[0]);
        let both = error.starts_with(&place)
            && error
                .contains(": whether another one is the primary now is not known: no Sentinel says where");
        if both { Ok(()) } else { Err(groups.to_string()) }
    });
    service.sentinels.iter_mut().for_each(SentinelServer::restart);
    service.agreed_besides(0);
    gauge.until("redis_up", Some(1.0)).check(&[(LAG, Some(3.0))]);
    assert_eq!(gauge.logged("the sentinels can be asked again").len(), 1);
}

/// All that are in the URL have gone; the others are known by them.
#[test]
fn others_take_the_place_of_those_in_the_url() {
    needs!("redis-server");
    let mut service = service();
    let url = format!("redis+sentinel://127.0.0.1:{}/shop", service.sentinels[0].port);
    let gauge = Streamgauge::of(&url, &LOGIN);
    service.sentinels[0].kill();
    no_poll_failed(&gauge);
    assert_eq!(gauge.logged(UNGUIDED), Vec::<serde_json::Value>::new());
    // And they know of a failover.
    service.sentinels[1].ask::<()>(&["SENTINEL", "FAILOVER", "shop"]);
    service.sentinels.remove(0);
    let new = service.agreed_besides(0);
    service.servers[new].add("orders", 1);
    gauge.poll().check(&[("redis_up", Some(1.0)), (LAG, Some(4.0))]);
}
