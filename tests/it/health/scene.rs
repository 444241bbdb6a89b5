//! One stream with one group, producers and consumers that work at every step of the clock, and the program that watches.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

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
    /// What was published at each step; nothing where the program was not there.
    pub published: Vec<Option<Samples>>,
}

/// Entries as a read returns them: ID and fields.
type Entries = Vec<(String, Value)>;

/// Who works on a stream for a group: on `orders` for `workers`, if nothing else is said.
pub struct Hands<'a> {
    connection: &'a mut Connection,
    now: u64,
    stream: &'a str,
    group: &'a str,
}

impl Hands<'_> {
    /// Those who work on another one.
    pub fn on<'a>(&'a mut self, stream: &'a str, group: &'a str) -> Hands<'a> {
        Hands { connection: self.connection, now: self.now, stream, group }
    }

    /// A group from the first entry on.
    /// A consumer that leaves, as it should.
    pub fn leave(&mut self, consumer: &str) {
        let mut command = cmd("XGROUP");
        command.arg("DELCONSUMER").arg(self.stream).arg(self.group).arg(consumer);
        command.exec(self.connection).unwrap();
    }

    pub fn add(&mut self, count: usize) {
        // Redis would take the time of its own clock.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut pipeline = redis::pipe();
        for number in 0..count {
            let id = format!("{}-{}", self.now, NEXT.fetch_add(1, Ordering::Relaxed));
            pipeline.cmd("XADD").arg(self.stream).arg(id).arg("n").arg(number);
        }
        if count > 0 {
            pipeline.exec(self.connection).unwrap();
        }
    }

    /// Cuts the stream to so many entries.
    pub fn trim(&mut self, length: usize) {
        cmd("XTRIM").arg(self.stream).arg("MAXLEN").arg(length).exec(self.connection).unwrap();
    }

    /// Reads new entries. Returns their IDs.
    pub fn read(&mut self, consumer: &str, most: usize) -> Vec<String> {
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(self.group).arg(consumer).arg("COUNT").arg(most);
        let reply = command.arg("STREAMS").arg(self.stream).arg(">").query(self.connection).unwrap();
        let streams: Option<Vec<(String, Entries)>> = reply;
        let entries = streams.into_iter().flatten().flat_map(|(_, entries)| entries);
        entries.map(|(id, _)| id).collect()
    }

    pub fn acknowledge(&mut self, ids: &[String]) {
        if !ids.is_empty() {
            cmd("XACK").arg(self.stream).arg(self.group).arg(ids).exec(self.connection).unwrap();
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
        command.arg(self.stream).arg(self.group).arg(consumer).arg(0).arg(ids).arg("JUSTID");
        command.exec(self.connection).unwrap();
    }

    /// Takes these over: they are delivered once more.
    pub fn claim(&mut self, consumer: &str, ids: &[String]) {
        let mut command = cmd("XCLAIM");
        command.arg(self.stream).arg(self.group).arg(consumer).arg(0).arg(ids);
        command.exec(self.connection).unwrap();
    }
}

impl Scene {
    /// Nothing has happened yet.
    pub fn new(version: &Version) -> Scene {
        Scene::with(version, &[])
    }

    /// After these commands. All streams are there from the start: a poll that finds one measures once more, and would wait
    /// to be let.
    pub fn with(version: &Version, commands: &[&str]) -> Scene {
        let redis = version.start();
        redis.run(&["XGROUP CREATE orders workers 0 MKSTREAM"]);
        redis.run(commands);
        let clock = Clock::before(&redis);
        clock.let_poll();
        let gauge = gauge_of(&clock);
        let mut scene = Scene { gauge, clock, redis, states: Vec::new(), published: Vec::new() };
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
        let mut connection = self.redis.connection().unwrap();
        for _ in 0..seconds / STEP {
            self.clock.forward(STEP);
            work(&mut hands(&mut connection, &self.clock));
            self.look();
        }
    }

    /// The program is replaced by another one, and so long there is none, while the work goes on.
    pub fn without_gauge(&mut self, seconds: u64, mut work: impl FnMut(&mut Hands)) {
        self.gauge.process.kill();
        let mut connection = self.redis.connection().unwrap();
        for _ in 0..seconds / STEP {
            self.clock.forward(STEP);
            work(&mut hands(&mut connection, &self.clock));
            self.published.push(None);
        }
        self.clock = self.clock.again(&self.redis);
        self.clock.let_poll();
        self.gauge = gauge_of(&self.clock);
    }

    /// Work at once.
    pub fn now<T>(&self, work: impl FnOnce(&mut Hands) -> T) -> T {
        work(&mut hands(&mut self.redis.connection().unwrap(), &self.clock))
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> u64 {
        self.clock.seconds()
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
        let state = metrics.all(r#"redis_stream_group_state{stream="orders",group="workers"}"#);
        assert_eq!(state.len(), 1, "{state:?}");
        let state = &state[0].labels["state"];
        if self.states.last().is_none_or(|(_, last)| last != state) {
            self.states.push((self.clock.seconds(), state.clone()));
        }
        self.published.push(Some(metrics));
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

/// Polls wait for the test.
fn gauge_of(clock: &Clock) -> Streamgauge {
    Streamgauge::of(&clock.url(), &["--redis.timeout", "10m"])
}

fn hands<'a>(connection: &'a mut Connection, clock: &Clock) -> Hands<'a> {
    Hands { connection, now: clock.id_ms(), stream: "orders", group: "workers" }
}
