//! What the project wants of itself, as ratios and limits within one run, and what came of it.

use std::fmt;

use crate::table::Table;

/// One target.
#[derive(Debug)]
pub struct Target {
    figure: &'static str,
    wanted: Wanted,
    unit: &'static str,
    measured: f64,
}

/// What is wanted of a figure.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

/// The targets that this run can tell of.
#[derive(Debug, Default)]
pub struct Targets(Vec<Target>);

impl Targets {
    pub fn push(&mut self, figure: &'static str, wanted: Wanted, unit: &'static str, measured: f64) {
        self.0.push(Target { figure, wanted, unit, measured });
    }
}

impl Target {
    fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(limit) => self.measured >= limit,
            Wanted::AtMost(limit) => self.measured <= limit,
        }
    }

    /// To three digits, and more where these would look as if the target were met, or just so.
    fn digits(&self) -> String {
        let (Wanted::AtLeast(limit) | Wanted::AtMost(limit)) = self.wanted;
        let three = match self.measured {
            100.0.. => 0,
            10.0.. => 1,
            _ => 2,
        };
        let written = |digits: usize| format!("{:.digits$}", self.measured);
        (three..=6).map(written).find(|text| text.parse() != Ok(limit)).unwrap_or_else(|| written(three))
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["figure", "target", "measured", ""]);
        for target in &self.0 {
            let (sign, limit) = match target.wanted {
                Wanted::AtLeast(limit) => ('≥', limit),
                Wanted::AtMost(limit) => ('≤', limit),
            };
            let unit = target.unit;
            table.row([
                target.figure.to_owned(),
                format!("{sign} {limit} {unit}"),
                format!("{} {unit}", target.digits()),
                (if target.is_met() { "met" } else { "not met" }).to_owned(),
            ]);
        }
        write!(f, "{table}")
    }
}
