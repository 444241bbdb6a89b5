//! /metrics: the catalogue, read from the snapshot, in the format that the scraper asks for.
//!
//! prometheus-client writes OpenMetrics; the older text format 0.0.4 differs from it in the lines of metadata only.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
    time::Instant,
};

use axum::http::{HeaderMap, header};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::{Registry, Unit as ClientUnit},
};

use crate::{
    catalogue::{
        CATALOGUE, Kind, Metric, Unit,
        exporter::{Distribution, Exporter},
        samples::{Labels, Sample, Source},
    },
    model::snapshot::Snapshot,
};

/// A format of the exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4: what is sent unless the other is asked for.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header prefers; the first of those with the highest weight.
    #[must_use]
    pub fn negotiate(headers: &HeaderMap) -> Format {
        let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = accept.flat_map(|value| value.split(','));
        let mut best = (0.0, Format::Text);
        for range in ranges {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next() {
                Some("application/openmetrics-text") => Format::OpenMetrics,
                Some("text/plain" | "text/*" | "*/*") => Format::Text,
                _ => continue,
            };
            let (mut weight, mut known) = (1.0, true);
            for part in parts {
                match part.split_once('=').map(|(key, value)| (key.trim(), value.trim().trim_matches('"'))) {
                    Some(("q", value)) => weight = value.parse().unwrap_or(0.0),
                    Some(("version", version)) if format == Format::OpenMetrics => {
                        known = matches!(version, "1.0.0" | "0.0.1")
                    }
                    _ => {}
                }
            }
            if known && weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }

    /// The `Content-Type` of the format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The whole exposition. Nothing that is stale at `now` is in it.
///
/// # Errors
/// None in practice: writing to a string cannot fail.
pub fn exposition(
    snapshot: Arc<Snapshot>,
    exporter: Exporter,
    now: Instant,
    format: Format,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families { snapshot, exporter, now }));
    let mut text = String::new();
    match format {
        Format::OpenMetrics => prometheus_client::encoding::text::encode(&mut text, &registry)?,
        Format::Text => {
            prometheus_client::encoding::text::encode_registry(&mut text, &registry)?;
            text = text_format(&text)?;
        }
    }
    Ok(text)
}

/// From OpenMetrics to text 0.0.4: a counter's metadata carry its `_total`, and there is no unit.
fn text_format(openmetrics: &str) -> Result<String, fmt::Error> {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = "";
    for line in openmetrics.split_inclusive('\n') {
        if line.starts_with("# HELP ") {
            // Its name depends on the type, which comes next.
            help = line;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.trim_end().split_once(' ').unwrap_or((rest, ""));
            let suffix = if kind == "counter" { "_total" } else { "" };
            let words = help.strip_prefix("# HELP ").and_then(|help| help.strip_prefix(name)).unwrap_or("\n");
            writeln!(text, "# HELP {name}{suffix}{words}# TYPE {name}{suffix} {kind}")?;
        } else if !line.starts_with("# ") {
            text.push_str(line);
        }
    }
    Ok(text)
}

/// The catalogue as a collector of prometheus-client.
#[derive(Debug)]
struct Families {
    snapshot: Arc<Snapshot>,
    exporter: Exporter,
    now: Instant,
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let source = Source { snapshot: &self.snapshot, exporter: &self.exporter, now: self.now };
        CATALOGUE.iter().try_for_each(|metric| family(&mut encoder, metric, &source))
    }
}

/// One metric with all its series; nothing at all where it has none.
fn family(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    source: &Source<'_>,
) -> Result<(), fmt::Error> {
    struct Found;
    let is_empty = metric.samples(source, |_, _| Err(Found)).is_ok();
    if is_empty {
        return Ok(());
    }
    // prometheus-client appends unit and _total by itself.
    let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    let unit = metric.unit.map(|unit| match unit {
        Unit::Seconds => ClientUnit::Seconds,
        Unit::Bytes => ClientUnit::Bytes,
    });
    let suffix = metric.unit.map_or(0, |unit| unit.label().len() + 1);
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    let mut family =
        encoder.encode_descriptor(&name[..name.len() - suffix], metric.help, unit.as_ref(), kind)?;
    let has_labels = !metric.read.labels().is_empty();
    metric.samples(source, |labels, value| {
        if has_labels {
            encode(&mut family.encode_family(&LabelSet(labels))?, metric.kind, value)
        } else {
            encode(&mut family, metric.kind, value)
        }
    })
}

fn encode(series: &mut MetricEncoder<'_>, kind: Kind, sample: Sample<'_>) -> Result<(), fmt::Error> {
    let value = match sample {
        Sample::Number(value) => value,
        Sample::Distribution(Distribution { buckets, sum }) => {
            let count = buckets.iter().map(|(_, count)| count).sum();
            return series.encode_histogram::<NoLabelSet>(*sum, count, buckets, None);
        }
    };
    match (kind, whole(value)) {
        (Kind::Counter, Some(value)) => {
            series.encode_counter::<NoLabelSet, _, u64>(&value.unsigned_abs(), None)
        }
        (Kind::Counter, None) => series.encode_counter::<NoLabelSet, _, u64>(&value, None),
        (_, Some(value)) => series.encode_gauge(&value),
        (_, None) => series.encode_gauge(&value),
    }
}

/// A number without a fraction, so that counts and IDs read as such: 1732320000000, not 1.73232e12.
fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0).then_some(value as i64)
}

struct LabelSet<'a>(&'a Labels<'a>);

impl EncodeLabelSet for LabelSet<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        let labels = self.0;
        let mut put =
            |name: &str, value: &str| -> fmt::Result { (name, value).encode(encoder.encode_label()) };
        let names = [("stream", labels.stream), ("group", labels.group), ("consumer", labels.consumer)];
        if let Some(redis) = labels.redis {
            put("redis", redis)?;
        }
        if let Some(db) = labels.db {
            put("db", &format!("db{db}"))?;
        }
        for (label, name) in names {
            if let Some(name) = name {
                put(label, name.text())?;
            }
        }
        labels.extra.iter().try_for_each(|(name, value)| put(name, value))
    }
}

#[cfg(test)]
#[path = "prometheus_tests.rs"]
mod tests;
