//! A valid request of every RPC that changes nothing.

use nodeward_api::google::longrunning::{
    DeleteOperationRequest, GetOperationRequest, ListOperationsRequest, WaitOperationRequest,
};
use nodeward_api::v1::patch_node_request::PatchType;
use nodeward_api::v1::{
    AuditRecordFilter, CancelOperationRequest, CordonNodeRequest, CreateNodeRequest, DeleteNodeRequest,
    DeleteNodesRequest, DrainNodeRequest, GetNodeRequest, ListAuditRecordsRequest, ListNodesRequest, Node, NodeSpec,
    NodeStatus, PatchNodeRequest, PlanDrainRequest, StreamAuditRecordsRequest, StreamNodesRequest,
    StreamOperationEventsRequest, UncordonNodeRequest, UpdateNodeRequest, UpdateNodeStatusRequest, WatchNodesRequest,
};
use prost::Message;

/// The RPCs that only read nodes.
pub const READS: [&str; 4] = ["GetNode", "ListNodes", "StreamNodes", "WatchNodes"];

/// The RPCs that are a patch of a node in Kubernetes.
pub const PATCHES: [&str; 4] = ["UpdateNode", "PatchNode", "CordonNode", "UncordonNode"];

/// The RPCs that empty nodes.
pub const DRAINS: [&str; 2] = ["PlanDrain", "DrainNode"];

/// The RPCs that read the audit log.
pub const AUDIT: [&str; 2] = ["ListAuditRecords", "StreamAuditRecords"];

/// The RPCs that look at operations.
pub const OPERATION_READS: [&str; 4] = ["GetOperation", "ListOperations", "WaitOperation", "StreamOperationEvents"];

/// All RPCs that a viewer may call, in the order of the descriptors.
pub const OF_A_VIEWER: [&str; 8] = [
    "ListOperations",
    "GetOperation",
    "WaitOperation",
    "GetNode",
    "ListNodes",
    "StreamNodes",
    "WatchNodes",
    "StreamOperationEvents",
];

/// The RPCs that change one. Two services have an RPC that cancels.
pub const OPERATION_CHANGES: [&str; 3] = ["CancelOperation", "CancelOperation", "DeleteOperation"];

/// The name of an operation that does not exist.
pub const NO_OPERATION: &str = "operations/00000000-0000-4000-8000-000000000000";

/// The encoded request of this method about this node. Those that could change something are only tried out.
pub fn harmless(method: &str, node: &str) -> Vec<u8> {
    let name = format!("nodes/{node}");
    // The node alone, and none by mistake: no other has its name.
    let filter = format!("name = {node:?}");
    let validate_only = true;
    match method {
        "GetNode" => GetNodeRequest { name, ..Default::default() }.encode_to_vec(),
        "ListNodes" => ListNodesRequest { filter, page_size: 1, ..Default::default() }.encode_to_vec(),
        "StreamNodes" => StreamNodesRequest { filter, ..Default::default() }.encode_to_vec(),
        "WatchNodes" => WatchNodesRequest { filter, ..Default::default() }.encode_to_vec(),
        "CreateNode" => {
            let node = Some(Node::default());
            CreateNodeRequest {
                node_id: format!("{name}-new").replace('/', "-"),
                node,
                validate_only,
                ..Default::default()
            }
            .encode_to_vec()
        }
        "UpdateNode" => {
            let spec = Some(NodeSpec { unschedulable: Some(true), ..Default::default() });
            let node = Some(Node { name, spec, ..Default::default() });
            UpdateNodeRequest { node, validate_only, ..Default::default() }.encode_to_vec()
        }
        "UpdateNodeStatus" => {
            let status = Some(NodeStatus { volumes_in_use: vec!["disk-1".to_owned()], ..Default::default() });
            let node = Some(Node { name, status, ..Default::default() });
            UpdateNodeStatusRequest { node, validate_only, ..Default::default() }.encode_to_vec()
        }
        "PatchNode" => {
            let patch = r#"{"metadata": {"labels": {"team": "blue"}}}"#.to_owned();
            PatchNodeRequest { name, r#type: PatchType::Merge.into(), patch, validate_only, ..Default::default() }
                .encode_to_vec()
        }
        "DeleteNode" => DeleteNodeRequest { name, validate_only, ..Default::default() }.encode_to_vec(),
        "DeleteNodes" => {
            DeleteNodesRequest { filter, expected_count: 1, validate_only, ..Default::default() }.encode_to_vec()
        }
        "CordonNode" => CordonNodeRequest { name, validate_only, ..Default::default() }.encode_to_vec(),
        "UncordonNode" => UncordonNodeRequest { name, validate_only, ..Default::default() }.encode_to_vec(),
        "PlanDrain" => PlanDrainRequest { name, ..Default::default() }.encode_to_vec(),
        "DrainNode" => DrainNodeRequest { name, validate_only, ..Default::default() }.encode_to_vec(),
        "ListAuditRecords" => ListAuditRecordsRequest { page_size: 1, ..Default::default() }.encode_to_vec(),
        "StreamAuditRecords" => {
            let filter = Some(AuditRecordFilter { node: name, ..Default::default() });
            StreamAuditRecordsRequest { filter, ..Default::default() }.encode_to_vec()
        }
        // An operation that does not exist is none that could change.
        "GetOperation" => GetOperationRequest { name: NO_OPERATION.to_owned() }.encode_to_vec(),
        "DeleteOperation" => DeleteOperationRequest { name: NO_OPERATION.to_owned() }.encode_to_vec(),
        "WaitOperation" => WaitOperationRequest { name: NO_OPERATION.to_owned(), timeout: None }.encode_to_vec(),
        "CancelOperation" => {
            CancelOperationRequest { name: NO_OPERATION.to_owned(), validate_only, ..Default::default() }
                .encode_to_vec()
        }
        "StreamOperationEvents" => {
            StreamOperationEventsRequest { name: NO_OPERATION.to_owned(), after_sequence: 0 }.encode_to_vec()
        }
        "ListOperations" => {
            ListOperationsRequest { name: "operations".to_owned(), page_size: 1, ..Default::default() }.encode_to_vec()
        }
        other => panic!("a new RPC: say here what a valid request of {other} is"),
    }
}
