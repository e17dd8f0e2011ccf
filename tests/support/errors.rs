//! The reasons of errors, as docs/errors.md documents them.
//!
//! Include it with `#[path = "…/tests/support/errors.rs"] mod errors;`. It needs nothing.

// Each test binary has its own copy and uses a part of it.
#![allow(dead_code)]

const DOCUMENT: &str = include_str!("../../docs/errors.md");

/// The codes of gRPC that stand for failure.
pub const CODES: [&str; 16] = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The section of a reason.
#[derive(Debug)]
pub struct Section {
    /// The reason, which is its heading.
    pub reason: &'static str,
    /// The codes that it comes with: all that its first sentence names.
    pub codes: Vec<&'static str>,
    /// What stands under the heading.
    pub text: &'static str,
}

/// The sections, in their order.
pub fn sections() -> Vec<Section> {
    let sections = DOCUMENT.split("\n### ").skip(1);
    sections
        .map(|section| {
            let (reason, rest) = section.split_once('\n').unwrap_or((section, ""));
            let text = rest.split("\n## ").next().unwrap_or_default();
            let first_sentence = text.split(". ").next().unwrap_or_default();
            Section { reason, codes: codes_in(first_sentence), text }
        })
        .collect()
}

/// The rows of the table: a reason, the link on it and its codes.
pub fn rows() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| ["));
    rows.filter_map(|row| {
        let (reason, rest) = row.split_once("](")?;
        let (link, rest) = rest.split_once(") | ")?;
        let (codes, _) = rest.split_once(" |")?;
        Some((reason, link, codes_in(codes)))
    })
    .collect()
}

/// The codes that a text names, in its order.
pub fn codes_in(text: &str) -> Vec<&'static str> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter_map(|word| CODES.into_iter().find(|code| *code == word)).collect()
}

/// Whether it has the form of a reason: AIP-193's `[A-Z][A-Z0-9_]+[A-Z0-9]`, at most 63 characters.
pub fn is_reason(text: &str) -> bool {
    let is_allowed = |character: char| character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_';
    (3..=63).contains(&text.len())
        && text.chars().all(is_allowed)
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && !text.ends_with('_')
}
