//! Who may do what with an operation: whoever has the right, and whoever asked for it (who may not delete it).
//!
//! Whether an operation exists is told to nobody else.

use nodeward_api::google::longrunning::{GetOperationRequest, Operation};
use tokio::time::Instant;
use tonic::{Request, Response};

use super::OperationRpc;
use super::convert::operation_of;
use super::name::parse_name;
use crate::access::Session;
use crate::caller::Permission;
use crate::error::Error;
use crate::operation::NodeOperation;
use crate::rpc::request::{deadline, session};
use crate::rpc::rights::{GET_OPERATION, Right};

/// An operation, and the right for which it is shown. None: its own requester needs none.
pub(super) struct Found {
    pub(super) operation: NodeOperation,
    pub(super) permission: Option<Permission>,
}

pub(super) async fn get(
    rpc: &OperationRpc,
    request: Request<GetOperationRequest>,
) -> Result<Response<Operation>, Error> {
    let (session, deadline) = (session(&request)?, deadline(request.metadata()));
    let name = parse_name(&request.get_ref().name)?;
    let found = find(rpc, &session, GET_OPERATION, &name, deadline).await?;
    Ok(Response::new(operation_of(&found.operation)))
}

/// The operation as it is now, for a caller who may read or follow it.
pub(super) async fn find(
    rpc: &OperationRpc,
    session: &Session,
    right: Right,
    name: &str,
    deadline: Instant,
) -> Result<Found, Error> {
    let found = rpc.rpc.cluster.operations().get(name, deadline).await;
    let permission = needed(&found, session, right, name);
    if let Some(permission) = &permission {
        session.require(permission.clone(), deadline).await?;
    }
    Ok(Found { operation: existing(found, name)?, permission })
}

/// The same for a caller who may change it: by a right that they still have now, since nobody asks after this.
pub(super) async fn find_to_change(
    rpc: &OperationRpc,
    session: &Session,
    right: Right,
    name: &str,
    deadline: Instant,
) -> Result<NodeOperation, Error> {
    let found = rpc.rpc.cluster.operations().get(name, deadline).await;
    if let Some(permission) = needed(&found, session, right, name) {
        session.require_now(permission, deadline).await?;
    }
    existing(found, name)
}

fn needed(
    found: &Result<Option<NodeOperation>, Error>,
    session: &Session,
    right: Right,
    name: &str,
) -> Option<Permission> {
    let is_own = |operation: &NodeOperation| operation.spec.requester.is(session.caller());
    let needs_none = right.is_for_requester() && matches!(found, Ok(Some(operation)) if is_own(operation));
    (!needs_none).then(|| right.on(name))
}

/// Only to be asked of callers who may know.
pub(super) fn existing(found: Result<Option<NodeOperation>, Error>, name: &str) -> Result<NodeOperation, Error> {
    found?.ok_or_else(|| Error::OperationNotFound { operation: name.to_owned() })
}
