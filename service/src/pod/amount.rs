//! Exact amounts of resources.
//!
//! Kubernetes adds quantities exactly and rounds up once, at the end. A float cannot: ten times 0.1 is not 1, and whether a pod
//! fits a node may hang on that. An [`Amount`] counts billionths, which is the smallest step of a quantity.

use crate::node::quantity::{self, scale};

/// Billionths in one.
const NANO: i128 = 1_000_000_000;

/// Billionths in a thousandth.
const NANOS_IN_MILLI: i128 = 1_000_000;

/// An amount of a resource, in billionths of its base unit: cores, bytes, pieces. Sums beyond what it holds stay at the bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount {
    nanos: i128,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self { nanos: 0 };

    /// Reads a quantity as Kubernetes does: what is finer than a billionth is rounded up.
    ///
    /// Exact for every amount of up to about 10^20 units. `None` if the text is not a quantity.
    pub fn parse(text: &str) -> Option<Self> {
        let number = quantity::number(text)?;
        let magnitude = magnitude(text.trim_start_matches(['+', '-']));
        let nanos = match magnitude {
            Some(magnitude) if text.starts_with('-') => -magnitude,
            Some(magnitude) => magnitude,
            // Too many digits for integers: a conversion of floats stays at the bounds.
            None => (number * NANO as f64).ceil() as i128,
        };
        Some(Self { nanos })
    }

    /// A whole number of units.
    pub const fn whole(units: i64) -> Self {
        Self { nanos: units as i128 * NANO }
    }

    /// The amount in billionths, exactly.
    pub const fn nanos(self) -> i128 {
        self.nanos
    }

    /// The amount in units, rounded up, as Kubernetes' `Quantity.Value`: what the scheduler counts memory and pieces in.
    pub fn units_rounded_up(self) -> i64 {
        rounded_up(self.nanos, NANO)
    }

    /// The amount in thousandths, rounded up, as Kubernetes' `Quantity.MilliValue`: what the scheduler counts CPU in.
    pub fn millis_rounded_up(self) -> i64 {
        rounded_up(self.nanos, NANOS_IN_MILLI)
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_add(other.nanos) }
    }
}

fn rounded_up(nanos: i128, step: i128) -> i64 {
    let up = i128::from(nanos.rem_euclid(step) != 0);
    let steps = nanos.div_euclid(step) + up;
    i64::try_from(steps).unwrap_or(if steps < 0 { i64::MIN } else { i64::MAX })
}

/// The billionths of a quantity without sign. None if an integer cannot hold what is on the way to them.
fn magnitude(unsigned: &str) -> Option<i128> {
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (mantissa, suffix) = unsigned.split_at(end);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("0{whole}{fraction}").parse::<i128>().ok()?;

    let (exponent, multiple) = scale(suffix)?;
    let digits = digits.checked_mul(multiple.into())?;
    // To billionths, and back over the digits of the fraction, which were read as if they were whole.
    let exponent = exponent.checked_add(9)?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let power = u32::try_from(exponent.unsigned_abs()).ok().and_then(|exponent| 10_i128.checked_pow(exponent));
    match power {
        Some(power) if exponent >= 0 => digits.checked_mul(power),
        Some(power) => Some(digits.div_euclid(power) + i128::from(digits.rem_euclid(power) != 0)),
        None if digits == 0 => Some(0),
        None if exponent >= 0 => None,
        // Not nothing, however little it is.
        None => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nanos(text: &str) -> i128 {
        Amount::parse(text).unwrap().nanos()
    }

    #[test]
    fn quantities_are_read_exactly() {
        let table = [
            ("0", 0),
            ("0.0", 0),
            (".5", 500_000_000),
            ("100m", 100_000_000),
            ("1n", 1),
            ("3u", 3_000),
            ("16Gi", (16 << 30) * NANO),
            ("1.1Ki", 1_126_400_000_000),
            ("0.025Ti", 27_487_790_694_400_000_000),
            ("12e6", 12_000_000 * NANO),
            ("1E-3", 1_000_000),
            ("9223372036854775807", i128::from(i64::MAX) * NANO),
            ("-2", -2 * NANO),
            ("+2.50", 2_500_000_000),
        ];
        for (text, expected) in table {
            assert_eq!(nanos(text), expected, "{text}");
        }
    }

    #[test]
    fn ten_tenths_are_one() {
        let sum = (0..10).fold(Amount::ZERO, |sum, _| sum.plus(Amount::parse("0.1").unwrap()));
        assert_eq!(sum, Amount::whole(1));
    }

    #[test]
    fn what_is_finer_than_a_billionth_is_rounded_up() {
        assert_eq!(nanos("0.1n"), 1);
        assert_eq!(nanos("1e-400"), 1);
        assert_eq!(nanos("0e-400"), 0);
        assert_eq!(nanos("1.0000000001"), NANO + 1);
    }

    #[test]
    fn the_scheduler_counts_in_thousandths_and_in_units_rounded_up() {
        let amount = Amount::parse("1.0001").unwrap();
        assert_eq!(amount.millis_rounded_up(), 1001);
        assert_eq!(amount.units_rounded_up(), 2);
        assert_eq!(Amount::parse("-1.5").unwrap().units_rounded_up(), -1);
    }

    #[test]
    fn too_much_stays_at_the_bound() {
        let huge = Amount::parse("1e300").unwrap();
        assert_eq!(huge.plus(huge).units_rounded_up(), i64::MAX);
        assert_eq!(Amount::parse("-1e300").unwrap().units_rounded_up(), i64::MIN);
    }

    #[test]
    fn other_texts_are_not_amounts() {
        for text in ["", "1Kb", "--1", "1e1.5", "NaN", "1 "] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9.+eEinumkKMGTP-]{0,60}") {
            Amount::parse(&text);
        }

        #[test]
        fn it_agrees_with_the_nearest_float(text in "[0-9]{1,9}(\\.[0-9]{1,6})?(m|Ki|Mi|Gi|k|M|G|e3|)") {
            let expected = quantity::number(&text).unwrap();
            let read = Amount::parse(&text).unwrap().nanos() as f64 / NANO as f64;
            prop_assert!((read - expected).abs() <= expected * 1e-12 + 1e-9, "{text}: {read} is not {expected}");
        }
    }
}
