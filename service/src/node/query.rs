//! Which nodes a read is about, and what of them it shows.

use std::hash::{Hash, Hasher};

use k8s_openapi::api::core::v1::Node;
use prost_types::FieldMask;

use super::filter::Filter;
use super::mask::ReadMask;
use super::selector::LabelSelector;
use super::token::QueryHash;
use super::{Violation, Violations};

/// The field of a node that the cache does without: it takes more room than all the others, and hardly anybody reads it.
const UNCACHED: [&str; 2] = ["metadata", "managed_fields"];

/// Which nodes: those that match the filter and the label selector. Two are equal if they are spelled the same.
#[derive(Clone, Debug)]
pub struct Selection {
    filter: Filter,
    selector: LabelSelector,
    text: [String; 2],
}

impl Selection {
    /// The selection of a request's fields `filter` and `label_selector`.
    pub fn parse(filter: &str, label_selector: &str) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        let at = |field, column, message| Violation::new(field, format!("column {column}: {message}"));
        let text = [filter.to_owned(), label_selector.to_owned()];
        let filter = Filter::parse(filter).map_err(|error| at("filter", error.column, error.message));
        let selector =
            LabelSelector::parse(label_selector).map_err(|error| at("label_selector", error.column, error.message));
        match (violations.take(filter), violations.take(selector)) {
            (Some(filter), Some(selector)) => Ok(Self { filter, selector, text }),
            _ => Err(violations),
        }
    }

    /// Whether the node is one of them.
    pub fn matches(&self, node: &Node) -> bool {
        let no_labels = Default::default();
        self.selector.matches(node.metadata.labels.as_ref().unwrap_or(&no_labels)) && self.filter.matches(node)
    }

    /// Whether it is all nodes.
    pub fn is_everything(&self) -> bool {
        self.filter == Filter::default() && self.selector == LabelSelector::default()
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        self.text.iter().map(String::as_str)
    }

    /// Identifies the selection together with what else makes up the query.
    pub fn hash(&self, rest: &str) -> QueryHash {
        QueryHash::of(self.parts().chain([rest]))
    }
}

impl PartialEq for Selection {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Selection {}

impl Hash for Selection {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By name.
    Ascending,
    /// By name, backwards.
    Descending,
}

impl Order {
    /// The order of a request's field `order_by`.
    pub fn parse(order_by: &str) -> Result<Self, Violation> {
        let words: Vec<&str> = order_by.split_whitespace().collect();
        match words.as_slice() {
            [] | ["name"] | ["name", "asc"] => Ok(Self::Ascending),
            ["name", "desc"] => Ok(Self::Descending),
            _ => Err(Violation::new("order_by", "must be `name` or `name desc`")),
        }
    }

    /// The name in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }
}

/// The mask of a request's field `read_mask`.
pub fn parse_read_mask(mask: Option<&FieldMask>) -> Result<ReadMask, Violations> {
    mask.map_or_else(|| Ok(ReadMask::everything()), |mask| ReadMask::parse(mask, "read_mask"))
}

/// The same for what the cache answers: a field that it does not have can't be named. As part of what is named it is left out.
pub fn parse_cached_read_mask(mask: Option<&FieldMask>) -> Result<ReadMask, Violations> {
    let mask = parse_read_mask(mask)?;
    let is_uncached = |path: &&String| path.split('.').take(2).eq(UNCACHED);
    match mask.paths().iter().find(is_uncached) {
        None => Ok(mask),
        Some(path) => Err(Violation::new(
            "read_mask",
            format!("{path} is not in the cache: ask GetNode or ListNodes for it with the consistency CONSISTENCY_CONSISTENT"),
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_of_the_cache_names_nothing_that_is_not_in_it() {
        let parse = |path: &str| parse_cached_read_mask(Some(&FieldMask { paths: vec![path.to_owned()] }));
        for path in ["metadata.managed_fields", "metadata.managed_fields.*.time.seconds"] {
            let violations = parse(path).unwrap_err();
            assert_eq!(violations.0[0].field, "read_mask");
            assert!(violations.0[0].description.contains("CONSISTENCY_CONSISTENT"), "{violations:?}");
        }
        for path in ["*", "metadata", "metadata.labels.managed_fields"] {
            assert!(parse(path).is_ok(), "{path}");
        }
        assert!(parse_cached_read_mask(None).is_ok());
    }

    #[test]
    fn both_the_filter_and_the_selector_must_match() {
        let selection = Selection::parse("name = \"a\"", "team=blue").unwrap();
        let mut node = Node::default();
        node.metadata.name = Some("a".to_owned());
        assert!(!selection.matches(&node));
        node.metadata.labels = Some([("team".to_owned(), "blue".to_owned())].into());
        assert!(selection.matches(&node));
    }

    #[test]
    fn both_are_named_when_both_are_wrong() {
        let violations = Selection::parse("nonsense = 1", "a in").unwrap_err();
        let fields: Vec<&str> = violations.0.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["filter", "label_selector"]);
    }

    #[test]
    fn the_order_is_by_name() {
        assert_eq!(Order::parse(""), Ok(Order::Ascending));
        assert_eq!(Order::parse("name desc"), Ok(Order::Descending));
        assert_eq!(Order::parse("age").unwrap_err().field, "order_by");
    }
}
