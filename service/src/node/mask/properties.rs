//! What holds for any two nodes and any mask.

use nodeward_api::v1;
use proptest::prelude::*;
use prost::Message;

use super::tests::{mask, parse, shown};
use super::{ReadMask, changed_paths};
use crate::node::{arbitrary, convert};

/// Paths of every kind, for masks of random ones.
const PATHS: [&str; 24] = [
    "name",
    "etag",
    "metadata",
    "metadata.labels",
    "metadata.labels.``",
    "metadata.labels.*",
    "metadata.managed_fields.*.time",
    "metadata.managed_fields.*.time.seconds",
    "metadata.creation_timestamp",
    "metadata.creation_timestamp.nanos",
    "spec",
    "spec.taints.*.key",
    "spec.taints.*.time_added",
    "spec.config_source.config_map.uid",
    "spec.pod_cidrs",
    "status.capacity",
    "status.capacity.*.text",
    "status.capacity.``.number",
    "status.conditions.*.type",
    "status.conditions.*.last_heartbeat_time",
    "status.images.*.names",
    "status.node_info.swap.capacity",
    "status.daemon_endpoints",
    "readiness.state",
];

fn some_paths() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(PATHS.to_vec(), 1..6)
}

fn encoded() -> impl Strategy<Value = Vec<u8>> {
    arbitrary::node().prop_map(|node| convert::to_contract(&node).encode_to_vec())
}

/// Two nodes of which the second has some parts of the first, so that they are alike more often than by chance.
fn two_alike() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (arbitrary::node(), arbitrary::node(), any::<[bool; 3]>()).prop_map(
        |(left, mut right, [metadata, spec, status])| {
            if metadata {
                right.metadata = left.metadata.clone();
            }
            if spec {
                right.spec = left.spec.clone();
            }
            if status {
                right.status = left.status.clone();
            }
            (convert::to_contract(&left).encode_to_vec(), convert::to_contract(&right).encode_to_vec())
        },
    )
}

proptest! {
    // Nodes of all fields are large: fewer cases keep the tests quick.
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_projection_projected_is_itself(node in encoded(), paths in some_paths()) {
        let once = mask(&paths).project(&node);
        prop_assert_eq!(mask(&paths).project(&once), once);
    }

    #[test]
    fn everything_is_the_node_itself(node in encoded()) {
        prop_assert_eq!(mask(&["*"]).project(&node), node);
    }

    #[test]
    fn a_projection_is_what_clearing_the_other_fields_leaves(node in arbitrary::node()) {
        let node = convert::to_contract(&node);
        let v1::Node { metadata, spec, status, readiness, .. } = node.clone();
        let part = |part: Option<v1::NodeStatus>| v1::Node { status: part, ..Default::default() };
        prop_assert_eq!(shown(&["metadata"], &node), v1::Node { metadata: metadata.clone(), ..Default::default() });
        prop_assert_eq!(shown(&["readiness"], &node), v1::Node { readiness, ..Default::default() });
        let labels = metadata.map(|metadata| v1::ObjectMeta { labels: metadata.labels, ..Default::default() });
        prop_assert_eq!(shown(&["metadata.labels"], &node), v1::Node { metadata: labels, ..Default::default() });
        let spec = spec.map(|spec| v1::NodeSpec { pod_cidr: spec.pod_cidr, taints: spec.taints, ..Default::default() });
        prop_assert_eq!(shown(&["spec.pod_cidr", "spec.taints"], &node), v1::Node { spec, ..Default::default() });
        let amounts = status.clone().map(|status| v1::NodeStatus { capacity: status.capacity, ..Default::default() });
        prop_assert_eq!(shown(&["status.capacity"], &node), part(amounts));
        let types = status.map(|status| v1::NodeStatus {
            conditions: status
                .conditions
                .into_iter()
                .map(|condition| v1::NodeCondition { r#type: condition.r#type, ..Default::default() })
                .collect(),
            ..Default::default()
        });
        prop_assert_eq!(shown(&["status.conditions.*.type"], &node), part(types));
    }

    #[test]
    fn a_change_is_shown_if_the_projections_differ((before, after) in two_alike(), paths in some_paths()) {
        let mask = mask(&paths);
        prop_assert_eq!(mask.shows_change(&before, &after), mask.project(&before) != mask.project(&after));
        prop_assert_eq!(mask.shows_change(&before, &after), !mask.changed_paths(&before, &after).is_empty());
    }

    #[test]
    fn paths_have_changed_if_the_nodes_differ((before, after) in two_alike()) {
        prop_assert!(changed_paths(&before, &before).is_empty());
        prop_assert_eq!(changed_paths(&before, &after).is_empty(), before == after);
        prop_assert_eq!(changed_paths(&before, &after), changed_paths(&after, &before));
    }

    #[test]
    fn every_changed_path_is_a_path_of_a_mask((before, after) in two_alike()) {
        for path in changed_paths(&before, &after) {
            let is_condition = path.starts_with("status.conditions.");
            prop_assert!(is_condition || parse(&[path.as_str()]).is_ok(), "{}", path);
        }
    }

    #[test]
    fn a_canonical_mask_is_its_own_spelling(paths in some_paths()) {
        let mask = mask(&paths);
        let spelled: Vec<&str> = mask.paths().iter().map(String::as_str).collect();
        prop_assert_eq!(parse(&spelled).unwrap(), mask);
    }

    #[test]
    fn no_bytes_make_it_panic(left: Vec<u8>, right: Vec<u8>, paths in some_paths()) {
        let mask = mask(&paths);
        prop_assert_eq!(mask.shows_change(&left, &right), mask.project(&left) != mask.project(&right));
        mask.changed_paths(&left, &right);
        changed_paths(&left, &right);
        ReadMask::everything().shows_change(&left, &right);
    }

    #[test]
    fn no_damage_makes_it_panic(mut node in encoded(), at: prop::sample::Index, byte: u8, paths in some_paths()) {
        let whole = node.clone();
        if !node.is_empty() {
            let at = at.index(node.len());
            node[at] = byte;
        }
        let mask = mask(&paths);
        prop_assert_eq!(mask.shows_change(&whole, &node), mask.project(&whole) != mask.project(&node));
        changed_paths(&whole, &node);
        ReadMask::everything().shows_change(&whole, &node);
    }

    #[test]
    fn no_path_makes_it_panic(path in ".{0,30}|(spec|status|metadata|labels|capacity|[.*`a])(\\.(spec|labels|[*`a])){0,4}") {
        let _ = parse(&[path.as_str()]);
    }
}
