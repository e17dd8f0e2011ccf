//! Server-side apply: what Kubernetes will make of the protected parts can be told from the configuration and from what
//! its manager owns.

use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value};

use super::body::{annotations, lock, metadata, refuse_own_annotations};
use super::typed::Typed;
use super::{NodePatch, Prepared};
use crate::cluster::mutate::guard::Protected;
use crate::cluster::mutate::{FIELD_MANAGER, Mutation, Subresource, record};
use crate::error::Error;

/// The configuration, with what nodeward adds to it.
pub(super) fn prepare(
    patch: &NodePatch,
    body: &Map<String, Value>,
    mutation: &Mutation,
    name: &str,
    current: Option<&Node>,
) -> Result<Prepared, Error> {
    let mut body = body.clone();
    let wanted = Typed::of_partial(body.clone().into())?;
    refuse_own_annotations(metadata(&mut body)?)?;
    let manager = patch.manager.as_deref().unwrap_or(FIELD_MANAGER);
    if patch.subresource == Subresource::Main {
        let before = current.map(Protected::of).unwrap_or_default();
        let after = Protected { taints: taints_after(&wanted.node, current, manager), ..before.clone() };
        before.refuse_change(&after, "patch")?;
    }

    body.entry("apiVersion").or_insert_with(|| "v1".into());
    body.entry("kind").or_insert_with(|| "Node".into());
    metadata(&mut body)?.entry("name").or_insert_with(|| name.into());
    if let Some(node) = current {
        lock(&mut body, node)?;
        // An apply makes a node anew that has just been deleted, also one at a version, but none with a uid.
        metadata(&mut body)?.entry("uid").or_insert_with(|| node.metadata.uid.clone().into());
    }
    let request = mutation.to_record().map(|request| record::Record::of(request, mutation));
    if let Some((key, value)) = record::with_apply(current, manager, patch.subresource, request) {
        annotations(&mut body)?.insert(key, value.into());
    }
    Ok(Prepared { body: kube::api::Patch::Apply(body.into()), is_known: wanted.is_known, try_first: false })
}

/// The taints after the apply. They are one value: the configuration's. What it leaves out stays, unless its manager
/// applied it before and nobody else has set it.
fn taints_after(wanted: &Node, current: Option<&Node>, manager: &str) -> Vec<Taint> {
    if let Some(taints) = wanted.spec.as_ref().and_then(|spec| spec.taints.clone()) {
        return taints;
    }
    let Some(node) = current else { return Vec::new() };
    let owners = node.metadata.managed_fields.iter().flatten().filter(|entry| owns_taints(entry));
    let (applied, set_by_others): (Vec<_>, Vec<_>) = owners.partition(|entry| is_of_apply(entry, manager));
    if !applied.is_empty() && set_by_others.is_empty() { Vec::new() } else { Protected::of(node).taints }
}

fn owns_taints(entry: &ManagedFieldsEntry) -> bool {
    entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:taints").is_some())
}

/// Whether an entry is that of applies of this manager to the node itself.
fn is_of_apply(entry: &ManagedFieldsEntry, manager: &str) -> bool {
    entry.manager.as_deref() == Some(manager)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;
    use crate::caller::Caller;
    use crate::cluster::WritesAs;
    use crate::cluster::mutate::PatchFormat;

    /// A node with a taint that these managers own; a name that ends in `!` has set it by an update.
    fn tainted(managers: &[&str]) -> Node {
        let entry = |manager: &&str| {
            let operation = if manager.ends_with('!') { "Update" } else { "Apply" };
            json!({"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:taints": {}}}})
        };
        let fields: Vec<_> = managers.iter().map(entry).collect();
        let taints = json!([{"key": "a", "effect": "NoSchedule"}]);
        serde_json::from_value(json!({"metadata": {"managedFields": fields}, "spec": {"taints": taints}})).unwrap()
    }

    fn count(wanted: serde_json::Value, current: &Node) -> usize {
        taints_after(&serde_json::from_value(wanted).unwrap(), Some(current), "blue").len()
    }

    #[test]
    fn an_apply_is_for_the_node_that_there_was_and_none_that_comes_after_it() {
        let format = PatchFormat::Apply { body: Map::new(), force: false };
        let patch = NodePatch { format, subresource: Subresource::Main, manager: None, may_create: true };
        let mutation = Mutation {
            writes_as: WritesAs::Caller,
            caller: Caller::Server,
            method: "PatchNode",
            request: None,
            etag: None,
            validate_only: false,
            reason: String::new(),
            audit_id: uuid::Uuid::nil(),
            deadline: Instant::now(),
        };
        let metadata = json!({"name": "a", "resourceVersion": "7", "uid": "u"});
        let node: Node = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
        let sent = |current| match prepare(&patch, &Map::new(), &mutation, "a", current).unwrap().body {
            kube::api::Patch::Apply(body) => body["metadata"].clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(sent(Some(&node)), metadata);
        assert_eq!(sent(None), json!({"name": "a"}));
    }

    #[test]
    fn an_apply_sets_the_taints_that_it_holds() {
        let two = json!([{"key": "b", "effect": "NoSchedule"}, {"key": "c", "effect": "NoSchedule"}]);
        assert_eq!(count(json!({"spec": {"taints": two}}), &tainted(&["blue"])), 2);
        assert_eq!(count(json!({"spec": {"taints": []}}), &tainted(&["green"])), 0);
    }

    #[test]
    fn an_apply_without_taints_removes_those_that_its_manager_applied_alone() {
        assert_eq!(count(json!({}), &tainted(&["blue"])), 0);
        assert_eq!(count(json!({}), &tainted(&["blue", "green"])), 1);
        assert_eq!(count(json!({}), &tainted(&["green"])), 1);
        assert_eq!(count(json!({}), &tainted(&["blue!"])), 1);
    }
}
