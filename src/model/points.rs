//! The points of one history, packed: what changes from one to the next takes few bytes, and that nothing does takes
//! six. What is packed comes back bit by bit, whatever the numbers are.
//!
//! The oldest and the latest point stand as they are. Of each one after the oldest, the latest too, there is a record: its
//! length, a byte that says what is different from the one before, the time since, and those differences. First come
//! those of the [`Outline`], which is all that most readers want.

use std::iter;

use super::packed::{self, unzigzag, zigzag};

/// One point of a history. Counts are since its beginning, but for those of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// Redis's clock, in microseconds.
    pub at: u64,
    /// Bounds of the backlog.
    pub backlog: (u64, u64),
    /// The same of the lowest one since the point before: those between are dropped, and must not be forgotten.
    pub low: (u64, u64),
    /// Entries ever added to the stream; 0 before Redis 7.0.
    pub added: u64,
    /// Entries delivered, while that was known.
    pub delivered: u64,
    /// Entries acknowledged, or dropped from those pending, while that was known.
    pub acknowledged: u64,
    /// How long it was known, in microseconds.
    pub known: u64,
    /// Entries that were removed from the stream before they were delivered, at least.
    pub lost: u64,
}

/// What a point says of the backlog, and of what was lost.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    /// As in [`Point`].
    pub at: u64,
    /// As in [`Point`].
    pub backlog: (u64, u64),
    /// As in [`Point`].
    pub low: (u64, u64),
    /// As in [`Point`].
    pub lost: u64,
}

/// The points of one history, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Points {
    first: Point,
    latest: Point,
    /// Records of all but the first.
    packed: Vec<u8>,
    /// Where the record of the latest begins.
    tail: usize,
    len: u32,
    /// So many of the latest, at least, have the same backlog, which is one number, and had no lower one before.
    level: u32,
}

/// Room that is made at a time, in bytes.
const ROOM: usize = 48;

impl Points {
    /// The oldest.
    #[must_use]
    pub fn first(&self) -> Option<&Point> {
        (self.len > 0).then_some(&self.first)
    }

