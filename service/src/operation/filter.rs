//! Filters: which operations a caller means, in the language in which nodes are filtered (`node::filter`).

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{NodeOperation, State};
use crate::node::ParseError;
use crate::node::filter::{
    Comparator, Expr, Language, Name, Order, Pattern, Value, did_you_mean, joined, listed, read,
};
use crate::node::syntax::shown;

/// A condition on operations. The default one matches every operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperationFilter {
    expr: Option<Expr<Term>>,
}

impl OperationFilter {
    /// Reads a filter. A text of nothing but white space matches every operation.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self { expr: read::<Operations>(text)? })
    }

    /// Whether the filter is true of the operation.
    pub fn matches(&self, operation: &NodeOperation) -> bool {
        self.expr.as_ref().is_none_or(|expr| expr.holds(&|term: &Term| term.matches(operation)))
    }
}

/// The fields of an operation.
const FIELDS: [(&str, Field); 7] = [
    ("name", Field::Text(Text::Name)),
    ("node", Field::Text(Text::Node)),
    ("caller", Field::Text(Text::Caller)),
    ("state", Field::State),
    ("done", Field::Done),
    ("create_time", Field::Time(Time::Created)),
    ("end_time", Field::Time(Time::Ended)),
];

/// The states, by the names in the contract without their prefix.
const STATES: [(&str, State); 8] = [
    ("PENDING", State::Pending),
    ("RUNNING", State::Running),
    ("BLOCKED", State::Blocked),
    ("PAUSED", State::Paused),
    ("CANCELLING", State::Cancelling),
    ("SUCCEEDED", State::Succeeded),
    ("FAILED", State::Failed),
    ("CANCELLED", State::Cancelled),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Text(Text),
    State,
    Done,
    Time(Time),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Text {
    Name,
    Node,
    Caller,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Time {
    Created,
    Ended,
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
enum Term {
    Text(Text, Pattern),
    State(State),
    Done(bool),
    Time(Time, Order, Timestamp),
}

impl Term {
    fn matches(&self, operation: &NodeOperation) -> bool {
        let status = operation.status.as_ref();
        match self {
            Self::Text(Text::Name, pattern) => pattern.matches(&operation.name_any()),
            Self::Text(Text::Node, pattern) => pattern.matches(&operation.spec.node.name),
            Self::Text(Text::Caller, pattern) => pattern.matches(&operation.spec.requester.username),
            Self::State(state) => operation.state() == *state,
            Self::Done(done) => operation.state().is_final() == *done,
            Self::Time(Time::Created, order, time) => {
                let created = operation.metadata.creation_timestamp.as_ref();
                created.is_some_and(|created| order.holds(created.0.cmp(time)))
            }
            Self::Time(Time::Ended, order, time) => {
                status.and_then(|status| status.end_time).is_some_and(|ended| order.holds(ended.cmp(time)))
            }
        }
    }
}

/// Conditions on operations.
struct Operations;

impl Language for Operations {
    type Term = Term;

    const EXAMPLE: &'static str = "done = false";

    fn condition(
        path: &[Name],
        (comparator, column): (Comparator, usize),
        value: &Value,
    ) -> Result<Expr<Term>, ParseError> {
        let (name, field) = find(path)?;
        let order = order(comparator);
        if order != Order::Equal && !matches!(field, Field::Time(_)) {
            let message = format!("`{}` does not fit `{name}`: use `=` or `!=`", comparator.text());
            return Err(ParseError::new(column, message));
        }
        let term = Expr::Term(match field {
            Field::Text(text) => Term::Text(text, pattern(text, value)),
            Field::State => Term::State(state(value)?),
            Field::Done => Term::Done(one_of(value, &[("true", true), ("false", false)])?),
            Field::Time(time) => Term::Time(time, order, timestamp(value)?),
        });
        Ok(if comparator == Comparator::NotEqual { Expr::Not(Box::new(term)) } else { term })
    }

    fn after(path: &[Name]) -> Result<String, ParseError> {
        find(path).map(|(name, _)| format!("a comparator and a value after `{name}`"))
    }
}

fn find(path: &[Name]) -> Result<(&'static str, Field), ParseError> {
    let text = joined(path);
    let found = FIELDS.into_iter().find(|(name, _)| *name == text);
    found.ok_or_else(|| {
        let names = FIELDS.map(|(name, _)| name);
        let suggestion = did_you_mean(&text, names.into_iter());
        let message = format!("there is no field {}{suggestion}; the fields are {}", shown(&text), names.join(", "));
        ParseError::new(path.first().map_or(1, |first| first.column), message)
    })
}

fn order(comparator: Comparator) -> Order {
    match comparator {
        Comparator::Equal | Comparator::NotEqual | Comparator::Has => Order::Equal,
        Comparator::Less => Order::Less,
        Comparator::LessEqual => Order::LessEqual,
        Comparator::Greater => Order::Greater,
        Comparator::GreaterEqual => Order::GreaterEqual,
    }
}

/// The names of resources may be whole: `nodes/worker-1` is the node `worker-1`.
fn pattern(text: Text, value: &Value) -> Pattern {
    let pattern = value.pattern.clone();
    match text {
        Text::Name => pattern.without_prefix("operations/"),
        Text::Node => pattern.without_prefix("nodes/"),
        Text::Caller => pattern,
    }
}

fn state(value: &Value) -> Result<State, ParseError> {
    let short = value.pattern.plain().and_then(|text| text.strip_prefix("OPERATION_STATE_"));
    let known = short.and_then(|short| STATES.into_iter().find(|(name, _)| *name == short));
    known.map_or_else(|| one_of(value, &STATES), |(_, state)| Ok(state))
}

/// The one of the names that the value is, with what it stands for.
fn one_of<T: Copy>(value: &Value, names: &[(&'static str, T)]) -> Result<T, ParseError> {
    let text = value.pattern.pieces().join("*");
    names.iter().find(|(name, _)| *name == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let names = names.iter().map(|(name, _)| *name);
        let suggestion = did_you_mean(&text, names.clone());
        ParseError::new(value.column, format!("expected {}, found {}{suggestion}", listed(names), shown(&text)))
    })
}

fn timestamp(value: &Value) -> Result<Timestamp, ParseError> {
    value
        .pattern
        .plain()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| ParseError::new(value.column, "expected a time as in RFC 3339, like `\"2026-07-01T08:30:00Z\"`"))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::operation::{OperationSpec, OperationStatus};

    fn operation() -> NodeOperation {
        let mut operation = NodeOperation::new("6f1c2d3e-0000-4000-8000-000000000000", OperationSpec::default());
        operation.metadata.creation_timestamp = Some(Time(Timestamp::from_second(1000).unwrap()));
        operation.spec.node.name = "worker-1".to_owned();
        operation.spec.requester.username = "alice".to_owned();
        operation.status = Some(OperationStatus { state: State::Blocked, ..OperationStatus::default() });
        operation
    }

    #[track_caller]
    fn matches(text: &str) -> bool {
        OperationFilter::parse(text).unwrap().matches(&operation())
    }

    #[test]
    fn every_field_can_be_asked_for() {
        for text in [
            "",
            "name = \"6f1c*\"",
            "name = \"operations/6f1c2d3e-0000-4000-8000-000000000000\"",
            "node = worker-1",
            "node = \"nodes/worker-*\"",
            "caller = alice",
            "state = BLOCKED",
            "state = OPERATION_STATE_BLOCKED",
            "done = false",
            "create_time > \"1970-01-01T00:00:00Z\"",
            "NOT end_time > \"1970-01-01T00:00:00Z\"",
            "node = other OR caller != bob",
        ] {
            assert!(matches(text), "{text}");
        }
        for text in ["node = worker-2", "state = RUNNING", "done = true", "create_time < \"1970-01-01T00:00:00Z\""] {
            assert!(!matches(text), "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused_where_it_stands() {
        let refused = |text: &str| {
            let error = OperationFilter::parse(text).unwrap_err();
            (error.column, error.message)
        };
        assert!(refused("stat = RUNNING").1.contains("did you mean `state`?"));
        assert!(refused("state = RUNING").1.contains("did you mean `RUNNING`?"));
        assert_eq!(refused("done = true AND state < RUNNING").0, 23);
        assert_eq!(refused("create_time > yesterday").0, 15);
        assert!(refused("done").1.contains("a comparator and a value after `done`"));
    }
}
