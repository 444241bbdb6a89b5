//! One stream with one group, producers and consumers that work at every step of the clock, and the program that watches.

use std::collections::BTreeMap;

use redis::{Connection, Value, cmd};

use super::clock::Clock;
use crate::{
    servers::Version,
    support::{exporter::Streamgauge, redis::RedisServer, samples::Samples, wait},
};

/// Seconds from one step to the next.
pub const STEP: u64 = 15;

pub struct Scene {
    pub gauge: Streamgauge,
    clock: Clock,
    redis: RedisServer,
    /// Each state with the second at which it began.
    states: Vec<(u64, String)>,
}

/// Entries as a read returns them: ID and fields.
type Entries = Vec<(String, Value)>;

/// Who works on the stream `orders` for the group `workers`.
pub struct Hands(Connection);

impl Hands {
    pub fn add(&mut self, count: usize) {
        let mut pipeline = redis::pipe();
        (0..count).for_each(|number| _ = pipeline.cmd("XADD").arg("orders").arg("*").arg("n").arg(number));
        pipeline.exec(&mut self.0).unwrap();
    }

    /// Cuts the stream to so many entries.
    pub fn trim(&mut self, length: usize) {
        cmd("XTRIM").arg("orders").arg("MAXLEN").arg(length).exec(&mut self.0).unwrap();
    }

    /// Reads new entries. Returns their IDs.
    pub fn read(&mut self, consumer: &str, most: usize) -> Vec<String> {
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg("workers").arg(consumer).arg("COUNT").arg(most);
        let reply = command.arg("STREAMS").arg("orders").arg(">").query(&mut self.0).unwrap();
        let streams: Option<Vec<(String, Entries)>> = reply;
        let entries = streams.into_iter().flatten().flat_map(|(_, entries)| entries);
        entries.map(|(id, _)| id).collect()
    }

    pub fn acknowledge(&mut self, ids: &[String]) {
        if !ids.is_empty() {
            cmd("XACK").arg("orders").arg("workers").arg(ids).exec(&mut self.0).unwrap();
        }
    }

    /// Reads and acknowledges.
    pub fn work(&mut self, consumer: &str, most: usize) {
        let ids = self.read(consumer, most);
        self.acknowledge(&ids);
    }

    /// Says that it is still at work on these: no delivery.
    pub fn hold(&mut self, consumer: &str, ids: &[String]) {
        let mut command = cmd("XCLAIM");
        command.arg("orders").arg("workers").arg(consumer).arg(0).arg(ids).arg("JUSTID");
        command.exec(&mut self.0).unwrap();
    }

    /// Takes these over: they are delivered once more.
    pub fn claim(&mut self, consumer: &str, ids: &[String]) {
        let mut command = cmd("XCLAIM");
        command.arg("orders").arg("workers").arg(consumer).arg(0).arg(ids);
        command.exec(&mut self.0).unwrap();
    }
}

impl Scene {
    /// Nothing has happened yet.
    pub fn new(version: &Version) -> Scene {
        let redis = version.start();
        redis.run(&["XGROUP CREATE orders workers 0 MKSTREAM"]);
        let clock = Clock::before(&redis);
        clock.let_poll();
        // Polls wait for the test.
        let gauge = Streamgauge::of(&clock.url(), &["--redis.timeout", "10m"]);
        let mut scene = Scene { gauge, clock, redis, states: Vec::new() };
        scene.note();
        scene
    }

    /// After five healthy minutes: 300 entries come at every step, and are done by two consumers.
    pub fn healthy(version: &Version) -> Scene {
        let mut scene = Scene::new(version);
        scene.pass(300, |hands| {
            hands.add(300);
            hands.work("alice", 150);
            hands.work("bob", 150);
        });
        scene.expect(&[(0, "idle"), (STEP, "ok")]);
        scene.states.truncate(1);
        scene.states[0] = (300, "ok".into());
        scene
    }

    /// Lets that much time pass, with this work at every step, and looks at each of them.
    pub fn pass(&mut self, seconds: u64, mut work: impl FnMut(&mut Hands)) {
        let mut hands = self.hands();
        for _ in 0..seconds / STEP {
            self.clock.forward(STEP);
            work(&mut hands);
            self.look();
        }
    }

    /// Work at once.
    pub fn now<T>(&self, work: impl FnOnce(&mut Hands) -> T) -> T {
        let mut hands = self.hands();
        work(&mut hands)
    }

    fn hands(&self) -> Hands {
        Hands(self.redis.connection().unwrap())
    }

    /// Lets the program poll once.
    fn look(&mut self) {
        const ENDED: &str = "streamgauge_poll_last_success_timestamp_seconds";
        let before = self.metrics().value(ENDED);
        self.clock.let_poll();
        wait::until_true("the poll to end", || self.metrics().value(ENDED) > before);
        self.note();
    }

    fn note(&mut self) {
        let metrics = self.metrics();
        let state = metrics.all("redis_stream_group_state");
        assert_eq!(state.len(), 1, "{state:?}");
        let state = &state[0].labels["state"];
        if self.states.last().is_none_or(|(_, last)| last != state) {
            self.states.push((self.clock.seconds(), state.clone()));
        }
    }

    /// The states so far, each with the second at which it began: no others, at no other time.
    #[track_caller]
    pub fn expect(&self, expected: &[(u64, &str)]) {
        let states: Vec<_> = self.states.iter().map(|(at, state)| (*at, state.as_str())).collect();
        assert_eq!(states, expected, "{}", self.reason());
    }

    pub fn reason(&self) -> String {
        let groups = self.gauge.groups();
        groups["servers"][0]["streams"][0]["groups"][0]["state_reason"].as_str().unwrap().to_owned()
    }

    pub fn metrics(&self) -> Samples {
        self.gauge.metrics()
    }

    /// The consumers by activity, without those that are none.
    pub fn activity(&self) -> BTreeMap<String, f64> {
        let metrics = self.metrics();
        let samples = metrics.all("redis_stream_group_consumers_by_activity");
        assert_eq!(samples.len(), 4);
        let counts = samples.iter().map(|sample| (sample.labels["activity"].clone(), sample.value));
        counts.filter(|(_, count)| *count > 0.0).collect()
    }
}
