//! Which right in Kubernetes each RPC needs. docs/security.md shows the same table.

use crate::caller::Permission;

/// A right that an RPC needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// The RPC.
    pub rpc: &'static str,
    /// The verb.
    pub verb: &'static str,
    /// The API group of the resource. Empty for core.
    pub group: &'static str,
    /// The resource.
    pub resource: &'static str,
    /// The subresource. Empty for the object itself.
    pub subresource: &'static str,
}

const fn nodes(rpc: &'static str, verb: &'static str) -> Right {
    Right { rpc, verb, group: "", resource: "nodes", subresource: "" }
}

const fn status(rpc: &'static str, verb: &'static str) -> Right {
    Right { rpc, verb, group: "", resource: "nodes", subresource: "status" }
}

/// There are no such resources in Kubernetes: they are there to be named in RBAC.
const fn node_drains(rpc: &'static str, verb: &'static str) -> Right {
    Right { rpc, verb, group: "nodeward.dev", resource: "nodedrains", subresource: "" }
}

/// As these.
const fn audit_records(rpc: &'static str, verb: &'static str) -> Right {
    Right { rpc, verb, group: "nodeward.dev", resource: "auditrecords", subresource: "" }
}

/// Nor this: what operations are kept in, nodeward alone reads and writes.
const fn operations(rpc: &'static str, verb: &'static str) -> Right {
    Right { rpc, verb, group: "nodeward.dev", resource: "operations", subresource: "" }
}

pub(super) const GET_NODE: Right = nodes("GetNode", "get");
pub(super) const LIST_NODES: Right = nodes("ListNodes", "list");
pub(super) const STREAM_NODES: Right = nodes("StreamNodes", "list");
pub(super) const WATCH_NODES: Right = nodes("WatchNodes", "watch");
/// An apply that creates the node needs it as well.
pub(super) const CREATE_NODE: Right = nodes("CreateNode", "create");
pub(super) const UPDATE_NODE: Right = nodes("UpdateNode", "patch");
pub(super) const UPDATE_NODE_STATUS: Right = status("UpdateNodeStatus", "patch");
pub(super) const PATCH_NODE: Right = nodes("PatchNode", "patch");
pub(super) const PATCH_NODE_STATUS: Right = status("PatchNode", "patch");
pub(super) const DELETE_NODE: Right = nodes("DeleteNode", "delete");
/// It tells how many nodes match a filter, and which.
pub(super) const DELETE_NODES_LIST: Right = nodes("DeleteNodes", "list");
pub(super) const DELETE_NODES: Right = nodes("DeleteNodes", "delete");
pub(super) const CORDON_NODE: Right = nodes("CordonNode", "patch");
pub(super) const UNCORDON_NODE: Right = nodes("UncordonNode", "patch");
/// It tells which pods the node has, and what covers them.
pub(super) const PLAN_DRAIN: Right = node_drains("PlanDrain", "create");
pub(super) const DRAIN_NODE: Right = node_drains("DrainNode", "create");
/// A drain begins with a cordon.
pub(super) const DRAIN_NODE_CORDONS: Right = nodes("DrainNode", "patch");
pub(super) const LIST_AUDIT_RECORDS: Right = audit_records("ListAuditRecords", "list");
pub(super) const STREAM_AUDIT_RECORDS: Right = audit_records("StreamAuditRecords", "watch");

pub(super) const GET_OPERATION: Right = operations("GetOperation", "get");
pub(super) const LIST_OPERATIONS: Right = operations("ListOperations", "list");
pub(super) const WAIT_OPERATION: Right = operations("WaitOperation", "get");
pub(super) const STREAM_OPERATION_EVENTS: Right = operations("StreamOperationEvents", "watch");
pub(super) const CANCEL_OPERATION: Right = operations("CancelOperation", "update");
pub(super) const DELETE_OPERATION: Right = operations("DeleteOperation", "delete");

impl Right {
    /// Whether whoever asked for an operation may call this RPC on it without the right.
    pub(super) fn is_for_requester(self) -> bool {
        [GET_OPERATION, WAIT_OPERATION, STREAM_OPERATION_EVENTS, CANCEL_OPERATION].contains(&self)
    }

    /// The right to this RPC on the node of this name; on all nodes, if it is empty.
    pub(super) fn on(self, name: &str) -> Permission {
        let Self { rpc: _, verb, group, resource, subresource } = self;
        Permission { verb, group, resource, subresource, name: name.to_owned() }
    }

    /// The right to this RPC on all nodes.
    pub(super) fn on_all(self) -> Permission {
        self.on("")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nodeward_api::FILE_DESCRIPTOR_SET;
    use prost_reflect::DescriptorPool;

    use super::*;

    const ALL: [Right; 25] = [
        GET_NODE,
        LIST_NODES,
        STREAM_NODES,
        WATCH_NODES,
        CREATE_NODE,
        UPDATE_NODE,
        UPDATE_NODE_STATUS,
        PATCH_NODE,
        PATCH_NODE_STATUS,
        DELETE_NODE,
        DELETE_NODES_LIST,
        DELETE_NODES,
        CORDON_NODE,
        UNCORDON_NODE,
        PLAN_DRAIN,
        DRAIN_NODE,
        DRAIN_NODE_CORDONS,
        LIST_AUDIT_RECORDS,
        STREAM_AUDIT_RECORDS,
        GET_OPERATION,
        LIST_OPERATIONS,
        WAIT_OPERATION,
        STREAM_OPERATION_EVENTS,
        CANCEL_OPERATION,
        DELETE_OPERATION,
    ];

    #[test]
    fn every_rpc_needs_a_right() {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
        let packages = ["nodeward.v1", "google.longrunning"];
        let ours = pool.services().filter(|service| packages.contains(&service.package_name()));
        let rpcs: BTreeSet<String> =
            ours.flat_map(|service| service.methods().map(|rpc| rpc.name().to_owned()).collect::<Vec<_>>()).collect();
        let known: BTreeSet<String> = ALL.iter().map(|right| right.rpc.to_owned()).collect();
        assert_eq!(rpcs, known);
    }

    #[test]
    fn the_document_shows_the_same_table() {
        let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security.md")).unwrap();
        for right in ALL {
            let (rpc, permission) = (right.rpc, right.on_all().to_string());
            let (verb, resource) = permission.split_once(' ').unwrap();
            let row = format!("| {rpc} | `{verb}` | `{resource}` |");
            assert!(document.contains(&row), "docs/security.md lacks {row}");
        }
        let resources = ["| `nodes", "| `nodedrains", "| `auditrecords", "| `operations"];
        let is_row = |line: &str| resources.iter().any(|resource| line.contains(resource));
        assert_eq!(document.lines().filter(|line| is_row(line)).count(), ALL.len());
    }
}
