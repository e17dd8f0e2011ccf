//! Recursive descent over the tokens of a filter, by the grammar of AIP-160:
//!
//! ```text
//! filter     = [ expression ]
//! expression = sequence { "AND" sequence }
//! sequence   = factor { factor }                  joined like AND
//! factor     = term { "OR" term }                 so OR binds tighter than AND
//! term       = { "NOT" | "-" } simple
//! simple     = "(" expression ")" | path comparator value
//! ```
//!
//! The depth of the recursion is bounded by [`MAX_DEPTH`].

use std::marker::PhantomData;

use super::expr::Expr;
use super::language::{Language, joined};
use super::lexer::{Kind, Name, Token};
use super::{MAX_DEPTH, MAX_TERMS};
use crate::node::ParseError;

/// The conditions that the tokens express; `None` if there are none.
pub(super) fn parse<L: Language>(tokens: Vec<Token>) -> Result<Option<Expr<L::Term>>, ParseError> {
    let mut parser = Parser::<L> { tokens, position: 0, depth: 0, terms: 0, language: PhantomData };
    if parser.peek().kind == Kind::End {
        return Ok(None);
    }
    let expr = parser.expression()?;
    let token = parser.next();
    match token.kind {
        Kind::End => Ok(Some(expr)),
        Kind::Close => Err(ParseError::new(token.column, "there is no `(` that this `)` closes")),
        _ => Err(unexpected(&token, "a condition, AND, OR or the end")),
    }
}

struct Parser<L> {
    tokens: Vec<Token>,
    /// Of the next token; stays at the last one, the end.
    position: usize,
    /// How many parentheses are open.
    depth: usize,
    terms: usize,
    language: PhantomData<L>,
}

impl<L: Language> Parser<L> {
    fn peek(&self) -> &Token {
        &self.tokens[self.position]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.position = (self.position + 1).min(self.tokens.len() - 1);
        token
    }

    fn expression(&mut self) -> Result<Expr<L::Term>, ParseError> {
        let mut members = vec![self.factor()?];
        loop {
            match self.peek().kind {
                Kind::And => {
                    self.next();
                }
                Kind::Open | Kind::Not | Kind::Path(_) => {}
                _ => return Ok(Expr::and(members)),
            }
            members.push(self.factor()?);
        }
    }

    fn factor(&mut self) -> Result<Expr<L::Term>, ParseError> {
        let mut members = vec![self.term()?];
        while self.peek().kind == Kind::Or {
            self.next();
            members.push(self.term()?);
        }
        Ok(Expr::or(members))
    }

    fn term(&mut self) -> Result<Expr<L::Term>, ParseError> {
        let mut negated = false;
        while self.peek().kind == Kind::Not {
            self.next();
            negated = !negated;
        }
        let simple = self.simple()?;
        Ok(if negated { Expr::not(simple) } else { simple })
    }

    fn simple(&mut self) -> Result<Expr<L::Term>, ParseError> {
        let token = self.next();
        match token.kind {
            Kind::Open => self.group(token.column),
            Kind::Path(path) => self.restriction(&path),
            _ => Err(unexpected(&token, &format!("a condition, for example `{}`", L::EXAMPLE))),
        }
    }

    /// What follows an opening parenthesis, to the closing one.
    fn group(&mut self, column: usize) -> Result<Expr<L::Term>, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::new(column, format!("parentheses may be nested {MAX_DEPTH} deep at most")));
        }
        let expr = self.expression()?;
        let token = self.next();
        if token.kind != Kind::Close {
            return Err(unexpected(&token, &format!("`)` for the `(` in column {column}")));
        }
        self.depth -= 1;
        Ok(expr)
    }

    fn restriction(&mut self, path: &[Name]) -> Result<Expr<L::Term>, ParseError> {
        let column = path[0].column;
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(ParseError::new(column, format!("a filter has at most {MAX_TERMS} conditions")));
        }
        let token = self.next();
        let Kind::Comparator(comparator) = token.kind else { return Err(lonely::<L>(path, &token)) };
        let comparator_column = token.column;
        let token = self.next();
        match token.kind {
            Kind::Value(value) => L::condition(path, (comparator, comparator_column), &value),
            Kind::Open => {
                let message = "expected one value: write a condition for each, like `(zone = \"a\" OR zone = \"b\")`";
                Err(ParseError::new(token.column, message))
            }
            _ => Err(unexpected(&token, &format!("a value after `{}`", comparator.text()))),
        }
    }
}

/// What is wrong with a path that no comparator follows.
fn lonely<L: Language>(path: &[Name], next: &Token) -> ParseError {
    let text = joined(path);
    if let "and" | "or" | "not" = text.as_str() {
        let message = format!("`{text}` is only understood in capitals: {}", text.to_uppercase());
        return ParseError::new(path[0].column, message);
    }
    match L::after(path) {
        Err(error) => error,
        Ok(expected) => unexpected(next, &expected),
    }
}

fn unexpected(token: &Token, expected: &str) -> ParseError {
    let found = match &token.kind {
        Kind::Open => "`(`",
        Kind::Close => "`)`",
        Kind::And => "AND",
        Kind::Or => "OR",
        Kind::Not => "NOT",
        Kind::Path(_) => "a name",
        Kind::Comparator(comparator) => &format!("`{}`", comparator.text()),
        Kind::Value(_) => "a value",
        Kind::End => "the end",
    };
    ParseError::new(token.column, format!("expected {expected}, found {found}"))
}
