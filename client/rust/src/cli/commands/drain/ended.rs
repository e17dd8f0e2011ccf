//! What came of an operation that has ended.

use nodeward_client::api::{CordonState, DrainNodeMetadata, OperationState, PodProgress};
use nodeward_client::longrunning::Operation;
use nodeward_client::{Code, drain_metadata, node_id, operation_error};

use crate::exit_code;
use crate::failure::Failure;
use crate::output::cell_text;

/// Whether it has drained its node, and if not, why. `are_pods_told`: whether it was said already which pods are left.
pub fn ended(operation: &Operation, are_pods_told: bool) -> Result<(), Failure> {
    let mut metadata = drain_metadata(operation).unwrap_or_default();
    if are_pods_told {
        metadata.blocked_pods.clear();
    }
    let error = operation_error(operation);
    let is_cancelled = metadata.state() == OperationState::Cancelled
        || error.as_ref().is_some_and(|error| error.code() == Code::Cancelled);
    let why = match &error {
        Some(error) => format!(": {error}"),
        None if operation.done => return Ok(()),
        None => return Err(not_ended(operation)),
    };
    let node = node_id(&metadata.node);
    let (message, code) = match is_cancelled {
        true => (format!("the drain of node {node:?} was cancelled{why}"), exit_code::CANCELLED),
        false => (format!("node {node:?} is not drained{why}"), exit_code::NOT_DRAINED),
    };
    Err(Failure::Ended { message, details: details(node, &metadata), code })
}

fn not_ended(operation: &Operation) -> Failure {
    let message = format!("{} has not ended yet", operation.name);
    Failure::Ended { message, details: Vec::new(), code: exit_code::TOO_LONG }
}

/// Which pods are left and why, and what became of the cordon.
fn details(node: &str, metadata: &DrainNodeMetadata) -> Vec<String> {
    let cordon = match metadata.cordon() {
        CordonState::Released => Some(format!("node/{node} is no longer cordoned by the drain")),
        CordonState::Left | CordonState::Own | CordonState::Foreign => Some(format!("node/{node} stays cordoned")),
        _ => None,
    };
    metadata.blocked_pods.iter().map(left).chain(cordon).collect()
}

fn left(progress: &PodProgress) -> String {
    let pod = progress.pod.as_ref().map(|pod| format!("{}/{}", pod.namespace, pod.pod)).unwrap_or_default();
    let blocker = progress.blocker.clone().unwrap_or_default();
    let hint = if blocker.hint.is_empty() { String::new() } else { format!(" ({})", blocker.hint) };
    cell_text(&format!("  pod {pod} is left: {}{hint}", blocker.message))
}
