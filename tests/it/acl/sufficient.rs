//! The documented rights are enough: all that an all-powerful user gets, and nothing is refused.

use std::collections::BTreeMap;

use super::{PASSWORD, SETS, Set, USER, fill, refusals, servers_of, set_user};
use crate::{
    servers,
    support::{samples::Samples, tool::needs},
};

/// Everything that was measured, with its value where that does not go with time.
pub fn measured(metrics: &Samples) -> BTreeMap<String, Option<f64>> {
    let redis = metrics.0.iter().filter(|sample| sample.name.starts_with("redis_"));
    let value = |name: &str, value| (!name.ends_with("_seconds")).then_some(value);
    redis
        .map(|sample| (format!("{}{:?}", sample.name, sample.labels), value(&sample.name, sample.value)))
        .collect()
}

fn is_of_consumers(series: &str) -> bool {
    ["redis_stream_group_consumer_", "redis_stream_group_consumers_by_"]
        .iter()
        .any(|name| series.starts_with(name))
}

fn check(version: &servers::Version, set: &Set) {
    let redis = version.start();
    fill(&redis, set.database());
    redis.run(&[&set.setuser(servers_of(&redis)), &set_user("all", &["~*".to_owned(), "+@all".to_owned()])]);
    assert!(set.setuser(servers_of(&redis)).contains(PASSWORD));
    let (narrow, all) = (set.gauge(&redis, USER), set.gauge(&redis, "all"));
    narrow.poll();
    all.poll();
    // What was remembered is looked up once more.
    redis.run_on(set.database(), &["XADD orders 10-0 f v"]);
    narrow.poll();
    all.poll();
    let (narrow, all, of_narrow) = (narrow.poll(), all.poll(), narrow);
    assert_eq!(measured(&narrow), measured(&all), "{version:?}, {}", set.title);
    narrow.check(&[
        ("redis_up", Some(1.0)),
        (r#"redis_stream_up{stream="orders"}"#, Some(1.0)),
        (r#"redis_stream_up{stream="events:eu"}"#, Some(1.0)),
        (r#"redis_stream_group_oldest_pending_deliveries{stream="orders",group="workers"}"#, Some(1.0)),
    ]);
    let consumers = measured(&narrow).keys().any(|series| is_of_consumers(series));
    assert_eq!(consumers, set.features.contains(&super::Consumers), "{}", set.title);
    let counts = narrow.value("streamgauge_lag_entries_read_total") > Some(0.0);
    assert_eq!(counts, set.features.contains(&super::Entries), "{}", set.title);
    assert_eq!(of_narrow.logged("stream cannot be read"), Vec::<serde_json::Value>::new());
    assert_eq!(refusals(&redis, USER), [""; 0], "{version:?}, {}", set.title);
}

#[test]
fn the_documented_rights_are_enough() {
    needs!("redis-server");
    for version in servers::versions() {
        SETS.iter().for_each(|set| check(&version, set));
    }
}

#[test]
fn nothing_is_granted_twice() {
    for set in SETS {
        for servers in streamgauge::collect::commands::Servers::ALL {
            let mut rights = set.rights(*servers);
            let count = rights.len();
            rights.sort();
            rights.dedup();
            assert_eq!(rights.len(), count, "{}", set.title);
        }
    }
}
