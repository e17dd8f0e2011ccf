//! Gives a condition its meaning: which field it names, and whether its comparator and its value fit that field. All that
//! can be wrong with a condition is found here, without a node.

use nodeward_api::v1::{SchedulingState, readiness};

use super::expr::{Expr, Order, TaintTest, Term, TextTest, finite_number, readiness_name, scheduling_name};
use super::fields::{FIELDS, Field, Kind, TextField, TextMap};
use super::language::{Language, joined};
use super::lexer::{Comparator, Name, Value};
use super::pattern::Pattern;
use super::suggest::{did_you_mean, listed};
use super::version::Version;
use crate::node::syntax::{check_qualified_name, shown};
use crate::node::{ParseError, quantity};

/// The effects of a taint, from `TaintEffect` of `k8s.io/api/core/v1`.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The statuses of a condition, from `ConditionStatus` of `k8s.io/api/core/v1`.
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];

/// Conditions on nodes.
pub(super) struct Nodes;

impl Language for Nodes {
    type Term = Term;

    const EXAMPLE: &'static str = "ready = true";

    fn condition(
        path: &[Name],
        (comparator, comparator_column): (Comparator, usize),
        value: &Value,
    ) -> Result<Expr<Term>, ParseError> {
        let (field, rest) = find(path)?;
        let condition = Condition { field, comparator, comparator_column, value };
        let term = match rest.first() {
            Some(first) => condition.entry(joined(rest), first.column)?,
            None => condition.whole()?,
        };
        let term = Expr::Term(term);
        Ok(if comparator == Comparator::NotEqual { Expr::not(term) } else { term })
    }

    fn after(path: &[Name]) -> Result<String, ParseError> {
        let (field, _) = find(path)?;
        let text = joined(path);
        Ok(match field.kind {
            Kind::Flag(_) => format!("`= true` or `= false` after `{text}`"),
            _ => format!("a comparator and a value after {}", shown(&text)),
        })
    }
}

/// The field that the path begins with, and the rest of the path: the key, if the field is a map.
fn find(path: &[Name]) -> Result<(&'static Field, &[Name]), ParseError> {
    let rest_after = |written: &str| {
        let mut names = path.iter();
        written.split('.').all(|part| names.next().is_some_and(|name| name.text == part)).then_some(names.as_slice())
    };
    // `readiness.state` begins with `readiness`: the longest match is meant.
    let candidates = FIELDS.iter().flat_map(|field| {
        [Some(field.name), field.path].map(|written| written.and_then(rest_after).map(|rest| (field, rest)))
    });
    let found = candidates.flatten().min_by_key(|(_, rest)| rest.len());
    let Some((field, rest)) = found else {
        let text = shown(&joined(path));
        let names = FIELDS.iter().map(|field| field.name);
        let suggestion = did_you_mean(&path[0].text, names.clone());
        let fields = names.collect::<Vec<_>>().join(", ");
        let message = format!("there is no field {text}{suggestion}; the fields are {fields}");
        return Err(ParseError::new(path[0].column, message));
    };
    let keyed = matches!(field.kind, Kind::Texts(_) | Kind::Amounts(_) | Kind::Conditions | Kind::Taints);
    match rest.first() {
        Some(first) if !keyed => {
            Err(ParseError::new(first.column, format!("`{}` has no fields of its own", field.name)))
        }
        _ => Ok((field, rest)),
    }
}

/// A condition as it was written, on a field that exists.
struct Condition<'a> {
    field: &'static Field,
    comparator: Comparator,
    comparator_column: usize,
    value: &'a Value,
}

