//! Texts in which `*` stands for any characters.

use std::fmt;

/// A text with wildcards: pieces that stand in this order, with anything between them. One piece is a plain text, `["a", ""]`
/// is everything that starts with `a`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<String>);

impl Pattern {
    /// The pattern of these pieces, of which there is at least one.
    pub(super) fn of_pieces(pieces: Vec<String>) -> Self {
        Self(pieces)
    }

    /// The pattern in which every `*` of the text is a wildcard.
    pub(super) fn with_wildcards(text: &str) -> Self {
        Self(text.split('*').map(String::from).collect())
    }

    /// The pattern that only this text matches.
    pub(super) fn exactly(text: impl Into<String>) -> Self {
        Self(vec![text.into()])
    }

    /// The text, if there is no wildcard in the pattern.
    pub(crate) fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [text] => Some(text),
            _ => None,
        }
    }

    /// Whether the pattern is `*`.
    pub(super) fn is_any(&self) -> bool {
        self.0.len() > 1 && self.0.iter().all(String::is_empty)
    }

    /// The pieces between the wildcards.
    pub(crate) fn pieces(&self) -> &[String] {
        &self.0
    }

    /// Takes a prefix away from the first piece, if it begins with it.
    pub(crate) fn without_prefix(mut self, prefix: &str) -> Self {
        if let Some(first) = self.0.first_mut()
            && let Some(rest) = first.strip_prefix(prefix)
        {
            *first = rest.to_owned();
        }
        self
    }

    /// Whether the whole text fits. Takes time in proportion to the length of the text and of the pattern at most.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else { return self.plain() == Some(text) };
        let Some(rest) = text.strip_prefix(first.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        // The leftmost place of each piece leaves the most room for those after it.
        middle.iter().all(|piece| match rest.split_once(piece.as_str()) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    }
}

/// Prints the pattern in double quotes, so that the lexer reads the same pattern.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pieces: Vec<String> = self.0.iter().map(|piece| escaped(piece)).collect();
        write!(f, "\"{}\"", pieces.join("*"))
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' | '*' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::with_wildcards(pattern).matches(text)
    }

    #[test]
    fn without_a_wildcard_only_the_same_text_matches() {
        assert!(matches("worker", "worker"));
        assert!(!matches("worker", "worker-1"));
        assert!(matches("", ""));
        assert!(!matches("", "a"));
    }

    #[test]
    fn a_wildcard_stands_for_any_characters_or_none() {
        for text in ["worker-", "worker-1", "worker-1-2"] {
            assert!(matches("worker-*", text), "{text}");
        }
        assert!(!matches("worker-*", "worker"));
        assert!(matches("*-1", "worker-1"));
        assert!(!matches("*-1", "worker-10"));
        assert!(matches("*", ""));
    }

    #[test]
    fn wildcards_may_stand_anywhere() {
        assert!(matches("a*b*c", "abc"));
        assert!(matches("a*b*c", "a-b-b-c"));
        assert!(!matches("a*b*c", "acb"));
        assert!(matches("*é*", "café au lait"));
        assert!(matches("**", "x"));
    }

    #[test]
    fn prefix_and_suffix_do_not_overlap() {
        assert!(!matches("aba*ba", "aba"));
        assert!(matches("aba*ba", "ababa"));
        assert!(!matches("a*b*b", "ab"));
    }
}
