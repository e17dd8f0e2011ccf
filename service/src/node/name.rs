//! The name of a node: parsed once, at the door, and valid from then on.
//!
//! A [`NodeName`] is safe to put into a path of the Kubernetes API: it can hold no slash, no percent sign and no dots that
//! climb.

use std::fmt;

use super::Violation;
use super::syntax::{self, shown};

/// The collection that a node's resource name begins with (AIP-122).
pub(super) const COLLECTION: &str = "nodes/";

/// The name of a node as Kubernetes allows it: a lowercase RFC 1123 subdomain of at most 253 characters
/// (`ValidateNodeName` of pkg/apis/core/validation, which is `NameIsDNSSubdomain`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// Parses a resource name, for example `nodes/worker-1`.
    ///
    /// # Errors
    /// A violation of `field` that says what to send, if the text is not of this form or the name is not valid.
    pub fn from_resource_name(text: &str, field: &str) -> Result<Self, Violation> {
        if text.is_empty() {
            return Err(Violation::new(field, "is required: send the name of the node as `nodes/{node}`"));
        }
        match text.strip_prefix(COLLECTION) {
            Some(id) => Self::from_id(id, field),
            None => Err(Violation::new(
                field,
                format!(
                    "{} is not the name of a node: send `nodes/{{node}}`, for example `nodes/worker-1`",
                    shown(text)
                ),
            )),
        }
    }

    /// Parses a bare node id, for example `worker-1`.
    ///
    /// # Errors
    /// A violation of `field` that says what to send, if the id is not a valid name of a node.
    pub fn from_id(id: &str, field: &str) -> Result<Self, Violation> {
        if syntax::is_subdomain(id) {
            return Ok(Self(id.to_owned()));
        }
        let slash = if id.contains('/') { " and no `/`" } else { "" };
        Err(Violation::new(
            field,
            format!(
                "{} can't be the name of a node: send 1 to 253 lowercase letters, digits, `-` and `.`{slash}, with a letter or \
                 digit at both ends and around each `.`, for example `worker-1`",
                shown(id)
            ),
        ))
    }

    /// The name as Kubernetes knows it, for example `worker-1`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The resource name, for example `nodes/worker-1`.
    pub fn resource_name(&self) -> String {
        format!("{COLLECTION}{}", self.0)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for NodeName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        NodeName::from_resource_name(text, "name").unwrap_err().description
    }

    #[test]
    fn a_resource_name_is_parsed_and_written_back() {
        let name = NodeName::from_resource_name("nodes/worker-1.example.com", "name").unwrap();
        assert_eq!(name.as_str(), "worker-1.example.com");
        assert_eq!(name.resource_name(), "nodes/worker-1.example.com");
    }

    #[test]
    fn an_id_is_parsed() {
        assert_eq!(NodeName::from_id("worker-1", "node_id").unwrap().resource_name(), "nodes/worker-1");
    }

    #[test]
    fn an_empty_name_is_told_what_to_send() {
        assert_eq!(refusal(""), "is required: send the name of the node as `nodes/{node}`");
    }

    #[test]
    fn a_name_without_the_collection_is_told_what_to_send() {
        assert!(refusal("worker-1").contains("`worker-1` is not the name of a node: send `nodes/{node}`"));
        assert!(refusal("pods/worker-1").contains("send `nodes/{node}`"));
    }

    #[test]
    fn names_that_kubernetes_refuses_are_refused() {
        let too_long = "a".repeat(254);
        let bad = [
            "",
            "-a",
            "a-",
            "A",
            "a_b",
            "a..b",
            ".a",
            "a.",
            "a/b",
            "..",
            "é",
            "a b",
            "a%2fb",
            "a\0",
            too_long.as_str(),
        ];
        for id in bad {
            assert!(NodeName::from_id(id, "node_id").is_err(), "{id:?} was accepted");
        }
    }

    #[test]
    fn names_that_kubernetes_accepts_are_accepted() {
        // A subdomain's parts may be longer than the 63 characters of a DNS label: Kubernetes checks the whole only.
        let longest = "a".repeat(253);
        for id in ["a", "0", "a-b", "a.b", "a--b", "1.2.3.4", longest.as_str()] {
            assert!(NodeName::from_id(id, "node_id").is_ok(), "{id:?} was refused");
        }
    }

    #[test]
    fn an_enormous_name_is_not_echoed_whole() {
        assert!(refusal(&format!("nodes/{}", "x".repeat(1 << 20))).len() < 500);
    }
}
