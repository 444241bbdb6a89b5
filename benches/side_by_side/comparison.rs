//! One workload, measured in turns: streamgauge polls, redis_exporter is scraped, the floor is run, and again.

use std::{fmt, path::Path, time::Duration};

use crate::{
    Result,
    apart::Apart,
    data::Data,
    floor::Floor,
    gauge::Gauge,
    measured::Memory,
    peer::Peer,
    proxy::Proxy,
    series::{Series, Shown, Unit},
    server::{Server, Told},
    table::Table,
};

/// What is measured, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// By which it is asked for.
    pub name: &'static str,
    pub title: &'static str,
    pub data: Data,
    pub round_trip: Duration,
    /// Whether Redis has a CPU of its own.
    pub is_apart: bool,
    /// Turns of streamgauge and of the floor.
    pub rounds: usize,
    /// Turns of redis_exporter among them; where there are none, it takes no part.
    pub peer_rounds: usize,
    /// Longer than a turn of streamgauge.
    pub interval: Duration,
}

/// What one of those who take part needs.
#[derive(Debug, Default)]
pub struct Party {
    pub time: Series,
    pub cpu: Series,
    /// Of a poll and of the first scrape after it.
    pub cpu_with_scrape: Series,
    pub redis_cpu: Series,
    pub commands: Series,
    pub calls: Series,
    pub block: Series,
    /// Most commands in one cycle of Redis's event loop.
    pub together: Series,
    /// Redis's CPU for so many.
    pub at_once: Series,
    pub memory: Option<Memory>,
    /// The same once it was scraped without gzip.
    pub memory_with_text: Option<Memory>,
}

/// Scrapes of streamgauge in one encoding.
#[derive(Debug, Default)]
pub struct Scrapes {
    pub time: Series,
    pub cpu: Series,
    pub bytes: Series,
    pub rate: Series,
}

/// What came of a workload.
#[derive(Debug)]
pub struct Comparison {
    pub workload: Workload,
    pub gauge: Party,
    pub peer: Party,
    pub floor: Party,
    pub ready: Duration,
    /// PING on the way that all of them go, where it is a long one.
    pub pings: Option<Series>,
    /// The first scrape of a snapshot in its encoding, and those after it, by encoding.
    pub scrapes: [[Scrapes; 2]; 2],
    /// Samples of streamgauge, and of redis_exporter.
    pub samples: [usize; 2],
}

/// Encodings, in the order in which each snapshot is scraped.
const ENCODINGS: [&str; 2] = ["gzip", "identity"];

/// Scrapes after the first one, of each snapshot and encoding.
const LATER: usize = 4;

/// Polls until the commands of one are those of the next.
const POLLS_TO_SETTLE: usize = 3;

/// The same where entries are large: so many polls it takes to have read the oldest of each group, within the budget.
const POLLS_TO_SETTLE_LARGE: usize = 10;

impl Comparison {
    pub fn run(workload: Workload, redis: &Path, exporter: &Path, directory: &Path) -> Result<Comparison> {
        let mut server = Server::start(redis, directory)?;
        let _apart = workload.is_apart.then(|| Apart::keep(&server.process)).transpose()?;
        workload.data.fill(server.connection())?;
        if workload.data.is_still {
            server.never_reset();
        }
        let floor =
            Floor::of(&recorded(&mut server, &workload, directory)?, directory.join("commands.resp"))?;
        let proxy = match workload.round_trip {
            Duration::ZERO => None,
            time => Some(Proxy::start(server.port, time)?),
        };
        let url = proxy.as_ref().map_or_else(|| server.url(), Proxy::url);
        let port = proxy.as_ref().map_or(server.port, |proxy| proxy.port);
        let mut gauge = Gauge::start(&url, workload.data.streams, workload.interval, directory, &[])?;
        gauge.settle()?;
        // The oldest entries that wait have been read by the time that is measured.
        for _ in (0..POLLS_TO_SETTLE_LARGE).filter(|_| workload.data.is_large()) {
            workload.data.go_on(server.connection(), 0)?;
            gauge.poll(&mut server, || ())?;
            gauge.pause()?;
        }
        let mut peer = match workload.peer_rounds {
            0 => None,
            _ => Some(Peer::start(exporter, &url, directory)?),
        };
        let mut run = Comparison {
            workload,
            gauge: Party::default(),
            peer: Party::default(),
            floor: Party::default(),
            ready: gauge.ready,
            pings: proxy.as_ref().map(Proxy::ping).transpose()?,
            scrapes: Default::default(),
            samples: [0, 0],
        };
        // The first turn of each warms up, and is not kept: allocators have grown, pages are there.
        for round in 0..=workload.rounds {
            let is_kept = round > 0;
            workload.data.go_on(server.connection(), round)?;
            run.turn_of_gauge(&mut gauge, &mut server, round)?;
            if let Some(peer) = peer.as_mut().filter(|_| round <= workload.peer_rounds) {
                workload.data.go_on(server.connection(), round)?;
                run.turn_of_peer(peer, &mut server, is_kept)?;
            }
            workload.data.go_on(server.connection(), round)?;
            let once = floor.run(&mut server, port)?;
            if is_kept {
                run.floor.time.push_time(once.time);
                run.floor.redis(once.redis_cpu, once.told);
            }
        }
        Ok(run)
    }

