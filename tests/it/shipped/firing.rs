//! Every alert fires: real Redis servers in trouble, the real program, and a real Prometheus with the rules that are
//! shipped, asked by its API for alerts. And it goes away once the trouble is mended as its page says.
//!
//! Nobody can wait for the minutes in the rules, so here a minute is a second: the rules are those of the file, with all
//! their times divided by sixty, and so is `health.claim_time`. Everything else is as in production: Redis, the program
//! and Prometheus measure the time that passes. What this cannot show, that the times are long enough for healthy
//! traffic, [`hour`](super::hour) shows, with the rules as they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{alerts::rules, promql, text};
use crate::support::{
    exporter::{Launch, Streamgauge},
    prometheus::Prometheus,
    redis::{RedisServer, free_port},
    tool::needs,
    wait,
};

/// A minute is a second.
const SCALE: u64 = 60;

/// The rules, faster: `10m` is `10s`, `1h` is `1m`, and an age of 300 seconds is one of five.
fn scaled() -> Vec<Value> {
    let mut rules = rules();
    for rule in &mut rules {
        rule["for"] = faster(text(rule, "for")).into();
        let expr = after_each(text(rule, "expr"), "[", "]", faster);
        rule["expr"] = after_each(&format!("{expr} "), "_seconds > ", " ", |seconds| {
            (seconds.parse::<u64>().unwrap() / SCALE).to_string()
        })
        .trim_end()
        .into();
    }
    rules
}

/// A text with what stands between each `start` and the `end` after it changed.
fn after_each(text: &str, start: &str, end: &str, change: impl Fn(&str) -> String) -> String {
    let mut parts = text.split(start);
    let mut changed = parts.next().unwrap().to_owned();
    for part in parts {
        let (what, rest) = part.split_once(end).unwrap();
        changed += &format!("{start}{}{end}{rest}", change(what));
    }
    changed
}

fn faster(time: &str) -> String {
    let (number, unit) = time.split_at(time.len() - 1);
    match unit {
        "m" => format!("{number}s"),
        "h" => format!("{number}m"),
        _ => panic!("no time that the rules use: {time}"),
    }
}

#[test]
fn only_times_are_scaled() {
    let expr = |name: &str| {
        let rules = scaled();
        let rule = rules.iter().find(|rule| rule["alert"] == name).unwrap();
        (text(rule, "expr").to_owned(), text(rule, "for").to_owned())
    };
    assert_eq!(expr("GroupPendingHigh").0, r#"redis_stream_group_messages_pending{redis!=""} > 500"#);
    assert_eq!(expr("EntriesLost").0, "increase(redis_stream_group_entries_lost_total[1m]) > 0");
    assert!(expr("OldestPendingIdle").0.starts_with("redis_stream_group_oldest_pending_idle_seconds > 10 "));
    assert_eq!(expr("GroupLagUnknown").1, "15s");
    for (before, after) in rules().iter().zip(scaled()) {
        assert_eq!(before["annotations"], after["annotations"]);
        assert_eq!(before["labels"], after["labels"]);
    }
}

/// The streams of `main`, each with a trouble of its own, and `calm` without any.
const STREAMS: [&str; 12] = [
    "calm", "crowded", "gone", "hanging", "held", "nobody", "old", "payments", "plain", "poison", "slow",
    "trimmed",
];

/// What the alerts are expected to say of the trouble that is made for them: one label.
fn trouble<'a>(alert: &str, scene: &'a Scene) -> (&'static str, &'a str) {
    match alert {
        "StreamgaugeDown" => ("instance", &scene.absent),
        "RedisDown" => ("redis", "other"),
        "PollStale" => ("instance", &scene.slow_to_poll),
        "PollErrors" => ("kind", "wrongtype"),
        "StreamNotReadable" => ("stream", "plain"),
        "GroupLagUnknown" => ("stream", "payments"),
        "GroupStalled" => ("stream", "hanging"),
        "GroupNoConsumers" | "GroupLagHigh" => ("stream", "nobody"),
        "GroupFallingBehind" => ("stream", "slow"),
        "GroupBacklogOld" => ("stream", "old"),
        "GroupPendingHigh" | "OldestPendingIdle" | "ConsumerDead" => ("stream", "held"),
        "PoisonEntry" => ("stream", "poison"),
        "PendingDataGone" => ("stream", "gone"),
        "EntriesLost" => ("stream", "trimmed"),
        "LimitReached" => ("limit", "groups"),
        "ReloadFailed" => ("instance", &scene.instance),
        "StreamgaugeShardsMissing" | "StreamgaugeShardingMismatch" => ("job", "streamgauge"),
        _ => panic!("{alert} has no trouble here in which it fires: make one"),
    }
}

