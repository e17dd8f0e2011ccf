//! Forgets operations: those that ended long ago, and of too many those that ended first. What goes on is never forgotten.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use tokio::time::{Instant, sleep};

use super::NodeOperation;
use crate::cluster::Operations;
use crate::cluster::observe::View;

/// How long an operation that has ended can be looked at.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How many operations are kept.
const MOST: usize = 10_000;

/// How often it is looked for what is to be forgotten.
const EVERY: Duration = Duration::from_secs(600);

/// How long a deletion may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Forgets what is to be forgotten, for ever.
pub(super) async fn keep_forgetting(operations: Operations, view: View<NodeOperation>) {
    loop {
        view.in_sync().await;
        for operation in due(view.all(), MOST, Timestamp::now()) {
            // One that has changed meanwhile stays until the next time.
            if let Err(error) = operations.delete(&operation, Instant::now() + PATIENCE).await {
                tracing::warn!(%error, operation = operation.name_any(), "an old operation can't be deleted for now");
                break;
            }
        }
        sleep(EVERY).await;
    }
}

/// Those that are to be forgotten, if at most so many are kept.
fn due(operations: Vec<Arc<NodeOperation>>, most: usize, now: Timestamp) -> Vec<Arc<NodeOperation>> {
    let too_many = operations.len().saturating_sub(most);
    let ended = |operation: &NodeOperation| operation.status.as_ref().and_then(|status| status.end_time);
    let mut over: Vec<_> = operations.into_iter().filter(|operation| operation.state().is_final()).collect();
    over.sort_by_key(|operation| ended(operation));
    let is_old = |operation: &NodeOperation| ended(operation).is_none_or(|ended| now.duration_since(ended) > KEPT_FOR);
    let due = over.into_iter().enumerate().filter(|(index, operation)| *index < too_many || is_old(operation));
    due.map(|(_, operation)| operation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{OperationSpec, OperationStatus, State};

    const DAY: i64 = 24 * 3600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// An operation that ended then, or goes on.
    fn operation(name: &str, ended: Option<i64>) -> Arc<NodeOperation> {
        let mut operation = NodeOperation::new(name, OperationSpec::default());
        let mut status = OperationStatus::default();
        status.enter(ended.map_or(State::Running, |_| State::Succeeded), "", at(ended.unwrap_or(0)));
        operation.status = Some(status);
        Arc::new(operation)
    }

    fn forgotten(most: usize, now: i64) -> Vec<String> {
        let all = [("runs", None), ("new", Some(6 * DAY)), ("old", Some(DAY)), ("older", Some(0))];
        let all = all.map(|(name, ended)| operation(name, ended)).into();
        due(all, most, at(now)).iter().map(|operation| operation.name_any()).collect()
    }

    #[test]
    fn an_operation_is_forgotten_a_week_after_its_end() {
        assert!(forgotten(MOST, 7 * DAY).is_empty());
        assert_eq!(forgotten(MOST, 7 * DAY + 1), ["older"]);
        assert_eq!(forgotten(MOST, 8 * DAY + 1), ["older", "old"]);
    }

    #[test]
    fn of_too_many_those_that_ended_first_are_forgotten_and_none_that_goes_on() {
        assert_eq!(forgotten(2, 6 * DAY), ["older", "old"]);
        assert_eq!(forgotten(0, 6 * DAY), ["older", "old", "new"]);
    }
}
