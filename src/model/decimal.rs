//! Numbers as Redis writes them: decimal digits. They are read from bytes, and millions of them in a poll of many streams,
//! where a check for UTF-8 takes longer than the number itself.

/// A number of 0 or more, without a sign; `None` of anything else, and of what does not fit.
#[must_use]
#[inline]
pub fn unsigned(digits: &[u8]) -> Option<u64> {
    (!digits.is_empty()).then_some(())?;
    // So many fit, whatever they are.
    let (safe, rest) = digits.split_at(digits.len().min(19));
    let mut number = 0_u64;
    for byte in safe {
        number = number * 10 + digit(*byte)?;
    }
    rest.iter().try_fold(number, |number, byte| number.checked_mul(10)?.checked_add(digit(*byte)?))
}

#[inline]
fn digit(byte: u8) -> Option<u64> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(u64::from(digit))
}

/// A number that may have a sign; `None` of anything else, and of what does not fit.
#[must_use]
#[inline]
pub fn signed(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => 0_i64.checked_sub_unsigned(unsigned(digits)?),
        [b'+', digits @ ..] | digits => i64::try_from(unsigned(digits)?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_digits_are_a_number() {
        for text in ["", "-", "+", " 1", "1 ", "1.0", "0x1", "--1", "+-1", "\u{661}"] {
            assert_eq!((unsigned(text.as_bytes()), signed(text.as_bytes())), (None, None), "{text}");
        }
        assert_eq!((unsigned(b"+1"), signed(b"+1")), (None, Some(1)));
        assert_eq!((unsigned(b"007"), signed(b"-0")), (Some(7), Some(0)));
    }

    #[test]
    fn what_does_not_fit_is_none() {
        for (text, expected) in [
            ("18446744073709551615", (Some(u64::MAX), None)),
            ("18446744073709551616", (None, None)),
            ("9223372036854775808", (Some(1 << 63), None)),
            ("-9223372036854775808", (None, Some(i64::MIN))),
            ("-9223372036854775809", (None, None)),
        ] {
            assert_eq!((unsigned(text.as_bytes()), signed(text.as_bytes())), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_the_standard_library_does(number: i64, text in "[+-]?[0-9]{0,21}") {
            prop_assert_eq!(signed(number.to_string().as_bytes()), Some(number));
            prop_assert_eq!(signed(text.as_bytes()), text.parse().ok());
        }
    }
}
