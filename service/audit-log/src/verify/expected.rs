//! What the caller knows about a log from elsewhere.

use std::str::FromStr;

use crate::checkpoint::Checkpoint;
use crate::hash::{ParseError, Position};

/// A state that the log once had: what truncated, rewritten and forked logs are found by.
#[derive(Clone, Debug)]
pub enum Expected {
    /// An entry and its hash, from a source that is trusted.
    Position(Position),
    /// A signed checkpoint, from anywhere.
    Checkpoint(Checkpoint),
}

impl Expected {
    /// Reads a file with one of them in each line. Empty lines are left out.
    pub fn parse_lines(text: &str) -> Result<Vec<Self>, ParseError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(number, line)| {
                line.trim().parse().map_err(|error| ParseError(format!("line {}: {error}", number + 1)))
            })
            .collect()
    }

    /// The position that the log must have.
    pub(super) fn position(&self) -> Position {
        match self {
            Self::Position(position) => *position,
            Self::Checkpoint(checkpoint) => checkpoint.position(),
        }
    }
}

impl FromStr for Expected {
    type Err = ParseError;

    /// Reads `SEQUENCE:HASH`, or the line of a checkpoint.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.starts_with('{') { text.parse().map(Self::Checkpoint) } else { text.parse().map(Self::Position) }
    }
}
