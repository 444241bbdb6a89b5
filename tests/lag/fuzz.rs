//! Random histories: every answer is held against a brute-force count.

use std::{collections::BTreeMap, env, thread};

use streamgauge::model::lag::Lag;

use crate::{
    gauge::Gauge,
    history::{History, Random},
    servers::{Version, versions},
};

const STEPS: u64 = 400;

/// Histories for each server version.
fn seeds() -> u64 {
    env::var("STREAMGAUGE_TEST_SEEDS")
        .map_or(40, |text| text.parse().expect("STREAMGAUGE_TEST_SEEDS is a number"))
}

/// Share of groups with a budget whose oldest undelivered entry must be known, in percent: it is not where a budget has
/// gone into a long count, or where a stream turns out to be another one.
const LEAST_KNOWN: f64 = 98.0;

/// How often each kind of answer was given; `known` and `unknown` are about the oldest undelivered entry.
#[derive(Debug, Default)]
struct Rates(BTreeMap<&'static str, u64>);

impl Rates {
    fn add(&mut self, other: &Rates) {
        for (kind, count) in &other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }

    fn sum(&self, kinds: &[&str]) -> u64 {
        kinds.iter().filter_map(|kind| self.0.get(kind)).sum()
    }

    fn line(&self) -> String {
        let total = self.sum(&["derived", "counted", "reported", "bounded"]);
        let share = |kinds: &[&str]| 100.0 * self.sum(kinds) as f64 / total.max(1) as f64;
        format!(
            "{total} answers: exact {:.1} %, reported {:.1} %, bounded {:.1} %; oldest undelivered entry known {:.2} %",
            share(&["derived", "counted"]),
            share(&["reported"]),
            share(&["bounded"]),
            self.known()
        )
    }

    fn known(&self) -> f64 {
        100.0 * self.sum(&["known"]) as f64 / self.sum(&["known", "unknown"]) as f64
    }
}

#[test]
fn random_histories() {
    for version in versions() {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let version = version.clone();
                thread::spawn(move || histories(&version, (0..seeds()).filter(|seed| seed % 2 == half)))
            })
            .collect();
        let mut rates = Rates::default();
        halves.into_iter().for_each(|half| rates.add(&half.join().unwrap()));
        println!("{}: {} histories of {STEPS} steps, {}", version.name, seeds(), rates.line());
        assert!(rates.known() > LEAST_KNOWN, "{}: {rates:?}", version.name);
    }
}

fn histories(version: &Version, seeds: impl Iterator<Item = u64>) -> Rates {
    let server = version.start();
    let mut rates = Rates::default();
    for seed in seeds {
        let key = format!("fuzz:{seed}");
        let mut gauge = Gauge::new(server.connection().unwrap(), &key, 0);
        let mut history = History::new(server.connection().unwrap(), &key, seed, server.version() >= (6, 2));
        let mut moods = Random::new(!seed);
        for step in 0..STEPS {
            let replaced = history.step();
            if !replaced && moods.below(3) == 0 {
                continue;
            }
            let budget = [0, 1, 3, 5, 20, 100][moods.below(6) as usize];
            gauge.set_budget(budget);
            for reading in gauge.look() {
                reading.check(&format!("{} seed {seed} step {step}", version.name));
                *rates.0.entry(reading.lag.source()).or_default() += 1;
                if budget > 1 && reading.truth > 0 {
                    let known = if reading.oldest.id().is_some() { "known" } else { "unknown" };
                    *rates.0.entry(known).or_default() += 1;
                }
                // Zero is published only when it is proved, and always when it is true.
                let is_zero = matches!(reading.lag, Lag::Exact { entries: 0, .. });
                assert_eq!(
                    is_zero,
                    reading.truth == 0,
                    "{} seed {seed} step {step}: {reading:?}",
                    version.name
                );
            }
        }
    }
    rates
}

/// Two streams that are trimmed to the same length, written to in turns, and swapped at any time between two looks:
/// counters and ends fit by chance, the entries do not.
#[test]
fn swapped_streams() {
    for version in versions() {
        let server = version.start();
        let (mut forgotten, mut answers) = (0, 0);
        for seed in 0..20 {
            let mut connection = server.connection().unwrap();
            let mut random = Random::new(seed);
            let keys = [format!("swap:{seed}:a"), format!("swap:{seed}:b")];
            let mut gauges = keys.each_ref().map(|key| Gauge::new(server.connection().unwrap(), key, 20));
            let mut id = 0;
            let mut ask = |words: &[&str]| {
                let mut command = redis::Cmd::new();
                words.iter().for_each(|word| _ = command.arg(*word));
                command.exec(&mut connection).unwrap();
            };
            for key in &keys {
                for group in ["g1", "g2"] {
                    ask(&["XGROUP", "CREATE", key, group, "0", "MKSTREAM"]);
                }
            }
            for step in 0..150 {
                for _ in 0..random.below(60) {
                    id += 1;
                    let key = &keys[random.below(2) as usize];
                    ask(&["XADD", key, "MAXLEN", "200", &format!("{id}-0"), "f", "v"]);
                }
                for key in &keys {
                    for group in ["g1", "g2"] {
                        let count = (1 + random.below(20)).to_string();
                        ask(&[
                            "XREADGROUP",
                            "GROUP",
                            group,
                            "c",
                            "COUNT",
                            &count,
                            "NOACK",
                            "STREAMS",
                            key,
                            ">",
                        ]);
                    }
                }
                if random.below(10) == 0 {
                    ask(&["RENAME", &keys[0], "swap:x"]);
                    ask(&["RENAME", &keys[1], &keys[0]]);
                    ask(&["RENAME", "swap:x", &keys[1]]);
                }
                for gauge in &mut gauges {
                    for reading in gauge.look() {
                        reading.check(&format!("{} seed {seed} step {step}", version.name));
                        answers += 1;
                        forgotten += u64::from(matches!(reading.lag, Lag::Bounded { .. }));
                    }
                }
            }
        }
        println!("{}: {answers} answers about swapped streams, {forgotten} bounded", version.name);
    }
}
