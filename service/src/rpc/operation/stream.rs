//! StreamOperationEvents: from any replica, by what the status of the operation shows.
//!
//! A stream has no queue: it takes the next event when its client is ready for the next message, from the operation as it is
//! by then. What was overtaken meanwhile is not sent.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nodeward_api::v1;
use serde::Deserialize as _;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::OperationRpc;
use super::access::{Found, find};
use super::event::next_after;
use super::follow::Followed;
use super::name::parse_name;
use crate::drain::{DrainPolicy, OnUncordon};
use crate::error::Error;
use crate::node::{Violation, Violations};
use crate::operation::NodeOperation;
use crate::rpc::request::{deadline, session};
use crate::rpc::rights::STREAM_OPERATION_EVENTS;
use crate::rpc::stream::while_allowed;
use crate::rpc::watch::jittered;

type Message = v1::OperationEvent;

/// Opens a stream.
pub(super) async fn stream(
    rpc: &OperationRpc,
    request: Request<v1::StreamOperationEventsRequest>,
) -> Result<Response<BoxStream<'static, Result<Message, Status>>>, Error> {
    let (session, deadline) = (session(&request)?, deadline(request.metadata()));
    let mut violations = Violations::default();
    let name = violations.take(parse_name(&request.get_ref().name));
    let after = request.get_ref().after_sequence;
    if after < 0 {
        violations.add("after_sequence", "must not be negative; 0 is the beginning");
    }
    let Some(name) = name.filter(|_| violations.0.is_empty()) else { return Err(violations.into()) };
    let Found { operation, permission } = find(rpc, &session, STREAM_OPERATION_EVENTS, &name, deadline).await?;
    not_ahead(&operation, after)?;

    let end = request.extensions().get::<CancellationToken>().unwrap_or(&rpc.rpc.stop).child_token();
    if end.is_cancelled() {
        return Err(Error::ShuttingDown);
    }
    let policy = operation.spec.drain.as_ref().and_then(|drain| DrainPolicy::deserialize(&drain.policy).ok());
    let on_uncordon = policy.unwrap_or_default().on_uncordon;
    let followed = Followed::new(rpc.rpc.cluster.operations().clone(), rpc.view(deadline).await?, operation);
    let ends_at = Instant::now() + jittered(rpc.rpc.watches.max_age);
    let events = Events { followed, after, on_uncordon, ends_at, stop: end.clone() };
    let ended = async move { session.ended(permission).await };
    Ok(Response::new(while_allowed(events.into_stream(), end, ended)))
}

fn not_ahead(operation: &NodeOperation, after: i64) -> Result<(), Violation> {
    let last = operation.sequence();
    if after <= last {
        return Ok(());
    }
    Err(Violation::new("after_sequence", format!("no event has this number yet: the last one has {last}")))
}

/// One stream.
struct Events {
    followed: Followed,
    /// The number of the last event that was sent.
    after: i64,
    on_uncordon: OnUncordon,
    ends_at: Instant,
    stop: CancellationToken,
}

impl Events {
    fn into_stream(self) -> BoxStream<'static, Result<Message, Status>> {
        stream::unfold(Some(self), |events| async move {
            let mut events = events?;
            match events.next().await {
                Ok(Some(event)) => Some((Ok(event), Some(events))),
                Ok(None) => None,
                Err(error) => Some((Err(error.into()), None)),
            }
        })
        .boxed()
    }

    /// The next event. None if there will be none, or none here: whoever has the number of the last one can go on.
    async fn next(&mut self) -> Result<Option<Message>, Error> {
        loop {
            if self.stop.is_cancelled() || Instant::now() >= self.ends_at {
                return Ok(None);
            }
            let operation = self.followed.look().await?;
            let next = |status| next_after(status, self.after, self.on_uncordon);
            if let Some(event) = operation.status.as_ref().and_then(next) {
                self.after = event.sequence;
                return Ok(Some(event));
            }
            if operation.state().is_final() {
                return Ok(None);
            }
            tokio::select! {
                () = self.stop.cancelled() => return Ok(None),
                () = sleep_until(self.ends_at) => return Ok(None),
                () = self.followed.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{OperationSpec, OperationStatus};

    #[test]
    fn a_number_that_no_event_has_yet_is_refused() {
        let mut operation = NodeOperation::new("a", OperationSpec::default());
        assert!(not_ahead(&operation, 0).is_ok());
        operation.status = Some(OperationStatus { sequence: 7, ..OperationStatus::default() });
        assert!(not_ahead(&operation, 7).is_ok());
        assert_eq!(not_ahead(&operation, 8).unwrap_err().field, "after_sequence");
    }
}
