//! A filter that was understood: conditions with typed values, and how they are joined.

use std::cmp::Ordering;
use std::fmt;

use nodeward_api::v1::{SchedulingState, readiness};

use super::fields::{AmountMap, Flag, Kind, TextField, TextMap};
use super::pattern::Pattern;
use super::version::Version;

/// Conditions, joined. Made only by [`Expr::and`], [`Expr::or`] and [`Expr::not`], which keep it in one form: no conjunction
/// directly in a conjunction, no disjunction in a disjunction, none of a single member, and no double negation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr<T> {
    And(Vec<Expr<T>>),
    Or(Vec<Expr<T>>),
    Not(Box<Expr<T>>),
    Term(T),
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Text(TextField, TextTest),
    Version(TextField, Order, Version),
    Flag(Flag, bool),
    Readiness(readiness::State),
    SchedulingState(SchedulingState),
    CreateTime(Order, jiff::Timestamp),
    /// The entry of a map of texts.
    Entry(TextMap, String, TextTest),
    Amount(AmountMap, String, Order, f64),
    Condition(String, &'static str),
    /// The presence of a key in one of the maps (conditions by their type too), or of any key.
    Has(Kind, Option<String>),
    Taint(TaintTest),
    /// The presence of an address.
    Address(Pattern),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TextTest {
    Is(Pattern),
    /// By the Unicode scalar values of the characters.
    Text(Order, String),
    /// If the text is a number.
    Number(Order, f64),
}

/// The taints of a node that are meant. All parts that are given must fit the same taint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaintTest {
    pub(super) key: Pattern,
    pub(super) value: Option<Pattern>,
    pub(super) effect: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Order {
    pub(crate) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Order::Equal => ordering.is_eq(),
            Order::Less => ordering.is_lt(),
            Order::LessEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterEqual => ordering.is_ge(),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Order::Equal => "=",
            Order::Less => "<",
            Order::LessEqual => "<=",
            Order::Greater => ">",
            Order::GreaterEqual => ">=",
        }
    }
}

impl<T> Expr<T> {
    /// All of them; there is at least one.
    pub(super) fn and(members: Vec<Self>) -> Self {
        let flat = members.into_iter().flat_map(|member| match member {
            Expr::And(inner) => inner,
            other => vec![other],
        });
        single_or(flat.collect(), Expr::And)
    }

    /// Any of them; there is at least one.
    pub(super) fn or(members: Vec<Self>) -> Self {
        let flat = members.into_iter().flat_map(|member| match member {
            Expr::Or(inner) => inner,
            other => vec![other],
        });
        single_or(flat.collect(), Expr::Or)
    }

    pub(super) fn not(expr: Self) -> Self {
        match expr {
            Expr::Not(inner) => *inner,
            other => Expr::Not(Box::new(other)),
        }
    }

    /// Whether it is true of that of which these conditions are.
    pub(crate) fn holds(&self, condition: &impl Fn(&T) -> bool) -> bool {
        match self {
            Expr::And(members) => members.iter().all(|member| member.holds(condition)),
            Expr::Or(members) => members.iter().any(|member| member.holds(condition)),
            Expr::Not(inner) => !inner.holds(condition),
            Expr::Term(term) => condition(term),
        }
    }
}

fn single_or<T>(mut members: Vec<Expr<T>>, join: fn(Vec<Expr<T>>) -> Expr<T>) -> Expr<T> {
    match members.pop() {
        Some(only) if members.is_empty() => only,
        Some(last) => {
            members.push(last);
            join(members)
        }
        None => join(members),
    }
}

/// Parentheses stand around all that is joined inside something else, also where precedence would not need them: that OR
/// binds tighter than AND surprises people.
impl fmt::Display for Expr<Term> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::And(members) => joined(f, members, " AND "),
            Expr::Or(members) => joined(f, members, " OR "),
            Expr::Not(inner) => match inner.as_ref() {
                Expr::Term(term) if term.is_equality() => term.print(f, "!="),
                other => {
                    f.write_str("NOT ")?;
                    nested(f, other)
                }
            },
            Expr::Term(term) => term.print(f, "="),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, members: &[Expr<Term>], separator: &str) -> fmt::Result {
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        nested(f, member)?;
    }
    Ok(())
}

