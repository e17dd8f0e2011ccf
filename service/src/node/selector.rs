//! Kubernetes' label selectors: `team in (blue,green),!gpu`.
//!
//! The language, what it matches and what it refuses are those of `k8s.io/apimachinery/pkg/labels.Parse`, so that a text
//! which kubectl takes means the same here. What differs: errors name a column, and a text is limited to 16,384 characters.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::ParseError;
use super::syntax::{check_label_value, check_qualified_name, shown};

/// The most characters of a selector. Kubernetes sets no limit; this one holds two hundred node names of the longest kind.
const MAX_CHARACTERS: usize = 16_384;

/// A condition on the labels of an object. The default one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    /// All must hold. In the order of their keys: the order in which they were written makes no difference.
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Test {
    Exists,
    Absent,
    Equal(String),
    NotEqual(String),
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    /// Reads a selector. Text without a requirement selects everything.
    ///
    /// # Errors
    /// The first thing in the text that is not a selector of Kubernetes, among them keys and values that no label can have.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser { tokens: tokens(text)?, position: 0 };
        let mut requirements = Vec::new();
        if parser.peek().kind != Kind::End {
            loop {
                requirements.push(parser.requirement()?);
                let token = parser.next();
                match token.kind {
                    Kind::End => break,
                    Kind::Comma => {}
                    _ => return Err(token.unexpected("`,` or the end")),
                }
            }
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements })
    }

    /// Whether an object with these labels is selected. As in Kubernetes, `!=` and `notin` also select an object that has no
    /// such label, and `<` and `>` none whose value is not a whole number.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.test.holds(labels.get(&requirement.key)))
    }

    /// Whether the selector has no requirement.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl Test {
    fn holds(&self, value: Option<&String>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::Equal(wanted) => value == Some(wanted),
            Test::NotEqual(unwanted) => value != Some(unwanted),
            Test::In(wanted) => value.is_some_and(|value| wanted.contains(value)),
            Test::NotIn(unwanted) => value.is_none_or(|value| !unwanted.contains(value)),
            Test::Greater(bound) => number().is_some_and(|number| number > *bound),
            Test::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// Prints a canonical form: it parses to an equal selector, and equal selectors print the same.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Requirement { key, test }) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match test {
                Test::Exists => write!(f, "{key}"),
                Test::Absent => write!(f, "!{key}"),
                Test::Equal(value) => write!(f, "{key}={value}"),
                Test::NotEqual(value) => write!(f, "{key}!={value}"),
                Test::In(values) => write!(f, "{key} in ({})", joined(values)),
                Test::NotIn(values) => write!(f, "{key} notin ({})", joined(values)),
                Test::Greater(bound) => write!(f, "{key}>{bound}"),
                Test::Less(bound) => write!(f, "{key}<{bound}"),
            }?;
        }
        Ok(())
    }
}

fn joined(values: &BTreeSet<String>) -> String {
    values.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// A key, a value, or one of the words `in` and `notin`, which are operators only where one is expected.
    Word(String),
    Open,
    Close,
    Comma,
    Not,
    Equal,
    NotEqual,
    Greater,
    Less,
    End,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    column: usize,
}

impl Token {
    fn unexpected(&self, expected: &str) -> ParseError {
        let found = match &self.kind {
            Kind::Word(word) => shown(word),
            Kind::Open => "`(`".into(),
            Kind::Close => "`)`".into(),
            Kind::Comma => "`,`".into(),
            Kind::Not => "`!`".into(),
            Kind::Equal => "`=`".into(),
            Kind::NotEqual => "`!=`".into(),
            Kind::Greater => "`>`".into(),
            Kind::Less => "`<`".into(),
            Kind::End => "the end".into(),
        };
        ParseError::new(self.column, format!("expected {expected}, found {found}"))
    }
}

