//! Says of operations that are not begun soon that they wait for their turn.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use tokio::time::{Instant, sleep};

use super::{NodeOperation, State};
use crate::cluster::Operations;
use crate::cluster::observe::View;

/// After what time an operation is told that it waits.
const SOON: SignedDuration = SignedDuration::from_secs(3);

/// How often it is looked for such operations.
const EVERY: Duration = Duration::from_secs(1);

/// How long a write may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What it is told.
const WAITS: &str = "it waits for its turn: as many operations are carried out as can be at a time";

/// Tells them, for ever. One that is begun meanwhile has another version by then, and is not written.
pub(super) async fn keep_telling(operations: Operations, view: View<NodeOperation>) {
    loop {
        for operation in view.all() {
            let Some(told) = told(&operation, Timestamp::now()) else { continue };
            if let Err(error) = operations.write_status(&told, Instant::now() + PATIENCE).await {
                tracing::warn!(%error, operation = told.name_any(), "an operation can't be told that it waits");
                break;
            }
        }
        sleep(EVERY).await;
    }
}

/// The operation with what it is to be told. None if there is nothing to tell.
fn told(operation: &NodeOperation, now: Timestamp) -> Option<NodeOperation> {
    let asked = operation.metadata.creation_timestamp.as_ref()?.0;
    if operation.state() != State::Pending || now.duration_since(asked) < SOON {
        return None;
    }
    let mut status = operation.status.clone().unwrap_or_default();
    let is_news = status.enter(State::Pending, WAITS, now);
    is_news.then(|| NodeOperation { status: Some(status), ..operation.clone() })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::operation::OperationSpec;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_operation_that_is_not_begun_soon_is_told_once_that_it_waits() {
        let mut operation = NodeOperation::new("drain", OperationSpec::default());
        operation.metadata.creation_timestamp = Some(Time(at(10)));
        assert!(told(&operation, at(12)).is_none());
        let waits = told(&operation, at(13)).unwrap();
        assert_eq!(waits.status.as_ref().unwrap().message, WAITS);
        assert!(told(&waits, at(20)).is_none());
    }

    #[test]
    fn one_that_is_carried_out_is_told_nothing() {
        let mut operation = NodeOperation::new("drain", OperationSpec::default());
        operation.metadata.creation_timestamp = Some(Time(at(10)));
        operation.status.get_or_insert_default().enter(State::Running, "", at(11));
        assert!(told(&operation, at(20)).is_none());
    }
}
