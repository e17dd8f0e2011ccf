//! SHA-256 of a line, and the place in a log that it stands for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The SHA-256 of the exact bytes of a line, its line feed included. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineHash([u8; 32]);

impl LineHash {
    /// What the first entry of a log names as the hash of the entry before it.
    pub const NONE: Self = Self([0; 32]);

    /// The hash of this line.
    pub fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineHash({self})")
    }
}

/// A text that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub(crate) String);

impl FromStr for LineHash {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || ParseError(format!("{text:?} is no hash: 64 hexadecimal digits are expected"));
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = str::from_utf8(digits).map_err(|_| bad())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for LineHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LineHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An entry of a log, and with it all that came before: its sequence and the hash of its line. Written `SEQUENCE:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Position {
    /// The entry's sequence. The first entry of a log has 1, each next one more.
    pub sequence: u64,
    /// The hash of its line.
    pub hash: LineHash,
}

impl Position {
    /// Before the first entry of a log.
    pub(crate) const START: Self = Self { sequence: 0, hash: LineHash::NONE };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

impl FromStr for Position {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || ParseError(format!("{text:?} is no position: SEQUENCE:HASH is expected"));
        let (sequence, hash) = text.split_once(':').ok_or_else(bad)?;
        Ok(Self { sequence: sequence.parse().map_err(|_| bad())?, hash: hash.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_line_is_what_sha256sum_prints() {
        let printed = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(LineHash::of(b"hello\n").to_string(), printed);
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let position = Position { sequence: 7, hash: LineHash::of(b"x\n") };
        assert_eq!(position.to_string().parse(), Ok(position));
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let hash = "0".repeat(64);
        let multibyte = format!("1:{}é", "0".repeat(62));
        for text in ["", "1", "1:", "x:00", "-1:00", &format!("{hash}:1"), &format!("1:+{}", &hash[1..]), &multibyte] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
