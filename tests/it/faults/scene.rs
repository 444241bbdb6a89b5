//! The scene of the faults: a server with work that moves, proxies before it, an exporter with its adapter, and a watcher
//! that holds all that is published against the truth.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    kubernetes::{Adapter, EXTERNAL, USER},
    support::{
        exporter::Streamgauge,
        proxy::{End, Proxy},
        redis::RedisServer,
        samples::Samples,
        truth::{Ledger, now},
        wait,
        watch::{Watch, metrics_are_true},
    },
};

/// All that waits, as an autoscaler asks for it.
pub fn question() -> String {
    format!("{EXTERNAL}/shop/redis_stream_group_backlog")
}

/// Everything, in the middle of its work.
pub struct Scene {
    pub redis: RedisServer,
    /// One for each name under which the exporter has the server configured.
    pub proxies: Vec<Proxy>,
    pub adapter: Adapter,
    pub ledger: Arc<Ledger>,
    pub watch: Watch,
    pub random: Random,
}

/// The streams with their groups. Nobody reads for `late`, and `quiet` stays as it is.
const STREAMS: [(&str, &[&str]); 4] = [
    ("orders", &["audit", "workers"]),
    ("events:eu", &["workers"]),
    ("payments", &["late"]),
    ("quiet", &["q"]),
];

/// The runtime keeps threads for a while that stood in for others while these made a large answer.
const SPARE_THREADS: usize = 4;

/// Streams that change.
const MOVING: usize = 3;

impl Scene {
    /// With a server of these arguments, and an exporter with these settings of it, in YAML.
    #[track_caller]
    pub fn new(redis: &[&str], settings: &str) -> Scene {
        Scene::of(RedisServer::with(redis), 1, settings, &[])
    }

    /// With that many ways to the server, for as many faults at once.
    #[track_caller]
    pub fn of(redis: RedisServer, ways: usize, settings: &str, arguments: &[&str]) -> Scene {
        let ledger = Arc::new(Ledger::of(&redis));
        fill(&ledger);
        let proxies: Vec<_> = (0..ways).map(|_| Proxy::of(redis.address())).collect();
        let servers = proxies.iter().enumerate();
        let servers = servers
            .map(|(number, proxy)| format!("{{name: way{number}, url: '{}', {settings}}}", proxy.url()));
        // An estimate is true of nothing.
        let yaml = format!("redis: [{}]\nlag: {{bounded: absent}}", servers.collect::<Vec<_>>().join(", "));
        let adapter = Adapter::with_file(&yaml, arguments);
        let client = adapter.client.clone();
        let ask = Box::new(move || client.try_get(&question(), &[USER]));
        let watch = Watch::start(adapter.gauge.address, ledger.clone(), Some(ask));
        let scene = Scene { redis, proxies, adapter, ledger, watch, random: Random::new(1) };
        scene.right_within_two_polls();
        scene
    }

    /// The one way, or the first.
    pub fn proxy(&self) -> &Proxy {
        &self.proxies[0]
    }

    pub fn gauge(&self) -> &Streamgauge {
        &self.adapter.gauge
    }

    /// Some work: one stream changes.
    pub fn work(&self) {
        let (stream, groups) = STREAMS[self.random.below(MOVING)];
        let group = groups[self.random.below(groups.len())];
        let count = self.random.between(1, 4).to_string();
        let place = self.random.between(1, 30).to_string();
        let add = ["XADD", stream, "*", "n", &count];
        let read = ["XREADGROUP", "GROUP", group, "alice", "COUNT", &count, "STREAMS", stream, ">"];
        let (ack, delete) = (["ACK", stream, group, &count], ["DEL-AT", stream, &place]);
        let trim = ["XTRIM", stream, "MAXLEN", "100"];
        let destroy = ["XGROUP", "DESTROY", stream, group];
        let create = ["XGROUP", "CREATE", stream, group, "$"];
        let set = ["XGROUP", "SETID", stream, group, "0"];
        let what: &[&[&str]] = match self.random.below(32) {
            0..8 => &[&add],
            8..12 => &[&add, &add, &add],
            12..20 if group != "late" => &[&read],
            12..20 => &[&add],
            20..24 => &[&ack],
            24..27 => &[&delete],
            27..29 => &[&trim],
            29 => &[&destroy, &create],
            30 => &[&set],
            // Another stream takes the name.
            _ => return create_stream(&self.ledger, stream, groups),
        };
        self.ledger.step(stream, what);
    }

