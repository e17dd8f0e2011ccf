//! Nodes and messages to play with.

use std::time::SystemTime;

use nodeward_client::api::node_change::Type;
use nodeward_client::api::readiness::State;
use nodeward_client::api::watch_nodes_response::Event;
use nodeward_client::api::{
    ManagedFieldsEntry, Node, NodeAddress, NodeChange, NodeSpec, NodeStatus, NodeSystemInfo, ObjectMeta, Readiness,
    SchedulingState, SnapshotComplete, WatchNodesResponse,
};
use prost_types::Timestamp;

use super::Step;

/// A node with nothing but a name and a label.
pub fn node(name: &str, version: &str) -> Node {
    let labels = [("version".to_owned(), version.to_owned())].into();
    let metadata = Some(ObjectMeta { labels, ..ObjectMeta::default() });
    Node { name: format!("nodes/{name}"), metadata, ..Node::default() }
}

/// A node as a cluster has it, three hours old.
pub fn worker(name: &str) -> Node {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let labels = [
        pair("node-role.kubernetes.io/worker", ""),
        pair("topology.kubernetes.io/zone", "zone-a"),
        pair("team", "red"),
    ];
    let mut created = Timestamp::from(SystemTime::now());
    created.seconds -= 3 * 3600 + 60;
    let info = NodeSystemInfo {
        kubelet_version: "v1.36.0".into(),
        os_image: "Linux\u{1b}[31m 1".into(),
        kernel_version: "6.12".into(),
        container_runtime_version: "containerd://2.1".into(),
        ..NodeSystemInfo::default()
    };
    let address = NodeAddress { r#type: "InternalIP".into(), address: "10.0.0.7".into() };
    Node {
        name: format!("nodes/{name}"),
        metadata: Some(ObjectMeta {
            labels: labels.into(),
            creation_timestamp: Some(created),
            managed_fields: vec![ManagedFieldsEntry::default()],
            ..ObjectMeta::default()
        }),
        spec: Some(NodeSpec::default()),
        status: Some(NodeStatus { node_info: Some(info), addresses: vec![address], ..NodeStatus::default() }),
        scheduling_state: SchedulingState::Schedulable.into(),
        readiness: Some(Readiness { state: State::Ready.into(), ..Readiness::default() }),
        ..Node::default()
    }
}

/// The message of a change, with its token.
pub fn change(kind: Type, node: Node, token: &str) -> Step {
    let change = NodeChange { r#type: kind.into(), node: Some(node), changed_paths: Vec::new() };
    Step::Send(Box::new(WatchNodesResponse { event: Some(Event::Change(change)), resume_token: token.into() }))
}

/// The end of the snapshot, with its token.
pub fn complete(node_count: i32, token: &str) -> Step {
    let event = Some(Event::SnapshotComplete(SnapshotComplete { node_count }));
    Step::Send(Box::new(WatchNodesResponse { event, resume_token: token.into() }))
}
