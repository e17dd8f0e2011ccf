//! What is wrong with a request, field by field.

use std::fmt;

/// A field of a request that can't be accepted, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the request, for example `node.spec.taints[0].key`.
    pub field: String,
    /// What is wrong with it and what to send instead, as a sentence.
    pub description: String,
}

impl Violation {
    /// A violation of the field at this path.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return f.write_str(&self.description);
        }
        write!(f, "{}: {}", self.field, self.description)
    }
}

/// All that is wrong with a request. Never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    /// Notes one more violation.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    /// What was parsed; if it could not be, nothing, and why is noted.
    pub fn take<T, E: Into<Violations>>(&mut self, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|found| self.0.append(&mut found.into().0)).ok()
    }

    /// The same violations, of fields of this field.
    #[must_use]
    pub fn under(mut self, field: &str) -> Self {
        for violation in &mut self.0 {
            violation.field = format!("{field}.{}", violation.field);
        }
        self
    }

    /// `value` if nothing is wrong, otherwise what is.
    pub fn or<T>(self, value: T) -> Result<T, Violations> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Violation> for Violations {
    fn from(violation: Violation) -> Self {
        Self(vec![violation])
    }
}

impl fmt::Display for Violations {
    /// The first one, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("nothing is wrong"),
            [only] => only.fmt(f),
            [first, rest @ ..] => write!(f, "{first} (and {} more)", rest.len()),
        }
    }
}

impl std::error::Error for Violations {}
