//! Messages of the contract as proto3 JSON, and the same as YAML.

use std::sync::LazyLock;

use nodeward_api::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;

use crate::failure::Failure;

/// The descriptors of the contract: read once, since a watch prints many messages.
static POOL: LazyLock<Result<DescriptorPool, String>> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).map_err(|error| error.to_string()));

/// The messages that are printed or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Node,
    ListNodesResponse,
    WatchNodesResponse,
    DeleteNodesResponse,
    ListAuditRecordsResponse,
    StreamAuditRecordsResponse,
    DrainPolicy,
    DrainPlan,
    Operation,
    ListOperationsResponse,
    OperationEvent,
}

impl Kind {
    fn full_name(self) -> &'static str {
        match self {
            Self::Node => "nodeward.v1.Node",
            Self::ListNodesResponse => "nodeward.v1.ListNodesResponse",
            Self::WatchNodesResponse => "nodeward.v1.WatchNodesResponse",
            Self::DeleteNodesResponse => "nodeward.v1.DeleteNodesResponse",
            Self::ListAuditRecordsResponse => "nodeward.v1.ListAuditRecordsResponse",
            Self::StreamAuditRecordsResponse => "nodeward.v1.StreamAuditRecordsResponse",
            Self::DrainPolicy => "nodeward.v1.DrainPolicy",
            Self::DrainPlan => "nodeward.v1.DrainPlan",
            Self::Operation => "google.longrunning.Operation",
            Self::ListOperationsResponse => "google.longrunning.ListOperationsResponse",
            Self::OperationEvent => "nodeward.v1.OperationEvent",
        }
    }
}

/// The message as indented JSON.
pub fn json(message: &impl Message, kind: Kind) -> Result<String, Failure> {
    value_json(&value(message, kind)?)
}

/// A value as indented JSON.
pub fn value_json(value: &Value) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(unwritable)?;
    Ok(format!("{text}\n"))
}

/// The message as JSON on one line.
pub fn json_line(message: &impl Message, kind: Kind) -> Result<String, Failure> {
    let text = serde_json::to_string(&value(message, kind)?).map_err(unwritable)?;
    Ok(format!("{text}\n"))
}

/// The message as YAML.
pub fn yaml(message: &impl Message, kind: Kind) -> Result<String, Failure> {
    value_yaml(&value(message, kind)?)
}

/// A value as YAML.
pub fn value_yaml(value: &Value) -> Result<String, Failure> {
    let text = serde_saphyr::to_string(value).map_err(unwritable)?;
    Ok(format!("{}\n", text.trim_end_matches('\n')))
}

/// The message as one of several documents of YAML.
pub fn yaml_document(message: &impl Message, kind: Kind) -> Result<String, Failure> {
    Ok(format!("---\n{}", yaml(message, kind)?))
}

/// The message as proto3 JSON, by its descriptor, which knows the JSON names of all fields. Keys are sorted, as kubectl sorts
/// them: equal messages are equal texts.
pub fn value(message: &impl Message, kind: Kind) -> Result<Value, Failure> {
    let mut dynamic = DynamicMessage::new(descriptor(kind).map_err(unwritable)?);
    dynamic.merge(message.encode_to_vec().as_slice()).map_err(unwritable)?;
    let mut value = serde_json::to_value(&dynamic).map_err(unwritable)?;
    // Without it the order of the keys would depend on which features of serde_json others turn on.
    value.sort_all_objects();
    Ok(value)
}

/// The message that proto3 JSON is of. What is wrong with it, if it is of none.
pub fn parsed<T: Message + Default>(value: Value, kind: Kind) -> Result<T, String> {
    let message = DynamicMessage::deserialize(descriptor(kind)?, value).map_err(|error| error.to_string())?;
    message.transcode_to().map_err(|error| error.to_string())
}

fn descriptor(kind: Kind) -> Result<MessageDescriptor, String> {
    let name = kind.full_name();
    POOL.as_ref().map_err(Clone::clone)?.get_message_by_name(name).ok_or_else(|| format!("the contract has no {name}"))
}

fn unwritable(error: impl ToString) -> Failure {
    Failure::Output(std::io::Error::other(error.to_string()))
}

#[cfg(test)]
mod tests {
    use nodeward_client::api::{Node, NodeSpec, ObjectMeta, SchedulingState};
    use prost_types::Timestamp;

    use super::*;

    fn node() -> Node {
        let metadata = ObjectMeta {
            labels: [("a".to_owned(), "yes".to_owned())].into(),
            generation: Some(3),
            creation_timestamp: Some(Timestamp { seconds: 0, nanos: 0 }),
            ..ObjectMeta::default()
        };
        Node {
            name: "nodes/a".into(),
            metadata: Some(metadata),
            spec: Some(NodeSpec { pod_cidr: Some("10.0.0.0/24".into()), ..NodeSpec::default() }),
            scheduling_state: SchedulingState::Cordoned.into(),
            ..Node::default()
        }
    }

    #[test]
    fn json_is_that_of_proto3() {
        let value: serde_json::Value = serde_json::from_str(&json(&node(), Kind::Node).unwrap()).unwrap();
        let expected = serde_json::json!({
            "name": "nodes/a",
            "metadata": {"labels": {"a": "yes"}, "generation": "3", "creationTimestamp": "1970-01-01T00:00:00Z"},
            "spec": {"podCidr": "10.0.0.0/24"},
            "schedulingState": "SCHEDULING_STATE_CORDONED",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn yaml_holds_the_same_as_json() {
        let yaml: serde_json::Value = serde_saphyr::from_str(&yaml(&node(), Kind::Node).unwrap()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json(&node(), Kind::Node).unwrap()).unwrap();
        assert_eq!(yaml, json);
    }

    #[test]
    fn keys_are_sorted() {
        let text = yaml(&node(), Kind::Node).unwrap();
        let keys: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
        assert!(keys.is_sorted(), "{text}");
    }

    #[test]
    fn a_line_of_json_is_one_line() {
        assert_eq!(json_line(&node(), Kind::Node).unwrap().matches('\n').count(), 1);
    }
}
