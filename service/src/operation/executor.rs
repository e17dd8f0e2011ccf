//! Carries operations out: on the one server that holds the lease, for as long as it holds it.

use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use kube::ResourceExt as _;
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;

use super::drainer::carry_out;
use super::trail::Trails;
use super::{NodeOperation, forget, queue, turn};
use crate::audit::Auditor;
use crate::cluster::Cluster;
use crate::cluster::lease::{LeaseTiming, Term};
use crate::cluster::observe::View;

/// The lease of whoever carries operations out.
const LEASE: &str = "nodeward-operations";

/// How long an operation that could not go on is left alone before it is taken up again.
const REST: Duration = Duration::from_secs(1);

/// Carries operations out.
pub struct Executor {
    cluster: Cluster,
    trails: Trails,
    /// What this server is called, for people.
    who: String,
    timing: LeaseTiming,
}

impl Executor {
    /// An executor, which does nothing before it is run.
    pub fn new(cluster: Cluster, auditor: Auditor, who: String, timing: LeaseTiming) -> Self {
        let trails = Trails::new(cluster.clone(), auditor, &who);
        Self { cluster, trails, who, timing }
    }

    /// Carries operations out whenever this server holds the lease, until it is told to stop. What was begun is left to the
    /// next server, as the cluster then is.
    pub async fn run(self, stop: CancellationToken) {
        let mut elector = self.cluster.elector(LEASE, &self.who, self.timing);
        while let Some(leadership) = stop.run_until_cancelled(elector.acquire()).await {
            let term = leadership.term().clone();
            match stop.run_until_cancelled(Box::pin(self.lead(&term, elector.holder()))).await {
                Some(End::Lost) => {}
                Some(End::Behind { epoch }) => {
                    tracing::warn!(epoch, "operations were carried out in a later term: the lease was made anew");
                    elector.pass_over(epoch);
                    leadership.release().await;
                }
                None => leadership.release().await,
            }
        }
        self.trails.told().await;
    }

    /// Carries operations out until the term is over. When it returns or is dropped, all that it has begun has ended.
    async fn lead(&self, term: &Term, holder: &str) -> End {
        let mut operations = self.cluster.operations().view();
        let mut running = Running::default();
        let mut upkeep = Box::pin(self.keep_up(operations.clone(), term));
        loop {
            let known = operations.all();
            if let Some(epoch) = highest_epoch(&known).filter(|epoch| *epoch > term.epoch()) {
                return End::Behind { epoch };
            }
            running.forget_ended(&known);
            for operation in queue::next(&known, &running.names) {
                let name = operation.name_any();
                let (cluster, view, term) = (self.cluster.clone(), operations.clone(), term.clone());
                running
                    .begin(name.clone(), carry_out(cluster, self.trails.clone(), name, view, term, holder.to_owned()));
            }
            tokio::select! {
                () = term.lost() => return End::Lost,
                () = operations.changed() => {}
                () = running.one_ended() => {}
                () = &mut upkeep => {}
            }
        }
    }
}

impl Executor {
    /// Does what is due beside carrying operations out, for ever.
    async fn keep_up(&self, view: View<NodeOperation>, term: &Term) {
        let operations = self.cluster.operations();
        tokio::join!(
            forget::keep_forgetting(operations.clone(), view.clone()),
            turn::keep_telling(operations.clone(), view.clone()),
            self.trails.clone().keep_mending(view, term.clone()),
        );
    }
}

/// Why a server carries no operations out any more.
enum End {
    /// Its term is over.
    Lost,
    /// Operations were carried out in a term of this epoch, which is a later one.
    Behind { epoch: u32 },
}

/// The highest epoch of the terms in which open operations were carried out. What can be no epoch of a lease is none.
fn highest_epoch(known: &[Arc<NodeOperation>]) -> Option<u32> {
    let open = known.iter().filter(|one| !queue::has_ended(one));
    let terms = open.filter_map(|one| i32::try_from(one.status.as_ref()?.term).ok());
    terms.filter_map(|term| u32::try_from(term).ok()).max()
}

/// The operations that are being carried out here.
#[derive(Default)]
struct Running {
    tasks: JoinSet<bool>,
    /// The names of the operations, by the tasks that carry them out.
    by_task: HashMap<task::Id, String>,
    /// Their names, and those of operations that have ended though it is not seen yet.
    names: BTreeSet<String>,
    ended: BTreeSet<String>,
}

