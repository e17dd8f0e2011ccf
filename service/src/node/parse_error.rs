//! Where and why a text of a small language, a filter or a label selector, can't be understood.

use std::fmt;

use super::Violation;

/// The first thing that is wrong with a text, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The column of the first character that is wrong: 1 is the first character of the text, and one past the last one
    /// is its end. Characters are Unicode scalar values, not bytes.
    pub column: usize,
    /// What is wrong there, what was expected, and a suggestion if there is a close one.
    pub message: String,
}

impl ParseError {
    /// An error at a column, counted from 1.
    pub fn new(column: usize, message: impl Into<String>) -> Self {
        Self { column, message: message.into() }
    }

    /// The error as what is wrong with the field of a request that holds the text.
    pub fn violation(&self, field: impl Into<String>) -> Violation {
        Violation::new(field, self.to_string())
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_the_field_and_the_column() {
        let violation = ParseError::new(7, "expected a value").violation("filter");
        assert_eq!(violation.to_string(), "filter: column 7: expected a value");
    }
}