    /// The latest.
    #[must_use]
    pub fn latest(&self) -> Option<&Point> {
        (self.len > 0).then_some(&self.latest)
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Point> {
        self.read(EVERYTHING).map(|numbers| point_of(&numbers))
    }

    /// The outlines of all of them, oldest first: that is much less to unpack.
    pub fn outlines(&self) -> impl Iterator<Item = Outline> {
        self.read(OUTLINE).map(|numbers| {
            let Point { at, backlog, low, lost, .. } = point_of(&numbers);
            Outline { at, backlog, low, lost }
        })
    }

    fn read(&self, wanted: u8) -> impl Iterator<Item = Numbers> {
        let (mut packed, mut numbers) = (&self.packed[..], numbers_of(&self.first));
        let first = (self.len > 0).then_some(numbers);
        let rest = iter::from_fn(move || {
            (!packed.is_empty()).then(|| {
                add(&mut numbers, &unpack(packed, wanted));
                packed = after(packed);
                numbers
            })
        });
        first.into_iter().chain(rest)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Microseconds from the oldest to the latest.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.latest.at.saturating_sub(self.first.at)
    }

    /// Whether the backlog was surely one and the same number all the time. Where it was, this may not tell yet.
    #[must_use]
    pub fn is_level(&self) -> bool {
        self.level >= self.len
    }

    /// Bytes that they occupy besides themselves.
    #[must_use]
    pub fn room(&self) -> usize {
        self.packed.capacity()
    }

    /// Adds one, in the place of the latest if that lies nearer than this to the one before it.
    pub fn push(&mut self, mut point: Point, spacing: u64) {
        if self.len == 0 {
            let level = is_plain(&point).into();
            *self = Points { first: point, latest: point, len: 1, level, ..Points::default() };
            return;
        }
        let goes_on = self.level > 0 && is_plain(&point) && point.backlog == self.latest.backlog;
        let mut before = numbers_of(&self.latest);
        let record = self.packed.get(self.tail..).unwrap_or_default();
        if self.len > 1 && time(record) < spacing {
            let differences = unpack(record, EVERYTHING);
            before.iter_mut().zip(differences).for_each(|(number, more)| *number = number.wrapping_sub(more));
            point.low = (point.low.0.min(self.latest.low.0), point.low.1.min(self.latest.low.1));
            self.packed.truncate(self.tail);
            self.len -= 1;
            self.level = self.level.saturating_sub(1);
        }
        self.level = if goes_on { self.level + 1 } else { is_plain(&point).into() };
        self.len += 1;
        self.latest = point;
        self.tail = self.packed.len();
        pack(&mut self.packed, &before, &numbers_of(&point));
    }

    /// Drops the oldest one as long as that after it, too, is not later than this.
    pub fn forget(&mut self, until: u64) {
        let mut packed = &self.packed[..];
        let mut first = None;
        while self.len > 1 {
            let numbers = first.get_or_insert_with(|| numbers_of(&self.first));
            if numbers[0].wrapping_add(time(packed)) > until {
                break;
            }
            add(numbers, &unpack(packed, EVERYTHING));
            packed = after(packed);
            self.len -= 1;
        }
        let gone = self.packed.len() - packed.len();
        if let Some(first) = first.filter(|_| gone > 0) {
            self.first = point_of(&first);
            self.packed.drain(..gone);
            self.tail = self.tail.saturating_sub(gone);
            self.level = self.level.min(self.len);
        }
    }
}

/// Whether the backlog is one number, and was not lower since the point before.
fn is_plain(point: &Point) -> bool {
    point.backlog.0 == point.backlog.1 && point.low == point.backlog
}

/// A point in numbers of which few change at a time, all of them modulo 2^64.
type Numbers = [u64; 10];

fn numbers_of(point: &Point) -> Numbers {
    [
        point.at,
        point.backlog.0,
        point.lost,
        point.backlog.1.wrapping_sub(point.backlog.0),
        point.backlog.0.wrapping_sub(point.low.0),
        point.backlog.1.wrapping_sub(point.low.1),
        point.added,
        point.delivered,
        point.acknowledged,
        point.known.wrapping_sub(point.at),
    ]
}

fn point_of(numbers: &Numbers) -> Point {
    let [at, lower, lost, width, above, above_upper, added, delivered, acknowledged, unknown] = *numbers;
    let upper = lower.wrapping_add(width);
    Point {
        at,
        backlog: (lower, upper),
        low: (lower.wrapping_sub(above), upper.wrapping_sub(above_upper)),
        added,
        delivered,
        acknowledged,
        known: unknown.wrapping_add(at),
        lost,
    }
}

fn add(numbers: &mut Numbers, differences: &Numbers) {
    numbers.iter_mut().zip(differences).for_each(|(number, more)| *number = number.wrapping_add(*more));
}

/// The bit that says that a number is different, by its place. That of the time always is; low marks are so together.
const BITS: [u8; 10] = [0, 1, 2, 4, 8, 8, 16, 32, 64, 128];

/// The bits of all numbers, and of those that make an outline.
const EVERYTHING: u8 = 255;
const OUTLINE: u8 = 15;

/// Adds the record of a point: what its numbers are more than those of the one before.
fn pack(packed: &mut Vec<u8>, before: &Numbers, numbers: &Numbers) {
    let mut differences = *numbers;
    differences.iter_mut().zip(before).for_each(|(number, before)| *number = number.wrapping_sub(*before));
    let bit = |(difference, bit): (&u64, &u8)| if *difference == 0 { 0 } else { *bit };
    let bits = differences.iter().zip(&BITS).map(bit).fold(0, |bits, bit| bits | bit);
    let mut record = Record { bytes: [0; LONGEST], len: HEAD };
    record.write(differences[0]);
    for (difference, bit) in differences.iter().zip(&BITS) {
        if bits & bit != 0 {
            record.write(zigzag(*difference));
        }
    }
    record.bytes[0] = record.len as u8;
    record.bytes[1] = bits;
    if packed.capacity() - packed.len() < record.len {
        packed.reserve_exact(record.len.max(ROOM));
    }
    packed.extend_from_slice(&record.bytes[..record.len]);
}

/// The differences that are wanted of the first record; others are 0.
#[inline]
fn unpack(packed: &[u8], wanted: u8) -> Numbers {
    let bits = packed.get(1).copied().unwrap_or(0) & wanted;
    let mut packed = packed.get(HEAD..).unwrap_or_default();
    let time = packed::take(&mut packed);
    let mut next = |bit: u8| if bits & bit == 0 { 0 } else { unzigzag(packed::take(&mut packed)) };
    [time, next(1), next(2), next(4), next(8), next(8), next(16), next(32), next(64), next(128)]
}

/// The time since the point before, by the first record.
fn time(packed: &[u8]) -> u64 {
    packed::take(&mut packed.get(HEAD..).unwrap_or_default())
}

/// What follows the first record.
fn after(packed: &[u8]) -> &[u8] {
    packed.first().and_then(|len| packed.get(usize::from(*len)..)).unwrap_or_default()
}

/// Bytes of a record before its numbers: its length, and what is different.
const HEAD: usize = 2;

/// Bytes of the longest record.
const LONGEST: usize = HEAD + 10 * packed::LONGEST;

struct Record {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Record {
    fn write(&mut self, number: u64) {
        let (bytes, len) = packed::pack(number);
        self.bytes[self.len..self.len + len].copy_from_slice(&bytes[..len]);
        self.len += len;
    }
}

#[cfg(test)]
#[path = "points_tests.rs"]
mod tests;
