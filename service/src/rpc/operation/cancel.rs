//! CancelOperation: notes in the operation that it is to end. Who is first is noted, and nothing after.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;
use nodeward_api::google::longrunning::Operation;
use nodeward_api::v1;
use nodeward_api::v1::cancel_operation_request::Cordon;
use tokio::time::{Instant, sleep};
use tonic::{Request, Response};

use super::OperationRpc;
use super::access::{existing, find_to_change};
use super::convert::{etag, operation_of};
use super::name::parse_name;
use crate::audit::{self, Done};
use crate::cluster::Operations;
use crate::cluster::mutate::{Mutation, Outcome};
use crate::error::Error;
use crate::node::Violations;
use crate::operation::{Cancel, NodeOperation};
use crate::rpc::change::{Call, begin, in_a_task, succeeded};
use crate::rpc::rights::CANCEL_OPERATION;
use crate::telemetry::MutationSpan;

/// How long it is waited before an operation that somebody else has written meanwhile is written again.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn cancel(
    rpc: &OperationRpc,
    request: Request<v1::CancelOperationRequest>,
) -> Result<Response<Operation>, Error> {
    let (call, request, mut violations) = begin(&rpc.rpc, request)?;
    let name = violations.take(parse_name(&request.name));
    let release_cordon = parse_cordon(request.cordon, &mut violations);
    let Some(name) = name.filter(|_| violations.0.is_empty()) else { return Err(violations.into()) };
    if rpc.rpc.stop.is_cancelled() {
        return Err(Error::ShuttingDown);
    }
    let Call { session, mutation, permit, audit } = call;
    let operation = find_to_change(rpc, &session, CANCEL_OPERATION, &name, mutation.deadline).await?;
    MutationSpan::current().node(&operation.spec.node.name).node_uid(&operation.spec.node.uid);
    let cancelling = Cancelling {
        operations: rpc.rpc.cluster.operations().clone(),
        cancel: Cancel {
            username: mutation.caller.username().to_owned(),
            time: Some(Timestamp::now()),
            release_cordon,
            reason: mutation.reason.clone(),
            request_id: mutation.request.as_ref().map(|request| request.id.to_string()).unwrap_or_default(),
        },
        mutation,
    };
    let deadline = cancelling.mutation.deadline;
    let work = Box::pin(async move { cancelling.carry_out(operation).await });
    let cancelled = in_a_task(&rpc.rpc, audit, permit, deadline, work).await?;
    Ok(Response::new(operation_of(&cancelled.operation)))
}

/// Whether the node is to be schedulable again.
fn parse_cordon(number: i32, violations: &mut Violations) -> bool {
    match Cordon::try_from(number) {
        Ok(Cordon::Unspecified | Cordon::Keep) => false,
        Ok(Cordon::Release) => true,
        Err(_) => {
            violations.add("cordon", "must be CORDON_KEEP (1) or CORDON_RELEASE (2)");
            false
        }
    }
}

/// An operation after a change.
pub(super) struct ChangedOperation {
    pub(super) operation: NodeOperation,
    pub(super) outcome: Outcome,
}

impl Done for ChangedOperation {
    fn record(&self) -> (audit::Outcome, String) {
        (succeeded(self.outcome), self.operation.uid().unwrap_or_default())
    }
}

/// A request, understood.
struct Cancelling {
    operations: Operations,
    cancel: Cancel,
    mutation: Mutation,
}

impl Cancelling {
    /// Notes it, whatever is written into the operation at the same time.
    async fn carry_out(&self, mut operation: NodeOperation) -> Result<ChangedOperation, Error> {
        let deadline = self.mutation.deadline;
        loop {
            if let Some(outcome) = self.decide(&operation)? {
                return Ok(ChangedOperation { operation, outcome });
            }
            if let Some(operation) = self.operations.cancel(&operation, &self.cancel, deadline).await? {
                return Ok(ChangedOperation { operation, outcome: Outcome::Changed });
            }
            pause(deadline).await?;
            let name = operation.name_any();
            operation = existing(self.operations.get(&name, deadline).await, &name)?;
        }
    }

    /// What comes of it without a write. None if one is needed.
    fn decide(&self, operation: &NodeOperation) -> Result<Option<Outcome>, Error> {
        let noted = operation.spec.cancel.as_ref();
        if let (Some(noted), Some(request)) = (noted, &self.mutation.request)
            && noted.request_id == self.cancel.request_id
        {
            let is_same = Cancel { time: noted.time, ..self.cancel.clone() } == *noted;
            let conflict = Error::RequestIdConflict {
                request_id: request.id.to_string(),
                method: self.mutation.method.to_owned(),
            };
            return if is_same { Ok(Some(Outcome::Replayed)) } else { Err(conflict) };
        }
        check_etag(operation, self.mutation.etag.as_deref())?;
        Ok(match (noted, operation.state().is_final()) {
            (None, false) if self.mutation.validate_only => Some(Outcome::Validated),
            (None, false) => None,
            _ => Some(Outcome::Unchanged),
        })
    }
}

fn check_etag(operation: &NodeOperation, expected: Option<&str>) -> Result<(), Error> {
    let Some(expected) = expected else { return Ok(()) };
    if operation.resource_version().as_deref() == Some(expected) {
        return Ok(());
    }
    let what = format!("operation {:?}", operation.name_any());
    Err(Error::EtagMismatch { what, expected: format!("{expected:?}"), current: etag(operation) })
}

/// Pauses before the next attempt, if there is time for one.
pub(super) async fn pause(deadline: Instant) -> Result<(), Error> {
    if Instant::now() + PAUSE >= deadline {
        return Err(Error::DeadlineExceeded { stage: "writing the operation, which others write too" });
    }
    sleep(PAUSE).await;
    Ok(())
}