impl Running {
    fn begin(&mut self, name: String, work: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.names.insert(name.clone());
        let operation = name.clone();
        let task = self.tasks.spawn(async move {
            match AssertUnwindSafe(Box::pin(work)).catch_unwind().await {
                Ok(Ok(())) => return true,
                Ok(Err(error)) => tracing::warn!(%error, operation, "an operation can't go on for now"),
                Err(_) => {
                    tracing::error!(operation, "what carries an operation out has panicked; it is taken up again")
                }
            }
            tokio::time::sleep(REST).await;
            false
        });
        self.by_task.insert(task.id(), name);
    }

    /// Waits until one has ended, or forever if there is none. If it is dropped before, the end is still to be told.
    async fn one_ended(&mut self) {
        let (task, has_ended) = match self.tasks.join_next_with_id().await {
            Some(Ok((task, has_ended))) => (task, has_ended),
            Some(Err(error)) => {
                tracing::error!(%error, "what carries an operation out has been lost; it is taken up again");
                (error.id(), false)
            }
            None => return std::future::pending().await,
        };
        let Some(name) = self.by_task.remove(&task) else { return };
        if has_ended {
            self.ended.insert(name);
        } else {
            self.names.remove(&name);
        }
    }

    /// Forgets those that have ended, once that is seen: what a watch has brought may be behind what is known here.
    fn forget_ended(&mut self, known: &[Arc<NodeOperation>]) {
        let open: BTreeSet<String> =
            known.iter().filter(|one| !queue::has_ended(one)).map(|one| one.name_any()).collect();
        let (names, ended) = (&mut self.names, &mut self.ended);
        ended.retain(|name| {
            let is_open = open.contains(name);
            if !is_open {
                names.remove(name);
            }
            is_open
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::testing::Apiserver;
    use crate::operation::{OperationSpec, OperationStatus, State};

    fn operation(state: State) -> Arc<NodeOperation> {
        let status = Some(OperationStatus { state, ..OperationStatus::default() });
        Arc::new(NodeOperation { status, ..NodeOperation::new("drain", OperationSpec::default()) })
    }

    fn next(known: &[Arc<NodeOperation>], running: &Running) -> usize {
        queue::next(known, &running.names).len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_goes_on_though_the_lease_was_made_anew() {
        let apiserver = Apiserver::new();
        // Its policy can't be read: whoever carries it out ends it at once.
        apiserver.change(|operation| {
            operation.status = Some(OperationStatus { state: State::Running, term: 7, ..OperationStatus::default() });
        });
        let (cluster, stop) = (apiserver.cluster(), CancellationToken::new());
        let executor = Executor::new(cluster, Auditor::nowhere(), "test".to_owned(), LeaseTiming::default());
        let executor = tokio::spawn(executor.run(stop.clone()));
        let status = apiserver.until(|status| status.state.is_final()).await;
        assert_eq!((status.state, status.term), (State::Failed, 8));
        stop.cancel();
        executor.await.unwrap();
    }

    #[tokio::test]
    async fn what_has_ended_is_not_begun_again_though_that_is_not_seen_yet() {
        let mut running = Running::default();
        running.begin("drain".to_owned(), std::future::ready(Ok(())));
        running.one_ended().await;
        let behind = [operation(State::Running)];
        running.forget_ended(&behind);
        assert_eq!(next(&behind, &running), 0);
        running.forget_ended(&[operation(State::Succeeded)]);
        assert!(running.names.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_go_on_or_panicked_is_taken_up_again() {
        let known = [operation(State::Running)];
        let mut running = Running::default();
        running.begin("drain".to_owned(), std::future::ready(Err(anyhow::anyhow!("not now"))));
        running.one_ended().await;
        assert_eq!(next(&known, &running), 1);
        running.begin("drain".to_owned(), async { panic!("a bug") });
        running.one_ended().await;
        assert_eq!(next(&known, &running), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_panicked_is_taken_up_again_though_something_else_happens_meanwhile() {
        let known = [operation(State::Running)];
        let mut running = Running::default();
        running.begin("drain".to_owned(), async { panic!("a bug") });
        let mut changes = 0;
        while next(&known, &running) == 0 && changes < 100 {
            tokio::select! {
                () = running.one_ended() => {}
                () = tokio::time::sleep(REST / 10) => changes += 1,
            }
        }
        assert_eq!(next(&known, &running), 1);
    }
}
