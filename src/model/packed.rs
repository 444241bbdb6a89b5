//! Numbers in few bytes: the smaller the number, the fewer. What is packed comes back bit by bit.
//!
//! A number of `n` bytes, the lowest first, begins with `n - 1` bits that are 0 and one that is 1; the other bits are the
//! number. One of more than 56 bits follows a byte that is 0, as it is.

/// Bytes of the longest number.
pub const LONGEST: usize = 9;

/// The bytes of a number: so many of these.
#[must_use]
pub fn pack(number: u64) -> ([u8; LONGEST], usize) {
    let mut bytes = [0; LONGEST];
    match (u64::BITS - number.leading_zeros()).max(1).div_ceil(7) {
        n @ ..=8 => {
            bytes[..8].copy_from_slice(&(number << n | 1 << (n - 1)).to_le_bytes());
            (bytes, n as usize)
        }
        _ => {
            bytes[1..].copy_from_slice(&number.to_le_bytes());
            (bytes, LONGEST)
        }
    }
}

/// Takes a number off what is packed; 0 where nothing is left.
#[inline]
pub fn take(packed: &mut &[u8]) -> u64 {
    if let Some(word) = packed.first_chunk() {
        let word = u64::from_le_bytes(*word);
        let len = word.trailing_zeros() + 1;
        if len <= 8 {
            *packed = packed.get(len as usize..).unwrap_or_default();
            return word << (u64::BITS - 8 * len) >> (u64::BITS - 7 * len);
        }
    }
    take_apart(packed)
}

/// The same of a number that is long, or near the end.
#[cold]
fn take_apart(packed: &mut &[u8]) -> u64 {
    let first = packed.first().copied().unwrap_or(0);
    let (skipped, len) = if first == 0 { (1, 8) } else { (0, first.trailing_zeros() + 1) };
    let bytes = packed.get(skipped..).unwrap_or_default();
    let mut word = [0; 8];
    word.iter_mut().zip(bytes).take(len as usize).for_each(|(byte, packed)| *byte = *packed);
    *packed = bytes.get(len as usize..).unwrap_or_default();
    u64::from_le_bytes(word) >> if first == 0 { 0 } else { len }
}

/// A difference as a number that is small where the difference is small, up or down.
#[must_use]
pub fn zigzag(difference: u64) -> u64 {
    difference << 1 ^ ((difference as i64) >> 63) as u64
}

/// The difference that became this.
#[must_use]
pub fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_length_has_its_numbers() {
        assert_eq!(pack(0).1, 1);
        for n in 1..=8 {
            assert_eq!((pack((1 << (7 * n)) - 1).1, pack(1 << (7 * n)).1), (n, n + 1));
        }
        assert_eq!(pack(u64::MAX).1, LONGEST);
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec((any::<u64>(), 0..64u32), 0..20)) {
            let numbers: Vec<_> = numbers.into_iter().map(|(number, shift)| number >> shift).collect();
            let mut bytes = Vec::new();
            for number in &numbers {
                let (packed, len) = pack(*number);
                bytes.extend_from_slice(&packed[..len]);
                prop_assert_eq!(unzigzag(zigzag(*number)), *number);
            }
            let mut packed = &bytes[..];
            for number in &numbers {
                prop_assert_eq!(take(&mut packed), *number);
            }
            prop_assert_eq!((packed.len(), take(&mut packed)), (0, 0));
        }
    }
}
