//! What a patch says in the types of a Node, checked before it is sent.
//!
//! Kubernetes answers 400 both to a patch that it can't read and to a dry run that a webhook does not support, and only its
//! words tell them apart. What is checked here can be only the latter.

use k8s_openapi::api::core::v1::Node;
use serde_json::Value;

use crate::error::Error;
use crate::node::{Violation, quantity};

/// A patch, or what it makes, as a Node.
pub(super) struct Typed {
    pub(super) node: Node,
    /// Whether it holds no field that is unknown here. Kubernetes may be newer, and know it.
    pub(super) is_known: bool,
}

impl Typed {
    /// What a patch makes of a node.
    pub(super) fn of(document: Value) -> Result<Self, Error> {
        let mut is_known = true;
        let node: Node = serde_ignored::deserialize(document, |_| is_known = false)
            .map_err(|error| refusal(format!("what it makes is no Node: {error}")))?;
        let status = node.status.iter();
        let quantities = status.flat_map(|status| status.capacity.iter().chain(&status.allocatable).flatten());
        for (resource, amount) in quantities {
            if quantity::number(&amount.0).is_none() {
                return Err(refusal(format!(
                    "{:?} is no amount of {resource}: write it as 3920m, 16Gi or 110",
                    amount.0
                )));
            }
        }
        Ok(Self { node, is_known })
    }

    /// What a partial object sets. What it removes (`null`) and the directives of strategic merges say nothing of types.
    pub(super) fn of_partial(mut body: Value) -> Result<Self, Error> {
        strip(&mut body);
        Self::of(body)
    }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, field| !key.starts_with('$') && !field.is_null());
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn refusal(description: String) -> Error {
    Violation::new("patch", description).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_of_another_type_is_refused_with_what_was_expected() {
        let error = Typed::of(json!({"spec": {"unschedulable": "yes"}})).err().unwrap().to_string();
        assert!(error.contains("expected a boolean"), "{error}");
    }

    #[test]
    fn an_amount_that_is_none_is_refused() {
        let error = Typed::of(json!({"status": {"capacity": {"cpu": "abc"}}})).err().unwrap().to_string();
        assert!(error.contains("\"abc\" is no amount of cpu"), "{error}");
        assert!(Typed::of(json!({"status": {"capacity": {"cpu": 4, "memory": "16Gi"}}})).is_ok());
    }

    #[test]
    fn a_field_that_is_not_known_here_is_left_to_kubernetes() {
        assert!(!Typed::of(json!({"spec": {"nextYears": 1}})).unwrap().is_known);
        assert!(Typed::of(json!({"spec": {"podCIDR": "10.0.0.0/24"}})).unwrap().is_known);
    }

    #[test]
    fn removals_and_directives_are_no_values() {
        let body =
            json!({"metadata": {"labels": {"a": null}}, "status": {"conditions": [{"$patch": "delete", "type": "A"}]}});
        assert!(Typed::of_partial(body).unwrap().is_known);
    }
}
