//! Settles what an earlier server left open when it crashed, from what the cluster shows.
//!
//! That a change was carried out is recorded as soon as it is seen. That it was not, only once Kubernetes can't be at work
//! on it any more; until then it may still come.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};

use super::Auditor;
use super::record::{AuditRecord, NODES, Stage};
use super::unsettled::{self, Unsettled};
use super::verdict::{self, Question, Verdict, request_id};
use crate::cluster::Cluster;
use crate::cluster::mutate::Remains;
use crate::error::Error;

/// The longest that Kubernetes is waited for, about one change.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long after a failure it is tried again, at first and at most.
const DELAYS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

impl Auditor {
    /// Settles what is open, however long the cluster takes to answer. `in_flight` is how long Kubernetes may still be at
    /// work on what a server sent that has ended by now.
    pub async fn settle(&self, cluster: Cluster, in_flight: Duration) {
        let over = Instant::now() + in_flight;
        if self.unsettled().is_empty() {
            return;
        }
        // If the log could not be written before.
        let _ = retry(|| self.note_unknown()).await;
        cluster.store().ready().await;
        self.pass(&cluster, false).await;
        sleep_until(over).await;
        self.pass(&cluster, true).await;
    }

    /// Looks at each change once. Unless it is the `last` time, those stay open that can't be seen to be carried out.
    async fn pass(&self, cluster: &Cluster, last: bool) {
        let open: Vec<Unsettled> = self.unsettled().clone();
        for open in open {
            let verdict = self.verdict(cluster, &open).await;
            if last || matches!(verdict, Verdict::CarriedOut(_)) {
                self.settle_as(&open.intent, verdict).await;
            }
        }
    }

    async fn verdict(&self, cluster: &Cluster, open: &Unsettled) -> Verdict {
        if let Some(pod) = open.intent.request.removed_pod() {
            let deadline = || Instant::now() + PATIENCE;
            return match retry(|| cluster.remover().find(&pod.namespace, &pod.name, deadline())).await {
                Ok(found) => verdict::of_removal(&pod.uid, found.as_ref()),
                Err(error) => Verdict::Open(format!("the cluster does not say: {error}")),
            };
        }
        let remains = match retry(|| look(cluster, &open.intent)).await {
            Ok(remains) => remains,
            Err(error) => return Verdict::Open(format!("the cluster does not say: {error}")),
        };
        let last_ended_before = match (remains.last_change(), self.log().cloned()) {
            (Some(last), Some(log)) => {
                let sequence = open.sequence;
                let search = spawn_blocking(move || unsettled::had_ended(&log, last, sequence));
                search.await.unwrap_or_default()
            }
            _ => false,
        };
        Question { intent: &open.intent, last_ended_before, now: Timestamp::now() }.decide(&remains)
    }

    async fn settle_as(&self, intent: &AuditRecord, verdict: Verdict) {
        let record = unsettled::outcome(intent, Stage::Settled, verdict.status());
        // Otherwise the next start tries again.
        if retry(|| self.write(&record)).await.is_ok() {
            let status = record.response_status.unwrap_or_default();
            tracing::info!(audit_id = %intent.audit_id, rpc = intent.rpc, status.reason, status.evidence, "settled");
            self.is_settled(intent.audit_id);
        }
    }
}

async fn look(cluster: &Cluster, intent: &AuditRecord) -> Result<Remains, Error> {
    let node = intent.request.object(NODES).map(|object| object.name.as_str()).unwrap_or_default();
    cluster.mutator().remains(node, request_id(intent), Instant::now() + PATIENCE).await
}

/// Does it until it succeeds, or fails for a reason that does not pass by itself.
async fn retry<T, F>(mut work: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let [mut delay, longest] = DELAYS;
    loop {
        match work().await {
            Err(error) if passes(&error) => tracing::warn!(%error, "settling what a crash left open: trying again"),
            result => return result,
        }
        sleep(delay).await;
        delay = longest.min(delay * 2);
    }
}

fn passes(error: &Error) -> bool {
    use Error::{AuditUnavailable, DeadlineExceeded, Throttled, Unreachable};
    matches!(error, Unreachable { .. } | DeadlineExceeded { .. } | Throttled { .. } | AuditUnavailable { .. })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_can_not_be_reached_is_asked_again() {
        let asked = AtomicU32::new(0);
        let answer = retry(|| async {
            match asked.fetch_add(1, Ordering::Relaxed) {
                0..10 => Err(Error::Unreachable { detail: String::new() }),
                count => Ok(count),
            }
        });
        assert_eq!(answer.await.unwrap(), 10);
    }

    #[tokio::test]
    async fn what_will_not_change_is_not_asked_again() {
        let denied = || async { Err::<(), _>(Error::Denied { message: String::new() }) };
        assert!(matches!(retry(denied).await, Err(Error::Denied { .. })));
    }
}
