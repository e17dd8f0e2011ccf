//! Does a node fulfil a filter.
//!
//! Every condition is either true or false of a node: a condition on something that the node does not have is false, and its
//! negation so is true.

use k8s_openapi::api::core::v1::{Node, NodeAddress, NodeCondition, Taint};
use nodeward_api::v1::{SchedulingState, readiness};

use super::expr::{Expr, TaintTest, Term, TextTest, finite_number};
use super::fields::{Flag, Kind, TextField};
use crate::node::{quantity, state};

impl Expr<Term> {
    pub(super) fn matches(&self, node: &Node) -> bool {
        self.holds(&|term| term.matches(node))
    }
}

impl Term {
    fn matches(&self, node: &Node) -> bool {
        match self {
            Term::Text(field, test) => field.of(node).is_some_and(|text| {
                // The kubelet writes `v1.36.2`, people write `1.36.2`.
                let short = text.strip_prefix('v').filter(|_| *field == TextField::KubeletVersion);
                test.holds(text) || short.is_some_and(|short| test.holds(short))
            }),
            Term::Version(field, order, version) => field
                .of(node)
                .and_then(|reported| version.compared_with(reported))
                .is_some_and(|ordering| order.holds(ordering)),
            Term::Flag(flag, wanted) => is_set(*flag, node) == *wanted,
            Term::Readiness(wanted) => state::readiness_state(node) == *wanted,
            Term::SchedulingState(wanted) => state::scheduling_state(node) == *wanted,
            Term::CreateTime(order, time) => {
                node.metadata.creation_timestamp.as_ref().is_some_and(|created| order.holds(created.0.cmp(time)))
            }
            Term::Entry(map, key, test) => {
                map.of(node).and_then(|entries| entries.get(key)).is_some_and(|text| test.holds(text))
            }
            Term::Amount(map, key, order, amount) => map
                .of(node)
                .and_then(|amounts| quantity::number(&amounts.get(key)?.0)?.partial_cmp(amount))
                .is_some_and(|ordering| order.holds(ordering)),
            Term::Condition(kind, status) => {
                conditions(node).iter().any(|condition| condition.type_ == *kind && condition.status == *status)
            }
            Term::Has(kind, key) => has(*kind, key.as_deref(), node),
            Term::Taint(test) => taints(node).iter().any(|taint| test.holds(taint)),
            Term::Address(pattern) => addresses(node).iter().any(|address| pattern.matches(&address.address)),
        }
    }
}

fn is_set(flag: Flag, node: &Node) -> bool {
    match flag {
        Flag::Ready => state::readiness_state(node) == readiness::State::Ready,
        Flag::Cordoned => state::scheduling_state(node) == SchedulingState::Cordoned,
    }
}

fn has(kind: Kind, key: Option<&str>, node: &Node) -> bool {
    fn among<'a>(key: Option<&str>, mut keys: impl Iterator<Item = &'a String>) -> bool {
        keys.any(|candidate| key.is_none_or(|key| candidate == key))
    }
    match kind {
        Kind::Texts(map) => among(key, map.of(node).into_iter().flat_map(|entries| entries.keys())),
        Kind::Amounts(map) => among(key, map.of(node).into_iter().flat_map(|amounts| amounts.keys())),
        Kind::Conditions => among(key, conditions(node).iter().map(|condition| &condition.type_)),
        _ => false,
    }
}

impl TextTest {
    fn holds(&self, text: &str) -> bool {
        match self {
            TextTest::Is(pattern) => pattern.matches(text),
            TextTest::Text(order, bound) => order.holds(text.cmp(bound)),
            TextTest::Number(order, bound) => finite_number(text)
                .and_then(|number| number.partial_cmp(bound))
                .is_some_and(|ordering| order.holds(ordering)),
        }
    }
}

impl TaintTest {
    fn holds(&self, taint: &Taint) -> bool {
        self.key.matches(&taint.key)
            && self.value.as_ref().is_none_or(|value| value.matches(taint.value.as_deref().unwrap_or_default()))
            && self.effect.is_none_or(|effect| taint.effect == effect)
    }
}

fn taints(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

fn conditions(node: &Node) -> &[NodeCondition] {
    node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}

fn addresses(node: &Node) -> &[NodeAddress] {
    node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default()
}
