//! The exposition as prometheus-client writes it: series by series, label by label.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
    time::Instant,
};

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet, text,
    },
    metrics::MetricType,
    registry::{Registry, Unit as ClientUnit},
};

use crate::{
    catalogue::{
        CATALOGUE, Kind, Metric, Read, Unit,
        exporter::{Distribution, Exporter},
        samples::{Sample, Source},
    },
    model::{
        consumers::Consumers,
        snapshot::{Poll, Snapshot},
    },
    serve::prometheus::Format,
};

/// The whole exposition.
pub fn exposition(snapshot: Arc<Snapshot>, exporter: Exporter, now: Instant, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families { snapshot, exporter, now }));
    let mut written = String::new();
    match format {
        Format::OpenMetrics => text::encode(&mut written, &registry).unwrap(),
        Format::Text => {
            text::encode_registry(&mut written, &registry).unwrap();
            written = text_format(&written);
        }
    }
    written
}

/// From OpenMetrics to text 0.0.4: a counter's metadata carry its `_total`, and there is no unit.
fn text_format(openmetrics: &str) -> String {
    let (mut text, mut help) = (String::new(), "");
    for line in openmetrics.split_inclusive('\n') {
        if line.starts_with("# HELP ") {
            // Its name depends on the type, which comes next.
            help = line;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.trim_end().split_once(' ').unwrap();
            let suffix = if kind == "counter" { "_total" } else { "" };
            let words = help.strip_prefix("# HELP ").and_then(|help| help.strip_prefix(name)).unwrap();
            writeln!(text, "# HELP {name}{suffix}{words}# TYPE {name}{suffix} {kind}").unwrap();
        } else if !line.starts_with("# ") {
            text.push_str(line);
        }
    }
    text
}

/// The catalogue as a collector.
#[derive(Debug)]
struct Families {
    snapshot: Arc<Snapshot>,
    exporter: Exporter,
    now: Instant,
}

/// Labels of a series, and its value.
type Series = (Vec<(&'static str, String)>, Value);

enum Value {
    Number(f64),
    Distribution(Distribution),
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in CATALOGUE {
            let series = self.series(metric);
            if !series.is_empty() {
                family(&mut encoder, metric, &series)?;
            }
        }
        Ok(())
    }
}

impl Families {
    fn series(&self, metric: &Metric) -> Vec<Series> {
        let mut all = Vec::new();
        let source = Source { snapshot: &self.snapshot, exporter: &self.exporter, now: self.now };
        metric.samples(&source, |labels, sample| {
            let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let value = match sample {
                Sample::Number(value) => Value::Number(value),
                Sample::Distribution(distribution) => Value::Distribution(distribution.clone()),
            };
            all.push((labels, value));
        });
        for server in &self.snapshot.servers {
            if let Some(poll) = server.fresh(self.now) {
                of_poll(&metric.read, &[("redis", server.name.to_string())], poll, &mut all);
            }
        }
        all
    }
}

fn of_poll(read: &Read, labels: &[(&'static str, String)], poll: &Poll, all: &mut Vec<Series>) {
    let mut add = |before: &[(&'static str, String)], more: &[(&'static str, &str)], value: Option<f64>| {
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        all.extend(value.map(|value| (before.iter().cloned().chain(more).collect(), Value::Number(value))));
    };
    for entry in &poll.streams {
        let view = &entry.view(poll.policy);
        let own = [("db", format!("db{}", entry.db)), ("stream", entry.name.text().to_owned())];
        let labels = [labels, &own].concat();
        match read {
            Read::Entry(read) => add(&labels, &[], read(entry)),
            Read::Stream(read) => add(&labels, &[], entry.stream().and_then(|stream| read(stream, view))),
            _ => {}
        }
        for group in entry.groups() {
            let labels = [&labels[..], &[("group", group.name.text().to_owned())]].concat();
            match read {
                Read::Group(read) => add(&labels, &[], read(group, view)),
                Read::GroupCounts(label, read) => {
                    for (word, count) in read(group).iter().flatten() {
                        add(&labels, &[(label, word)], Some(*count as f64));
                    }
                }
                Read::GroupState(label, read) => add(&labels, &[(label, read(group))], Some(1.0)),
                Read::Consumer(read) => {
                    for consumer in group.consumers.iter().flatten().flat_map(Consumers::iter) {
                        add(&labels, &[("consumer", consumer.name.text())], read(&consumer));
                    }
                }
                _ => {}
            }
        }
    }
}

fn family(encoder: &mut DescriptorEncoder<'_>, metric: &Metric, series: &[Series]) -> fmt::Result {
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
    for (labels, value) in series {
        if labels.is_empty() {
            encode(&mut family, metric.kind, value)?;
        } else {
            encode(&mut family.encode_family(&LabelSet(labels))?, metric.kind, value)?;
        }
    }
    Ok(())
}

fn encode(series: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    let value = match value {
        Value::Number(value) => *value,
        Value::Distribution(Distribution { buckets, sum }) => {
            let count = buckets.iter().map(|(_, count)| count).sum();
            return series.encode_histogram::<NoLabelSet>(*sum, count, buckets, None);
        }
    };
    let whole = (value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0).then_some(value as i64);
    match (kind, whole) {
        (Kind::Counter, Some(value)) => {
            series.encode_counter::<NoLabelSet, _, u64>(&value.unsigned_abs(), None)
        }
        (Kind::Counter, None) => series.encode_counter::<NoLabelSet, _, u64>(&value, None),
        (_, Some(value)) => series.encode_gauge(&value),
        (_, None) => series.encode_gauge(&value),
    }
}

struct LabelSet<'a>(&'a [(&'static str, String)]);

impl EncodeLabelSet for LabelSet<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let mut labels = self.0.iter();
        labels.try_for_each(|(name, value)| (*name, value.as_str()).encode(encoder.encode_label()))
    }
}
