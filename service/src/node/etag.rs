//! Etags: which version of a node, or which set of nodes, a caller has seen.

use k8s_openapi::api::core::v1::Node;
use sha2::{Digest, Sha256};

use super::Violation;

/// The resource version in the etag of a request; `None` if it is empty.
///
/// A node's etag is its resourceVersion in double quotes, as RFC 9110 writes entity tags.
pub fn parse_etag(etag: &str) -> Result<Option<String>, Violation> {
    if etag.is_empty() {
        return Ok(None);
    }
    let version = etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match version {
        Some(version) if is_version(version) => Ok(Some(version.to_owned())),
        _ => Err(Violation::new("etag", "must be the etag of a node as it was read, with its double quotes")),
    }
}

fn is_version(version: &str) -> bool {
    !version.is_empty() && version.len() <= 20 && version.bytes().all(|byte| byte.is_ascii_digit())
}

/// The etag of a set of nodes: which they are, not their state.
pub fn set_etag<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> String {
    let mut uids: Vec<&str> = nodes.into_iter().filter_map(|node| node.metadata.uid.as_deref()).collect();
    uids.sort_unstable();
    let mut hasher = Sha256::new();
    for uid in uids {
        hasher.update(uid);
        hasher.update([0]);
    }
    let hash: String = hasher.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hash}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(uid: &str) -> Node {
        let mut node = Node::default();
        node.metadata.uid = Some(uid.to_owned());
        node
    }

    #[test]
    fn an_etag_is_a_quoted_resource_version() {
        assert_eq!(parse_etag("\"42\""), Ok(Some("42".to_owned())));
        assert_eq!(parse_etag(""), Ok(None));
    }

    #[test]
    fn what_no_node_had_as_its_etag_is_refused() {
        for etag in ["42", "\"", "\"\"", "\"x\"", "\"42", "\u{201c}42\u{201d}"] {
            assert!(parse_etag(etag).is_err(), "{etag}");
        }
    }

    #[test]
    fn the_etag_of_a_set_does_not_depend_on_its_order() {
        assert_eq!(set_etag(&[node("a"), node("b")]), set_etag(&[node("b"), node("a")]));
        assert_ne!(set_etag(&[node("a"), node("b")]), set_etag(&[node("a")]));
    }
}
