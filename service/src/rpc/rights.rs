//! Which right in Kubernetes each RPC needs. docs/security.md shows the same table.

use crate::caller::Permission;

/// A right that an RPC needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// The RPC.
    pub rpc: &'static str,
    /// The verb.
    pub verb: &'static str,
    /// The resource of the core group.
    pub resource: &'static str,
    /// The subresource. Empty for the object itself.
    pub subresource: &'static str,
}

const fn nodes(rpc: &'static str, verb: &'static str) -> Right {
    Right { rpc, verb, resource: "nodes", subresource: "" }
}

const fn status(rpc: &'static str, verb: &'static str) -> Right {
    Right { rpc, verb, resource: "nodes", subresource: "status" }
}

pub(super) const GET_NODE: Right = nodes("GetNode", "get");
pub(super) const LIST_NODES: Right = nodes("ListNodes", "list");
pub(super) const WATCH_NODES: Right = nodes("WatchNodes", "watch");
pub(super) const CREATE_NODE: Right = nodes("CreateNode", "create");
pub(super) const UPDATE_NODE: Right = nodes("UpdateNode", "patch");
pub(super) const UPDATE_NODE_STATUS: Right = status("UpdateNodeStatus", "patch");
pub(super) const PATCH_NODE: Right = nodes("PatchNode", "patch");
pub(super) const PATCH_NODE_STATUS: Right = status("PatchNode", "patch");
pub(super) const DELETE_NODE: Right = nodes("DeleteNode", "delete");
pub(super) const DELETE_NODES: Right = nodes("DeleteNodes", "delete");
pub(super) const CORDON_NODE: Right = nodes("CordonNode", "patch");
pub(super) const UNCORDON_NODE: Right = nodes("UncordonNode", "patch");

impl Right {
    /// The right to this RPC on the node of this name; on all nodes, if it is empty.
    pub(super) fn on(self, name: &str) -> Permission {
        let Self { rpc: _, verb, resource, subresource } = self;
        Permission { verb, group: "", resource, subresource, name: name.to_owned() }
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

    const ALL: [Right; 12] = [
        GET_NODE,
        LIST_NODES,
        WATCH_NODES,
        CREATE_NODE,
        UPDATE_NODE,
        UPDATE_NODE_STATUS,
        PATCH_NODE,
        PATCH_NODE_STATUS,
        DELETE_NODE,
        DELETE_NODES,
        CORDON_NODE,
        UNCORDON_NODE,
    ];

    #[test]
    fn every_rpc_needs_a_right() {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
        let service = pool.get_service_by_name("nodeward.v1.NodeService").unwrap();
        let rpcs: BTreeSet<String> = service.methods().map(|method| method.name().to_owned()).collect();
        let known: BTreeSet<String> = ALL.iter().map(|right| right.rpc.to_owned()).collect();
        assert_eq!(rpcs, known);
    }

    #[test]
    fn the_document_shows_the_same_table() {
        let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security.md")).unwrap();
        for Right { rpc, verb, resource, subresource } in ALL {
            let resource =
                if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
            let row = format!("| {rpc} | `{verb}` | `{resource}` |");
            assert!(document.contains(&row), "docs/security.md lacks {row}");
        }
        assert_eq!(document.lines().filter(|line| line.contains("| `nodes")).count(), ALL.len());
    }
}
