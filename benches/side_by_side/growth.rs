//! Polls of ten times as many streams, each between two of the fewer ones: from one minute to the next, the machine's speed
//! changes by more than what is looked for.

use std::{fmt, fs, path::Path, time::Duration};

use crate::{
    Result,
    data::Data,
    gauge::Gauge,
    series::{Series, Unit},
    server::Server,
    table::Table,
};

/// Its heading.
pub const TITLE: &str = "Growth with the number of streams";

/// Streams of the one server, and of the other.
const STREAMS: [usize; 2] = [2_000, 20_000];

/// Longer than a turn of each.
const INTERVALS: [Duration; 2] = [Duration::from_secs(6), Duration::from_secs(15)];

/// Turns of the many streams.
const ROUNDS: usize = 5;

/// Polls of few streams, and of many.
#[derive(Debug, Default)]
pub struct Growth {
    time: [Series; 2],
    cpu: [Series; 2],
    /// Of each turn: time for a stream of many, by that for a stream of few.
    pub times: Series,
    /// The same of the exporter's CPU.
    pub cpus: Series,
}

/// A server with its streams, and who polls it.
struct Side {
    data: Data,
    server: Server,
    gauge: Gauge,
}

impl Side {
    fn start(streams: usize, interval: Duration, redis: &Path, directory: &Path) -> Result<Side> {
        let directory = directory.join(streams.to_string());
        fs::create_dir(&directory)?;
        let data = Data::usual(streams);
        let mut server = Server::start(redis, &directory)?;
        data.fill(server.connection())?;
        let mut gauge = Gauge::start(&server.url(), streams, interval, &directory, &[])?;
        gauge.settle()?;
        Ok(Side { data, server, gauge })
    }

    /// Time and CPU of a poll.
    fn poll(&mut self, round: usize) -> Result<[Duration; 2]> {
        self.data.go_on(self.server.connection(), round)?;
        let poll = self.gauge.poll(&mut self.server, || ())?;
        self.gauge.pause()?;
        Ok([poll.time, poll.cpu])
    }
}

impl Growth {
    pub fn measure(redis: &Path, directory: &Path) -> Result<Growth> {
        let mut few = Side::start(STREAMS[0], INTERVALS[0], redis, directory)?;
        let mut many = Side::start(STREAMS[1], INTERVALS[1], redis, directory)?;
        let mut growth = Growth::default();
        // The first turns warm up.
        for round in 0..=ROUNDS {
            let [before, of_many, after] = [few.poll(round)?, many.poll(round)?, few.poll(round)?];
            if round > 0 {
                growth.take([before, after], of_many);
            }
        }
        Ok(growth)
    }

    fn take(&mut self, of_few: [[Duration; 2]; 2], of_many: [Duration; 2]) {
        let more = STREAMS[1] as f64 / STREAMS[0] as f64;
        let kept = [(&mut self.time, &mut self.times), (&mut self.cpu, &mut self.cpus)];
        for (which, ([few, many], ratios)) in kept.into_iter().enumerate() {
            of_few.iter().for_each(|poll| few.push_time(poll[which]));
            many.push_time(of_many[which]);
            let mean = of_few.iter().map(|poll| poll[which]).sum::<Duration>() / of_few.len() as u32;
            ratios.push(of_many[which].as_secs_f64() / (mean.as_secs_f64() * more));
        }
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["2,000 streams", "20,000 streams"];
        let mut table = Table::new(&["", heads[0], heads[1], "for each stream, by turns"]);
        for (name, [few, many], ratios) in
            [("time of a poll", &self.time, &self.times), ("exporter's CPU, poll", &self.cpu, &self.cpus)]
        {
            table.row([
                name.to_owned(),
                few.show(Unit::Seconds),
                many.show(Unit::Seconds),
                ratios.show(Unit::Ratio),
            ]);
        }
        write!(f, "{table}")
    }
}
