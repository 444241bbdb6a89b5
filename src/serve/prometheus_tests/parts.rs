//! Expositions that are put together: against prometheus-client's own, and compressed against plain.

use std::{io::Read as _, sync::Arc, time::Duration};

use proptest::prelude::*;

use super::{super::*, exposed, read, reference};
use crate::{
    catalogue::exporter::Exporter,
    model::{
        lag::Lag,
        name::Name,
        snapshot::{Group, StreamEntry},
    },
    serve::test_support::{everything, exporter, group_of, of_streams, stream_of},
};

#[test]
fn the_text_is_that_of_prometheus_client() {
    let (snapshot, now) = everything();
    for format in [Format::Text, Format::OpenMetrics] {
        let expected = reference::exposition(snapshot.clone(), exporter(), now, format);
        assert_eq!(exposed(format), expected);
    }
}

#[test]
fn what_is_read_from_polls_stands_together() {
    let is_of_streams: Vec<_> = CATALOGUE.iter().map(Metric::is_of_streams).collect();
    assert_eq!(is_of_streams.chunk_by(|a, b| a == b).count(), 3, "head, body and tail");
}

/// All bytes of one member of gzip, decompressed; and that there is nothing behind it.
fn gunzipped(bytes: &[u8]) -> String {
    let mut decoder = flate2::bufread::GzDecoder::new(bytes);
    let mut text = String::new();
    decoder.read_to_string(&mut text).unwrap();
    assert!(decoder.into_inner().is_empty(), "there is more than one member");
    text
}

/// Streams whose text is of many pages.
fn many(streams: usize) -> Vec<StreamEntry> {
    let consumer = |number: usize| {
        let idle = Duration::from_millis(number as u64 * 13);
        (format!("consumer-{number}").as_str().into(), (number as u64 * 7, Some(idle), None))
    };
    let group = |number: usize| Group {
        consumers: Some(Ok((0..5).map(|other| consumer(number + other)).collect())),
        ..group_of(format!("group-{number}").as_str(), Lag::derived(number as u64))
    };
    let entry =
        |number| stream_of(format!("stream-{number:05}").as_str(), vec![group(number), group(number + 1)]);
    (0..streams).map(entry).collect()
}

#[test]
fn compressed_it_is_one_member_with_the_same_text() {
    let now = Instant::now();
    for streams in [0, 1, 500] {
        let snapshot = Arc::new(of_streams(now, many(streams)));
        for format in [Format::Text, Format::OpenMetrics] {
            let expected = reference::exposition(snapshot.clone(), exporter(), now, format);
            let plain = Body::new(&snapshot, now, format, Coding::Identity).unwrap();
            let source = Source { snapshot: &snapshot, exporter: &exporter(), now };
            let text = read(exposition(&source, &plain, format, Coding::Identity).unwrap());
            assert!(text == expected.as_bytes(), "{streams} streams in {format:?}");
            // Compressed while it is written, and afterwards.
            let direct = Body::new(&snapshot, now, format, Coding::Gzip).unwrap();
            for body in [direct, plain.gzip().unwrap()] {
                let whole = read(exposition(&source, &body, format, Coding::Gzip).unwrap());
                assert!(gunzipped(&whole) == expected, "{streams} streams in {format:?}");
                assert!(whole.len() < expected.len() / 2);
            }
        }
    }
}

#[test]
fn one_body_serves_several_scrapes() {
    let (now, snapshot) = (Instant::now(), of_streams(Instant::now(), many(3)));
    let body = Body::new(&snapshot, now, Format::Text, Coding::Gzip).unwrap();
    for version in ["1", "22", "333"] {
        let exporter = Exporter { version, ..Exporter::default() };
        let source = Source { snapshot: &snapshot, exporter: &exporter, now };
        let text = gunzipped(&read(exposition(&source, &body, Format::Text, Coding::Gzip).unwrap()));
        assert!(text.contains(&format!("streamgauge_build_info{{version=\"{version}\"}} 1\n")), "{text}");
        assert_eq!(text.matches("redis_stream_length{").count(), 3);
    }
}

fn number() -> impl Strategy<Value = f64> {
    let special =
        [0.0, -0.0, 1e15, 9_007_199_254_740_991.0, 9_007_199_254_740_992.0, 1e300, 5e-324, f64::INFINITY];
    prop_oneof![
        any::<f64>(),
        prop::sample::select(special.to_vec()),
        (0..1u64 << 53).prop_map(|whole| whole as f64)
    ]
}

proptest! {
    /// Whatever the names and numbers.
    #[test]
    fn the_text_is_that_of_prometheus_client_whatever_it_says(
        names in prop::collection::vec(prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"\"\\\n\r{}=, #".to_vec())], 0..24), 3),
        cpu in number(),
        buckets in prop::collection::vec((number(), 0..9u64), 0..4),
    ) {
        let now = Instant::now();
        let [stream, group, consumer] = [0, 1, 2].map(|place| Name::from(&names[place][..]));
        let consumers = [(consumer, (1, Some(Duration::from_millis(1500)), None))].into_iter().collect();
        let group = Group { consumers: Some(Ok(consumers)), ..group_of(group, Lag::derived(1)) };
        let snapshot = Arc::new(of_streams(now, vec![stream_of(stream, vec![group])]));
        let mut exporter = exporter();
        exporter.process.as_mut().unwrap().cpu_seconds = cpu.abs();
        exporter.process.as_mut().unwrap().start_time_seconds = Some(cpu);
        exporter.adapters.freshness[0].1.buckets = buckets;
        for format in [Format::Text, Format::OpenMetrics] {
            let expected = reference::exposition(snapshot.clone(), exporter.clone(), now, format);
            let body = Body::new(&snapshot, now, format, Coding::Identity).unwrap();
            let source = Source { snapshot: &snapshot, exporter: &exporter, now };
            let text = read(exposition(&source, &body, format, Coding::Identity).unwrap());
            prop_assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