impl Condition<'_> {
    fn wrong_value(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(self.value.column, message)
    }

    fn wrong_comparator(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(self.comparator_column, message)
    }

    /// The text of the value, in which nothing may be a wildcard.
    fn plain(&self) -> Result<&str, ParseError> {
        self.value.pattern.plain().ok_or_else(|| {
            self.wrong_value("a wildcard is only possible in a text that is compared by `=`, `!=` or `:`")
        })
    }

    /// The comparator as an order; `!=` and `:` are equality, the negation is put around it later.
    fn order(&self) -> Order {
        match self.comparator {
            Comparator::Equal | Comparator::NotEqual | Comparator::Has => Order::Equal,
            Comparator::Less => Order::Less,
            Comparator::LessEqual => Order::LessEqual,
            Comparator::Greater => Order::Greater,
            Comparator::GreaterEqual => Order::GreaterEqual,
        }
    }

    fn only_equality(&self, what: &str) -> Result<(), ParseError> {
        if self.order() == Order::Equal {
            return Ok(());
        }
        let (name, comparator) = (self.field.name, self.comparator.text());
        Err(self.wrong_comparator(format!("`{comparator}` does not fit `{name}`, which is {what}: use `=` or `!=`")))
    }

    /// The one of the names that the value is, with what it stands for.
    fn one_of<T: Copy>(&self, names: &[(&'static str, T)], what: &str) -> Result<T, ParseError> {
        self.only_equality(what)?;
        let text = self.value.pattern.pieces().join("*");
        names.iter().find(|(name, _)| *name == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
            let names = names.iter().map(|(name, _)| *name);
            let suggestion = did_you_mean(&text, names.clone());
            self.wrong_value(format!("expected {}, found {}{suggestion}", listed(names), shown(&text)))
        })
    }

    /// A condition on a whole field.
    fn whole(&self) -> Result<Term, ParseError> {
        Ok(match self.field.kind {
            Kind::Text(field) => Term::Text(field, self.text(field)?),
            Kind::Version(field) if self.order() == Order::Equal => Term::Text(field, self.text(field)?),
            Kind::Version(field) => {
                let version = Version::parse(self.plain()?).ok_or_else(|| {
                    self.wrong_value("expected only numbers to compare a version with, like `1.36` or `v1.36.2`")
                })?;
                Term::Version(field, self.order(), version)
            }
            Kind::Flag(flag) => Term::Flag(flag, self.one_of(&[("true", true), ("false", false)], "true or false")?),
            Kind::Readiness => Term::Readiness(self.readiness()?),
            Kind::SchedulingState => Term::SchedulingState(self.scheduling_state()?),
            Kind::CreateTime => {
                let time = self
                    .plain()?
                    .parse()
                    .map_err(|_| self.wrong_value("expected a time as in RFC 3339, like `\"2026-07-01T08:30:00Z\"`"))?;
                Term::CreateTime(self.order(), time)
            }
            Kind::Texts(_) | Kind::Amounts(_) | Kind::Conditions => self.presence()?,
            Kind::Taints => self.taint()?,
            Kind::Addresses => self.address()?,
        })
    }

    fn text(&self, field: TextField) -> Result<TextTest, ParseError> {
        let mut pattern = self.value.pattern.clone();
        if field == TextField::Name {
            pattern = pattern.without_prefix("nodes/");
            if pattern.pieces().iter().any(|piece| piece.contains('/')) {
                return Err(self.wrong_value("expected the name of a node, like `worker-1` or `nodes/worker-1`"));
            }
        }
        if pattern.plain() == Some("") {
            let name = self.field.name;
            return Err(self.wrong_value(format!("`{name}` is never empty: `NOT {name}:*` finds nodes that have none")));
        }
        Ok(match self.order() {
            Order::Equal => TextTest::Is(pattern),
            order => {
                self.plain()?;
                TextTest::Text(order, pattern.pieces().join("*"))
            }
        })
    }

    fn readiness(&self) -> Result<readiness::State, ParseError> {
        use readiness::State;
        let states = [State::Ready, State::NotReady, State::LostContact, State::Unspecified];
        let mut names: Vec<_> = states.map(|state| (readiness_name(state), state)).into();
        // The names in the contract, which is what a client shows.
        names.extend(states.map(|state| (state.as_str_name(), state)));
        self.one_of(&names, "a state")
    }

    fn scheduling_state(&self) -> Result<SchedulingState, ParseError> {
        let states = [SchedulingState::Schedulable, SchedulingState::Cordoned];
        let mut names: Vec<_> = states.map(|state| (scheduling_name(state), state)).into();
        names.extend(states.map(|state| (state.as_str_name(), state)));
        self.one_of(&names, "a state")
    }

    /// A condition on the entry of a map.
    fn entry(&self, key: String, column: usize) -> Result<Term, ParseError> {
        self.check_key(&key, column)?;
        let any = self.comparator == Comparator::Has && self.value.pattern.is_any();
        Ok(match self.field.kind {
            Kind::Taints => {
                self.only_equality("a list of texts")?;
                let value = if any { None } else { Some(self.value.pattern.clone()) };
                self.checked_taint(TaintTest { key: Pattern::exactly(key), value, effect: None })?
            }
            kind if any => Term::Has(kind, Some(key)),
            Kind::Texts(map) => Term::Entry(map, key, self.entry_text()?),
            Kind::Amounts(map) => {
                let amount = quantity::number(self.plain()?)
                    .ok_or_else(|| self.wrong_value("expected an amount like `4`, `500m` or `16Gi`"))?;
                Term::Amount(map, key, self.order(), amount)
            }
            _ => Term::Condition(key, self.one_of(&STATUSES.map(|status| (status, status)), "a status")?),
        })
    }

    /// A number without quotes is compared as a number, any other text by its characters.
    fn entry_text(&self) -> Result<TextTest, ParseError> {
        let order = self.order();
        if order == Order::Equal {
            return Ok(TextTest::Is(self.value.pattern.clone()));
        }
        let text = self.plain()?;
        Ok(match finite_number(text).filter(|_| !self.value.quoted) {
            Some(number) => TextTest::Number(order, number),
            None => TextTest::Text(order, text.to_owned()),
        })
    }

    /// A condition on a whole map: does it have this key.
    fn presence(&self) -> Result<Term, ParseError> {
        self.only_has(&format!("write `{0}.KEY = ...` for one of its values, or `{0}:KEY`", self.field.name))?;
        if self.value.pattern.is_any() {
            return Ok(Term::Has(self.field.kind, None));
        }
        let Some(key) = self.value.pattern.plain() else {
            return Err(self.wrong_value("a key can't have wildcards; `*` alone stands for any key"));
        };
        self.check_key(key, self.value.column)?;
        Ok(Term::Has(self.field.kind, Some(key.to_owned())))
    }

    fn address(&self) -> Result<Term, ParseError> {
        self.only_has("write `addresses:\"10.0.0.5\"`")?;
        if self.value.pattern.plain() == Some("") {
            return Err(self.wrong_value("an address is never empty: `NOT addresses:*` finds nodes that have none"));
        }
        Ok(Term::Address(self.value.pattern.clone()))
    }

    fn only_has(&self, instead: &str) -> Result<(), ParseError> {
        if self.comparator == Comparator::Has {
            return Ok(());
        }
        let (name, comparator) = (self.field.name, self.comparator.text());
        Err(self.wrong_comparator(format!("`{comparator}` does not fit `{name}`, which holds many values: {instead}")))
    }

    fn check_key(&self, key: &str, column: usize) -> Result<(), ParseError> {
        let checked = match self.field.kind {
            // Condition types are free text.
            Kind::Conditions => Ok(()),
            // Kubernetes allows capitals in the prefix of an annotation's key.
            Kind::Texts(TextMap::Annotations) => check_qualified_name(&key.to_ascii_lowercase()),
            _ => check_qualified_name(key),
        };
        checked.map_err(|problem| ParseError::new(column, problem))
    }

    /// A taint as kubectl writes it: `key=value:Effect`, of which the value and the effect may be left out.
    fn taint(&self) -> Result<Term, ParseError> {
        self.only_has("write `taints:KEY`, `taints:\"KEY=VALUE:Effect\"` or `taints.KEY = VALUE`")?;
        // No part of a taint can contain a star, so each one that was written is a wildcard.
        let text = self.value.pattern.pieces().join("*");
        let (text, effect) = match text.split_once(':') {
            Some((text, effect)) => (text.to_owned(), Some(self.effect(effect)?)),
            None => (text, None),
        };
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(Pattern::with_wildcards(value))),
            None => (text.as_str(), None),
        };
        if !key.contains('*') {
            self.check_key(key, self.value.column)?;
        }
        self.checked_taint(TaintTest { key: Pattern::with_wildcards(key), value, effect })
    }

    fn effect(&self, text: &str) -> Result<&'static str, ParseError> {
        EFFECTS.into_iter().find(|effect| *effect == text).ok_or_else(|| {
            let suggestion = did_you_mean(text, EFFECTS.into_iter());
            let effects = listed(EFFECTS.into_iter());
            self.wrong_value(format!("expected {effects} after the `:`, found {}{suggestion}", shown(text)))
        })
    }

    /// The condition, if keys and values of taints can have the characters in it.
    fn checked_taint(&self, test: TaintTest) -> Result<Term, ParseError> {
        let possible = |pattern: &Pattern, others: &str| {
            pattern.pieces().iter().all(|piece| piece.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c)))
        };
        if possible(&test.key, "-_./") && test.value.as_ref().is_none_or(|value| possible(value, "-_.")) {
            Ok(Term::Taint(test))
        } else {
            Err(self
                .wrong_value("no taint can have this: a key and a value consist of letters, digits, `-`, `_` and `.`"))
        }
    }
}