    fn turn_of_gauge(&mut self, gauge: &mut Gauge, server: &mut Server, round: usize) -> Result<()> {
        let poll = gauge.poll(server, || ())?;
        let mut scrapes = vec![poll.scrape];
        // Prometheus asks for gzip: the memory that the text takes is not part of what it takes to serve it.
        let rounds = self.workload.rounds;
        let has_all = round + (rounds / 3).max(1) > rounds;
        let encodings = if has_all { ENCODINGS.len() } else { 1 };
        for number in 1..encodings * (LATER + 1) {
            scrapes.push(gauge.scrape(ENCODINGS[number / (LATER + 1)])?);
        }
        gauge.pause()?;
        if round == 0 {
            return Ok(());
        }
        let party = &mut self.gauge;
        party.time.push_time(poll.time);
        party.cpu.push_time(poll.cpu);
        party.cpu_with_scrape.push_time(poll.cpu + scrapes[0].cpu);
        party.redis(poll.redis_cpu, poll.told);
        *if has_all { &mut party.memory_with_text } else { &mut party.memory } =
            Some(gauge.process.memory()?);
        self.samples[0] = poll.samples;
        for (number, scrape) in scrapes.into_iter().enumerate() {
            let kept = &mut self.scrapes[number / (LATER + 1)][usize::from(number % (LATER + 1) > 0)];
            kept.time.push_time(scrape.time);
            kept.cpu.push_time(scrape.cpu);
            kept.bytes.push(scrape.bytes as f64);
            kept.rate.push(scrape.bytes as f64 / scrape.time.as_secs_f64());
        }
        Ok(())
    }

    fn turn_of_peer(&mut self, peer: &mut Peer, server: &mut Server, is_kept: bool) -> Result<()> {
        let data = self.workload.data;
        let scrape = peer.scrape(server, data.streams * data.groups)?;
        if is_kept {
            let party = &mut self.peer;
            party.time.push_time(scrape.time);
            party.cpu.push_time(scrape.cpu);
            party.cpu_with_scrape.push_time(scrape.cpu);
            party.redis(scrape.redis_cpu, scrape.told);
            party.memory = Some(peer.process.memory()?);
            self.samples[1] = scrape.samples;
        }
        Ok(())
    }
}

impl Party {
    fn redis(&mut self, cpu: Duration, told: Told) {
        self.redis_cpu.push_time(cpu);
        self.commands.push_time(told.commands);
        self.calls.push(told.calls as f64);
        told.block.into_iter().for_each(|block| self.block.push_time(block));
        if let Some(together) = told.together {
            self.together.push(together as f64);
            self.at_once.push_time(cpu.mul_f64(together as f64 / told.executed.max(1) as f64));
        }
    }

    fn memory(&self, which: fn(Memory) -> u64) -> String {
        show_memory(self.memory, which)
    }
}

fn show_memory(memory: Option<Memory>, which: fn(Memory) -> u64) -> String {
    memory.map_or("-".into(), |memory| Shown(which(memory) as f64, Unit::Bytes).to_string())
}

