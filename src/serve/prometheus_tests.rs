//! Golden expositions, what is left out of them, and which format is sent.

use axum::http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;

use super::*;
use crate::{
    catalogue::exporter::Exporter,
    model::{lag::Lag, name::Name},
    serve::test_support::{assert_golden, everything, exporter, group_of, of_streams, stream_of},
};

#[path = "prometheus_tests/cache.rs"]
mod cache;
#[path = "prometheus_tests/parts.rs"]
mod parts;
#[path = "prometheus_tests/reference.rs"]
mod reference;

fn read(pieces: Pieces) -> Vec<u8> {
    pieces.collect::<Vec<_>>().concat()
}

/// The whole text of a snapshot.
fn text_of(snapshot: &Snapshot, exporter: &Exporter, now: Instant, format: Format) -> String {
    let body = Body::new(snapshot, now, format, Coding::Identity).unwrap();
    let source = Source { snapshot, exporter, now };
    String::from_utf8(read(exposition(&source, &body, format, Coding::Identity).unwrap())).unwrap()
}

fn exposed(format: Format) -> String {
    let (snapshot, now) = everything();
    text_of(&snapshot, &exporter(), now, format)
}

#[test]
fn text_format() {
    assert_golden!("exposition-text", exposed(Format::Text));
}

#[test]
fn openmetrics() {
    assert_golden!("exposition-openmetrics", exposed(Format::OpenMetrics));
}

#[test]
fn every_row_of_the_catalogue_is_in_the_golden_files() {
    for format in [Format::Text, Format::OpenMetrics] {
        let text = exposed(format);
        for metric in CATALOGUE {
            let name = metric.name;
            let is_sample = |rest: &str| rest.starts_with(['{', ' ']) || rest.starts_with("_bucket{");
            assert!(
                text.lines().any(|line| line.strip_prefix(name).is_some_and(is_sample)),
                "{name} has no sample in {format:?}"
            );
            // Only the text format gives a counter's metadata its _total.
            let family = match format {
                Format::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
                Format::Text => name,
            };
            let kind = metric.kind.label();
            for line in [format!("# TYPE {family} {kind}\n"), format!("# HELP {family} {}\n", metric.help)] {
                assert_eq!(text.matches(&line).count(), 1, "{line} in {format:?}");
            }
        }
        let families = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
        assert_eq!(families, CATALOGUE.len(), "{format:?}");
    }
}

#[test]
fn units_are_told_in_openmetrics_only() {
    let units = |format| exposed(format).matches("# UNIT ").count();
    let with_unit = CATALOGUE.iter().filter(|metric| metric.unit.is_some()).count();
    assert_eq!(units(Format::OpenMetrics), with_unit);
    assert_eq!(units(Format::Text), 0);
    assert!(exposed(Format::OpenMetrics).ends_with("\n# EOF\n"));
    assert!(!exposed(Format::Text).contains("# EOF"));
}

#[test]
fn a_stale_server_has_no_series_but_its_own() {
    let text = exposed(Format::Text);
    let of_down: Vec<_> = text.lines().filter(|line| line.contains("redis=\"down\"")).collect();
    assert!(of_down.contains(&"redis_up{redis=\"down\"} 0"));
    for line in of_down {
        assert!(line.starts_with("redis_up{") || line.starts_with("streamgauge_"), "{line}");
    }
    assert!(!text.contains("of-yesterday"));
}

#[test]
fn what_is_not_known_has_no_sample() {
    let text = exposed(Format::Text);
    let samples = |part: &str| -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#') && line.contains(part)).collect()
    };
    assert_eq!(
        samples("stream=\"forbidden\""),
        ["redis_stream_up{redis=\"main\",db=\"db0\",stream=\"forbidden\"} 0"]
    );
    assert_eq!(
        samples("stream=\"missing\""),
        [
            "redis_stream_up{redis=\"main\",db=\"db0\",stream=\"missing\"} 1",
            "redis_stream_exists{redis=\"main\",db=\"db0\",stream=\"missing\"} 0",
        ]
    );
    assert!(!samples("group=\"unreadable\"").iter().any(|line| line.contains("oldest_pending")));
    assert!(
        !samples("group=\"billing\"")
            .iter()
            .any(|line| line.contains("entries_read") || line.contains("pending_age"))
    );
}

#[test]
fn nothing_measured_is_no_family_at_all() {
    let text = text_of(&Snapshot::default(), &Exporter::default(), Instant::now(), Format::Text);
    let types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(types, ["# TYPE streamgauge_build_info gauge"]);
}

