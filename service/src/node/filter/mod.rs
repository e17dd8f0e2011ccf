//! Filters: which nodes a caller means, as a text in a subset of [AIP-160](https://google.aip.dev/160).
//!
//! ```text
//! readiness = LOST_CONTACT AND NOT cordoned = true AND labels.team = "blue"
//! ```
//!
//! docs/filter.md describes the language for its users. What this room promises:
//! - A text is read completely or refused, with the column of the first mistake. That a field exists, and that comparators
//!   and values fit it, is checked here too: a filter that was read can't fail on any node.
//! - No text makes it panic, overflow the stack or take long: texts, nesting and conditions are bounded.
//! - Logic is two-valued. A condition on something that a node does not have is false, `!=` is the negation of `=` (so it is
//!   true of what is absent, as AIP-160 and Kubernetes' selectors have it), and `NOT f` is true exactly where `f` is not.
//!
//! A text goes through [`lexer`] and [`parser`], which asks [`bind`] what each condition means, and becomes an
//! [`expr::Expr`], which [`eval`] holds against nodes. [`language`] is what all that can be filtered has in common.

mod bind;
mod eval;
mod expr;
mod fields;
mod language;
mod lexer;
mod parser;
mod pattern;
mod suggest;
mod version;

use std::fmt;

use k8s_openapi::api::core::v1::Node;

use super::ParseError;

pub(crate) use expr::{Expr, Order};
pub(crate) use language::{Language, joined, read};
pub(crate) use lexer::{Comparator, Name, Value};
pub(crate) use pattern::Pattern;
pub(crate) use suggest::{did_you_mean, listed};

/// The most characters of a filter.
pub const MAX_CHARACTERS: usize = 4096;

/// The most parentheses that may be open in a filter.
pub const MAX_DEPTH: usize = 32;

/// The most conditions in a filter.
pub const MAX_TERMS: usize = 256;

/// A condition on nodes. The default one matches every node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    expr: Option<expr::Expr<expr::Term>>,
}

impl Filter {
    /// Reads a filter. A text of nothing but white space matches every node.
    ///
    /// # Errors
    /// The first mistake: text that does not belong to the language, a field that does not exist, a comparator or a value
    /// that does not fit the field, or a filter beyond [`MAX_CHARACTERS`], [`MAX_DEPTH`] or [`MAX_TERMS`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let expr = language::read::<bind::Nodes>(text)?;
        Ok(Self { expr })
    }

    /// Whether the filter is true of the node.
    pub fn matches(&self, node: &Node) -> bool {
        self.expr.as_ref().is_none_or(|expr| expr.matches(node))
    }

    /// Whether no condition was given. It isn't of `name = "*"`, which says that all nodes are meant.
    pub fn is_everything(&self) -> bool {
        self.expr.is_none()
    }
}

/// Prints a canonical form: the same for filters that differ only in white space, quotes, parentheses that change nothing,
/// the names of a field and the like. It parses to an equal filter, unless the filter is so close to the bounds that its
/// canonical form, in which all parentheses and ANDs are written out, is beyond them.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.iter().try_for_each(|expr| expr.fmt(f))
    }
}

#[cfg(test)]
mod tests;
