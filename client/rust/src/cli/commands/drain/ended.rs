//! What came of an operation that has ended.

use nodeward_client::api::{CordonState, DrainNodeMetadata, OperationState, PodProgress};
use nodeward_client::longrunning::Operation;
use nodeward_client::{Code, drain_metadata, node_id, operation_error};

use crate::exit_code;
use crate::failure::Failure;
use crate::output::cell_text;

/// How many pods are named of those that are left.
const MOST_LEFT: usize = 10;

/// Whether it has drained its node, and if not, why. `left`: the pods that are left, if that is known from its events.
pub fn ended(operation: &Operation, left: Vec<PodProgress>) -> Result<(), Failure> {
    let mut metadata = drain_metadata(operation).unwrap_or_default();
    if !left.is_empty() {
        metadata.blocked_pods = left;
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
    let pods = &metadata.blocked_pods;
    let more = pods.len().checked_sub(MOST_LEFT).filter(|more| *more > 0).map(|more| format!("  and {more} more"));
    pods.iter().take(MOST_LEFT).map(pod_left).chain(more).chain(cordon).collect()
}

fn pod_left(progress: &PodProgress) -> String {
    let pod = progress.pod.as_ref().map(|pod| format!("{}/{}", pod.namespace, pod.pod)).unwrap_or_default();
    let why = progress.blocker.as_ref().map(|blocker| match blocker.hint.as_str() {
        "" => format!(": {}", blocker.message),
        hint => format!(": {} ({hint})", blocker.message),
    });
    cell_text(&format!("  pod {pod} is left{}", why.unwrap_or_default()))
}
