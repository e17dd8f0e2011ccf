//! What can be wrong with a log, and where.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use crate::hash::Position;
use crate::key::PublicKey;

/// Something that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What.
    pub what: What,
}

/// A place in the files of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The name of the file, in the log's directory.
    pub file: String,
    /// The number of the line, from 1, if it is about a line.
    pub line: Option<u64>,
    /// The sequence of the entry, if it is known.
    pub sequence: Option<u64>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// The line is not what any entry is written as.
    NotAnEntry {
        /// In which way.
        reason: String,
    },
    /// The hash of the line is not the one that the entry after it names.
    Changed,
    /// Entries are missing before the one at this place.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// Entries stand here that belong further to the front.
    Moved {
        /// The last of them.
        to: u64,
    },
    /// Entries stand here that have been there before.
    Repeated {
        /// The last of them.
        to: u64,
    },
    /// Entries stand here with the sequences of others, but another content: the log was continued twice.
    Forked {
        /// The last of them.
        to: u64,
    },
    /// The signature of the checkpoint is not one by the log's key: what comes before it is not what was signed.
    BadSignature,
    /// The entry belongs to another log.
    OtherLog {
        /// To which.
        log: Uuid,
    },
    /// The segment names another key than the one that is trusted.
    OtherKey {
        /// Which.
        key: PublicKey,
    },
    /// The segment has a version of the format that is not known here.
    UnknownVersion {
        /// Which.
        version: u32,
    },
    /// The segment does not begin with a header.
    NoHeader,
    /// A header stands inside a segment.
    UnexpectedHeader,
    /// The segment does not begin with the sequence that its name says.
    WrongName,
    /// The end of a line is missing, and other segments follow.
    Unfinished,
    /// The log ends before this position, which it once had.
    Truncated {
        /// The position.
        position: Position,
        /// How that is known.
        witness: Witness,
    },
    /// The log once had another entry here: it was rewritten, or forked after an old copy of it was put back.
    Differs {
        /// What it had.
        position: Position,
        /// How that is known.
        witness: Witness,
    },
    /// There is no file `head`.
    HeadMissing,
    /// What should be a checkpoint is none.
    NoCheckpoint {
        /// Where it is from.
        witness: Witness,
        /// Why not.
        reason: String,
    },
    /// There are no segments.
    Empty,
}

/// Who says that the log once had a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// The file `head`, next to the log.
    Head,
    /// A checkpoint or position that the caller has.
    Kept,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        match self.sequence {
            Some(sequence) => write!(f, ", entry {sequence}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "the file head",
            Self::Kept => "what was kept elsewhere",
        })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnEntry { reason } => write!(f, "the line was changed: it is no entry: {reason}"),
            Self::Changed => f.write_str("the line was changed: its hash is not the one that the next entry names"),
            Self::Missing { from, to } if from == to => write!(f, "entry {from} was removed before this one"),
            Self::Missing { from, to } => write!(f, "entries {from} to {to} were removed before this one"),
            Self::Moved { to } => write!(f, "entries up to {to} stand here out of order"),
            Self::Repeated { to } => write!(f, "entries up to {to} stand here again"),
            Self::Forked { to } => write!(f, "entries up to {to} stand here a second time, with another content"),
            Self::BadSignature => f.write_str("the signature of the checkpoint is wrong: what it signed was changed"),
            Self::OtherLog { log } => write!(f, "this belongs to another log, {log}"),
            Self::OtherKey { key } => write!(f, "the header names another key, {key}"),
            Self::UnknownVersion { version } => write!(f, "version {version} of the format is not known here"),
            Self::NoHeader => f.write_str("the segment does not begin with a header"),
            Self::UnexpectedHeader => f.write_str("a header stands inside the segment"),
            Self::WrongName => f.write_str("the segment does not begin with the entry that it is named for"),
            Self::Unfinished => f.write_str("the end of the line is missing, though other segments follow"),
            Self::Truncated { position, witness } => {
                write!(f, "the log was truncated: it ends here, but by {witness} it had entry {}", position.sequence)
            }
            Self::Differs { position, witness } => {
                write!(f, "the log was rewritten or forked: by {witness} it had {position} here")
            }
            Self::HeadMissing => f.write_str("the file is missing"),
            Self::NoCheckpoint { witness, reason } => write!(f, "{witness} is no checkpoint of this log: {reason}"),
            Self::Empty => f.write_str("there is no segment"),
        }
    }
}
