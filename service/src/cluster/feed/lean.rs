//! Objects without `managedFields`, which are passed over where they are read: as a tree they take more memory and time than
//! all the rest.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::Deserialize;

/// An object of a specification and a status.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::cluster) struct Lean<S, T> {
    #[serde(default)]
    metadata: LeanMeta,
    spec: Option<S>,
    status: Option<T>,
}

/// `ObjectMeta` without `managedFields`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeanMeta {
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    generate_name: Option<String>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    self_link: Option<String>,
    uid: Option<String>,
}

impl From<LeanMeta> for ObjectMeta {
    // Every field is named: one that Kubernetes adds is a compile error here, not a silent loss.
    fn from(metadata: LeanMeta) -> Self {
        Self {
            annotations: metadata.annotations,
            creation_timestamp: metadata.creation_timestamp,
            deletion_grace_period_seconds: metadata.deletion_grace_period_seconds,
            deletion_timestamp: metadata.deletion_timestamp,
            finalizers: metadata.finalizers,
            generate_name: metadata.generate_name,
            generation: metadata.generation,
            labels: metadata.labels,
            managed_fields: None,
            name: metadata.name,
            namespace: metadata.namespace,
            owner_references: metadata.owner_references,
            resource_version: metadata.resource_version,
            self_link: metadata.self_link,
            uid: metadata.uid,
        }
    }
}

impl From<Lean<NodeSpec, NodeStatus>> for Node {
    fn from(node: Lean<NodeSpec, NodeStatus>) -> Self {
        Self { metadata: node.metadata.into(), spec: node.spec, status: node.status }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::node::arbitrary;

    proptest! {
        #[test]
        fn nothing_is_lost_but_managed_fields(node in arbitrary::node()) {
            let text = serde_json::to_string(&node).unwrap();
            let lean: Lean<NodeSpec, NodeStatus> = serde_json::from_str(&text).unwrap();
            let mut expected: Node = serde_json::from_str(&text).unwrap();
            expected.metadata.managed_fields = None;
            prop_assert_eq!(Node::from(lean), expected);
        }
    }

    #[test]
    fn an_object_without_metadata_is_one() {
        assert_eq!(Node::from(serde_json::from_str::<Lean<NodeSpec, NodeStatus>>("{}").unwrap()), Node::default());
    }
}
