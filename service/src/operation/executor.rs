//! Carries operations out: on the one server that holds the lease, for as long as it holds it.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::NodeOperation;
use super::drainer::Drainer;
use super::forget;
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
    /// What this server is called, for people.
    who: String,
    timing: LeaseTiming,
}

impl Executor {
    /// An executor, which does nothing before it is run.
    pub fn new(cluster: Cluster, who: String, timing: LeaseTiming) -> Self {
        Self { cluster, who, timing }
    }

    /// Carries operations out whenever this server holds the lease, until it is told to stop. What was begun is left to the
    /// next server, as the cluster then is.
    pub async fn run(self, stop: CancellationToken) {
        let mut elector = self.cluster.elector(LEASE, &self.who, self.timing);
        while let Some(leadership) = stop.run_until_cancelled(elector.acquire()).await {
            let term = leadership.term().clone();
            let is_stopped = stop.run_until_cancelled(self.lead(&term, elector.holder())).await.is_none();
            if is_stopped {
                leadership.release().await;
            }
        }
    }

    /// Carries operations out until the term is over. When it returns or is dropped, all that it has begun has ended.
    async fn lead(&self, term: &Term, holder: &str) {
        let mut operations = self.cluster.operations().view();
        let mut running = Running::default();
        let mut forgetting = Box::pin(forget::keep_forgetting(self.cluster.operations().clone(), operations.clone()));
        loop {
            for operation in operations.all() {
                if !operation.status.as_ref().is_some_and(|status| status.state.is_final()) {
                    running.begin(&operation, || self.drainer(&operation, &operations, term, holder));
                }
            }
            tokio::select! {
                () = term.lost() => return,
                () = operations.changed() => {}
                () = running.one_ended() => {}
                () = &mut forgetting => {}
            }
        }
    }

    fn drainer(
        &self,
        operation: &NodeOperation,
        operations: &View<NodeOperation>,
        term: &Term,
        holder: &str,
    ) -> Drainer {
        Drainer::new(self.cluster.clone(), operation.clone(), operations.clone(), term.clone(), holder.to_owned())
    }
}

/// The operations that are being carried out here.
#[derive(Default)]
struct Running {
    tasks: JoinSet<String>,
    names: BTreeMap<String, ()>,
}

impl Running {
    fn begin(&mut self, operation: &NodeOperation, drainer: impl FnOnce() -> Drainer) {
        let name = operation.name_any();
        if self.names.insert(name.clone(), ()).is_some() {
            return;
        }
        let drainer = drainer();
        self.tasks.spawn(async move {
            if let Err(error) = Box::pin(drainer.run()).await {
                tracing::warn!(%error, operation = name, "an operation can't go on for now");
                tokio::time::sleep(REST).await;
            }
            name
        });
    }

    /// Waits until one has ended, or forever if there is none.
    async fn one_ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(name)) => {
                self.names.remove(&name);
            }
            // A task that panicked is not taken up again in this term.
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }
}
