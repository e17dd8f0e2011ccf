//! Brings the conditions of nodes in line with operations that have ended: a server that ended one may have been stopped before
//! it could write them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use tokio::time::{Instant, sleep};

use super::super::NodeOperation;
use super::Trails;
use super::notice::{DRAIN_IN_PROGRESS, Notice};
use super::record::Subject;
use super::teller::Teller;
use crate::cluster::lease::Term;
use crate::cluster::observe::View;

/// How often it is looked for such nodes. Right after an end its own trail is on its way to say so.
const EVERY: Duration = Duration::from_secs(60);

/// How often it is tried in a term for one operation: its requester may not be allowed to any more, and each attempt leaves its
/// traces.
const MOST_TRIES: u32 = 4;

/// How much longer the pause is after each.
const LONGER: u32 = 5;

/// What was tried in this term, by the names of the operations.
#[derive(Default)]
struct Tries(HashMap<String, Try>);

struct Try {
    count: u32,
    again: Instant,
}

impl Tries {
    /// Whether it is tried now for this operation, which is counted.
    fn begin(&mut self, operation: &str, now: Instant) -> bool {
        let tried = self.0.entry(operation.to_owned()).or_insert(Try { count: 0, again: now });
        if tried.count == MOST_TRIES || now < tried.again {
            return false;
        }
        tried.again = now + EVERY * LONGER.pow(tried.count);
        tried.count += 1;
        true
    }

    /// Forgets operations of which nothing is left.
    fn keep(&mut self, left: &BTreeSet<String>) {
        self.0.retain(|operation, _| left.contains(operation));
    }
}

impl Trails {
    /// Mends what is left of operations that have ended, for as long as the term lasts.
    pub async fn keep_mending(self, operations: View<NodeOperation>, term: Term) {
        self.cluster.store().ready().await;
        operations.in_sync().await;
        let mut tries = Tries::default();
        loop {
            let mut left = BTreeSet::new();
            for view in self.cluster.store().snapshot().nodes.iter() {
                let Some(operation) = left_by(view.object(), &operations) else { continue };
                if tries.begin(&operation.name_any(), Instant::now()) {
                    self.mend(&operation, &term).await;
                }
                left.insert(operation.name_any());
            }
            tries.keep(&left);
            sleep(EVERY).await;
        }
    }

    async fn mend(&self, operation: &NodeOperation, term: &Term) {
        let name = operation.metadata.name.as_deref().unwrap_or_default();
        let subject = Arc::new(Subject::new(name, &operation.spec));
        let status = operation.status.clone().unwrap_or_default();
        let notice = Notice::ended(&subject, &status);
        Teller::new(self, subject, status.trace_id, term.clone()).set(&notice.conditions).await;
    }
}

/// The operation that has ended, though a condition of the node says that it drains it.
fn left_by(node: &Node, operations: &View<NodeOperation>) -> Option<Arc<NodeOperation>> {
    let name = drained_by(node)?.strip_prefix("operations/")?;
    operations.get("", name).filter(|operation| operation.state().is_final())
}

/// The operation that drains a node, as its conditions say.
pub(super) fn drained_by(node: &Node) -> Option<&str> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    let is_meant = |kind: &str, status: &str| kind == DRAIN_IN_PROGRESS && status == "True";
    let condition = conditions.iter().find(|condition| is_meant(&condition.type_, &condition.status))?;
    condition.message.as_deref()?.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::operation::testing::{Apiserver, term, trails};
    use crate::operation::{OperationStatus, State};

    fn in_progress(operation: &str) -> Value {
        let message = format!("{operation} drains the node for alice");
        json!({ "status": { "conditions": [{ "type": "DrainInProgress", "status": "True", "message": message }] } })
    }

    /// The status of that condition after a server has taken the lead that finds it.
    async fn mended(says: &str) -> Value {
        let apiserver = Apiserver::new();
        apiserver.patch_node(&in_progress(says));
        let mut status = OperationStatus::default();
        status.end(State::Failed, "no", Timestamp::now());
        apiserver.change(|operation| operation.status = Some(status));
        let cluster = apiserver.cluster();
        let view = cluster.operations().view();
        view.in_sync().await;
        let operation = view.get("", "drain").unwrap();
        trails(&cluster).mend(&operation, &term(1, 60)).await;
        apiserver.node()["status"]["conditions"][0]["status"].clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_is_not_said_to_be_drained_by_an_operation_that_has_ended() {
        assert_eq!(mended("operations/drain").await, "False");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_said_of_another_operation_stays() {
        assert_eq!(mended("operations/another").await, "True");
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_not_be_mended_is_tried_a_few_times_with_growing_pauses() {
        let (mut tries, begun) = (Tries::default(), Instant::now());
        let mut tried = Vec::new();
        for minute in 0..10_000 {
            if tries.begin("drain", begun + EVERY * minute) {
                tried.push(minute);
            }
        }
        assert_eq!(tried, [0, 1, 6, 31]);
        assert!(tries.begin("another", begun), "each has tries of its own");
        tries.keep(&BTreeSet::new());
        assert!(tries.begin("drain", begun), "what was mended may be left anew");
    }

    #[tokio::test(start_paused = true)]
    async fn only_of_an_operation_that_has_ended_something_is_left() {
        let apiserver = Apiserver::new();
        let view = apiserver.cluster().operations().view();
        view.in_sync().await;
        let node = |says: &str| serde_json::from_value(in_progress(says)).unwrap();
        assert!(left_by(&node("operations/drain"), &view).is_none(), "it goes on");
        assert!(left_by(&node("operations/another"), &view).is_none(), "nobody knows it");
    }
}
