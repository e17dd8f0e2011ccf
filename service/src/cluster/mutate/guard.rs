//! What no caller changes, in whatever way: the taints that controllers own, and nodeward's own annotations.
//!
//! There is one check: what a change would make of the protected parts of a node is compared with what they are. A node
//! that is created had none.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Taint};

use crate::error::Error;
use crate::node::{OWN_PREFIX, Violation, taint};

/// The parts of a node that are protected, or of which parts are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Protected {
    pub(super) taints: Vec<Taint>,
    /// nodeward's own.
    pub(super) annotations: BTreeMap<String, String>,
}

impl Protected {
    /// The parts of this node.
    pub(super) fn of(node: &Node) -> Self {
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
        let annotations = node.metadata.annotations.iter().flatten();
        let own = annotations.filter(|(key, _)| is_own(key)).map(|(key, value)| (key.clone(), value.clone()));
        Self { taints, annotations: own.collect() }
    }

    /// Refuses a change that would make `after` of these parts. `field` is the field of the request that asks for it.
    pub(super) fn refuse_change(&self, after: &Self, field: &str) -> Result<(), Error> {
        if let Some(refusal) = taint::refuse_controller_owned(&self.taints, &after.taints) {
            return Err(refusal.into());
        }
        let keys = self.annotations.keys().chain(after.annotations.keys());
        match keys.into_iter().find(|key| self.annotations.get(*key) != after.annotations.get(*key)) {
            Some(key) => Err(own_annotation(key, field)),
            None => Ok(()),
        }
    }
}

/// Whether an annotation is nodeward's own.
pub(super) fn is_own(key: &str) -> bool {
    key.starts_with(OWN_PREFIX)
}

/// The refusal to change one of nodeward's own annotations.
pub(super) fn own_annotation(key: &str, field: &str) -> Error {
    let advice = format!("annotation {key:?} is nodeward's own: leave keys with the prefix {OWN_PREFIX:?} as they are");
    Violation::new(field, advice).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parts(node: serde_json::Value) -> Protected {
        Protected::of(&serde_json::from_value(node).unwrap())
    }

    fn annotated(key: &str, value: &str) -> Protected {
        parts(json!({"metadata": {"annotations": {key: value}}}))
    }

    #[test]
    fn whatever_changes_an_annotation_of_nodeward_is_refused() {
        let (none, some) = (Protected::default(), annotated("nodeward.dev/requests", "[1]"));
        for (before, after) in [(&none, &some), (&some, &none), (&some, &annotated("nodeward.dev/requests", "[]"))] {
            let error = before.refuse_change(after, "patch").unwrap_err().to_string();
            assert!(error.contains("patch: annotation \"nodeward.dev/requests\""), "{error}");
        }
    }

    #[test]
    fn other_annotations_are_the_callers() {
        assert_eq!(Protected::default(), annotated("example.com/a", "b"));
    }

    #[test]
    fn a_new_node_has_no_taint_of_a_controller() {
        let taints = json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]);
        let error = Protected::default().refuse_change(&parts(json!({"spec": {"taints": taints}})), "node");
        assert!(matches!(error, Err(Error::ControllerOwnedTaint { .. })));
    }
}
