//! Durations in a stored policy: `90`, `"90"`, `"1h30m"`, `"1.5s"`.
//!
//! Read as seconds or as Go writes durations, since that is what `kubectl drain --timeout` takes; written in seconds (`90s`,
//! `1.5s`), which Go and protobuf's JSON read as well. A duration has one written form, so equal policies are written equally.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

/// The units of Go's durations, in nanoseconds.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

const NANOS_IN_SECOND: u128 = 1_000_000_000;

/// Reads seconds (`90`) or a duration as Go writes it (`1h30m`).
///
/// # Errors
/// What is wrong with the text. Negative durations are refused: nothing here lasts less than nothing.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 90, 90s or 1h30m");
    if text.is_empty() {
        return Err(wrong());
    }
    if let Ok(seconds) = text.parse::<u64>() {
        return if text.starts_with('+') { Err(wrong()) } else { Ok(Duration::from_secs(seconds)) };
    }

    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        nanos = amount(number, *unit).and_then(|amount| nanos.checked_add(amount)).ok_or_else(wrong)?;
        rest = next;
    }
    let seconds = u64::try_from(nanos / NANOS_IN_SECOND).map_err(|_| wrong())?;
    Ok(Duration::new(seconds, u32::try_from(nanos % NANOS_IN_SECOND).map_err(|_| wrong())?))
}

/// The nanoseconds of so many units. What is finer is cut off, as Go does.
fn amount(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // A fraction of an hour has at most 13 digits that make a nanosecond.
    let fraction = fraction.get(..fraction.len().min(18))?;
    let parts = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u128>().ok()? };
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(parts.checked_mul(unit)? / scale)
}

/// Writes the one form that a duration has.
pub(super) fn to_text(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        nanos => format!("{}.{}s", duration.as_secs(), format!("{nanos:09}").trim_end_matches('0')),
    }
}

/// For `#[serde(with = "...")]` on a duration that may be absent.
pub(super) mod optional {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&to_text(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        deserializer.deserialize_option(OptionalText)
    }

    struct OptionalText;

    impl<'de> Visitor<'de> for OptionalText {
        type Value = Option<Duration>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("seconds, or a duration such as 1h30m")
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(Text).map(Some)
        }
    }

    struct Text;

    impl Visitor<'_> for Text {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            OptionalText.expecting(f)
        }

        fn visit_u64<E: Error>(self, seconds: u64) -> Result<Self::Value, E> {
            Ok(Duration::from_secs(seconds))
        }

        fn visit_i64<E: Error>(self, seconds: i64) -> Result<Self::Value, E> {
            u64::try_from(seconds).map(Duration::from_secs).map_err(|_| E::custom("a duration is not negative"))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            parse_duration(text).map_err(E::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seconds_and_durations_of_go_are_read() {
        for (text, milliseconds) in [
            ("0", 0),
            ("90", 90_000),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1m0.5s", 60_500),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("300ms", 300),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "s", "-5s", "+5", "5 s", "1d", "1h30", ".s", "1..5s", "99999999999999999999h", "1ſ"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in any::<u64>(), nanos in 0..1_000_000_000_u32) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&to_text(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9.hmsnuµ+-]{0,24}") {
            let _ = parse_duration(&text);
        }
    }
}
