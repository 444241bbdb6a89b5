//! /metrics: the catalogue, read from the snapshot, in the format and the coding that the scraper asks for.
//!
//! ```text
//! head: servers ─────────────────── written at each scrape ──┐
//! body: streams, groups, consumers ─ once for the same polls ─┼─► one text, or one member of gzip
//! tail: the process ─────────────── written at each scrape ──┘
//! ```
//!
//! What depends on the moment is in head and tail. The body follows from polls alone, and from which of them are fresh.

use std::time::Instant;

use axum::body::Bytes;
use flate2::{CompressError, Crc};

use crate::{
    catalogue::{CATALOGUE, Metric, samples::Source},
    model::snapshot::Snapshot,
};

mod answer;
mod cache;
mod format;
mod gzip;
mod rows;
mod text;

pub use answer::Pieces;
pub use cache::{Expositions, follow};
pub use format::{Coding, Format};

use gzip::Deflater;
use rows::Rows;
use text::Pages;

/// The part of an exposition that is of streams, groups and consumers.
#[derive(Debug)]
pub struct Body {
    pieces: Vec<Bytes>,
    /// Of the text, where it is compressed.
    crc: Crc,
}

impl Body {
    /// Written from what is fresh at `now`.
    ///
    /// # Errors
    /// It could not be compressed.
    pub fn new(
        snapshot: &Snapshot,
        now: Instant,
        format: Format,
        coding: Coding,
    ) -> Result<Body, CompressError> {
        let write = |sink: &mut dyn FnMut(&str)| {
            let mut pages = Pages::new(format, sink);
            Rows::of(snapshot, now).write(&mut pages);
            pages.finish();
        };
        match coding {
            Coding::Identity => {
                let mut pieces = Vec::new();
                write(&mut |page| pieces.push(Bytes::copy_from_slice(page.as_bytes())));
                Ok(Body { pieces, crc: Crc::new() })
            }
            Coding::Gzip => {
                let mut deflater = Deflater::new();
                write(&mut |page| deflater.write(page.as_bytes()));
                Body::compressed(deflater)
            }
        }
    }

    /// The same, compressed.
    fn gzip(&self) -> Result<Body, CompressError> {
        let mut deflater = Deflater::new();
        self.pieces.iter().for_each(|piece| deflater.write(piece));
        Body::compressed(deflater)
    }

    fn compressed(mut deflater: Deflater) -> Result<Body, CompressError> {
        let gzip::Deflated { bytes, crc } = deflater.end_part()?;
        Ok(Body { pieces: vec![Bytes::from(bytes.into_boxed_slice())], crc })
    }
}

/// The whole exposition, with this body. Of servers, nothing is in it that is stale at `now`.
///
/// # Errors
/// It could not be compressed.
pub fn exposition(
    source: &Source<'_>,
    body: &Body,
    format: Format,
    coding: Coding,
) -> Result<Pieces, CompressError> {
    let is_of_body = |metric: &&Metric| metric.is_of_streams();
    let first = CATALOGUE.iter().position(|metric| is_of_body(&metric)).unwrap_or(CATALOGUE.len());
    let (head, tail) = CATALOGUE.split_at(first);
    let write = |metrics: &[Metric], end: Option<&str>, sink: &mut dyn FnMut(&str)| {
        let mut pages = Pages::new(format, sink);
        for metric in metrics {
            let mut family = pages.family(metric);
            metric.samples(source, |labels, sample| family.sample(labels, sample));
        }
        end.into_iter().for_each(|line| pages.line(line));
        pages.finish();
    };
    let end = (format == Format::OpenMetrics).then_some("# EOF");
    let [mut before, mut after] = [Vec::new(), Vec::new()];
    match coding {
        Coding::Identity => {
            write(head, None, &mut |page| before.extend_from_slice(page.as_bytes()));
            write(tail, end, &mut |page| after.extend_from_slice(page.as_bytes()));
        }
        Coding::Gzip => {
            let mut deflater = Deflater::new();
            write(head, None, &mut |page| deflater.write(page.as_bytes()));
            let head = deflater.end_part()?;
            write(tail, end, &mut |page| deflater.write(page.as_bytes()));
            let tail = deflater.end_last()?;
            before = [gzip::HEADER, &head.bytes].concat();
            after = [&tail.bytes[..], &gzip::trailer([&head.crc, &body.crc, &tail.crc])].concat();
        }
    }
    let pieces = [Bytes::from(before)].into_iter().chain(body.pieces.iter().cloned());
    Ok(Pieces::from_iter(pieces.chain([Bytes::from(after)])))
}

#[cfg(test)]
#[path = "prometheus_tests.rs"]
mod tests;
