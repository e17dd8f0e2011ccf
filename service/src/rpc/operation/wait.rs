//! WaitOperation: the answer waits until the operation has ended, the time is over or the server ends the connection.

use std::time::Duration;

use nodeward_api::google::longrunning::{Operation, WaitOperationRequest};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response};

use super::OperationRpc;
use super::access::{Found, find};
use super::convert::operation_of;
use super::follow::Followed;
use super::name::parse_name;
use crate::error::Error;
use crate::node::{Violation, Violations};
use crate::rpc::request::{deadline, session};
use crate::rpc::rights::WAIT_OPERATION;

/// How long before the caller's deadline the answer is sent, so that it arrives.
const AHEAD: Duration = Duration::from_millis(500);

pub(super) async fn wait(
    rpc: &OperationRpc,
    request: Request<WaitOperationRequest>,
) -> Result<Response<Operation>, Error> {
    let (session, begun, deadline) = (session(&request)?, Instant::now(), deadline(request.metadata()));
    let end = request.extensions().get::<CancellationToken>().unwrap_or(&rpc.rpc.stop).clone();
    let request = request.into_inner();
    let mut violations = Violations::default();
    let name = violations.take(parse_name(&request.name));
    let timeout = violations.take(parse_timeout(request.timeout.as_ref()));
    let (Some(name), Some(timeout)) = (name, timeout) else { return Err(violations.into()) };
    let Found { operation, permission } = find(rpc, &session, WAIT_OPERATION, &name, deadline).await?;
    // A tenth at most: who is in a hurry still wants to wait.
    let ahead = AHEAD.min(deadline.saturating_duration_since(begun) / 10);
    let until = timeout.map_or(deadline - ahead, |timeout| (begun + timeout).min(deadline - ahead));

    let mut followed = Followed::new(rpc.rpc.cluster.operations().clone(), rpc.view(deadline).await?, operation);
    let mut ended = Box::pin(session.ended(permission));
    while !followed.look().await?.state().is_final() {
        tokio::select! {
            () = followed.changed() => {}
            () = sleep_until(until) => break,
            () = end.cancelled() => break,
            why = &mut ended => return Err(why),
        }
    }
    Ok(Response::new(operation_of(followed.last())))
}

/// How long to wait at most. None if only the deadline counts.
fn parse_timeout(timeout: Option<&prost_types::Duration>) -> Result<Option<Duration>, Violation> {
    let Some(timeout) = timeout else { return Ok(None) };
    let parsed = Duration::try_from(*timeout).map_err(|_| Violation::new("timeout", "must not be negative"))?;
    // A clock does not reach as far as a duration, and nobody waits for a day.
    Ok(Some(parsed.min(Duration::from_secs(86_400))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_of_any_length_is_understood_and_a_negative_one_refused() {
        let timeout = |seconds| parse_timeout(Some(&prost_types::Duration { seconds, nanos: 0 }));
        assert_eq!(timeout(0), Ok(Some(Duration::ZERO)));
        assert!(timeout(i64::MAX).unwrap().unwrap() <= Duration::from_secs(86_400));
        assert_eq!(timeout(-1).unwrap_err().field, "timeout");
        assert_eq!(parse_timeout(None), Ok(None));
    }
}
