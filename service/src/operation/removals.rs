//! The removals of a drain on their way to Kubernetes.

use std::collections::BTreeSet;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument as _;
use uuid::Uuid;

use super::happening::Happening;
use super::journal::{Journal, PATIENCE};
use super::trail::Trail;
use crate::caller::Caller;
use crate::cluster::Cluster;
use crate::cluster::evict::{PodRemoval, RemovalMethod, RemovalRefused, Remover};
use crate::cluster::lease::Term;
use crate::drain::{Blocker, BudgetOverride, PodProgress, PodState, Removal, RemovalOrder};
use crate::pod::PodReference;

/// How many are sent at a time.
const AT_A_TIME: usize = 32;

/// What a removal is refused with that was not sent, because the term is over.
const REPLACED: &str = "another server carries the drain out by now";

/// And one whose record could not be written in time.
const NOT_NOTED: &str = "the audit log has not taken the record of it in time";

/// The removals that were sent and have not been answered. Dropping it gives them up: whether they were carried out is then
/// not known.
pub(super) struct Removals {
    /// It sends nothing after the term.
    remover: Remover,
    term: Term,
    trail: Trail,
    caller: Caller,
    node: String,
    tasks: JoinSet<Answer>,
    in_flight: BTreeSet<String>,
}

/// What became of a removal.
pub(super) struct Answer {
    /// Of this pod.
    pub pod: PodReference,
    /// What Kubernetes made of it.
    pub answer: Result<(), RemovalRefused>,
}

impl Removals {
    /// None yet.
    pub fn new(cluster: &Cluster, term: Term, journal: &Journal) -> Self {
        Self {
            remover: cluster.remover().within(term.clone()),
            term,
            trail: journal.trail().clone(),
            caller: journal.spec().requester.caller(),
            node: journal.spec().node.name.clone(),
            tasks: JoinSet::new(),
            in_flight: BTreeSet::new(),
        }
    }

    /// The uids of the pods whose removal is on its way.
    pub fn in_flight(&self) -> &BTreeSet<String> {
        &self.in_flight
    }

    /// How many more may be sent now.
    pub fn room(&self) -> usize {
        AT_A_TIME.saturating_sub(self.in_flight.len())
    }

    /// Sends one. That it is sent must be written down.
    pub fn send(&mut self, order: RemovalOrder) {
        let RemovalOrder { pod, removal, grace_seconds, attempt, overrides } = order;
        let removal = PodRemoval {
            caller: self.caller.clone(),
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            node: self.node.clone(),
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
        let (remover, term, trail) = (self.remover.clone(), self.term.clone(), self.trail.clone());
        self.tasks.spawn(async move {
            let answer = Box::pin(remove(&remover, &term, &trail, removal, attempt, &overrides)).await;
            Answer { pod, answer }
        });
    }

    /// Waits for an answer; for ever, if there is none to come.
    ///
    /// # Errors
    /// A removal panicked: what became of it is not known.
    pub async fn answered(&mut self) -> anyhow::Result<Answer> {
        match self.tasks.join_next().await {
            Some(answer) => self.took(answer),
            None => std::future::pending().await,
        }
    }

    /// An answer, if there is one already.
    ///
    /// # Errors
    /// As for [`answered`](Self::answered).
    pub fn try_answered(&mut self) -> anyhow::Result<Option<Answer>> {
        self.tasks.try_join_next().map(|answer| self.took(answer)).transpose()
    }

    fn took(&mut self, answer: Result<Answer, tokio::task::JoinError>) -> anyhow::Result<Answer> {
        let answer = answer.context("a removal panicked")?;
        self.in_flight.remove(&answer.pod.uid);
        Ok(answer)
    }
}

async fn remove(
    remover: &Remover,
    term: &Term,
    trail: &Trail,
    mut removal: PodRemoval,
    attempt: u32,
    overrides: &[BudgetOverride],
) -> Result<(), RemovalRefused> {
    let unavailable = |detail: String| RemovalRefused::Unavailable { detail };
    // What is not answered by the end of the term must not arrive after it.
    let until = term.valid_until().ok_or_else(|| unavailable(REPLACED.to_owned()))?;
    removal.deadline = removal.deadline.min(until);
    let told = trail.tell(Happening::RemovalSent { removal: &removal, attempt, overrides });
    let told = timeout_at(removal.deadline, told).await.map_err(|_| unavailable(NOT_NOTED.to_owned()))?;
    told.map_err(|error| unavailable(error.to_string()))?;
    let answer = Box::pin(remover.remove(&removal)).instrument(trail.span(removal.audit_id)).await;
    // An answer that is not noted in time is noted as unknown, once it can be.
    let told = trail.tell(Happening::RemovalAnswered { removal: &removal, answer: &answer });
    match timeout(PATIENCE, told).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the answer to a removal can't be noted"),
        Err(_) => tracing::warn!("the answer to a removal can't be noted: the audit log does not answer"),
    }
    answer
}

impl Answer {
    /// Where the pod is after it.
    pub fn progress(self, was: &PodProgress, now: jiff::Timestamp) -> PodProgress {
        let Self { pod, answer } = self;
        let named = |budget: String| format!("{}/{budget}", pod.namespace);
        let (blocker, retry_after) = match answer {
            Ok(()) => return was.settled(PodState::Removed, now),
            // Somebody else, or the server before this one, was faster.
            Err(RemovalRefused::Terminating) => return was.settled(PodState::Terminating, now),
            Err(RemovalRefused::Gone | RemovalRefused::Conflict { .. }) => return was.settled(PodState::Gone, now),
            // Kubernetes says when to try again where the numbers of the budget are out of date.
            Err(RemovalRefused::Budget { budget: Some(budget), retry_after: Some(after), .. }) => {
                (Blocker::BudgetUnprocessed { budget: named(budget) }, Some(after))
            }
            Err(RemovalRefused::Budget { message, budget, retry_after }) => {
                (Blocker::budget_fault(budget.map(named).unwrap_or_default(), &message), retry_after)
            }
            Err(RemovalRefused::SeveralBudgets { budgets }) => {
                (Blocker::SeveralBudgets { budgets: budgets.into_iter().map(named).collect() }, None)
            }
            Err(RemovalRefused::Throttled { retry_after }) => (Blocker::Throttled, Some(retry_after)),
            Err(RemovalRefused::NamespaceTerminating) => (Blocker::NamespaceTerminating, None),
            Err(RemovalRefused::Forbidden { message, admission }) => (Blocker::denied(&message, &admission), None),
            Err(RemovalRefused::Unavailable { detail }) => (Blocker::unavailable(&detail), None),
        };
        was.refused(blocker, retry_after, now)
    }
}
