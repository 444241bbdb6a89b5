//! Numbers as Kubernetes writes them: `resource.Quantity`, without a suffix for whole numbers and in thousandths otherwise.

/// The largest quantity: Kubernetes counts in 64 bits.
const LARGEST: &str = "9223372036854775807";

/// A number that is not negative as a quantity: `950`, `12500m`. What is more than 0 stays more than 0.
#[must_use]
pub fn quantity(number: f64) -> String {
    // As a float, 2^63-1 is 2^63.
    if number >= i64::MAX as f64 {
        return LARGEST.to_owned();
    }
    let thousandths = (number.fract() * 1000.0).round();
    if thousandths == 0.0 && number > 0.0 && number < 1.0 {
        return "1m".to_owned();
    }
    match thousandths as i64 {
        0 => format!("{}", number.trunc() as i64),
        1000 => format!("{}", number.trunc() as i64 + 1),
        // A number with a fraction is below 2^53: its thousandths fit.
        thousandths => format!("{}m", number.trunc() as i64 * 1000 + thousandths),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_written_plainly() {
        for (number, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (950.0, "950"),
            (1000.0, "1000"),
            (12.5, "12500m"),
            (0.25, "250m"),
            (0.0004, "1m"),
            (0.9999, "1"),
            (1.0004, "1"),
            (7.0016, "7002m"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (1e18, "1000000000000000000"),
            (1e19, LARGEST),
            (f64::INFINITY, LARGEST),
        ] {
            assert_eq!(quantity(number), expected, "{number}");
        }
    }

    /// Thousandths, as `Quantity.MilliValue` counts them.
    fn milli(quantity: &str) -> i128 {
        match quantity.strip_suffix('m') {
            Some(milli) => milli.parse().unwrap(),
            None => quantity.parse::<i128>().unwrap() * 1000,
        }
    }

    proptest! {
        #[test]
        fn counts_are_exact(count in 0u64..1 << 53) {
            prop_assert_eq!(quantity(count as f64), count.to_string());
        }

        #[test]
        fn milliseconds_are_exact(ms in 0u64..1 << 43) {
            let written = quantity(ms as f64 / 1000.0);
            prop_assert_eq!(milli(&written), i128::from(ms));
            prop_assert!(!written.ends_with("000m"), "{}", written);
        }

        #[test]
        fn nothing_is_off_by_more_than_half_a_thousandth(number in 0.0f64..1e12) {
            let off = (milli(&quantity(number)) as f64 - number * 1000.0).abs();
            let allowed = if number < 0.001 { 1.0 } else { 0.5 + number * 1e-12 };
            prop_assert!(off <= allowed, "{}", off);
            prop_assert_eq!(quantity(number) == "0", number == 0.0);
        }
    }
}
