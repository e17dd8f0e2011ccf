//! The amounts of resources that Kubernetes writes as text: `3920m`, `16Gi`, `12e6`.
//!
//! The grammar is that of `k8s.io/apimachinery/pkg/api/resource.Quantity`. No text makes this room panic.

/// The amount that a quantity says, in the base unit of its resource: cores, bytes, pieces.
///
/// The number is the closest `f64` to the amount: whole numbers are exact up to 2^53. Kubernetes itself rounds amounts up
/// to whole billionths and caps those with a binary suffix at 2^63-1 when it stores them; this function does neither, so it
/// agrees with every text that Kubernetes hands out.
///
/// `None` if the text is not a quantity, or too large for an `f64`. A text without a digit is none by the grammar, although
/// Kubernetes' parser takes it for zero; what it hands out is then `0`.
pub fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (mantissa, suffix) = unsigned.split_at(end);
    let points = mantissa.matches('.').count();
    if points > 1 || mantissa.len() == points {
        return None;
    }

    let (exponent, multiple) = scale(suffix)?;

    // The decimal exponent goes through the parser of floating-point numbers, which rounds once and correctly: 100m times
    // 0.001 would not be 0.1. A power of two is exact either way.
    let magnitude = format!("{mantissa}e{exponent}").parse::<f64>().ok()? * multiple as f64;
    let amount = if text.starts_with('-') { -magnitude } else { magnitude };
    amount.is_finite().then_some(amount)
}

/// The power of ten and the multiple that a suffix stands for.
pub(crate) fn scale(suffix: &str) -> Option<(i64, i64)> {
    Some(match suffix {
        "Ki" => (0, 1 << 10),
        "Mi" => (0, 1 << 20),
        "Gi" => (0, 1 << 30),
        "Ti" => (0, 1 << 40),
        "Pi" => (0, 1 << 50),
        "Ei" => (0, 1 << 60),
        "n" => (-9, 1),
        "u" => (-6, 1),
        "m" => (-3, 1),
        "" => (0, 1),
        "k" => (3, 1),
        "M" => (6, 1),
        "G" => (9, 1),
        "T" => (12, 1),
        "P" => (15, 1),
        "E" => (18, 1),
        _ => (suffix.strip_prefix(['e', 'E'])?.parse().ok()?, 1),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_numbers(table: &[(&str, f64)]) {
        for &(text, amount) in table {
            assert_eq!(number(text), Some(amount), "{text}");
            assert_eq!(number(&format!("+{text}")), Some(amount), "+{text}");
            assert_eq!(number(&format!("-{text}")), Some(-amount), "-{text}");
        }
    }

    #[test]
    fn plain_numbers() {
        assert_numbers(&[("0", 0.0), ("1", 1.0), ("110", 110.0), ("0.5", 0.5), (".5", 0.5), ("5.", 5.0), ("007", 7.0)]);
    }

    #[test]
    fn binary_suffixes() {
        assert_numbers(&[
            ("0Ki", 0.0),
            ("8Ki", 8192.0),
            ("7Mi", 7_340_032.0),
            ("16Gi", 17_179_869_184.0),
            ("5Ti", 5_497_558_138_880.0),
            ("4Pi", 4_503_599_627_370_496.0),
            ("3Ei", 3_458_764_513_820_540_928.0),
            ("1.1Ki", 1126.4),
            ("0.5Mi", 524_288.0),
            ("0.025Ti", 27_487_790_694.4),
        ]);
    }

    #[test]
    fn decimal_suffixes() {
        assert_numbers(&[
            ("5n", 5e-9),
            ("4u", 4e-6),
            ("3920m", 3.92),
            ("100m", 0.1),
            ("8k", 8e3),
            ("7M", 7e6),
            ("6G", 6e9),
            ("5T", 5e12),
            ("2P", 2e15),
            ("1E", 1e18),
            ("100.035k", 100_035.0),
            ("0.0005k", 0.5),
            ("1.G", 1e9),
        ]);
    }

    #[test]
    fn decimal_exponents() {
        assert_numbers(&[
            ("12e6", 12e6),
            ("1E3", 1000.0),
            ("1E-3", 0.001),
            ("1.3E+6", 1_300_000.0),
            ("0.5e-1", 0.05),
            ("1e0", 1.0),
            ("1e-400", 0.0),
        ]);
    }

    #[test]
    fn whole_numbers_are_exact_up_to_two_to_the_53() {
        assert_eq!(number("9007199254740991"), Some(9_007_199_254_740_991.0));
        assert_eq!(number("9007199254740991000m"), Some(9_007_199_254_740_991.0));
    }

    #[test]
    fn other_texts_are_not_quantities() {
        let texts = [
            "", " ", " 1", "1 ", "+", "-", ".", "-.", "Ki", "m", "e3", "--1", "+-1", "1..5", "1.1.M", "1+1.0M",
            "0.1mi", "0.1am", "aoeu", ".5i", "1i", "-3.01i", "-3.01e-", "1e", "1e+", "1e1.5", "1e5k", "1ki", "1K",
            "1g", "1Kim", "0x10", "1_000", "1,000", "inf", "NaN", "١", "１", "1é",
        ];
        for text in texts {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn amounts_beyond_all_floating_point_numbers_are_refused() {
        for text in ["1e309", "-1e309", "1e99999999999999999999", "1e9223372036854775807"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            number(&text);
        }

        #[test]
        fn no_text_of_its_own_characters_makes_it_panic(text in "[0-9.+eEinumkKMGTP-]{0,30}") {
            let amount = number(&text);
            prop_assert!(amount.is_none_or(f64::is_finite));
        }

        #[test]
        fn a_printed_number_is_read_back(amount in proptest::num::f64::NORMAL) {
            prop_assert_eq!(number(&amount.to_string()), Some(amount));
        }
    }
}
