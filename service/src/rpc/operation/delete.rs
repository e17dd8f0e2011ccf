//! DeleteOperation: forgets an operation that has ended.

use kube::ResourceExt as _;
use nodeward_api::google::longrunning::DeleteOperationRequest;
use tonic::{Request, Response};

use super::OperationRpc;
use super::access::{existing, find_to_change};
use super::cancel::{ChangedOperation, pause};
use super::name::parse_name;
use super::progress::operation_state;
use crate::cluster::Operations;
use crate::cluster::mutate::{Mutation, Outcome};
use crate::error::Error;
use crate::operation::NodeOperation;
use crate::rpc::change::{Call, begin, in_a_task};
use crate::rpc::rights::DELETE_OPERATION;
use crate::telemetry::MutationSpan;

pub(super) async fn delete(
    rpc: &OperationRpc,
    request: Request<DeleteOperationRequest>,
) -> Result<Response<()>, Error> {
    let (call, request, violations) = begin(&rpc.rpc, request)?;
    let name = parse_name(&request.name)?;
    violations.or(())?;
    if rpc.rpc.stop.is_cancelled() {
        return Err(Error::ShuttingDown);
    }
    let Call { session, mutation, permit, audit } = call;
    let operation = find_to_change(rpc, &session, DELETE_OPERATION, &name, mutation.deadline).await?;
    MutationSpan::current().node(&operation.spec.node.name).node_uid(&operation.spec.node.uid);
    let (operations, deadline) = (rpc.rpc.cluster.operations().clone(), mutation.deadline);
    let work = Box::pin(async move { carry_out(&operations, &mutation, operation).await });
    in_a_task(&rpc.rpc, audit, permit, deadline, work).await?;
    Ok(Response::new(()))
}

async fn carry_out(
    operations: &Operations,
    mutation: &Mutation,
    mut operation: NodeOperation,
) -> Result<ChangedOperation, Error> {
    let deadline = mutation.deadline;
    loop {
        has_ended(&operation)?;
        if operations.delete(&operation, deadline).await? {
            return Ok(ChangedOperation { operation, outcome: Outcome::Changed });
        }
        pause(deadline).await?;
        let name = operation.name_any();
        operation = existing(operations.get(&name, deadline).await, &name)?;
    }
}

fn has_ended(operation: &NodeOperation) -> Result<(), Error> {
    if operation.state().is_final() {
        return Ok(());
    }
    let state = operation_state(operation.state()).as_str_name().trim_start_matches("OPERATION_STATE_");
    Err(Error::OperationNotDone { operation: operation.name_any(), state })
}
