//! What is wrong with the values of an update of the status.

use std::collections::BTreeMap;

use nodeward_api::v1;

use super::check::{check_unique, entry_path, require};
use super::fields::Field;
use crate::node::syntax::shown;
use crate::node::{Violations, quantity};

/// The statuses of a condition (`ConditionStatus` of core/v1).
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];

const CONDITION_TWICE: &str = "has the type of an earlier condition: a node has at most one of them";

pub(super) fn check_field(status: &v1::NodeStatus, field: &Field, violations: &mut Violations) {
    match field.path {
        "status.conditions" => {
            for (index, condition) in status.conditions.iter().enumerate() {
                check_condition(condition, index, violations);
            }
            let types = status.conditions.iter().map(|condition| &condition.r#type);
            check_unique(types, "node.status.conditions", CONDITION_TWICE, violations);
        }
        "status.addresses" => check_addresses(&status.addresses, violations),
        _ => {
            for (name, amount) in amounts(status, field).into_iter().flatten() {
                check_amount(field, name, amount, violations);
            }
        }
    }
}

pub(super) fn check_key(status: &v1::NodeStatus, field: &Field, key: &str, violations: &mut Violations) {
    if key.is_empty() {
        violations.add("update_mask", format!("names a resource of `{}` without a name", field.path));
    }
    if let Some(amount) = amounts(status, field).and_then(|amounts| amounts.get(key)) {
        check_amount(field, key, amount, violations);
    }
}

pub(super) fn check_named_condition(status: &v1::NodeStatus, kind: &str, violations: &mut Violations) {
    if kind.is_empty() {
        violations.add("update_mask", "names a condition without a type");
    }
    let named = status.conditions.iter().enumerate().filter(|(_, condition)| condition.r#type == kind);
    for (place, (index, condition)) in named.enumerate() {
        check_condition(condition, index, violations);
        if place > 0 {
            violations.add(format!("node.status.conditions[{index}]"), CONDITION_TWICE);
        }
    }
}

fn check_condition(condition: &v1::NodeCondition, index: usize, violations: &mut Violations) {
    require(&condition.r#type, format!("node.status.conditions[{index}].type"), violations);
    if !STATUSES.contains(&condition.status.as_str()) {
        violations.add(
            format!("node.status.conditions[{index}].status"),
            format!("{} is not a status: send `True`, `False` or `Unknown`", shown(&condition.status)),
        );
    }
}

/// `ValidateNodeUpdate` of pkg/apis/core/validation: no address twice.
fn check_addresses(addresses: &[v1::NodeAddress], violations: &mut Violations) {
    for (index, address) in addresses.iter().enumerate() {
        require(&address.r#type, format!("node.status.addresses[{index}].type"), violations);
        require(&address.address, format!("node.status.addresses[{index}].address"), violations);
    }
    let places = addresses.iter().map(|address| (&address.r#type, &address.address));
    check_unique(places, "node.status.addresses", "is the same as an earlier address", violations);
}

/// `ValidateResourceQuantityValue` of pkg/apis/core/validation: amounts are not negative.
fn check_amount(field: &Field, name: &str, amount: &v1::Quantity, violations: &mut Violations) {
    let problem = match quantity::number(&amount.text) {
        Some(number) if number >= 0.0 => return,
        Some(_) => "is negative: send an amount from 0 up",
        None => "is not a quantity: send a number, perhaps with a unit, such as `4`, `500m` or `16Gi`",
    };
    violations.add(format!("{}.text", entry_path(field, name)), format!("{} {problem}", shown(&amount.text)));
}

/// The amounts of a field that holds such. None if it doesn't.
fn amounts<'a>(status: &'a v1::NodeStatus, field: &Field) -> Option<&'a BTreeMap<String, v1::Quantity>> {
    match field.path {
        "status.capacity" => Some(&status.capacity),
        "status.allocatable" => Some(&status.allocatable),
        _ => None,
    }
}
