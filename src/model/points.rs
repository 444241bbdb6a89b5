//! The points of one history, packed: what changes from one to the next takes few bytes, and that nothing does takes
//! five. What is packed comes back bit by bit, whatever the numbers are.
//!
//! The oldest and the latest point stand as they are. Of each one after the oldest, the latest too, there is a record: the
//! time since the one before, a byte that says what else follows, and that as differences. Numbers are in base 128, the
//! lowest digits first.

use std::iter;

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
        let (mut packed, mut numbers) = (&self.packed[..], numbers_of(&self.first));
        let rest = iter::from_fn(move || {
            (!packed.is_empty()).then(|| {
                add(&mut numbers, &unpack(&mut packed));
                point_of(&numbers)
            })
        });
        self.first().copied().into_iter().chain(rest)
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
        if self.len > 1 && read(&mut { record }) < spacing {
            let differences = unpack(&mut { record });
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
            if numbers[0].wrapping_add(read(&mut { packed })) > until {
                break;
            }
            add(numbers, &unpack(&mut packed));
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
        point.added,
        point.delivered,
        point.acknowledged,
        point.known.wrapping_sub(point.at),
        point.lost,
        point.backlog.1.wrapping_sub(point.backlog.0),
        point.backlog.0.wrapping_sub(point.low.0),
        point.backlog.1.wrapping_sub(point.low.1),
    ]
}

fn point_of(numbers: &Numbers) -> Point {
    let [at, lower, added, delivered, acknowledged, unknown, lost, width, above, above_upper] = *numbers;
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

/// Adds the record of a point: what its numbers are more than those of the one before.
fn pack(packed: &mut Vec<u8>, before: &Numbers, numbers: &Numbers) {
    let difference = |place: usize| numbers[place].wrapping_sub(before[place]);
    let mut record = Record { bytes: [0; LONGEST], len: 0 };
    record.write(difference(0));
    let (place_of_bits, mut bits) = (record.len, 0);
    record.len += 1;
    for (place, bit) in ALONE {
        if difference(place) != 0 {
            bits |= bit;
            record.write(zigzag(difference(place)));
        }
    }
    if TOGETHER.iter().any(|place| difference(*place) != 0) {
        bits |= BIT_TOGETHER;
        TOGETHER.iter().for_each(|place| record.write(zigzag(difference(*place))));
    }
    record.bytes[place_of_bits] = bits;
    if packed.capacity() - packed.len() < record.len {
        packed.reserve_exact(record.len.max(ROOM));
    }
    packed.extend_from_slice(&record.bytes[..record.len]);
}

/// The differences of a record, which is taken off what is packed.
fn unpack(packed: &mut &[u8]) -> Numbers {
    let mut differences = Numbers::default();
    differences[0] = read(packed);
    let bits = packed.split_off_first().copied().unwrap_or(0);
    for (place, bit) in ALONE {
        if bits & bit != 0 {
            differences[place] = unzigzag(read(packed));
        }
    }
    if bits & BIT_TOGETHER != 0 {
        TOGETHER.iter().for_each(|place| differences[*place] = unzigzag(read(packed)));
    }
    differences
}

/// Numbers with a bit of their own, and those that share one: both follow where any of them changed.
const ALONE: [(usize, u8); 7] = [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 64)];
const TOGETHER: [usize; 2] = [8, 9];
const BIT_TOGETHER: u8 = 128;

/// Bytes of the longest number, and of the longest record.
const LONGEST_NUMBER: usize = 10;
const LONGEST: usize = 1 + 10 * LONGEST_NUMBER;

struct Record {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Record {
    fn write(&mut self, mut number: u64) {
        while number >= 128 {
            self.bytes[self.len] = number as u8 | 128;
            self.len += 1;
            number >>= 7;
        }
        self.bytes[self.len] = number as u8;
        self.len += 1;
    }
}

/// Takes a number off what is packed.
fn read(packed: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    while let Some(byte) = packed.split_off_first() {
        number |= u64::from(byte & 127) << shift;
        shift += 7;
        if *byte < 128 {
            break;
        }
    }
    number
}

/// A difference as a number that is small where the difference is small, up or down.
fn zigzag(difference: u64) -> u64 {
    difference << 1 ^ ((difference as i64) >> 63) as u64
}

fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
#[path = "points_tests.rs"]
mod tests;
