//! What is printed and written: the targets first, then what they follow from.

use std::fmt;

use crate::{
    comparison::{Comparison, Party},
    growth::{self, Growth},
    load::{self, Load},
    measured::Memory,
    prose,
    series::{Series, Shown, Unit},
    table::Table,
    targets::{
        Targets,
        Wanted::{AtLeast, AtMost},
    },
};

/// The document, as far as a run has come.
#[derive(Debug, Default)]
pub struct Document {
    pub machine: Vec<(&'static str, String)>,
    pub comparisons: Vec<Comparison>,
    /// Polls of 2,000 and of 20,000 streams in turns.
    pub growth: Option<Growth>,
    /// Scrapes of 80,000 series while polls go on.
    pub scrapes: Option<Load>,
    /// Requests of autoscalers about 20,000 streams.
    pub autoscalers: Option<Load>,
}

const HEAD: &str = "# Benchmarks

Written by `make bench`, whole: figures are never changed by hand.

";

impl Document {
    fn of(&self, name: &str) -> Option<&Comparison> {
        self.comparisons.iter().find(|comparison| comparison.workload.name == name)
    }

    /// What this run tells of the targets.
    pub fn targets(&self) -> Targets {
        let mut targets = Targets::default();
        let ratio = |one: &Series, other: &Series| one.median() / other.median();
        let memory = |party: &Party| party.memory.map_or(f64::NAN, |memory: Memory| memory.now as f64);
        let (usual, slow, many) = (self.of("2000"), self.of("1ms"), self.of("20000"));
        if let Some(run) = usual {
            let (ours, theirs) = (&run.gauge, &run.peer);
            let faster = "redis_exporter's scrape of 2,000 streams, against a poll";
            targets.push(faster, AtLeast(15.0), "×", ratio(&theirs.time, &ours.time));
        }
        if let Some(run) = slow {
            let faster = "the same with a round trip of 1 ms";
            targets.push(faster, AtLeast(150.0), "×", ratio(&run.peer.time, &run.gauge.time));
        }
        if let Some(run) = usual {
            let (ours, theirs) = (&run.gauge, &run.peer);
            targets.push("poll, against the floor", AtMost(1.5), "×", ratio(&ours.time, &run.floor.time));
            let cpu = ratio(&ours.cpu_with_scrape, &theirs.cpu_with_scrape);
            targets.push("CPU of a poll and a scrape, against redis_exporter", AtMost(0.1), "×", cpu);
            let resident = memory(ours) / memory(theirs);
            targets.push("resident memory, against redis_exporter", AtMost(0.25), "×", resident);
            let rate = run.scrapes[1][1].rate.median() / 1e9;
            targets.push("/metrics, later scrape of a snapshot", AtLeast(1.0), "GB/s", rate);
        }
        if let Some(load) = &self.scrapes {
            let late = load.scrapes.quantile(0.99) * 1e3;
            targets.push(
                "/metrics of 80,000 series while polls go on, later scrape, p99",
                AtMost(20.0),
                "ms",
                late,
            );
        }
        if let Some(load) = &self.autoscalers {
            let late = load.answers.quantile(0.99) * 1e3;
            targets.push("answer to an HPA, 20,000 streams, p99", AtMost(5.0), "ms", late);
        }
        if let Some(run) = usual {
            let block = run.gauge.at_once.median() * 1e3;
            targets.push(
                "2,000 streams: Redis's event loop, longest block by what was sent",
                AtMost(1.0),
                "ms",
                block,
            );
        }
        if let Some(growth) = &self.growth {
            let time = growth.times.median();
            targets.push("poll of 20,000 streams, against ten of 2,000", AtMost(1.1), "×", time);
        }
        if let (Some(few), Some(many)) = (usual, many) {
            let resident = memory(&many.gauge) / memory(&few.gauge) / 10.0;
            targets.push(
                "resident memory with 20,000 streams, against ten times that with 2,000",
                AtMost(1.1),
                "×",
                resident,
            );
        }
        for (name, figure) in [
            ("100kB-still", "poll of streams with payloads of 100 kB and nothing new, against 100 B"),
            ("100kB", "the same where each stream has a new entry"),
        ] {
            if let (Some(small), Some(large)) = (self.of("100B"), self.of(name)) {
                targets.push(figure, AtMost(2.0), "×", ratio(&large.gauge.time, &small.gauge.time));
            }
        }
        targets
    }

    /// What requests met while polls went on.
    pub fn loads(&self) -> Table {
        let seconds = |series: &Series, share: f64| Shown(series.quantile(share), Unit::Seconds).to_string();
        let mut table = Table::new(&["while polls go on", "p50", "p99", "most", "requests"]);
        let mut row = |name: String, series: &Series| {
            let [median, late, most] = [0.5, 0.99, 1.0].map(|share| seconds(series, share));
            table.row([name, median, late, most, series.len().to_string()]);
        };
        if let Some(load) = &self.scrapes {
            let (scraped, polled) = (load::SCRAPED_EVERY, load::POLLED_EVERY);
            let title =
                format!("scrape of 80,000 series without gzip every {scraped:?}, polled every {polled:?}");
            row(format!("first {title}"), &load.first_scrapes);
            row(format!("later {title}"), &load.scrapes);
        }
        if let Some(load) = &self.autoscalers {
            let (asked, polled) = (load::ASKED_PER_SECOND, load::INTERVAL);
            row(format!("answer to an HPA, 20,000 streams, {asked} requests a second"), &load.answers);
            row(
                format!("scrape of 20,000 streams meanwhile, with gzip, scraped and polled every {polled:?}"),
                &load.scrapes,
            );
        }
        table
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        let mut machine = Table::new(&["measured", ""]);
        self.machine.iter().for_each(|(what, value)| machine.row([(*what).to_owned(), value.clone()]));
        writeln!(f, "{machine}\n## Targets\n\n{}", self.targets())?;
        writeln!(f, "## How it is measured\n\n<!-- generated: benchmarks -->\n\n{}", prose::how().trim())?;
        writeln!(f, "\n<!-- end of generated -->\n")?;
        for comparison in &self.comparisons {
            writeln!(f, "## {}\n\n{comparison}", comparison.workload.title)?;
        }
        if let Some(growth) = &self.growth {
            writeln!(f, "## {}\n\n{growth}", growth::TITLE)?;
        }
        if self.scrapes.is_some() || self.autoscalers.is_some() {
            writeln!(f, "## Answers while polls go on\n\n{}", self.loads())?;
        }
        Ok(())
    }
}
