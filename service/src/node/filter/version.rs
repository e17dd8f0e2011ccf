//! The numbers of a version: `v1.36.2-gke.7` is 1, 36, 2.

use std::cmp::Ordering;
use std::fmt;

/// One to four numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version(Vec<u64>);

/// No version that Kubernetes reports has more: Windows' kernel has four.
const MAX_NUMBERS: usize = 4;

impl Version {
    /// Reads a version that is nothing but numbers, after an optional `v`.
    pub(super) fn parse(text: &str) -> Option<Version> {
        let (version, rest) = Self::leading(text)?;
        rest.is_empty().then_some(version)
    }

    /// How the version that a node reports compares with this one, by as many numbers as this one has: 1.35.4 equals 1.35.
    /// What follows the numbers is ignored, and so is the runtime's name in `containerd://2.1.4`. `None` if the text does not
    /// start with a version.
    pub(super) fn compared_with(&self, reported: &str) -> Option<Ordering> {
        let text = reported.split_once("://").map_or(reported, |(_, version)| version);
        let (Version(mut numbers), _) = Self::leading(text)?;
        numbers.resize(self.0.len(), 0);
        Some(numbers.cmp(&self.0))
    }

    /// The version at the start of the text, and what follows it.
    fn leading(text: &str) -> Option<(Version, &str)> {
        let mut rest = text.strip_prefix('v').unwrap_or(text);
        let mut numbers = Vec::new();
        loop {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            numbers.push(rest[..end].parse().ok()?);
            rest = &rest[end..];
            match rest.strip_prefix('.') {
                Some(next) if numbers.len() < MAX_NUMBERS && next.starts_with(|c: char| c.is_ascii_digit()) => {
                    rest = next
                }
                _ => return Some((Version(numbers), rest)),
            }
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(reported: &str, version: &str) -> Option<Ordering> {
        Version::parse(version).unwrap().compared_with(reported)
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert_eq!(compare("v1.9.3", "1.10"), Some(Ordering::Less));
        assert_eq!(compare("v1.36.2", "v1.36.1"), Some(Ordering::Greater));
    }

    #[test]
    fn only_the_numbers_that_are_given_count() {
        assert_eq!(compare("v1.35.4", "1.35"), Some(Ordering::Equal));
        assert_eq!(compare("v1.35.4", "1"), Some(Ordering::Equal));
        assert_eq!(compare("6.8", "6.8.1"), Some(Ordering::Less));
    }

    #[test]
    fn what_follows_the_numbers_is_ignored() {
        for reported in ["v1.33.4-gke.1036000", "v1.33.4+k3s1", "1.33.4", "v1.33.4.", "containerd://1.33.4-2"] {
            assert_eq!(compare(reported, "1.33.4"), Some(Ordering::Equal), "{reported}");
        }
    }

    #[test]
    fn a_text_without_a_version_does_not_compare() {
        for reported in ["", "v", "devel", "containerd://", ".1", "99999999999999999999"] {
            assert_eq!(compare(reported, "1"), None, "{reported}");
        }
    }

    #[test]
    fn a_version_in_a_filter_is_only_numbers() {
        for text in ["", "v", "1.", "1..2", "1.36.0-rc.1", "1.2.3.4.5", "x1", "vv1", "٣"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
