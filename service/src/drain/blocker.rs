//! What keeps a pod from going, with what somebody needs to know to do something about it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BudgetNumbers, BudgetVerdict};
use crate::pod::PodReference;

/// How many unready pods are named.
const MOST_PODS: usize = 10;

/// The longest message of somebody else that is kept, in characters: blockers of many pods stand in one object.
const LONGEST_MESSAGE: usize = 240;

/// What keeps a pod from going.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum Blocker {
    /// Its budget does not let it go now.
    Budget {
        /// The budget.
        budget: BudgetNumbers,
        /// Whether it lets none go even if all pods are healthy.
        never: bool,
        /// Pods that the budget counts on but that are not healthy: the first of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unready: Vec<PodReference>,
        /// Pods that it has let go a moment ago and that are still there, which it does not count: the first of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        evicted: Vec<PodReference>,
    },
    /// Its budget was changed, and its controller has not taken that into account yet.
    BudgetUnprocessed {
        /// The budget, as `namespace/name`.
        budget: String,
    },
    /// Something is wrong with its budget, or Kubernetes has not said what keeps it from letting the pod go.
    BudgetFault {
        /// The budget, as `namespace/name`, if it is known.
        budget: String,
        /// What is wrong.
        message: String,
    },
    /// Several budgets cover it, and Kubernetes then evicts it under none.
    SeveralBudgets {
        /// The budgets, as `namespace/name`.
        budgets: Vec<String>,
    },
    /// The apiserver has too much to do.
    Throttled,
    /// Its namespace is being deleted, and it with it.
    NamespaceTerminating,
    /// RBAC or admission refuses.
    Denied {
        /// Kubernetes' words.
        message: String,
        /// The webhook or policy that refuses. Empty if it is none, as far as is known.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        admission: String,
    },
    /// It has time left to end.
    GracePeriod {
        /// Until when.
        until: Timestamp,
    },
    /// Its time is over, and it has not gone: its finalizers or its kubelet keep it.
    Overdue {
        /// Since when.
        since: Timestamp,
        /// Its finalizers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        finalizers: Vec<String>,
    },
    /// It is not there any more, and volumes of it are still attached to the node.
    VolumeAttached {
        /// The names of the PersistentVolumes.
        volumes: Vec<String>,
    },
    /// It has not finished by itself yet.
    NotCompleted,
    /// Pods whose turn is earlier are not gone yet.
    EarlierTurn {
        /// How many.
        pods: usize,
    },
    /// The policy refuses to touch it. It came when the drain had begun.
    Refused {
        /// Why.
        message: String,
    },
    /// The drain has removed pods of its controller again and again, and each time another one has come to the node.
    Recreated {
        /// The kind and the name of the controller. Empty if it has none.
        controller: String,
        /// How often in a row.
        times: u32,
    },
    /// The apiserver can't be reached or fails.
    Unavailable {
        /// How.
        message: String,
    },
}

impl Blocker {
    /// What the budgets that cover a pod have against its eviction, if anything.
    pub fn of_budgets(verdict: &BudgetVerdict, covering: &[super::BudgetName]) -> Option<Self> {
        let names = || covering.iter().map(ToString::to_string).collect();
        Some(match verdict {
            BudgetVerdict::NotAsked
            | BudgetVerdict::Unprotected
            | BudgetVerdict::Exempt { .. }
            | BudgetVerdict::Now { .. } => return None,
            BudgetVerdict::Waits { budget, held_by, evicted, ahead: _ } => {
                let unready = held_by.iter().take(MOST_PODS).map(|pod| pod.reference.clone()).collect();
                let evicted = evicted.iter().take(MOST_PODS).cloned().collect();
                Self::Budget { budget: budget.clone(), never: false, unready, evicted }
            }
            BudgetVerdict::Never { budget } => {
                let (unready, evicted) = (Vec::new(), Vec::new());
                Self::Budget { budget: budget.clone(), never: true, unready, evicted }
            }
            BudgetVerdict::Several => Self::SeveralBudgets { budgets: names() },
            BudgetVerdict::NotProcessed { budget, .. } => Self::BudgetUnprocessed { budget: budget.to_string() },
            BudgetVerdict::Faulty { budget, fault } => {
                Self::BudgetFault { budget: budget.budget.to_string(), message: short(&fault.to_string()) }
            }
        })
    }

    /// That Kubernetes refused, by which webhook or policy if it was one.
    pub fn denied(message: &str, admission: &str) -> Self {
        Self::Denied { message: short(message), admission: short(admission) }
    }

    /// That Kubernetes does not let it go because of this budget, if it has said which.
    pub fn budget_fault(budget: String, message: &str) -> Self {
        Self::BudgetFault { budget, message: short(message) }
    }

    /// That the policy refuses it.
    pub fn refused(message: &str) -> Self {
        Self::Refused { message: short(message) }
    }

    /// That a controller has made it anew so often.
    pub fn recreated(controller: &str, times: u32) -> Self {
        Self::Recreated { controller: short(controller), times }
    }