    /// Does something while work goes on.
    pub fn at_work<T>(&self, what: impl FnOnce() -> T) -> T {
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            // Also where the test fails: a scope waits for its threads.
            let _end = OnDrop(|| ended.store(true, Ordering::SeqCst));
            scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    self.work();
                    thread::sleep(Duration::from_millis(3));
                }
            });
            what()
        })
    }

    /// Errors so far, of each way: one for each poll that failed whole, as long as no stream fails. That something was
    /// deleted meanwhile is none.
    #[track_caller]
    pub fn errors(&self) -> Vec<usize> {
        self.errors_of(&self.gauge().metrics())
    }

    fn errors_of(&self, metrics: &Samples) -> Vec<usize> {
        let of_way = |way| metrics.all(&format!("streamgauge_poll_errors_total{{redis=\"way{way}\"}}"));
        let failed = |way| of_way(way).into_iter().filter(|sample| sample.labels["kind"] != "vanished");
        let errors = |way| failed(way).map(|sample| sample.value).sum::<f64>() as usize;
        (0..self.proxies.len()).map(errors).collect()
    }

    /// Waits until so many polls of the first way have failed from now on.
    #[track_caller]
    pub fn wait_failed(&self, polls: usize) {
        let before = self.errors()[0];
        wait::until("polls to fail", || {
            self.watch.is_right();
            let now = self.errors()[0] - before;
            if now >= polls { Ok(()) } else { Err(now.to_string()) }
        });
    }

    /// The fault is over: of the polls that end from now on one may fail, for it may have begun before. Then all numbers
    /// are there, and true.
    #[track_caller]
    pub fn right_within_two_polls(&self) -> Samples {
        let (since, before) = (now(), self.errors());
        let metrics = wait::until("a poll to succeed", || {
            self.watch.is_right();
            let began = Instant::now();
            let text = self.gauge().get("/metrics", &[]).text().to_owned();
            // Ten thousand streams are much to write and to read, and a poll needs the machine too.
            thread::sleep(began.elapsed());
            let is_own = |line: &&str| line.starts_with("streamgauge_") || line.starts_with("redis_up");
            let own = Samples::parse(&text.lines().filter(is_own).collect::<Vec<_>>().join("\n"));
            let ended = own.all("streamgauge_poll_last_success_timestamp_seconds");
            let is_later = ended.iter().filter(|sample| sample.value > since).count();
            let is_up = own.all("redis_up").iter().filter(|sample| sample.value == 1.0).count();
            if (is_later, is_up) == (self.proxies.len(), self.proxies.len()) {
                Ok(Samples::parse(&text))
            } else {
                Err(format!("{is_later} later, {is_up} up: {}", self.gauge().process.stderr.text()))
            }
        });
        for (way, (after, before)) in self.errors_of(&metrics).into_iter().zip(before).enumerate() {
            let log = self.gauge().process.stderr.text();
            assert!(after <= before + 1, "{} polls of way {way} have failed after it: {log}", after - before);
        }
        metrics_are_true(&self.ledger, &metrics).unwrap_or_else(|wrong| panic!("{wrong}"));
        let failing: Vec<_> =
            metrics.all("redis_stream_up").into_iter().filter(|sample| sample.value != 1.0).collect();
        assert!(failing.is_empty(), "{failing:?}");
        self.watch.is_right();
        metrics
    }

    /// What the adapter says.
    #[track_caller]
    pub fn ask(&self) -> u16 {
        self.adapter.get(&question()).status
    }

    /// What the exporter holds while nobody asks it anything.
    pub fn resources(&self) -> Resources {
        self.watch.quiet(|| self.count_resources())
    }

    fn count_resources(&self) -> Resources {
        let directory = format!("/proc/{}", self.gauge().process.id());
        let count = |what: &str| fs::read_dir(format!("{directory}/{what}")).unwrap().count();
        let memory_kib = self.gauge().memory_kib("VmRSS:");
        Resources { threads: count("task"), files: count("fd"), memory_kib }
    }

    /// All is over, and was right; one connection is left of each way, and nothing that was not there before.
    #[track_caller]
    pub fn end(self, before: Resources) {
        self.right_within_two_polls();
        self.watch.look();
        self.watch.quiet(|| {
            wait::until("what is left", || {
                let now = self.count_resources();
                let open: Vec<_> = self.proxies.iter().map(Proxy::open).collect();
                let clients: String = self.redis.ask(&["INFO", "clients"]);
                let clients = clients.lines().find_map(|line| line.strip_prefix("connected_clients:"));
                // Besides the exporter's: the ledger's, and that of this question.
                let expected = (self.proxies.len() + 2).to_string();
                let is_one = open.iter().all(|open| *open == 1) && clients == Some(&expected);
                if is_one && now.threads <= before.threads + SPARE_THREADS && now.files <= before.files {
                    Ok(())
                } else {
                    Err(format!("{now:?} after {before:?}, {open:?} connections, {clients:?} clients"))
                }
            });
        });
        self.watch.end();
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    pub threads: usize,
    pub files: usize,
    /// In RAM.
    pub memory_kib: u64,
}

/// The streams, each with a backlog, and most with something pending.
pub fn fill(ledger: &Ledger) {
    STREAMS.iter().for_each(|(stream, groups)| create_stream(ledger, stream, groups));
}

/// One of them, in the place of whatever has its name.
fn create_stream(ledger: &Ledger, stream: &str, groups: &[&str]) {
    let (delete, add) = (["DEL", stream], ["XADD", stream, "*", "n", "1"]);
    let create = |group| ["XGROUP", "CREATE", stream, group, "0", "MKSTREAM"];
    let create: Vec<_> = groups.iter().copied().map(create).collect();
    let read = ["XREADGROUP", "GROUP", groups[0], "alice", "COUNT", "4", "STREAMS", stream, ">"];
    let mut commands: Vec<&[&str]> = vec![&delete];
    commands.extend(create.iter().map(|create| &create[..]));
    commands.extend([&add[..]; 20]);
    if groups[0] != "late" {
        commands.push(&read);
    }
    ledger.step(stream, &commands);
}

/// Cuts of either sort, in turn.
pub fn cut(number: usize) -> End {
    if number.is_multiple_of(2) { End::Reset } else { End::Close }
}

/// Does something at the end of a block, however that ends.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Numbers that are the same in each run: what a test does with them, its timing decides.
pub struct Random(AtomicU64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(AtomicU64::new(seed))
    }

    /// Below that number.
    pub fn below(&self, most: usize) -> usize {
        // SplitMix64.
        let mut next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        next = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        next = (next ^ (next >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((next ^ (next >> 31)) % most as u64) as usize
    }

    /// From one number to another, both included.
    pub fn between(&self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }
}
