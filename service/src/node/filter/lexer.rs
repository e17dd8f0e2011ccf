//! Cuts a filter into tokens.
//!
//! Two things depend on what went before. After a comparator stands a value, which without quotes may hold the colons, dots
//! and dashes of timestamps, addresses and versions. Anywhere else stands a path, in which a dot separates names.

use super::MAX_CHARACTERS;
use super::pattern::Pattern;
use crate::node::ParseError;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Of the first character, from 1.
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Open,
    Close,
    And,
    Or,
    /// `NOT` or `-`.
    Not,
    /// Names with dots between them. There is at least one.
    Path(Vec<Name>),
    Comparator(Comparator),
    Value(Value),
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) pattern: Pattern,
    pub(crate) quoted: bool,
    pub(crate) column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Has,
}

impl Comparator {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Comparator::Equal => "=",
            Comparator::NotEqual => "!=",
            Comparator::Less => "<",
            Comparator::LessEqual => "<=",
            Comparator::Greater => ">",
            Comparator::GreaterEqual => ">=",
            Comparator::Has => ":",
        }
    }
}

/// The tokens of a filter. The last one, and no other, is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    // One more than allowed is enough to see that there are too many.
    let chars: Vec<char> = text.chars().take(MAX_CHARACTERS + 1).collect();
    if chars.len() > MAX_CHARACTERS {
        return Err(ParseError::new(chars.len(), format!("a filter has at most {MAX_CHARACTERS} characters")));
    }
    let mut lexer = Lexer { chars, position: 0 };
    let mut tokens: Vec<Token> = Vec::new();
    loop {
        let after_comparator = matches!(tokens.last(), Some(Token { kind: Kind::Comparator(_), .. }));
        let token = lexer.token(after_comparator)?;
        let end = token.kind == Kind::End;
        tokens.push(token);
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer {
    chars: Vec<char>,
    /// The index of the next character.
    position: usize,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.position).copied()
    }

    fn column(&self) -> usize {
        self.position + 1
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        self.position += usize::from(found);
        found
    }

    fn token(&mut self, after_comparator: bool) -> Result<Token, ParseError> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.position += 1;
        }
        let column = self.column();
        let kind = match self.peek() {
            None => Kind::End,
            Some('(') => self.single(Kind::Open),
            Some(')') => self.single(Kind::Close),
            Some(_) if after_comparator => self.value()?,
            Some('-') => self.single(Kind::Not),
            Some('=' | '!' | '<' | '>' | ':') => Kind::Comparator(self.comparator()?),
            Some(',') => {
                return Err(ParseError::new(column, "a comma has no meaning here: join conditions by AND or OR"));
            }
            Some(_) => self.path()?,
        };
        Ok(Token { kind, column })
    }

    fn single(&mut self, kind: Kind) -> Kind {
        self.position += 1;
        kind
    }

    fn comparator(&mut self) -> Result<Comparator, ParseError> {
        let column = self.column();
        if self.take(':') {
            return Ok(Comparator::Has);
        }
        if self.take('=') {
            return match self.peek() {
                Some('=') => Err(ParseError::new(column, "`==` is no comparator: write `=`")),
                _ => Ok(Comparator::Equal),
            };
        }
        if self.take('!') {
            return match self.take('=') {
                true => Ok(Comparator::NotEqual),
                false => {
                    Err(ParseError::new(column, "`!` is no operator: write `NOT` before a condition, or `!=` in it"))
                }
            };
        }
        if self.take('<') {
            return Ok(if self.take('=') { Comparator::LessEqual } else { Comparator::Less });
        }
        self.position += 1;
        Ok(if self.take('=') { Comparator::GreaterEqual } else { Comparator::Greater })
    }

    fn value(&mut self) -> Result<Kind, ParseError> {
        let column = self.column();
        if let Some(quote @ ('"' | '\'' | '`')) = self.peek() {
            return Ok(Kind::Value(Value { pattern: self.quoted(quote)?, quoted: true, column }));
        }
        let text = self.run(|c| !c.is_whitespace() && !"()\"'`=<>!,".contains(c));
        if text.is_empty() {
            return Err(ParseError::new(column, "expected a value: put it in quotes if it starts with this character"));
        }
        if let Some('=' | '<' | '>' | '!') = self.peek() {
            return Err(ParseError::new(self.column(), "put a value in quotes if it contains this character"));
        }
        if matches!(text.as_str(), "AND" | "OR" | "NOT") {
            let message = format!("expected a value, found {text}: put it in quotes if it is the value");
            return Err(ParseError::new(column, message));
        }
        Ok(Kind::Value(Value { pattern: Pattern::with_wildcards(&text), quoted: false, column }))
    }

    fn path(&mut self) -> Result<Kind, ParseError> {
        let mut names = Vec::new();
        loop {
            let column = self.column();
            let (pattern, quoted) = match self.peek() {
                Some(quote @ ('"' | '\'' | '`')) => (self.quoted(quote)?, true),
                _ => {
                    let text = self.run(|c| !c.is_whitespace() && !"()\"'`=<>!:,.".contains(c));
                    (Pattern::with_wildcards(&text), false)
                }
            };
            let Some(text) = pattern.plain() else {
                let message = "a wildcard can only stand in a value, for example `name = \"worker-*\"`";
                return Err(ParseError::new(column, message));
            };
            if text.is_empty() {
                return Err(ParseError::new(column, "expected a name, for example of a field or of a label"));
            }
            names.push(Name { text: text.to_owned(), column });
            if !self.take('.') {
                return Ok(match names.as_slice() {
                    [name] if !quoted => keyword(&name.text).unwrap_or(Kind::Path(names)),
                    _ => Kind::Path(names),
                });
            }
        }
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let text: String = self.chars[self.position..].iter().copied().take_while(|c| belongs(*c)).collect();
        self.position += text.chars().count();
        text
    }

    /// The text between two quotes of the same kind.
    fn quoted(&mut self, quote: char) -> Result<Pattern, ParseError> {
        let start = self.column();
        self.position += 1;
        let mut pieces = vec![];
        let mut piece = String::new();
        loop {
            let column = self.column();
            let Some(c) = self.peek() else {
                return Err(ParseError::new(start, format!("this text does not end: a closing {quote} is missing")));
            };
            self.position += 1;
            match c {
                _ if c == quote => {
                    pieces.push(piece);
                    return Ok(Pattern::of_pieces(pieces));
                }
                '*' => pieces.push(std::mem::take(&mut piece)),
                '\\' => {
                    piece.push(match self.peek() {
                        Some('n') => '\n',
                        Some('r') => '\r',
                        Some('t') => '\t',
                        Some(c @ ('\\' | '"' | '\'' | '`' | '*')) => c,
                        _ => return Err(ParseError::new(column, r#"expected one of \\ \" \' \` \* \n \r \t"#)),
                    });
                    self.position += 1;
                }
                _ => piece.push(c),
            }
        }
    }
}

fn keyword(text: &str) -> Option<Kind> {
    match text {
        "AND" => Some(Kind::And),
        "OR" => Some(Kind::Or),
        "NOT" => Some(Kind::Not),
        _ => None,
    }
}
