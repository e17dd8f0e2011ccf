//! The syntax of names in Kubernetes: subdomains, qualified names, label values.
//!
//! The rules are those of k8s.io/apimachinery/pkg/util/validation. Each check answers with what to send instead.

/// The longest subdomain (`DNS1123SubdomainMaxLength`).
const SUBDOMAIN_MAX: usize = 253;
/// The longest name part of a qualified name (`qualifiedNameMaxLength`).
const QUALIFIED_NAME_MAX: usize = 63;
/// The longest label value (`LabelValueMaxLength`).
const LABEL_VALUE_MAX: usize = 63;

/// Whether the text is a lowercase RFC 1123 subdomain (`IsDNS1123Subdomain`). Its parts may be longer than 63 characters.
pub fn is_subdomain(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= SUBDOMAIN_MAX && text.split('.').all(|part| is_word(part, is_inner, |byte| byte == b'-'))
}

/// Checks a qualified name, such as the key of a label (`IsQualifiedName`): `name` or `prefix/name`.
///
/// # Errors
/// What is wrong and what to send instead.
pub fn check_qualified_name(text: &str) -> Result<(), String> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if let Some(prefix) = prefix
        && !is_subdomain(prefix)
    {
        return Err(format!(
            "the prefix of {} is not a lowercase RFC 1123 subdomain of at most 253 characters, such as `example.com`",
            shown(text)
        ));
    }
    if is_label_text(name) && !name.is_empty() && name.len() <= QUALIFIED_NAME_MAX {
        return Ok(());
    }
    Err(format!(
        "{} is not a key: send `name` or `prefix/name`, where the name has 1 to 63 letters, digits, `-`, `_` and `.`, with a \
         letter or digit at both ends",
        shown(text)
    ))
}

/// Checks the value of a label or a taint (`IsValidLabelValue`).
///
/// # Errors
/// What is wrong and what to send instead.
pub fn check_label_value(text: &str) -> Result<(), String> {
    if is_label_text(text) && text.len() <= LABEL_VALUE_MAX {
        return Ok(());
    }
    Err(format!(
        "{} is not a value: send at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends, or nothing",
        shown(text)
    ))
}

/// Text from a request as it is quoted in a message: short enough for an error's details.
pub fn shown(text: &str) -> String {
    const MAX: usize = 100;
    match text.char_indices().nth(MAX) {
        None => format!("`{}`", text.escape_debug()),
        Some((end, _)) => format!("`{}…` ({} bytes)", text[..end].escape_debug(), text.len()),
    }
}

fn is_label_text(text: &str) -> bool {
    text.is_empty() || is_word(text, |byte| byte.is_ascii_alphanumeric(), |byte| matches!(byte, b'-' | b'_' | b'.'))
}

/// Whether the text is not empty, has nothing but outer and inner characters, and outer ones at both ends.
fn is_word(text: &str, is_outer: impl Fn(u8) -> bool, is_inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends_fit =
        bytes.first().is_some_and(|&byte| is_outer(byte)) && bytes.last().is_some_and(|&byte| is_outer(byte));
    ends_fit && bytes.iter().all(|&byte| is_outer(byte) || is_inner(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_kubernetes_accepts_are_accepted() {
        let longest = format!("{}/{}", "a".repeat(253), "N".repeat(63));
        for key in ["team", "Team_1.x-y", "example.com/team", "a/b", "0/0", longest.as_str()] {
            assert_eq!(check_qualified_name(key), Ok(()), "{key}");
        }
    }

    #[test]
    fn keys_that_kubernetes_refuses_are_refused() {
        let long_name = "n".repeat(64);
        let bad =
            ["", "/", "a/", "/a", "a/b/c", "-a", "a-", "_a", "é", "a b", "Example.com/a", "a_b/c", long_name.as_str()];
        for key in bad {
            assert!(check_qualified_name(key).is_err(), "{key:?} was accepted");
        }
    }

    #[test]
    fn label_values_may_be_empty_but_not_long_or_odd() {
        let longest = "v".repeat(63);
        for value in ["", "v", "A.b_c-1", longest.as_str()] {
            assert_eq!(check_label_value(value), Ok(()), "{value}");
        }
        let too_long = "v".repeat(64);
        for value in [" ", "a/b", "-a", "a-", "é", too_long.as_str()] {
            assert!(check_label_value(value).is_err(), "{value:?} was accepted");
        }
    }

    #[test]
    fn shown_text_is_short_and_printable() {
        assert_eq!(shown("a\nb"), "`a\\nb`");
        assert!(shown(&"é".repeat(1000)).len() < 250);
    }
}