fn nested(f: &mut fmt::Formatter<'_>, expr: &Expr<Term>) -> fmt::Result {
    match expr {
        Expr::And(_) | Expr::Or(_) => write!(f, "({expr})"),
        _ => write!(f, "{expr}"),
    }
}

impl Term {
    /// Whether the condition is written with `=`, and its negation so with `!=`.
    fn is_equality(&self) -> bool {
        match self {
            Term::Text(_, test) | Term::Entry(_, _, test) => matches!(test, TextTest::Is(_)),
            Term::Version(_, order, _) | Term::CreateTime(order, _) | Term::Amount(_, _, order, _) => {
                *order == Order::Equal
            }
            Term::Flag(..) | Term::Readiness(_) | Term::SchedulingState(_) | Term::Condition(..) => true,
            Term::Has(..) | Term::Taint(_) | Term::Address(_) => false,
        }
    }

    /// Prints the condition, with this comparator if it is an equality.
    fn print(&self, f: &mut fmt::Formatter<'_>, equal: &str) -> fmt::Result {
        let comparator = |order: Order| if order == Order::Equal { equal } else { order.text() };
        match self {
            Term::Text(field, test) => test.print(f, field.name(), equal),
            Term::Version(field, order, version) => write!(f, "{} {} {version}", field.name(), comparator(*order)),
            Term::Flag(flag, state) => write!(f, "{} {equal} {state}", Kind::Flag(*flag).name()),
            Term::Readiness(state) => write!(f, "readiness {equal} {}", readiness_name(*state)),
            Term::SchedulingState(state) => write!(f, "scheduling_state {equal} {}", scheduling_name(*state)),
            Term::CreateTime(order, time) => write!(f, "create_time {} \"{time}\"", comparator(*order)),
            Term::Entry(map, key, test) => test.print(f, &path(Kind::Texts(*map), key), equal),
            Term::Amount(map, key, order, amount) => {
                write!(f, "{} {} {amount}", path(Kind::Amounts(*map), key), comparator(*order))
            }
            Term::Condition(kind, status) => write!(f, "{} {equal} {status}", path(Kind::Conditions, kind)),
            Term::Has(kind, Some(key)) => write!(f, "{}:{}", kind.name(), Pattern::exactly(key)),
            Term::Has(kind, None) => write!(f, "{}:*", kind.name()),
            Term::Taint(taint) => write!(f, "taints:\"{taint}\""),
            Term::Address(pattern) => write!(f, "addresses:{pattern}"),
        }
    }
}

/// The name of the field and the key, which is in quotes if the lexer would not read it as it is.
fn path(kind: Kind, key: &str) -> String {
    let plain = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/'))
    };
    if key.split('.').all(plain) {
        format!("{}.{key}", kind.name())
    } else {
        format!("{}.{}", kind.name(), Pattern::exactly(key))
    }
}

impl TextTest {
    fn print(&self, f: &mut fmt::Formatter<'_>, subject: &str, equal: &str) -> fmt::Result {
        match self {
            TextTest::Is(pattern) => write!(f, "{subject} {equal} {pattern}"),
            TextTest::Text(order, text) => write!(f, "{subject} {} {}", order.text(), Pattern::exactly(text)),
            TextTest::Number(order, number) => write!(f, "{subject} {} {number}", order.text()),
        }
    }
}

impl fmt::Display for TaintTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key.pieces().join("*"))?;
        if let Some(value) = &self.value {
            write!(f, "={}", value.pieces().join("*"))?;
        }
        self.effect.iter().try_for_each(|effect| write!(f, ":{effect}"))
    }
}

/// The name of a readiness state in a filter.
pub(super) fn readiness_name(state: readiness::State) -> &'static str {
    match state {
        readiness::State::Unspecified => "NOT_REPORTED",
        readiness::State::Ready => "READY",
        readiness::State::NotReady => "NOT_READY",
        readiness::State::LostContact => "LOST_CONTACT",
    }
}

/// The name of a scheduling state in a filter.
pub(super) fn scheduling_name(state: SchedulingState) -> &'static str {
    match state {
        SchedulingState::Unspecified => "UNSPECIFIED",
        SchedulingState::Schedulable => "SCHEDULABLE",
        SchedulingState::Cordoned => "CORDONED",
    }
}

/// The number that the text is, without the infinities and NaN, whose names are ordinary words in a label.
pub(super) fn finite_number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}
