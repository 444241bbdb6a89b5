//! What was measured several times: its median, and how far it spreads.

use std::{fmt, time::Duration};

/// Measurements of one figure, in seconds, bytes or a count.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn push_time(&mut self, time: Duration) {
        self.push(time.as_secs_f64());
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value below which this share of the measurements is; NaN where there are none.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
        let place = share * last as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        if below == above { below } else { below + (above - below) * place.fract() }
    }

    /// Median and, where there are several, the least and the most.
    pub fn show(&self, unit: Unit) -> String {
        match self.0.len() {
            0 => "-".to_owned(),
            1 => Shown(self.0[0], unit).to_string(),
            _ => {
                let [least, median, most] = [0.0, 0.5, 1.0].map(|share| Shown(self.quantile(share), unit));
                format!("{median} ({least} to {most})")
            }
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    Seconds,
    Bytes,
    BytesPerSecond,
    Count,
    Ratio,
}

/// A value with its unit, to three digits.
pub struct Shown(pub f64, pub Unit);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.1 {
            Unit::Seconds if self.0 >= 1.0 => (self.0, " s"),
            Unit::Seconds if self.0 >= 1e-3 => (self.0 * 1e3, " ms"),
            Unit::Seconds => (self.0 * 1e6, " µs"),
            Unit::Bytes if self.0 >= 1e6 => (self.0 / 1e6, " MB"),
            Unit::Bytes => (self.0 / 1e3, " kB"),
            Unit::BytesPerSecond if self.0 >= 1e9 => (self.0 / 1e9, " GB/s"),
            Unit::BytesPerSecond => (self.0 / 1e6, " MB/s"),
            Unit::Count => return write!(f, "{:.0}", self.0),
            Unit::Ratio => (self.0, " ×"),
        };
        let digits = if value >= 100.0 {
            0
        } else if value >= 10.0 {
            1
        } else {
            2
        };
        write!(f, "{value:.digits$}{unit}")
    }
}