/// A Redis with everything, another one that only is there, and five programs: one that watches both, one that polls
/// too seldom, one that is not there, and two shards who count the shards differently.
struct Scene {
    main: RedisServer,
    other: RedisServer,
    gauge: Streamgauge,
    config: tempfile::NamedTempFile,
    instance: String,
    slow_to_poll: String,
    absent: String,
    shards: [String; 2],
}

impl Scene {
    fn start() -> Scene {
        let (main, other) = (RedisServer::start(), RedisServer::start());
        for stream in STREAMS.iter().filter(|stream| !["plain", "payments"].contains(stream)) {
            main.run(&[&format!("XGROUP CREATE {stream} workers 0 MKSTREAM")]);
        }
        let config = tempfile::NamedTempFile::new().unwrap();
        let file = config.path().to_str().unwrap().to_owned();
        fs::write(config.path(), configuration(&main, &other)).unwrap();
        let arguments = ["--health.claim-time=1s", "--health.window=10s", "--lag.entries-per-group=0"];
        let gauge = Launch::new("serve").args(&["--config.file", &file]).args(&arguments).start();
        gauge.wait_ready();
        let instance = gauge.address.to_string();
        let port = || format!("127.0.0.1:{}", free_port());
        Scene {
            main,
            other,
            gauge,
            config,
            instance,
            slow_to_poll: port(),
            absent: port(),
            shards: [port(), port()],
        }
    }

    /// Another program, which watches what is calm.
    fn another(&self, address: &str, interval: &str, arguments: &[&str]) -> Streamgauge {
        let url = self.main.url();
        let launch = Launch::new("serve").env("STREAMGAUGE_WEB_LISTEN_ADDRESS", address);
        let launch = launch.args(&["--redis.url", &url, "--redis.name", "main", "--streams", "calm"]);
        let gauge = launch.args(&["--poll.interval", interval]).args(arguments).start();
        gauge.wait_ready();
        gauge
    }

    fn break_everything(&mut self, prometheus: &Prometheus) {
        let redis = &self.main;
        redis.run(&["SET plain text", "XGROUP CREATE crowded b 0", "XGROUP CREATE crowded c 0"]);
        // A group in the middle, where Redis does not know its lag.
        for ms in 1..=9 {
            redis.run(&[&format!("XADD payments {ms}-0 f v")]);
        }
        redis.run(&["XGROUP CREATE payments workers 4-0"]);
        redis.add("nobody", 1001);
        for (stream, count) in [("gone", 1), ("hanging", 20), ("held", 501), ("poison", 1)] {
            redis.add(stream, count);
            redis.run(&[&format!("XREADGROUP GROUP workers alice COUNT {count} STREAMS {stream} >")]);
        }
        redis.add("old", 1);
        redis.run(&["XTRIM gone MAXLEN 0"]);
        let poison: Vec<(String, Vec<String>)> = redis.ask(&["XRANGE", "poison", "-", "+"]);
        redis.run(&[&format!("XCLAIM poison workers alice 0 {} RETRYCOUNT 9 JUSTID", poison[0].0)]);
        redis.add("trimmed", 20);
        // What is lost before it was ever seen is no increase.
        let seen = r#"redis_stream_group_entries_lost_total{stream="trimmed"} == 0
            and redis_stream_group_lag{stream="trimmed"} == 20"#;
        prometheus.until(seen, 0.0);
        redis.run(&["XTRIM trimmed MAXLEN 5"]);
        self.other.kill();
        fs::write(self.config.path(), "redis: nowhere\n").unwrap();
    }

    fn mend_everything(&mut self) {
        self.main.run(&["DEL plain", "XGROUP DESTROY crowded b", "XGROUP DESTROY crowded c"]);
        for stream in STREAMS.iter().filter(|stream| **stream != "plain") {
            self.main.ask::<()>(&["EVAL", DONE, "1", stream]);
        }
        self.other.restart(&[]);
        fs::write(self.config.path(), configuration(&self.main, &self.other)).unwrap();
    }
}

fn configuration(main: &RedisServer, other: &RedisServer) -> String {
    let (main, other, streams) = (main.url(), other.url(), STREAMS.join(", "));
    format!(
        "redis:\n  - {{name: main, url: '{main}', streams: [{streams}], limits: {{groups_per_stream: 2}}}}\n  \
         - {{name: other, url: '{other}'}}\n"
    )
}

