//! Carries one drain out.
//!
//! It cordons the node, then takes one step after another (`drain::Situation`), each from what the cluster is by then, until
//! no pod that is to go has been there for a while. Each change of the operation's status is written under the version that
//! was read: whoever has been replaced finds that out by it, and stops.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::{CordonState, NodeOperation, OperationFailure, OperationStatus, State};
use crate::caller::Caller;
use crate::cluster::Cluster;
use crate::cluster::evict::{PodRemoval, RemovalMethod, RemovalRefused};
use crate::cluster::lease::Term;
use crate::cluster::mutate::{Mutation, Subresource};
use crate::cluster::observe::{Observation, View};
use crate::drain::{
    self, Blocker, DaemonSetReference, DrainPlan, DrainPolicy, Outlook, PlanInput, PodProgress, Removal, RemovalOrder,
    Situation, Step,
};
use crate::error::Error;
use crate::node::claim::{self, Claim};
use crate::pod::PodReference;

/// For how long a node must have been empty: pods that were bound before it was cordoned come late.
const EMPTY_FOR: Duration = Duration::from_secs(5);

/// How long a request to Kubernetes may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How many removals are sent at a time.
const AT_A_TIME: usize = 16;

/// One drain on its way.
pub(super) struct Drainer {
    cluster: Cluster,
    operation: NodeOperation,
    operations: View<NodeOperation>,
    term: Term,
    holder: String,
    /// What was answered to removals, not yet taken in.
    removals: JoinSet<(PodReference, Result<(), RemovalRefused>)>,
    in_flight: BTreeSet<String>,
    /// What was answered to removals, by the uids of the pods, until it is written down.
    answers: BTreeMap<String, PodProgress>,
    empty_since: Option<Instant>,
}

impl Drainer {
    pub(super) fn new(
        cluster: Cluster,
        operation: NodeOperation,
        operations: View<NodeOperation>,
        term: Term,
        holder: String,
    ) -> Self {
        let (removals, in_flight, answers) = Default::default();
        Self { cluster, operation, operations, term, holder, removals, in_flight, answers, empty_since: None }
    }