    /// That Kubernetes can't be reached or fails.
    pub fn unavailable(message: &str) -> Self {
        Self::Unavailable { message: short(message) }
    }

    /// Whether it goes away by itself, with time alone.
    pub fn passes(&self) -> bool {
        use Blocker::*;
        matches!(
            self,
            GracePeriod { .. } | EarlierTurn { .. } | Throttled | BudgetUnprocessed { .. } | Unavailable { .. }
        )
    }

    /// What can be done about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Budget { never: true, .. } => {
                "the budget asks for as many healthy pods as there are: relax it, add replicas, or override it"
            }
            Self::Budget { evicted, unready, .. } if !evicted.is_empty() && unready.is_empty() => {
                "it has let these pods go and they are still there: it counts them again after two minutes, or add replicas, relax the \
                 budget, or override it"
            }
            Self::Budget { .. } => "make the unready pods ready, add replicas, relax the budget, or override it",
            Self::BudgetUnprocessed { .. } => "see whether the controller manager runs, if it stays so",
            Self::BudgetFault { .. } => "mend the budget, or override it",
            Self::SeveralBudgets { .. } => "leave one budget that covers the pod, or override all of them",
            Self::Throttled => "the apiserver asks to slow down; nothing is to be done",
            Self::NamespaceTerminating => "the pod goes with its namespace; nothing is to be done",
            Self::Denied { admission, .. } if !admission.is_empty() => {
                "see why its admission webhook or policy refuses"
            }
            Self::Denied { .. } => "give whoever drains the right to evict pods, or see which webhook refuses",
            Self::GracePeriod { .. } => "the pod ends by itself; a shorter grace period can be asked for",
            Self::Overdue { finalizers, .. } if !finalizers.is_empty() => {
                "see to what its finalizers wait for, or remove them"
            }
            Self::Overdue { .. } => "see whether the node's kubelet answers",
            Self::VolumeAttached { .. } => {
                "they are detached by themselves; if not, see whether their CSI driver and the controller manager run"
            }
            Self::NotCompleted => "the pod ends by itself when its work is done",
            Self::EarlierTurn { .. } => "it is removed when the pods before it are gone",
            Self::Refused { .. } => "remove the pod by hand, or cancel and drain with a policy that allows it",
            Self::Recreated { .. } => {
                "its controller makes it anew on this node, cordoned or not: taint the node, scale the controller down, or skip its \
                 pods with a rule; it is removed again ever later"
            }
            Self::Unavailable { .. } => "it is tried again; see whether the apiserver is well",
        }
    }
}

/// With names and numbers, for people.
impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget { budget, unready, evicted, .. } => {
                let BudgetNumbers { budget, healthy, desired, .. } = budget;
                write!(f, "budget {budget} needs {desired} healthy pods and has {healthy}")?;
                for (what, pods) in [("not ready", unready), ("evicted and still there", evicted)] {
                    let names: Vec<String> = pods.iter().map(ToString::to_string).collect();
                    if !names.is_empty() {
                        write!(f, "; {what}: {}", names.join(", "))?;
                    }
                }
                Ok(())
            }
            Self::BudgetUnprocessed { budget } => write!(f, "budget {budget} was changed and is being processed"),
            Self::BudgetFault { budget, message } if budget.is_empty() => write!(f, "its budget: {message}"),
            Self::BudgetFault { budget, message } => write!(f, "budget {budget}: {message}"),
            Self::SeveralBudgets { budgets } => write!(f, "several budgets cover it: {}", budgets.join(", ")),
            Self::Throttled => f.write_str("the apiserver asks to slow down"),
            Self::NamespaceTerminating => f.write_str("its namespace is being deleted"),
            Self::Denied { message, .. } => write!(f, "Kubernetes refuses: {message}"),
            Self::GracePeriod { until } => write!(f, "it has until {until:.0} to end"),
            Self::Overdue { since, finalizers } if finalizers.is_empty() => {
                write!(f, "it should have ended at {since:.0}")
            }
            Self::Overdue { since, finalizers } => {
                write!(f, "it should have ended at {since:.0}; finalizers: {}", finalizers.join(", "))
            }
            Self::VolumeAttached { volumes } => write!(f, "volumes are still attached: {}", volumes.join(", ")),
            Self::NotCompleted => f.write_str("it has not finished yet"),
            Self::EarlierTurn { pods } => write!(f, "{pods} pods go before it"),
            Self::Refused { message } => write!(f, "the policy refuses: {message}"),
            Self::Recreated { controller, times } => {
                let by = if controller.is_empty() { "somebody" } else { controller };
                write!(f, "{by} has made it anew on this node, {times} times in a row")
            }
            Self::Unavailable { message } => write!(f, "it can't be removed for now: {message}"),
        }
    }
}

fn short(message: &str) -> String {
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}...", &message[..end]),
        None => message.to_owned(),
    }
}
