//! Checkpoints: signed statements about everything in the log up to them.
//!
//! A checkpoint is an entry of the log, and its line is the checkpoint wherever it goes: into the file `head`, to another
//! machine, into the hands of an auditor. Whoever has one can hold the log to it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::entry::{Body, Entry, Seal};
use crate::hash::{LineHash, ParseError, Position};
use crate::key::{PublicKey, SigningKey};

/// What a signed text begins with, so that the key can't be made to sign something else by signing this.
const CONTEXT: &str = "nodeward audit log checkpoint v1";

/// A checkpoint. Written as the line that it has in the log, without the line feed.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    line: String,
    position: Position,
    time: Timestamp,
    previous: LineHash,
    seal: Seal,
}

impl Checkpoint {
    /// The checkpoint in this entry, if it is one.
    pub fn of(entry: &Entry) -> Option<Self> {
        let Body::Checkpoint(seal) = &entry.body else { return None };
        Some(Self::new(entry, seal.clone()))
    }

    /// Signs the log after this position.
    pub(crate) fn seal(key: &SigningKey, log: Uuid, time: Timestamp, after: Position) -> Self {
        let sequence = after.sequence + 1;
        let signature = key.sign(signed_text(log, sequence, time, after.hash).as_bytes());
        let seal = Seal { log, signature };
        Self::new(&Entry { sequence, time, previous: after.hash, body: Body::Checkpoint(seal.clone()) }, seal)
    }

    fn new(entry: &Entry, seal: Seal) -> Self {
        let line = entry.to_line();
        let position = entry.position(&line);
        Self { line, position, time: entry.time, previous: entry.previous, seal }
    }

    /// Its own place in the log.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Which log it is of.
    pub fn log(&self) -> Uuid {
        self.seal.log
    }

    /// When it was signed.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Whether this key signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let text = signed_text(self.seal.log, self.position.sequence, self.time, self.previous);
        key.verifies(text.as_bytes(), &self.seal.signature)
    }

    /// Its line, with the line feed.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }
}

/// What is signed: which log, which sequence the checkpoint has, when, and the hash of the line before.
fn signed_text(log: Uuid, sequence: u64, time: Timestamp, previous: LineHash) -> String {
    format!("{CONTEXT}\n{log}\n{sequence}\n{time:.6}\n{previous}\n")
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.line.trim_end())
    }
}

impl FromStr for Checkpoint {
    type Err = ParseError;

    /// Reads the line, with or without its line feed.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let line = format!("{}\n", text.strip_suffix('\n').unwrap_or(text));
        Self::of(&Entry::parse(&line)?).ok_or_else(|| ParseError("it is an entry, but no checkpoint".to_owned()))
    }
}

impl Serialize for Checkpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> (PublicKey, Checkpoint) {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::load_or_create(&dir.path().join("key")).unwrap();
        let after = Position { sequence: 41, hash: LineHash::of(b"line\n") };
        let time = "2026-11-24T07:03:56.123456Z".parse().unwrap();
        (key.public_key(), Checkpoint::seal(&key, Uuid::new_v4(), time, after))
    }

    #[test]
    fn a_checkpoint_travels_as_its_line() {
        let (key, checkpoint) = checkpoint();
        for text in [checkpoint.to_string(), checkpoint.line().to_owned()] {
            let read: Checkpoint = text.parse().unwrap();
            assert_eq!(read.position(), checkpoint.position());
            assert!(read.is_signed_by(&key));
        }
    }

    #[test]
    fn no_character_of_a_checkpoint_can_be_changed() {
        let (key, checkpoint) = checkpoint();
        let line = checkpoint.to_string();
        for at in 0..line.len() {
            for other in ["0", "1", "a", "A", " ", "\"", "="] {
                let mut changed = line.clone();
                changed.replace_range(at..=at, other);
                let accepted = changed.parse().is_ok_and(|read: Checkpoint| read.is_signed_by(&key));
                assert_eq!(accepted, changed == line, "{changed}");
            }
        }
    }
}