/// What streamgauge sends in one poll, once it has come to know the streams as well as in the polls that are measured.
fn recorded(server: &mut Server, workload: &Workload, directory: &Path) -> Result<Vec<u8>> {
    let proxy = Proxy::start(server.port, Duration::ZERO)?;
    let mut gauge = Gauge::start(&proxy.url(), workload.data.streams, workload.interval, directory, &[])?;
    gauge.settle()?;
    let mut sent = Vec::new();
    for _ in 0..if workload.data.is_large() { POLLS_TO_SETTLE_LARGE } else { POLLS_TO_SETTLE } {
        workload.data.go_on(server.connection(), 0)?;
        gauge.poll(server, || sent = proxy.take_sent())?;
        gauge.pause()?;
    }
    Ok(sent)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { gauge, peer, floor, .. } = self;
        let turns = |party: &Party, name: &str| match party.time.len() {
            0 => name.to_owned(),
            1 => format!("{name}, 1 turn"),
            turns => format!("{name}, {turns} turns"),
        };
        let heads = [turns(gauge, "streamgauge"), turns(peer, "redis_exporter"), turns(floor, "floor")];
        let [ours, theirs, least] = heads.each_ref().map(String::as_str);
        let mut table = Table::new(&["", ours, theirs, least]);
        let mut row = |name: &str, unit: Unit, of: fn(&Party) -> &Series| {
            let cells = [gauge, peer, floor].map(|party| of(party).show(unit));
            table.row([name.to_owned()].into_iter().chain(cells));
        };
        row("time of a poll", Unit::Seconds, |party| &party.time);
        row("exporter's CPU, poll", Unit::Seconds, |party| &party.cpu);
        row("exporter's CPU, poll and scrape", Unit::Seconds, |party| &party.cpu_with_scrape);
        row("Redis's CPU, poll", Unit::Seconds, |party| &party.redis_cpu);
        row("of that, commands executed", Unit::Seconds, |party| &party.commands);
        row("commands", Unit::Count, |party| &party.calls);
        row("most commands in a cycle of Redis's event loop", Unit::Count, |party| &party.together);
        row("Redis's CPU for so many", Unit::Seconds, |party| &party.at_once);
        row("longest cycle, by the clock", Unit::Seconds, |party| &party.block);
        let mut memory = |name: &str, which: fn(Memory) -> u64| {
            table.row([name.to_owned(), gauge.memory(which), peer.memory(which), "-".into()]);
        };
        memory("resident memory", |memory| memory.now);
        memory("resident memory, peak", |memory| memory.peak);
        let with_text = show_memory(gauge.memory_with_text, |memory| memory.now);
        table.row([
            "resident memory, after scrapes without gzip".to_owned(),
            with_text,
            "-".into(),
            "-".into(),
        ]);
        let [ours, theirs] =
            self.samples.map(|samples| if samples == 0 { "-".into() } else { samples.to_string() });
        table.row(["samples".to_owned(), ours, theirs, "-".into()]);
        let ready = Shown(self.ready.as_secs_f64(), Unit::Seconds).to_string();
        table.row(["start to ready".to_owned(), ready, "-".into(), "-".into()]);
        if let Some(pings) = &self.pings {
            table.row([
                "PING, through the proxy".to_owned(),
                pings.show(Unit::Seconds),
                "-".into(),
                "-".into(),
            ]);
        }
        writeln!(f, "{table}")?;

        let mut table = Table::new(&["/metrics of streamgauge", "time", "CPU", "body", "rate"]);
        for (encoding, both) in ENCODINGS.iter().zip(&self.scrapes) {
            for (which, scrapes) in ["first", "later"].iter().zip(both) {
                table.row([
                    format!("{encoding}, {which}"),
                    scrapes.time.show(Unit::Seconds),
                    scrapes.cpu.show(Unit::Seconds),
                    Shown(scrapes.bytes.median(), Unit::Bytes).to_string(),
                    Shown(scrapes.rate.median(), Unit::BytesPerSecond).to_string(),
                ]);
            }
        }
        write!(f, "{table}")
    }
}
