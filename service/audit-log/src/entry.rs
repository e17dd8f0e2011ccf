//! One entry of the log, and the line it is written as.
//!
//! There is exactly one way to write an entry. A line that means the same but is written in another way (another order
//! of the fields, a space more, a field twice) is not one: two readers can't be made to read different things in it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::hash::{LineHash, ParseError, Position};
use crate::key::{PublicKey, Signature};
use crate::record::Record;

/// The version of the format, as headers have it.
pub const FORMAT_VERSION: u32 = 1;

/// The longest line of a log, with its line feed. A reader need not hold more in memory.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// The largest record: what a line leaves room for.
pub const MAX_RECORD_BYTES: usize = MAX_LINE_BYTES - 512;

/// The highest sequence: the highest integer that every reader of JSON reads exactly.
pub(crate) const MAX_SEQUENCE: u64 = (1 << 53) - 1;

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number: one more than that of the entry before.
    pub sequence: u64,
    /// When it was written, by the clock of the machine that wrote it, to the microsecond.
    pub time: Timestamp,
    /// The hash of the line before.
    pub previous: LineHash,
    /// What it says.
    pub body: Body,
}

/// What an entry says.
#[derive(Clone, Debug)]
pub enum Body {
    /// A segment begins.
    Header(Header),
    /// What was given to be logged: a JSON object.
    Record(Record),
    /// All up to here is signed.
    Checkpoint(Seal),
    /// The end of the log was cut off.
    Repair(Repair),
    /// The beginning of the log was removed.
    Prune(Prune),
}

/// The first entry of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the format: [`FORMAT_VERSION`].
    pub version: u32,
    /// Which log this is. Never changes.
    pub log: Uuid,
    /// The key that its checkpoints are signed with. Never changes.
    pub key: PublicKey,
}

/// The signature of a checkpoint: see [`Checkpoint`](crate::Checkpoint) for what is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// Which log this is.
    pub log: Uuid,
    /// The signature.
    pub signature: Signature,
}

/// Bytes behind the entry before this one were cut off: the rest of a write that was never acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// How many.
    pub cut_bytes: u64,
}

/// Old segments are removed once this entry is durable and signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// The first sequence that is kept.
    pub before: u64,
}

/// An entry as it is written. One of the last five fields is there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    seq: u64,
    #[serde(borrow)]
    time: Cow<'a, str>,
    prev: LineHash,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Cow<'a, Record>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Seal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<Repair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prune: Option<Prune>,
}

impl Entry {
    /// The line, with its line feed.
    pub fn to_line(&self) -> String {
        let time = format!("{:.6}", self.time).into();
        let mut line = Line {
            seq: self.sequence,
            time,
            prev: self.previous,
            header: None,
            record: None,
            checkpoint: None,
            repair: None,
            prune: None,
        };
        match &self.body {
            Body::Header(header) => line.header = Some(header.clone()),
            Body::Record(record) => line.record = Some(Cow::Borrowed(record)),
            Body::Checkpoint(seal) => line.checkpoint = Some(seal.clone()),
            Body::Repair(repair) => line.repair = Some(*repair),
            Body::Prune(prune) => line.prune = Some(*prune),
        }
        let mut text = serde_json::to_string(&line).expect("numbers, texts and JSON are JSON");
        text.push('\n');
        text
    }

    /// The entry that was written as this line.
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        let text = line.strip_suffix('\n').ok_or_else(|| ParseError("it has no line feed at its end".to_owned()))?;
        let read: Line<'_> = serde_json::from_str(text).map_err(|error| ParseError(error.to_string()))?;
        let time = read.time.parse().map_err(|error| ParseError(format!("its time is none: {error}")))?;
        let (sequence, previous) = (read.seq, read.prev);
        let body = read.body().ok_or_else(|| ParseError("it says nothing that an entry says".to_owned()))?;
        let entry = Self { sequence, time, previous, body };
        if !(1..=MAX_SEQUENCE).contains(&sequence) {
            return Err(ParseError("its sequence is none".to_owned()));
        }
        if entry.to_line() != line {
            return Err(ParseError("it is not written as entries are".to_owned()));
        }
        Ok(entry)
    }

    /// The record in it, if it is one.
    pub fn record(&self) -> Option<&Record> {
        match &self.body {
            Body::Record(record) => Some(record),
            _ => None,
        }
    }

    /// Where the log is after this entry, if this is its line.
    pub(crate) fn position(&self, line: &str) -> Position {
        Position { sequence: self.sequence, hash: LineHash::of(line.as_bytes()) }
    }
}

impl Line<'_> {
    /// What the line says. Were there more than one of these fields, the line would not be what the entry is written as.
    fn body(self) -> Option<Body> {
        (self.header.map(Body::Header))
            .or_else(|| self.record.map(|record| Body::Record(record.into_owned())))
            .or_else(|| self.checkpoint.map(Body::Checkpoint))
            .or_else(|| self.repair.map(Body::Repair))
            .or_else(|| self.prune.map(Body::Prune))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn record(json: &str) -> Entry {
        Entry {
            sequence: 7,
            time: "2026-11-24T07:03:56.123456Z".parse().unwrap(),
            previous: LineHash::of(b"the line before\n"),
            body: Body::Record(Record::new(&RawValue::from_string(json.to_owned()).unwrap()).unwrap()),
        }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let line = record(r#"{"b":1.50,"a":"\u00e9 \n","b":null}"#).to_line();
        assert!(line.ends_with(concat!(r#","record":{"b":1.50,"a":"\u00e9 \n","b":null}}"#, "\n")), "{line}");
        let entry = Entry::parse(&line).unwrap();
        assert_eq!(entry.to_line(), line);
        assert_eq!(entry.sequence, 7);
        assert!(matches!(entry.body, Body::Record(_)));
    }

    #[test]
    fn a_line_that_could_be_read_in_two_ways_is_none() {
        let line = record("{}").to_line();
        let others = [
            line.replace("{\"seq\":7,", "{\"seq\": 7,"),
            line.replace("\"seq\":7,", "\"seq\":7,\"seq\":8,"),
            line.replace("\"seq\":7,", "\"extra\":1,\"seq\":7,"),
            line.replace(".123456Z", ".123456000Z"),
            line.replace("07:03:56.123456Z", "08:03:56.123456+01:00"),
            line.replace("\"record\":{}", "\"record\":{},\"repair\":{\"cut_bytes\":1}"),
            line.replace("\"record\":{}", "\"repair\":null"),
            line.replace("\"seq\":7,", "\"seq\":0,"),
            line.replace("\"seq\":7,", "\"seq\":9007199254740992,"),
            line.replace(",\"record\":{}", ""),
            line.replace('\n', ""),
            line.replace('\n', " \n"),
            line.to_uppercase(),
        ];
        for other in others {
            assert_ne!(other, line);
            assert!(Entry::parse(&other).is_err(), "{other}");
        }
    }

    #[test]
    fn the_largest_record_fits_into_a_line() {
        let mut entry = record(&format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_RECORD_BYTES - 8)));
        entry.sequence = u64::MAX;
        entry.time = Timestamp::MIN;
        assert!(entry.to_line().len() <= MAX_LINE_BYTES);
    }
}
