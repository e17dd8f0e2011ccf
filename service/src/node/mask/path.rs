//! The text of a path: its segments, and how a key stands in it (AIP-161).
//!
//! Segments are separated by dots. A key with other characters than letters, digits, `_` and `-` stands in backticks; a
//! backtick in a key is written twice.

use crate::node::syntax::shown;

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::node) enum Segment {
    /// The name of a field, or a plain key.
    Name(String),
    /// A key in backticks.
    Quoted(String),
    /// `*`: all elements of a list, or all values of a map.
    Every,
}

impl Segment {
    /// The key that it names in a map. None for `*`.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Name(key) | Self::Quoted(key) => Some(key),
            Self::Every => None,
        }
    }
}

/// The segments of a path, at least one.
///
/// # Errors
/// What is wrong with the text and what to send instead.
pub(in crate::node) fn parse(path: &str) -> Result<Vec<Segment>, String> {
    let mut segments = Vec::new();
    let mut rest = path;
    loop {
        let (segment, after) = next_segment(rest, path)?;
        segments.push(segment);
        match after.strip_prefix('.') {
            Some(after) => rest = after,
            None if after.is_empty() => return Ok(segments),
            None => return Err(format!("{} is not a path: after a backtick comes a dot or the end", shown(path))),
        }
    }
}

/// `parent.key`, with the key in backticks if it needs them.
pub(in crate::node) fn join_key(parent: &str, key: &str) -> String {
    if !key.is_empty() && key.chars().all(is_plain) {
        format!("{parent}.{key}")
    } else {
        format!("{parent}.`{}`", key.replace('`', "``"))
    }
}

/// `parent.field`, or the field alone at the root.
pub(in crate::node) fn join_field(parent: &str, field: &str) -> String {
    if parent.is_empty() { field.to_owned() } else { format!("{parent}.{field}") }
}

fn next_segment<'a>(rest: &'a str, path: &str) -> Result<(Segment, &'a str), String> {
    if let Some(quoted) = rest.strip_prefix('`') {
        let end = closing_backtick(quoted)
            .ok_or_else(|| format!("{} is not a path: a backtick is not closed", shown(path)))?;
        let key = quoted[..end].replace("``", "`");
        return Ok((Segment::Quoted(key), &quoted[end + 1..]));
    }
    let end = rest.find('.').unwrap_or(rest.len());
    let (text, after) = rest.split_at(end);
    match text {
        "" => Err(format!("{} is not a path: there is nothing before or after a dot", shown(path))),
        "*" => Ok((Segment::Every, after)),
        _ if text.chars().all(is_plain) => Ok((Segment::Name(text.to_owned()), after)),
        _ => Err(format!(
            "{} is not a path: put keys that have other characters than letters, digits, `_` and `-` in backticks, as in \
             metadata.labels.`example.com/team`",
            shown(path)
        )),
    }
}

/// Where the first backtick stands that is not doubled.
fn closing_backtick(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find('`')?;
        if !text[at + 1..].starts_with('`') {
            return Some(at);
        }
        from = at + 2;
    }
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_split_at_its_dots() {
        let name = |text: &str| Segment::Name(text.to_owned());
        assert_eq!(
            parse("status.conditions.*.type").unwrap(),
            [name("status"), name("conditions"), Segment::Every, name("type")]
        );
    }

    #[test]
    fn a_key_in_backticks_may_hold_anything() {
        for (path, key) in [("a.`x.y/z`", "x.y/z"), ("a.``", ""), ("a.`*`", "*"), ("a.`b``c`", "b`c"), ("a.`é`", "é")]
        {
            assert_eq!(parse(path).unwrap()[1], Segment::Quoted(key.to_owned()), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["", ".", "a.", ".a", "a..b", "a.`b", "a.`b`c", "a.b/c", "a b", "é", "a.```", "a,b"] {
            assert!(parse(path).is_err(), "{path:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn any_key_is_read_back_from_its_path(key in "\\PC{0,8}|[`.a]{0,5}") {
            let segments = parse(&join_key("a", &key)).unwrap();
            prop_assert_eq!(segments[1].key(), Some(key.as_str()));
            prop_assert_eq!(segments.len(), 2);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}|[`.*ab]{0,9}") {
            let _ = parse(&text);
        }
    }
}