    /// Carries it out to its end.
    ///
    /// # Errors
    /// What keeps it from going on for now. It can be taken up again from where the cluster then is.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let Some(policy) = self.policy().await? else { return Ok(()) };
        self.begin().await?;
        if let Err(error) = self.cordon().await {
            return self.fail_if_for_good(error).await;
        }
        let mut observation = self.cluster.observer().observe(&self.operation.spec.node.name);
        observation.in_sync().await;
        loop {
            let now = Timestamp::now();
            let Some(plan) = self.plan(&observation, &policy, now) else {
                return self.fail("NODE_NOT_FOUND", "the node is gone, or another has its name").await;
            };
            let step = self.step(&plan, &policy, now);
            let wake = self.wake(&step, now);
            let outlook = step.outlook;
            self.take(step, now).await?;
            if self.is_over(outlook).await? {
                return Ok(());
            }
            tokio::select! {
                () = self.term.lost() => anyhow::bail!("another server carries it out by now"),
                () = observation.changed() => {}
                () = self.operations.changed() => {}
                () = sleep_until(wake) => {}
                Some(answer) = self.removals.join_next() => self.answered(answer.context("a removal panicked")?),
            }
        }
    }

    /// The policy. None if it can't be read, which has ended the operation.
    async fn policy(&mut self) -> anyhow::Result<Option<DrainPolicy>> {
        let drain = self.operation.spec.drain.clone().unwrap_or_default();
        match serde_json::from_value(drain.policy) {
            Ok(policy) => Ok(Some(policy)),
            Err(error) => {
                self.fail("INTERNAL", &format!("the policy can't be read: {error}")).await?;
                Ok(None)
            }
        }
    }

    async fn begin(&mut self) -> anyhow::Result<()> {
        let (holder, term, now) = (self.holder.clone(), i64::from(self.term.epoch()), Timestamp::now());
        self.write(|status| {
            (status.holder, status.term) = (holder, term);
            status.start_time = status.start_time.or(Some(now));
            if status.state == State::Pending {
                status.enter(State::Running, "", now);
            }
        })
        .await
    }

    /// Cordons the node in the requester's name.
    async fn cordon(&mut self) -> Result<(), Error> {
        let (name, operation) = (self.operation.spec.node.name.clone(), self.operation.name_any());
        let claim = Claim {
            owner: format!("operations/{operation}"),
            reason: self.operation.spec.reason.clone(),
            since: Timestamp::now().round(jiff::Unit::Second).ok(),
            operation: format!("operations/{operation}"),
            ..Claim::default()
        };
        let mutation = Mutation {
            caller: self.caller(),
            writes_as: self.cluster.writes_as(),
            method: "DrainNode",
            request: None,
            etag: None,
            validate_only: false,
            reason: self.operation.spec.reason.clone(),
            audit_id: Uuid::new_v4(),
            deadline: Instant::now() + PATIENCE,
        };
        let plan = |current: &Node| {
            claim::cordon(current, claim.clone()).map_err(|refusal| Error::Claim { node: current.name_any(), refusal })
        };
        self.cluster.mutator().update(&mutation, &name, Subresource::Main, plan).await.map(drop)
    }

    fn caller(&self) -> Caller {
        self.operation.spec.requester.caller()
    }

    /// What a drain that began now would do. None if the node is gone.
    fn plan(&self, observation: &Observation, policy: &DrainPolicy, now: Timestamp) -> Option<DrainPlan> {
        let identity = &self.operation.spec.node;
        let view = self.cluster.store().get(&identity.name)?;
        let node = view.object();
        if node.metadata.uid.as_ref() != Some(&identity.uid) {
            return None;
        }
        let (pods, budgets) = (observation.pods.all(), observation.budgets.all());
        let namespaces = observation.namespaces.all();
        let daemon_sets = observation.daemon_sets.all();
        let input = PlanInput {
            node,
            nodes: vec![node],
            pods: pods.iter().map(AsRef::as_ref).collect(),
            daemon_sets: daemon_sets.iter().map(|set| reference_of(&set.metadata)).collect(),
            budgets: budgets.iter().map(AsRef::as_ref).collect(),
            namespaces: namespaces
                .iter()
                .map(|namespace| (namespace.name_any(), namespace.metadata.labels.clone().unwrap_or_default()))
                .collect(),
            now,
        };
        Some(drain::plan(&input, policy))
    }

    fn step(&self, plan: &DrainPlan, policy: &DrainPolicy, now: Timestamp) -> Step {
        let status = self.status();
        let deadline = policy.deadline.and_then(|deadline| status.start_time?.checked_add(deadline).ok());
        Situation {
            plan,
            policy,
            progress: &self.known(&status.pods),
            in_flight: &self.in_flight,
            deadline,
            is_held: self.is_cancelled() || !self.term.is_valid(),
            now,
        }
        .step()
    }

    /// Where the pods are, by what is written down and what was answered since.
    fn known(&self, written: &[PodProgress]) -> Vec<PodProgress> {
        written.iter().map(|pod| self.answers.get(&pod.pod.uid).unwrap_or(pod).clone()).collect()
    }

    /// When to take the next step at the latest.
    fn wake(&self, step: &Step, now: Timestamp) -> Instant {
        let in_time = step.wake.and_then(|wake| Duration::try_from(wake.duration_since(now)).ok());
        let by_step = Instant::now() + in_time.unwrap_or(PATIENCE);
        match self.empty_since {
            Some(since) => by_step.min(since + EMPTY_FOR),
            None if step.outlook == Outlook::Empty => by_step.min(Instant::now() + EMPTY_FOR),
            None => by_step,
        }
    }

    /// Writes down where the pods are, and sends the removals.
    async fn take(&mut self, step: Step, now: Timestamp) -> anyhow::Result<()> {
        let Step { progress, removals, outlook, .. } = step;
        let state = match (self.is_cancelled(), outlook) {
            (true, _) => State::Cancelling,
            (false, Outlook::Blocked) => State::Blocked,
            (false, _) => State::Running,
        };
        let before = self.status().clone();
        let mut after = before.clone();
        let mut is_news = after.set_progress(progress, now);
        is_news |= after.enter(state, "", now);
        is_news |= after.set_cordon(CordonState::Own, "", now);
        if is_news {
            self.write(|status| *status = after).await?;
            self.answers.clear();
        }
        let room = AT_A_TIME.saturating_sub(self.in_flight.len());
        for order in removals.into_iter().take(room) {
            self.send(order);
        }
        Ok(())
    }

    fn send(&mut self, order: RemovalOrder) {
        let RemovalOrder { pod, removal, grace_seconds } = order;
        let removal = PodRemoval {
            caller: self.caller(),
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            node: self.operation.spec.node.name.clone(),
            method: match removal {
                Removal::Evict => RemovalMethod::Evict,
                Removal::Delete => RemovalMethod::Delete,
            },
            grace_seconds: grace_seconds.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
            dry_run: false,
            audit_id: Uuid::new_v4(),
            deadline: Instant::now() + PATIENCE,
        };
        self.in_flight.insert(pod.uid.clone());
        let (remover, term) = (self.cluster.remover().clone(), self.term.clone());
        self.removals.spawn(async move {
            if !term.is_valid() {
                let detail = "another server carries the drain out by now".to_owned();
                return (pod, Err(RemovalRefused::Unavailable { detail }));
            }
            let answer = Box::pin(remover.remove(&removal)).await;
            (pod, answer)
        });
    }

    /// Takes in what was answered to a removal. It is written down with the next step.
    fn answered(&mut self, (pod, answer): (PodReference, Result<(), RemovalRefused>)) {
        self.in_flight.remove(&pod.uid);
        let now = Timestamp::now();
        let pods = self.known(&self.status().pods);
        let Some(was) = pods.iter().find(|progress| progress.pod.uid == pod.uid) else { return };
        let progress = match answer {
            Ok(()) => was.accepted(),
            // What is there instead is seen when it is looked at next.
            Err(RemovalRefused::Gone | RemovalRefused::Conflict { .. } | RemovalRefused::Terminating) => return,
            Err(refused) => refused_by(was, refused, now),
        };
        self.answers.insert(pod.uid, progress);
    }

    /// Whether the drain has ended.
    async fn is_over(&mut self, outlook: Outlook) -> anyhow::Result<bool> {
        let now = Timestamp::now();
        if outlook != Outlook::Empty {
            self.empty_since = None;
        }
        match outlook {
            Outlook::Empty => {
                let since = *self.empty_since.get_or_insert_with(Instant::now);
                let is_over = since.elapsed() >= EMPTY_FOR;
                if is_over {
                    self.end(State::Succeeded, "", now).await?;
                }
                Ok(is_over)
            }
            _ if self.is_cancelled() && self.in_flight.is_empty() => {
                self.end(State::Cancelled, "it was cancelled; the node stays cordoned", now).await?;
                Ok(true)
            }
            Outlook::Late => {
                self.fail("DEADLINE_EXCEEDED", "the deadline has passed, and pods are left").await?;
                Ok(true)
            }
            Outlook::Working | Outlook::Blocked => Ok(false),
        }
    }

    fn is_cancelled(&self) -> bool {
        let name = self.operation.name_any();
        self.operations.get("", &name).is_some_and(|operation| operation.spec.cancel.is_some())
    }

    fn status(&self) -> OperationStatus {
        self.operation.status.clone().unwrap_or_default()
    }

    /// Changes the status, and writes it.
    async fn write(&mut self, change: impl FnOnce(&mut OperationStatus)) -> anyhow::Result<()> {
        let before = self.operation.status.clone();
        change(self.operation.status.get_or_insert_default());
        let operations = self.cluster.operations();
        loop {
            if let Some(written) = operations.write_status(&self.operation, Instant::now() + PATIENCE).await? {
                self.operation = written;
                return Ok(());
            }
            // Somebody who wants it to end has written that down; or another server has taken it over.
            let now = operations.get(&self.operation.name_any(), Instant::now() + PATIENCE).await?;
            let now = now.context("the operation was deleted")?;
            anyhow::ensure!(now.status == before, "another server carries it out by now");
            self.operation = NodeOperation { status: self.operation.status.take(), ..now };
        }
    }

    async fn end(&mut self, state: State, message: &str, now: Timestamp) -> anyhow::Result<()> {
        self.write(|status| {
            status.set_cordon(CordonState::Left, "", now);
            status.enter(state, message, now);
        })
        .await
    }

    async fn fail(&mut self, reason: &str, message: &str) -> anyhow::Result<()> {
        let failure = OperationFailure { code: 9, reason: reason.to_owned(), message: message.to_owned() };
        let now = Timestamp::now();
        self.write(|status| {
            status.failure = Some(failure);
            status.enter(State::Failed, message, now);
        })
        .await
    }

    /// Fails for what does not pass; what does is an error to come back for.
    async fn fail_if_for_good(&mut self, error: Error) -> anyhow::Result<()> {
        match error {
            Error::Denied { .. } | Error::AccessDenied { .. } | Error::NotFound { .. } | Error::Claim { .. } => {
                self.fail(error.reason(), &format!("the node can't be cordoned: {error}")).await
            }
            error => Err(error.into()),
        }
    }
}

fn refused_by(was: &PodProgress, refused: RemovalRefused, now: Timestamp) -> PodProgress {
    let (blocker, retry_after) = match refused {
        RemovalRefused::Budget { message, budget, retry_after } => {
            (Blocker::BudgetFault { budget: budget.unwrap_or_default(), message }, retry_after)
        }
        RemovalRefused::SeveralBudgets { budgets } => {
            let message = format!("it is one of several that cover the pod: {}", budgets.join(", "));
            (Blocker::BudgetFault { budget: budgets.into_iter().next().unwrap_or_default(), message }, None)
        }
        RemovalRefused::Throttled { retry_after } => (Blocker::Throttled, Some(retry_after)),
        RemovalRefused::NamespaceTerminating => (Blocker::NamespaceTerminating, None),
        RemovalRefused::Forbidden { message } => (Blocker::denied(&message), None),
        other => (Blocker::unavailable(&other.to_string()), None),
    };
    was.refused(blocker, retry_after, now)
}

fn reference_of(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> DaemonSetReference {
    DaemonSetReference {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
    }
}
