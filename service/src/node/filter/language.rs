//! What the conditions of a filter are about: nodes have a language, and so may other things that can be listed. How conditions
//! are written and joined is the same in all of them.

use super::expr::Expr;
use super::lexer::{self, Comparator, Name, Value};
use super::parser;
use crate::node::ParseError;

/// Gives conditions their meaning.
pub(crate) trait Language {
    /// A condition that was understood.
    type Term;

    /// A condition, to show what one is.
    const EXAMPLE: &'static str;

    /// The condition that the path, the comparator (with its column) and the value express.
    fn condition(path: &[Name], comparator: (Comparator, usize), value: &Value)
    -> Result<Expr<Self::Term>, ParseError>;

    /// What is expected after the path, in words, if there is such a field.
    fn after(path: &[Name]) -> Result<String, ParseError>;
}

/// The conditions that a text expresses; `None` if there are none.
pub(crate) fn read<L: Language>(text: &str) -> Result<Option<Expr<L::Term>>, ParseError> {
    parser::parse::<L>(lexer::tokens(text)?)
}

/// The names as one text. The keys of labels and resources often have dots in them: `labels.kubernetes.io/os` is meant as
/// the key `kubernetes.io/os`.
pub(crate) fn joined(path: &[Name]) -> String {
    path.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(".")
}