/// The tokens of the text; the last one is the end.
fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut tokens = Vec::new();
    let mut column = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        column += 1;
        if column > MAX_CHARACTERS {
            let message = format!("a label selector has at most {MAX_CHARACTERS} characters");
            return Err(ParseError::new(column, message));
        }
        let start = column;
        let kind = match c {
            ' ' | '\t' | '\r' | '\n' => continue,
            '(' => Kind::Open,
            ')' => Kind::Close,
            ',' => Kind::Comma,
            '>' => Kind::Greater,
            '<' => Kind::Less,
            '=' | '!' => match (c, chars.next_if_eq(&'=')) {
                ('!', None) => Kind::Not,
                (_, None) => Kind::Equal,
                (_, Some(_)) => {
                    column += 1;
                    if c == '!' { Kind::NotEqual } else { Kind::Equal }
                }
            },
            _ => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !" \t\r\n(),<>=!".contains(*c)) {
                    word.push(c);
                    column += 1;
                }
                Kind::Word(word)
            }
        };
        tokens.push(Token { kind, column: start });
    }
    tokens.push(Token { kind: Kind::End, column: column + 1 });
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    /// Of the next token; stays at the last one, the end.
    position: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.position]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.position = (self.position + 1).min(self.tokens.len() - 1);
        token
    }

    fn requirement(&mut self) -> Result<Requirement, ParseError> {
        let negated = self.peek().kind == Kind::Not;
        if negated {
            self.next();
        }
        let token = self.next();
        let Kind::Word(key) = token.kind else {
            return Err(token.unexpected(if negated { "a label key" } else { "a label key or `!`" }));
        };
        check_qualified_name(&key).map_err(|problem| ParseError::new(token.column, problem))?;
        let test = if negated { Test::Absent } else { self.test()? };
        Ok(Requirement { key, test })
    }

    fn test(&mut self) -> Result<Test, ParseError> {
        if matches!(self.peek().kind, Kind::End | Kind::Comma) {
            return Ok(Test::Exists);
        }
        let operator = self.next();
        Ok(match &operator.kind {
            Kind::Equal => Test::Equal(self.exact_value()?.0),
            Kind::NotEqual => Test::NotEqual(self.exact_value()?.0),
            Kind::Greater => Test::Greater(self.number()?),
            Kind::Less => Test::Less(self.number()?),
            Kind::Word(word) if word == "in" => Test::In(self.values()?),
            Kind::Word(word) if word == "notin" => Test::NotIn(self.values()?),
            _ => return Err(operator.unexpected("`=`, `==`, `!=`, `in`, `notin`, `<`, `>`, `,` or the end")),
        })
    }

    /// A value and its column. Nothing at all is the empty value.
    fn exact_value(&mut self) -> Result<(String, usize), ParseError> {
        let column = self.peek().column;
        if matches!(self.peek().kind, Kind::End | Kind::Comma) {
            return Ok((String::new(), column));
        }
        let token = self.next();
        match token.kind {
            Kind::Word(value) => checked(value, column),
            _ => Err(token.unexpected("a label value")),
        }
    }

    fn number(&mut self) -> Result<i64, ParseError> {
        let (value, column) = self.exact_value()?;
        value.parse().map_err(|_| {
            let message =
                format!("`<` and `>` compare with a whole number of at most 64 bits, found {}", shown(&value));
            ParseError::new(column, message)
        })
    }

    /// A list in parentheses. The values may be empty: `()` is the list of the empty value.
    fn values(&mut self) -> Result<BTreeSet<String>, ParseError> {
        let open = self.next();
        if open.kind != Kind::Open {
            return Err(open.unexpected("`(`"));
        }
        let mut values = BTreeSet::new();
        loop {
            let column = self.peek().column;
            let value = match self.peek().kind.clone() {
                Kind::Word(word) => {
                    self.next();
                    checked(word, column)?.0
                }
                _ => String::new(),
            };
            values.insert(value);
            let token = self.next();
            match token.kind {
                Kind::Close => return Ok(values),
                Kind::Comma => {}
                _ => return Err(token.unexpected("`,` or `)`")),
            }
        }
    }
}

fn checked(value: String, column: usize) -> Result<(String, usize), ParseError> {
    match check_label_value(&value) {
        Ok(()) => Ok((value, column)),
        Err(problem) => Err(ParseError::new(column, problem)),
    }
}

#[cfg(test)]
#[path = "selector_tests.rs"]
mod tests;
