use k8s_openapi::api::core::v1::{Node, NodeSpec, Taint};
use nodeward_api::v1;
use proptest::prelude::*;
use prost::Message;

use super::{from_contract, to_contract};
use crate::node::arbitrary;

fn fields_of(node: &v1::Node) -> Vec<String> {
    from_contract(node).unwrap_err().0.into_iter().map(|violation| violation.field).collect()
}

fn out_of_range() -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 })
}

proptest! {
    #[test]
    fn any_node_comes_back_equal_over_the_wire(node in arbitrary::node()) {
        let bytes = to_contract(&node).encode_to_vec();
        let received = v1::Node::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(from_contract(&received).unwrap(), arbitrary::without_empty_collections(node));
    }

    #[test]
    fn any_node_of_the_contract_is_converted_to_itself(node in arbitrary::node()) {
        let shown = to_contract(&node);
        prop_assert_eq!(to_contract(&from_contract(&shown).unwrap()), shown);
    }
}

#[test]
fn the_name_is_the_resource_name() {
    let mut node = Node::default();
    node.metadata.name = Some("worker-1".to_owned());
    assert_eq!(to_contract(&node).name, "nodes/worker-1");
    assert_eq!(to_contract(&Node::default()).name, "");
}

#[test]
fn the_etag_is_the_quoted_resource_version() {
    let mut node = Node::default();
    assert_eq!(to_contract(&node).etag, "");
    node.metadata.resource_version = Some("123".to_owned());
    assert_eq!(to_contract(&node).etag, "\"123\"");
}

#[test]
fn what_is_derived_is_shown_but_not_taken_over() {
    let spec = NodeSpec { unschedulable: Some(true), ..NodeSpec::default() };
    let node = Node { spec: Some(spec), ..Node::default() };
    let mut shown = to_contract(&node);
    assert_eq!(shown.scheduling_state(), v1::SchedulingState::Cordoned);
    assert!(shown.readiness.is_some());
    shown.set_scheduling_state(v1::SchedulingState::Schedulable);
    shown.etag = "\"7\"".to_owned();
    assert_eq!(from_contract(&shown).unwrap(), node);
}

#[test]
fn a_name_that_is_not_of_a_node_is_a_violation() {
    for name in ["worker-1", "pods/worker-1", "nodes/", "nodes/a/b", "nodes/A"] {
        assert_eq!(fields_of(&v1::Node { name: name.to_owned(), ..Default::default() }), ["name"], "{name}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_its_path() {
    let taint = v1::Taint { time_added: out_of_range(), ..Default::default() };
    let condition = v1::NodeCondition { last_heartbeat_time: out_of_range(), ..Default::default() };
    let managed = v1::ManagedFieldsEntry { fields_v1_json: Some("{".to_owned()), ..Default::default() };
    let node = v1::Node {
        metadata: Some(v1::ObjectMeta {
            creation_timestamp: out_of_range(),
            managed_fields: vec![Default::default(), managed],
            ..Default::default()
        }),
        spec: Some(v1::NodeSpec { taints: vec![taint], ..Default::default() }),
        status: Some(v1::NodeStatus { conditions: vec![condition], ..Default::default() }),
        ..Default::default()
    };
    assert_eq!(
        fields_of(&node),
        [
            "metadata.creation_timestamp",
            "metadata.managed_fields[1].fields_v1_json",
            "spec.taints[0].time_added",
            "status.conditions[0].last_heartbeat_time",
        ]
    );
}

#[test]
fn managed_fields_must_be_an_object() {
    for text in ["", "null", "7", "[]", "{\"f:a\":{}} x"] {
        let managed = v1::ManagedFieldsEntry { fields_v1_json: Some(text.to_owned()), ..Default::default() };
        let metadata = v1::ObjectMeta { managed_fields: vec![managed], ..Default::default() };
        let node = v1::Node { metadata: Some(metadata), ..Default::default() };
        assert_eq!(fields_of(&node), ["metadata.managed_fields[0].fields_v1_json"], "{text}");
    }
}

#[test]
fn absent_and_empty_text_are_kept_apart() {
    let taint = Taint { value: Some(String::new()), ..Taint::default() };
    let spec = NodeSpec { taints: Some(vec![taint, Taint::default()]), ..NodeSpec::default() };
    let node = Node { spec: Some(spec), ..Node::default() };
    assert_eq!(from_contract(&to_contract(&node)).unwrap(), node);
}
