//! Mistakes around Sentinels: each is told with its place and its mend.

use super::*;

#[test]
fn a_service_that_is_not_watched() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let sentinel = SentinelServer::start("127.0.0.1", port(&redis.url()), 1, &[], None);
    assert_eq!(
        refusal(&format!("redis+sentinel://127.0.0.1:{}/mymaster", sentinel.port), &[], "connect"),
        "the Sentinels do not watch \"mymaster\": write \"shop\" in the URL"
    );
}

#[test]
fn a_sentinel_that_is_none_and_a_server_that_is_one() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let sentinel = SentinelServer::start("127.0.0.1", port(&redis.url()), 1, &[], None);
    let place = format!("127.0.0.1:{}", port(&redis.url()));
    let error = refusal(&format!("redis+sentinel://{place}/shop"), &[], "server_error");
    assert!(
        error.starts_with(&format!("no Sentinel says where \"shop\" is: {place}: "))
            && error.ends_with(": this is no Sentinel: write its port, or redis:// for a single server"),
        "{error}"
    );
    for path in ["", "/3"] {
        let error = refusal(&format!("redis://127.0.0.1:{}{path}", sentinel.port), &[], "connect");
        assert!(
            error.contains(&format!("127.0.0.1:{}", sentinel.port))
                && error
                    .ends_with("this is a Sentinel: write redis+sentinel://host[:port]/service in the URL"),
            "{error}"
        );
    }
}

#[test]
fn a_primary_that_is_down() {
    needs!("redis-server");
    let mut redis = RedisServer::start();
    fill(&redis);
    let sentinel = SentinelServer::start("127.0.0.1", port(&redis.url()), 1, &[], None);
    let gauge = Streamgauge::of(&format!("redis+sentinel://127.0.0.1:{}/shop", sentinel.port), &[]);
    redis.kill();
    let place = format!("cannot connect to 127.0.0.1:{}: ", port(&redis.url()));
    wait::until("the sentinels' word", || {
        let groups = gauge.groups();
        let error = groups["servers"][0]["error"].as_str().unwrap_or_default();
        let said = error.starts_with(&place)
            && error.ends_with("): the Sentinels say that it is down (s_down, o_down, disconnected), and name no other primary yet");
        if said { Ok(()) } else { Err(groups.to_string()) }
    });
    // It is asked for at full pace: another one may be the primary any moment. Otherwise this would take minutes.
    wait::until_true("many polls", || errors(&gauge.metrics()) > 12.0);
}

/// A user who may not see the role of a process gets no number of it.
#[test]
fn without_info_the_role_is_not_known() {
    needs!("redis-server");
    let redis = RedisServer::start();
    fill(&redis);
    redis.run(&["ACL SETUSER gauge on nopass ~* +@all -info"]);
    let sentinel = SentinelServer::start("127.0.0.1", port(&redis.url()), 1, &[], None);
    let url = format!("redis+sentinel://127.0.0.1:{}/shop", sentinel.port);
    let error = refusal(&url, &["--redis.username", "gauge"], "noperm");
    assert!(
        error.starts_with("INFO: NOPERM ") && error.ends_with(": grant +info (docs/redis-acl.md)"),
        "{error}"
    );
    measures(&redis.url(), &["--redis.username", "gauge"]);
}
