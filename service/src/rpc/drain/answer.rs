//! Operations as answers.

use nodeward_api::google::longrunning::Operation;
use nodeward_api::google::longrunning::operation::Result as Ended;
use nodeward_api::v1;
use prost::Message;

use super::convert;
use crate::error::Error;
use crate::node::convert::timestamp;
use crate::operation::NodeOperation;

/// The name of an operation in the contract.
pub(super) fn resource_name(name: &str) -> String {
    format!("operations/{name}")
}

/// The operation as it is. One that was only validated has no name and is over.
pub(super) fn operation(operation: &NodeOperation, was_validated: bool) -> Result<Operation, Error> {
    let NodeOperation { metadata, spec, .. } = operation;
    let policy = spec.drain.clone().unwrap_or_default().policy;
    let policy = serde_json::from_value(policy).map_err(|error| Error::Internal { detail: error.to_string() })?;
    let shown = v1::DrainNodeMetadata {
        node: format!("nodes/{}", spec.node.name),
        node_uid: spec.node.uid.clone(),
        state: v1::OperationState::Pending.into(),
        policy: Some(convert::policy(&policy)),
        create_time: metadata.creation_timestamp.as_ref().map(|time| timestamp(time.0)),
        caller: spec.requester.username.clone(),
        reason: spec.reason.clone(),
        request_id: spec.request_id.clone(),
        audit_id: spec.audit_id.clone(),
        ..v1::DrainNodeMetadata::default()
    };
    Ok(Operation {
        name: metadata.name.as_ref().map(|name| resource_name(name)).unwrap_or_default(),
        metadata: Some(any("nodeward.v1.DrainNodeMetadata", &shown)),
        done: was_validated,
        result: was_validated
            .then(|| Ended::Response(any("nodeward.v1.DrainNodeResponse", &v1::DrainNodeResponse::default()))),
    })
}

fn any(name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}
