//! One gzip member of parts that are compressed apart: not every client reads more than one member.
//!
//! Each part is a run of deflate blocks that refers to nothing outside of itself and ends at a byte; only the last one says
//! that it is the last. The checksum of the whole follows from those of the parts.

use flate2::{Compress, CompressError, Compression, Crc, FlushCompress};

/// Ten bytes that say: deflate, no name, no time, the fastest of methods, an unknown system.
pub(super) const HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// Room that is made at once for what comes out.
const STEP: usize = 16 * 1024;

/// A part that is being compressed.
pub(super) struct Deflater {
    compress: Compress,
    crc: Crc,
    out: Vec<u8>,
    result: Result<(), CompressError>,
}

/// A part that is compressed.
#[derive(Debug)]
pub(super) struct Deflated {
    pub(super) bytes: Vec<u8>,
    /// Checksum and length of the text.
    pub(super) crc: Crc,
}

impl Deflater {
    pub(super) fn new() -> Deflater {
        let compress = Compress::new(Compression::fast(), false);
        Deflater { compress, crc: Crc::new(), out: Vec::new(), result: Ok(()) }
    }

    /// Takes in more text.
    pub(super) fn write(&mut self, text: &[u8]) {
        self.crc.update(text);
        self.run(text, FlushCompress::None);
    }

    /// Ends a part, behind which others come. What is written next is another part.
    ///
    /// # Errors
    /// What was written could not be compressed.
    pub(super) fn end_part(&mut self) -> Result<Deflated, CompressError> {
        self.end(FlushCompress::Full)
    }

    /// Ends the last part.
    ///
    /// # Errors
    /// What was written could not be compressed.
    pub(super) fn end_last(mut self) -> Result<Deflated, CompressError> {
        self.end(FlushCompress::Finish)
    }

    fn end(&mut self, how: FlushCompress) -> Result<Deflated, CompressError> {
        self.run(&[], how);
        std::mem::replace(&mut self.result, Ok(()))?;
        Ok(Deflated { bytes: std::mem::take(&mut self.out), crc: std::mem::take(&mut self.crc) })
    }

    fn run(&mut self, text: &[u8], flush: FlushCompress) {
        let start = self.compress.total_in();
        // A call that ends for want of room may leave something over, and the next one may do no more than pass that on: all is
        // done once a call has begun with nothing left over, and has ended with room to spare.
        let mut had_room = true;
        while self.result.is_ok() {
            let taken = usize::try_from(self.compress.total_in() - start).unwrap_or(text.len());
            self.out.reserve(STEP);
            self.result = self.compress.compress_vec(&text[taken..], &mut self.out, flush).map(drop);
            let has_room = self.out.len() < self.out.capacity();
            if has_room && had_room {
                return;
            }
            had_room = has_room;
        }
    }
}

/// What comes behind the last part of a member.
pub(super) fn trailer(parts: [&Crc; 3]) -> [u8; 8] {
    let mut all = Crc::new();
    parts.into_iter().for_each(|part| all.combine(part));
    let [a, b, c, d] = all.sum().to_le_bytes();
    let [e, f, g, h] = all.amount().to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    /// Blocks end wherever they do: before the end of a part, at it, and while it is being ended.
    #[test]
    fn a_part_is_whole_wherever_its_blocks_end() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        let letters = std::iter::repeat_with(|| {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            b"0123456789abcdef"[(bits % 16) as usize]
        });
        let text: Vec<_> = letters.take(130_000).collect();
        for length in (40_000..text.len()).step_by(450) {
            let mut deflater = Deflater::new();
            deflater.write(&text[..length]);
            let part = deflater.end_part().unwrap();
            deflater.write(b"the end");
            let last = deflater.end_last().unwrap();
            let trailer = trailer([&Crc::new(), &part.crc, &last.crc]);
            let member = [HEADER, &part.bytes, &last.bytes, &trailer].concat();
            let mut read = Vec::new();
            let result = GzDecoder::new(&member[..]).read_to_end(&mut read);
            assert!(result.is_ok(), "{length} bytes: {result:?}");
            assert_eq!(read.len(), length + 7);
            assert!(read[..length] == text[..length] && read.ends_with(b"the end"));
            // On its own, what is before the last part is there in full, too.
            let mut raw = flate2::Decompress::new(false);
            let mut alone = Vec::with_capacity(length + 1);
            raw.decompress_vec(&part.bytes, &mut alone, flate2::FlushDecompress::Sync).unwrap();
            assert_eq!(alone.len(), length);
        }
    }
}