/// A consumer gets all done.
const DONE: &str = "
    for _, entry in ipairs(redis.call('XPENDING', KEYS[1], 'workers', '-', '+', 100000)) do
        redis.call('XACK', KEYS[1], 'workers', entry[1])
    end
    local read = redis.call('XREADGROUP', 'GROUP', 'workers', 'bob', 'COUNT', 100000, 'STREAMS', KEYS[1], '>')
    for _, entry in ipairs(read and read[1][2] or {}) do
        redis.call('XACK', KEYS[1], 'workers', entry[1])
    end";

/// `slow` gets more than its consumer can do; that of `hanging` is there, and does nothing.
const WORK: &str = "
    for _ = 1, 20 do redis.call('XADD', 'slow', '*', 'f', 'v') end
    local read = redis.call('XREADGROUP', 'GROUP', 'workers', 'alice', 'COUNT', 5, 'STREAMS', 'slow', '>')
    for _, entry in ipairs(read[1][2]) do redis.call('XACK', 'slow', 'workers', entry[1]) end
    for _, entry in ipairs(redis.call('XPENDING', 'hanging', 'workers', '-', '+', 1)) do
        redis.call('XCLAIM', 'hanging', 'workers', 'alice', 0, entry[1], 'JUSTID')
    end";

/// The alerts that fire, each with its labels.
fn firing(prometheus: &Prometheus) -> Result<Vec<Value>, String> {
    let alerts = prometheus.alerts()?;
    Ok(alerts.into_iter().filter(|alert| alert["state"] == "firing").collect())
}

fn name(alert: &Value) -> &str {
    text(&alert["labels"], "alertname")
}

/// Waits until each alert has fired, with the right label.
fn wait_for_all(scene: &Scene, prometheus: &Prometheus) {
    let rules = rules();
    // An alert on a metric that does not exist cannot fire: the tests of the rules tell that.
    let exists = |expr: &str| promql::problems(expr).iter().all(|problem| !problem.ends_with("is no metric"));
    let can_fire = rules.iter().filter(|rule| exists(text(rule, "expr")));
    let mut missing: BTreeMap<_, _> =
        can_fire.map(|rule| text(rule, "alert")).map(|alert| (alert, trouble(alert, scene))).collect();
    assert!(missing.len() > 15);
    wait::until("every alert to fire", || {
        for alert in firing(prometheus)? {
            let labels = &alert["labels"];
            missing.retain(|missing, (label, value)| name(&alert) != *missing || labels[*label] != **value);
            for text in alert["annotations"].as_object().unwrap().values() {
                let text = text.as_str().unwrap();
                assert!(!text.contains("error expanding") && !text.contains("no value"), "{alert}");
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("{missing:?} are missing; {}", scene.gauge.metrics().redis_lines()))
    });
}

#[test]
fn every_alert_fires_in_its_trouble_and_goes_away_once_it_is_mended() {
    needs!("redis-server", "prometheus");
    let mut scene = Scene::start();
    let seldom = scene.another(&scene.slow_to_poll, "1h", &[]);
    let shard = |place: usize, total: &str| {
        let arguments = ["--shard", &place.to_string(), "--total-shards", total];
        scene.another(&scene.shards[place], "100ms", &arguments)
    };
    let shards = [shard(0, "3"), shard(1, "2")];
    let [first, second] = &scene.shards;
    let targets = [&scene.instance, &scene.slow_to_poll, &scene.absent, first, second];
    let targets = targets.map(|it| it.parse().unwrap());
    let prometheus = Prometheus::alerting(&targets, &scaled());

    scene.break_everything(&prometheus);
    let client = scene.main.client().unwrap();
    let work_goes_on = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = client.get_connection().unwrap();
            while work_goes_on.load(Ordering::Relaxed) {
                redis::cmd("EVAL").arg(WORK).arg(0).exec(&mut connection).unwrap();
                thread::sleep(Duration::from_millis(50));
            }
        });
        let _ends = Ends(&work_goes_on);
        wait_for_all(&scene, &prometheus);
    });

    scene.mend_everything();
    drop((seldom, shards));
    let _often = scene.another(&scene.slow_to_poll, "100ms", &[]);
    let _present = scene.another(&scene.absent, "100ms", &[]);
    let _whole = scene.shards.each_ref().map(|address| scene.another(address, "100ms", &[]));
    wait::until("all alerts to be gone", || {
        let names: BTreeSet<_> = firing(&prometheus)?.iter().map(|alert| name(alert).to_owned()).collect();
        // What was lost is told for an hour, and no mend changes that.
        if names.iter().all(|name| name == "EntriesLost") { Ok(()) } else { Err(format!("{names:?}")) }
    });
}

/// Ends the work, also when the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
