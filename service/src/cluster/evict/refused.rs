//! Why a pod was not removed: what Kubernetes' answers mean.

use std::time::Duration;

use kube::core::Status;

use crate::cluster::fault;

/// The cause that tells a budget's 429 from one that asks to slow down (policy/v1 `DisruptionBudgetCause`).
const BUDGET_CAUSE: &str = "DisruptionBudget";

/// The cause of a refusal because the namespace is being deleted (core/v1 `NamespaceTerminatingCause`).
const NAMESPACE_CAUSE: &str = "NamespaceTerminating";

/// What Kubernetes calls a budget that it refuses to count on (`getPodDisruptionBudgets` in registry/core/pod/storage).
const BUDGET_KIND: &str = "poddisruptionbudget";

/// When to try again if Kubernetes did not say.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// Why a pod was not removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemovalRefused {
    /// There is no such pod any more.
    #[error("the pod is gone")]
    Gone,
    /// Its name belongs to another pod: this one is gone. Or it is on another node than was thought.
    #[error("the pod of this name is another one ({uid}, on node {node:?})")]
    Conflict {
        /// The uid of the pod that is there.
        uid: String,
        /// The node of that pod. Empty if it has none yet.
        node: String,
    },
    /// It is on its way out already, and this would not have made it faster.
    #[error("the pod is being removed already")]
    Terminating,
    /// Its budget does not allow it now.
    #[error("its budget does not allow it: {message}")]
    Budget {
        /// Kubernetes' words.
        message: String,
        /// The budget. None if it could not be found out: it may have just been changed.
        budget: Option<String>,
        /// When to try again, if Kubernetes said so. It says it when the budget's numbers are out of date.
        retry_after: Option<Duration>,
    },
    /// Several budgets cover it. Kubernetes evicts no such pod, until somebody changes the budgets or the pod's labels.
    #[error("several budgets cover the pod: {}", budgets.join(", "))]
    SeveralBudgets {
        /// The budgets, in the order of their names.
        budgets: Vec<String>,
    },
    /// Kubernetes asks to slow down. It has nothing to do with a budget.
    #[error("Kubernetes is throttling requests")]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// Its namespace is being deleted, where nothing can be created, not even an eviction. The pod will be deleted with it.
    #[error("the pod's namespace is being deleted")]
    NamespaceTerminating,
    /// The caller may not do it, or a policy or webhook does not admit it.
    #[error("Kubernetes refused it: {message}")]
    Forbidden {
        /// Kubernetes' words.
        message: String,
        /// The webhook or policy, if it was one.
        admission: String,
    },
    /// Kubernetes could not be reached or failed. Whether the pod was removed is not known.
    #[error("Kubernetes can't be reached: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
}

/// What the status of a refused removal says by itself. What it says of the pod (404, 409) must be looked up.
pub(super) fn meaning(status: &Status, retry_after: Option<Duration>) -> RemovalRefused {
    let retry_after = retry_after.or_else(|| asked_to_wait(status));
    match status.code {
        429 if has_cause(status, BUDGET_CAUSE) => {
            RemovalRefused::Budget { message: in_full(status), budget: None, retry_after }
        }
        429 => RemovalRefused::Throttled { retry_after: retry_after.unwrap_or(DEFAULT_RETRY) },
        403 if has_cause(status, NAMESPACE_CAUSE) => RemovalRefused::NamespaceTerminating,
        403 => match faulty_budget(status) {
            Some(budget) => {
                RemovalRefused::Budget { message: status.message.clone(), budget: Some(budget), retry_after }
            }
            None => forbidden(status),
        },
        // The server's own credentials, which a rotation may have just ended; callers have nothing to do with them.
        401 => unavailable(format!("it does not accept the server's credentials: {}", status.message)),
        // Policies and webhooks refuse with any code.
        400..500 => forbidden(status),
        _ => unavailable(status.message.clone()),
    }
}

pub(super) fn unavailable(detail: String) -> RemovalRefused {
    RemovalRefused::Unavailable { detail }
}

fn forbidden(status: &Status) -> RemovalRefused {
    let admission = fault::admission(&status.message).unwrap_or_default().to_owned();
    RemovalRefused::Forbidden { message: status.message.clone(), admission }
}

fn has_cause(status: &Status, reason: &str) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.reason == reason)
}

/// Numbers of a budget that can't be: it allows less than nothing, or has lost count of what was evicted.
fn faulty_budget(status: &Status) -> Option<String> {
    let details = status.details.as_ref()?;
    (details.group == "policy" && details.kind == BUDGET_KIND).then(|| details.name.clone())
}

/// The message and what the causes add to it: which budget, and its numbers.
fn in_full(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.message.as_str());
    let parts: Vec<&str> =
        std::iter::once(status.message.as_str()).chain(causes).filter(|text| !text.is_empty()).collect();
    parts.join(" ")
}

fn asked_to_wait(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}
