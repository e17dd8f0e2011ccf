//! The columns of the tables: kubectl's, from the fields of the contract.

use std::collections::BTreeSet;
use std::time::SystemTime;

use nodeward_client::api::readiness::State;
use nodeward_client::api::{Node, NodeSystemInfo, SchedulingState, Taint};
use nodeward_client::node_id;

use crate::output::age::since;
use crate::output::printable;

/// The columns of the table.
pub const HEADER: [&str; 5] = ["NAME", "STATUS", "ROLES", "AGE", "VERSION"];

/// The further columns of the wide one.
pub const WIDE_HEADER: [&str; 6] = ["ZONE", "INTERNAL-IP", "OS-IMAGE", "KERNEL", "RUNTIME", "TAINTS"];

/// The fields that the table is made of.
pub const FIELDS: [&str; 6] = [
    "name",
    "metadata.labels",
    "metadata.creation_timestamp",
    "readiness",
    "scheduling_state",
    "status.node_info.kubelet_version",
];

/// The fields that the wide table is made of.
pub const WIDE_FIELDS: [&str; 8] = [
    "name",
    "metadata.labels",
    "metadata.creation_timestamp",
    "readiness",
    "scheduling_state",
    "status.node_info",
    "status.addresses",
    "spec.taints",
];

const NONE: &str = "<none>";
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
const ROLE_LABEL: &str = "kubernetes.io/role";
const ZONE_LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];

/// The cells of the table.
pub fn cells(node: &Node, now: SystemTime) -> Vec<String> {
    let created = node.metadata.as_ref().and_then(|metadata| metadata.creation_timestamp.as_ref());
    let cells = [
        node_id(&node.name).to_owned(),
        status(node),
        roles(node),
        since(created, now),
        info(node, |info| &info.kubelet_version),
    ];
    cells.iter().map(|cell| cell_text(cell)).collect()
}

/// The further cells of the wide table.
pub fn wide_cells(node: &Node) -> Vec<String> {
    let cells = [
        zone(node),
        internal_ip(node),
        info(node, |info| &info.os_image),
        info(node, |info| &info.kernel_version),
        info(node, |info| &info.container_runtime_version),
        taints(node),
    ];
    cells.iter().map(|cell| cell_text(cell)).collect()
}

/// A cell is one line, and does nothing to the terminal.
pub fn cell_text(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

fn status(node: &Node) -> String {
    let readiness = match node.readiness.as_ref().map(|readiness| readiness.state()) {
        Some(State::Ready) => "Ready",
        Some(State::NotReady) => "NotReady",
        Some(State::LostContact) => "LostContact",
        Some(State::Unspecified) | None => "Unknown",
    };
    match node.scheduling_state() {
        SchedulingState::Cordoned => format!("{readiness},SchedulingDisabled"),
        _ => readiness.to_owned(),
    }
}

/// From both labels that kubectl reads, in order.
fn roles(node: &Node) -> String {
    let labels = node.metadata.iter().flat_map(|metadata| &metadata.labels);
    let roles: BTreeSet<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix(ROLE_PREFIX) {
            Some(role) => Some(role),
            None if key == ROLE_LABEL => Some(value),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    or_none(roles.into_iter().collect::<Vec<_>>().join(","))
}

fn zone(node: &Node) -> String {
    let labels = node.metadata.as_ref().map(|metadata| &metadata.labels);
    or_none(ZONE_LABELS.iter().find_map(|label| labels?.get(*label)).cloned().unwrap_or_default())
}

fn internal_ip(node: &Node) -> String {
    let mut addresses = node.status.iter().flat_map(|status| &status.addresses);
    or_none(addresses.find(|address| address.r#type == "InternalIP").map(|one| one.address.clone()).unwrap_or_default())
}

fn info(node: &Node, field: impl Fn(&NodeSystemInfo) -> &String) -> String {
    let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    match info.map(field) {
        Some(text) if !text.is_empty() => text.clone(),
        _ => "<unknown>".to_owned(),
    }
}

fn taints(node: &Node) -> String {
    let taints = node.spec.iter().flat_map(|spec| &spec.taints);
    or_none(taints.map(taint).collect::<Vec<_>>().join(","))
}

fn taint(taint: &Taint) -> String {
    match taint.value.as_deref().filter(|value| !value.is_empty()) {
        Some(value) => format!("{}={value}:{}", taint.key, taint.effect),
        None => format!("{}:{}", taint.key, taint.effect),
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() { NONE.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use nodeward_client::api::{NodeAddress, NodeSpec, NodeStatus, ObjectMeta, Readiness};

    use super::*;

    fn with_labels(labels: &[(&str, &str)]) -> Node {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Node { metadata: Some(ObjectMeta { labels, ..ObjectMeta::default() }), ..Node::default() }
    }

    fn with_state(state: State, scheduling: SchedulingState) -> Node {
        let readiness = Some(Readiness { state: state.into(), ..Readiness::default() });
        Node { readiness, scheduling_state: scheduling.into(), ..Node::default() }
    }

    #[test]
    fn the_status_names_readiness_and_cordon() {
        let ready = with_state(State::Ready, SchedulingState::Schedulable);
        assert_eq!(status(&ready), "Ready");
        let cordoned = with_state(State::LostContact, SchedulingState::Cordoned);
        assert_eq!(status(&cordoned), "LostContact,SchedulingDisabled");
        assert_eq!(status(&Node::default()), "Unknown");
    }

    #[test]
    fn roles_are_those_of_both_labels() {
        let node = with_labels(&[
            ("node-role.kubernetes.io/worker", ""),
            ("node-role.kubernetes.io/control-plane", "x"),
            ("kubernetes.io/role", "gpu"),
            ("node-role.kubernetes.io/", ""),
        ]);
        assert_eq!(roles(&node), "control-plane,gpu,worker");
    }

    #[test]
    fn a_node_without_roles_or_zone_has_none() {
        assert_eq!((roles(&Node::default()), zone(&Node::default())), ("<none>".into(), "<none>".into()));
    }

    #[test]
    fn the_first_internal_address_is_shown() {
        let address = |kind: &str, address: &str| NodeAddress { r#type: kind.into(), address: address.into() };
        let addresses =
            vec![address("Hostname", "a"), address("InternalIP", "10.0.0.1"), address("InternalIP", "fd00::1")];
        let node = Node { status: Some(NodeStatus { addresses, ..NodeStatus::default() }), ..Node::default() };
        assert_eq!(internal_ip(&node), "10.0.0.1");
    }

    #[test]
    fn taints_are_written_as_kubectl_takes_them() {
        let taint = |value: Option<&str>| Taint {
            key: "gpu".into(),
            value: value.map(str::to_owned),
            effect: "NoSchedule".into(),
            time_added: None,
        };
        let spec = NodeSpec { taints: vec![taint(Some("a100")), taint(None)], ..NodeSpec::default() };
        assert_eq!(taints(&Node { spec: Some(spec), ..Node::default() }), "gpu=a100:NoSchedule,gpu:NoSchedule");
    }

    #[test]
    fn a_cell_is_one_harmless_line() {
        assert_eq!(cell_text("a\n\u{1b}b"), "a\\n\\u{1b}b");
    }
}