/// The value of a label in a line, unescaped as Prometheus does it; and what follows the closing quote.
fn label<'a>(line: &'a str, name: &str) -> Option<(String, &'a str)> {
    let start = format!("{name}=\"");
    let mut rest = line[line.find(&start)? + start.len()..].chars();
    let mut value = String::new();
    loop {
        match rest.next()? {
            '"' => return Some((value, rest.as_str())),
            '\\' => value.push(match rest.next()? {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
}

proptest! {
    /// One line for a sample, whatever the name; and the name can be had back from the label.
    #[test]
    fn no_name_breaks_the_exposition(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\"\\\n\r{}=, #".to_vec())], 0..24)
    ) {
        let now = Instant::now();
        let name = Name::from(&bytes[..]);
        let stream = stream_of("s", vec![group_of(name.clone(), Lag::derived(1))]);
        for format in [Format::Text, Format::OpenMetrics] {
            let snapshot = of_streams(now, vec![stream.clone()]);
            let text = text_of(&snapshot, &Exporter::default(), now, format);
            let lines: Vec<_> = text
                .split('\n')
                .filter(|line| line.starts_with("redis_stream_group_lag{"))
                .collect();
            prop_assert_eq!(lines.len(), 1);
            prop_assert_eq!(label(lines[0], "group"), Some((name.text().to_owned(), "} 1")));
            for line in text.lines() {
                prop_assert!(
                    line.starts_with("redis_") || line.starts_with("streamgauge_") || line.starts_with("# "),
                    "{}", line
                );
            }
        }
    }
}

#[test]
fn sends_the_format_that_is_asked_for() {
    use Format::{OpenMetrics, Text};
    for (accept, expected) in [
        // Prometheus 2.42
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OpenMetrics,
        ),
        // Prometheus 2.49 and later, and with native histograms, for which it prefers protobuf
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OpenMetrics,
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OpenMetrics,
        ),
        // Prometheus 3
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OpenMetrics,
        ),
        // ... configured with scrape_protocols: [PrometheusText1.0.0, PrometheusText0.0.4]
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
            Text,
        ),
        // curl, and a browser
        ("*/*", Text),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", Text),
        // By weight, not by order
        ("application/openmetrics-text;version=1.0.0;q=0.2,text/plain;q=0.9", Text),
        ("text/plain;q=0.2, application/openmetrics-text; q=0.9", OpenMetrics),
        ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", OpenMetrics),
        // A version that is not known, a weight of 0 or none, nothing at all
        ("application/openmetrics-text;version=2.0.0,*/*;q=0.1", Text),
        ("application/openmetrics-text;q=0", Text),
        ("application/openmetrics-text;q=much", Text),
        ("application/json", Text),
        ("", Text),
    ] {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(Format::negotiate(&headers), expected, "{accept}");
    }
    assert_eq!(Format::negotiate(&HeaderMap::new()), Text);
    let mut two_headers = HeaderMap::new();
    for value in ["text/plain;q=0.5", "application/openmetrics-text"] {
        two_headers.append(header::ACCEPT, HeaderValue::from_static(value));
    }
    assert_eq!(Format::negotiate(&two_headers), OpenMetrics);
    let not_text = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_bytes(b"\xff").unwrap())]);
    assert_eq!(Format::negotiate(&not_text), Text);
}

#[test]
fn compresses_for_those_who_can_read_it() {
    use Coding::{Gzip, Identity};
    for (accept, expected) in [
        ("gzip", Gzip),
        // A browser, and Python's requests
        ("gzip, deflate, br, zstd", Gzip),
        ("GZIP", Gzip),
        ("x-gzip", Gzip),
        ("*", Gzip),
        ("gzip;q=0.001", Gzip),
        ("br;q=1.0, gzip; q=0.8, *;q=0.1", Gzip),
        ("gzip;q=0.5, identity;q=0.5", Gzip),
        ("gzip;q=0.5, identity", Identity),
        // A weight of 0, and what is not there
        ("gzip;q=0", Identity),
        ("gzip;q=0.000, *", Identity),
        ("gzip;q=0, identity;q=0", Identity),
        ("*;q=0", Identity),
        ("gzip;q=much", Identity),
        ("identity", Identity),
        ("br, deflate", Identity),
        ("", Identity),
    ] {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accept))]);
        assert_eq!(Coding::negotiate(&headers), expected, "{accept}");
    }
    assert_eq!(Coding::negotiate(&HeaderMap::new()), Identity);
}
