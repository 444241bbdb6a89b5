//! What shards show: together all, and nothing twice.

use std::collections::{BTreeMap, BTreeSet};

use super::{TOTAL, backlog, fill, names_of, of, owner, series, shard, shards};
use crate::support::{
    exporter::{Launch, Streamgauge},
    redis::RedisServer,
    samples::Samples,
    tool::needs,
};

/// Forty streams in two databases, found and named, some of which do not exist.
fn scene() -> (RedisServer, String) {
    let redis = RedisServer::start();
    for number in 0..30 {
        fill(&redis, &format!("events:{number}"), number);
    }
    for number in 0..10 {
        let name = format!("jobs:{number}");
        redis.run_on(1, &[&format!("XGROUP CREATE {name} g $ MKSTREAM"), &format!("XADD {name} 5-0 a b")]);
        redis.run_on(1, &[&format!("XREADGROUP GROUP g c1 COUNT 1 STREAMS {name} >")]);
    }
    let settings = ", database: [0, 1], streams: ['events:*', 'jobs:*', missing-1, missing-2], \
                    groups: {expect: ['events:1=other', 'absent=workers']}";
    let yaml = of(&redis, settings, "");
    (redis, yaml)
}

/// Of which the numbers do not change with time.
fn steady(metrics: &Samples) -> BTreeMap<String, f64> {
    let mut all = series(metrics);
    all.retain(|series, _| !series.contains("_seconds") && !series.contains("_per_second"));
    all
}

#[test]
fn together_they_show_what_one_alone_would_and_nothing_twice() {
    needs!("redis-server");
    let (_redis, yaml) = scene();
    let whole = Streamgauge::with_file(&yaml).poll();
    let (expected, names) = (steady(&whole), series(&whole).into_keys().collect::<BTreeSet<_>>());
    assert!(expected.len() > 400, "{}", expected.len());
    let (mut union, mut all_names, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    for (number, shard) in shards(&yaml, &[]).iter().enumerate() {
        let metrics = shard.gauge.poll();
        metrics.check(&[
            ("redis_up", Some(1.0)),
            ("streamgauge_poll_complete", Some(1.0)),
            ("streamgauge_shard_ordinal", Some(number as f64)),
            ("streamgauge_total_shards", Some(f64::from(TOTAL))),
        ]);
        for sample in metrics.all("redis_stream_up") {
            assert_eq!(owner(&sample.labels["stream"]), number, "{sample:?}");
        }
        sizes.push(metrics.all("redis_stream_up").len());
        union.extend(steady(&metrics));
        all_names.extend(series(&metrics).into_keys());
    }
    assert!(sizes.iter().all(|size| *size > 5), "{sizes:?}");
    let count = all_names.len();
    let all_names: BTreeSet<_> = all_names.into_iter().collect();
    assert_eq!(all_names.len(), count, "none is there twice");
    assert_eq!(all_names, names);
    assert_eq!(union.into_iter().collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(whole.value("streamgauge_total_shards"), None, "one alone is no shard");
}

#[test]
fn a_shard_without_streams_is_up() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let name = &names_of(0, "s", 1)[0];
    fill(&redis, name, 2);
    let shard = shard(&of(&redis, &format!(", streams: [{name}]"), ""), 1, &[]);
    let metrics = shard.gauge.poll();
    metrics.check(&[("redis_up", Some(1.0)), ("streamgauge_poll_complete", Some(1.0))]);
    assert_eq!(metrics.all("redis_stream_up"), Vec::<&_>::new());
}

#[test]
fn limits_are_those_of_a_share() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let names = names_of(2, "s", 3);
    names.iter().chain(&names_of(0, "s", 5)).for_each(|name| fill(&redis, name, 1));
    let shard = shard(&of(&redis, ", limits: {streams: 3}", ""), 2, &[]);
    let metrics = shard.gauge.poll();
    assert_eq!(metrics.all("redis_stream_up").len(), 3);
    let dropped = "streamgauge_limit_dropped_total{limit=\"streams\"}";
    metrics.check(&[(dropped, Some(0.0)), ("streamgauge_poll_complete", Some(1.0))]);
    fill(&redis, &names_of(2, "t", 1)[0], 1);
    let metrics = shard.gauge.poll();
    assert_eq!(metrics.all("redis_stream_up").len(), 3);
    assert!(metrics.value(dropped).unwrap() > 0.0);
}

#[test]
fn what_others_ask_for_is_shown_nowhere() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let (own, other) = (&names_of(0, "s", 1)[0], &names_of(1, "s", 1)[0]);
    fill(&redis, own, 4);
    fill(&redis, other, 5);
    let shard = shard(&of(&redis, "", ""), 0, &[]);
    assert_eq!(shard.values(&backlog(&format!("stream%3D{other}"))), ["5"]);
    let metrics = shard.gauge.poll();
    metrics.check(&[
        (&format!("redis_stream_group_lag{{stream=\"{own}\"}}"), Some(4.0)),
        (&format!("redis_stream_group_lag{{stream=\"{other}\"}}"), None),
    ]);
    let json = shard.gauge.groups();
    assert_eq!(json["share"], serde_json::json!({"shard": 0, "total_shards": 3}));
    let streams = json["servers"][0]["streams"].as_array().unwrap();
    assert_eq!(streams.iter().map(|stream| &stream["stream"]).collect::<Vec<_>>(), [own]);
    let page = shard.gauge.get("/", &[]);
    assert!(page.text().contains("<p>Shard 0 of 3: "), "{}", page.text());
    assert!(!page.text().contains(other.as_str()), "{}", page.text());
}

#[test]
fn the_terminal_shows_all_unless_it_is_told_otherwise() {
    needs!("redis-server");
    let redis = RedisServer::start();
    let names: Vec<_> = (0..3).map(|shard| names_of(shard, "s", 1).remove(0)).collect();
    names.iter().for_each(|name| fill(&redis, name, 1));
    let shown = |arguments: &[&str]| {
        let launch = Launch::new("groups").args(&["--redis.url", &redis.url(), "--redis.name", "main"]);
        let output = launch.args(arguments).output();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        names.iter().filter(|name| text.contains(&format!("{name} "))).cloned().collect::<Vec<_>>()
    };
    assert_eq!(shown(&[]), names);
    assert_eq!(shown(&["--shard", "1", "--total-shards", "3"]), names[1..2]);
    // It looks at all rights, whichever share it will have.
    let check =
        Launch::new("check").args(&["--redis.url", &redis.url(), "--shard", "1", "--total-shards", "3"]);
    let output = String::from_utf8(check.output().stdout).unwrap();
    assert!(output.contains("3 streams"), "{output}");
}
