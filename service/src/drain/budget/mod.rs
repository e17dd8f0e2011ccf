//! What PodDisruptionBudgets would say, asked for all pods of a plan together.
//!
//! The rules are those of the eviction subresource (`pkg/registry/core/pod/storage/eviction.go`) in its order. Each pod that a
//! budget lets go takes one from what the budget allows, so that of five pods under a budget of one only the first may go now.
//!
//! When a pod has to wait, the next round is looked at: the pods let go so far are replaced and their replacements are healthy.
//! Pods that are starting are taken to become healthy too, those that have been unready for long are not.

mod coverage;
mod ledger;
mod rounds;

use std::fmt;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::{Deserialize, Serialize};

use crate::pod::{PodFacts, PodReference};

pub(super) use coverage::Coverage;
pub(super) use rounds::{Asked, Candidate, simulate};

/// A PodDisruptionBudget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BudgetName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl BudgetName {
    /// The name of a budget.
    pub fn of(budget: &PodDisruptionBudget) -> Self {
        let metadata = &budget.metadata;
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }
}

/// As kubectl writes it: `namespace/name`.
impl fmt::Display for BudgetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative => f.write_str("it allows a negative number of disruptions"),
            Self::TooManyDisruptedPods => {
                f.write_str("too many evictions that it granted have not been seen to happen")
            }
            Self::SyncFailed { message } => write!(f, "Kubernetes cannot compute it: {message}"),
            Self::CountsNoPods => f.write_str("it counts on no pod, although it covers this one"),
        }
    }
}

impl fmt::Display for BudgetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The numbers of a budget, as its status has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetNumbers {
    /// Which budget.
    pub budget: BudgetName,
    /// How many healthy pods it counts.
    pub healthy: i32,
    /// How many healthy pods it needs.
    pub desired: i32,
    /// How many pods it allows to go now.
    pub allowed: i32,
    /// How many pods it counts on in all.
    pub expected: i32,
}

/// What budgets would say of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetCheck {
    /// The budgets that cover it, by name.
    pub covering: Vec<BudgetName>,
    /// What they would say.
    pub verdict: BudgetVerdict,
    /// In which round it would go: 0 is now, and between two rounds replacements become healthy. None if it is not removed,
    /// or as things stand never, because of its own budget or of pods that have to go before it.
    pub round: Option<u32>,
}

/// What budgets would say of an eviction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetVerdict {
    /// Nobody asks: the pod is not evicted.
    NotAsked,
    /// No budget covers it.
    Unprotected,
    /// It may go without taking from a budget.
    Exempt {
        /// Why.
        exemption: Exemption,
    },
    /// Its budget lets it go now, all pods before it counted.
    Now {
        /// The budget.
        budget: BudgetNumbers,
    },
    /// Its budget lets it go later.
    Waits {
        /// The budget.
        budget: BudgetNumbers,
        /// How many pods before it in the plan take from the budget in the same round.
        ahead: u32,
        /// The pods that the budget counts on but that are not healthy.
        held_by: Vec<UnreadyPod>,
        /// The pods that it has let go a moment ago and that are still there as if nothing had happened: it does not count
        /// them for two minutes.
        evicted: Vec<PodReference>,
    },
    /// Its budget needs all the pods that it counts on: it never lets any go.
    Never {
        /// The budget.
        budget: BudgetNumbers,
    },
    /// More than one budget covers it, which the eviction subresource does not support: it fails whatever they allow.
    Several,
    /// Kubernetes has not looked at the budget since it was changed, so nothing is let go.
    NotProcessed {
        /// The budget.
        budget: BudgetName,
        /// The generation that it is of.
        generation: i64,
        /// The generation that was looked at.
        observed_generation: i64,
    },
    /// Something is wrong with the budget, so nothing is let go.
    Faulty {
        /// The budget.
        budget: BudgetNumbers,
        /// What is wrong.
        fault: BudgetFault,
    },
}

impl BudgetVerdict {
    /// Whether the eviction would be refused now.
    pub fn blocks(&self) -> bool {
        match self {
            Self::NotAsked | Self::Unprotected | Self::Exempt { .. } | Self::Now { .. } => false,
            Self::Waits { .. } | Self::Never { .. } | Self::Several | Self::NotProcessed { .. } => true,
            Self::Faulty { .. } => true,
        }
    }

    /// Whether only somebody who changes something can make it let the pod go.
    fn is_final(&self) -> bool {
        self.blocks() && !matches!(self, Self::Waits { .. })
    }
}

/// Why a pod may go without taking from a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exemption {
    /// It has finished.
    Finished,
    /// It has not started.
    Pending,
    /// It is going already.
    Terminating,
    /// It is not ready, and its budget always lets such pods go.
    UnreadyAlwaysAllowed,
    /// It is not ready, and its budget has as many healthy pods as it needs.
    UnreadyBudgetHealthy,
}

impl Exemption {
    /// Why no budget is asked about a pod (`canIgnorePDB`).
    fn of(pod: &PodFacts) -> Option<Self> {
        if pod.is_finished() {
            Some(Self::Finished)
        } else if pod.phase == crate::pod::Phase::Pending {
            Some(Self::Pending)
        } else if pod.terminating.is_some() {
            Some(Self::Terminating)
        } else {
            None
        }
    }
}

/// What can be wrong with a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetFault {
    /// What it allows is negative, which Kubernetes refuses.
    Negative,
    /// More evictions than Kubernetes bears (2,000) have been granted and not been seen to happen.
    TooManyDisruptedPods,
    /// Kubernetes cannot compute it, for example because it counts in percent and a pod's controller has no scale.
    SyncFailed {
        /// What Kubernetes says.
        message: String,
    },
    /// It counts on no pod, although it covers one: pods without a controller, or one that was made this moment.
    CountsNoPods,
}

/// A pod that a budget counts on but that is not healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadyPod {
    /// Which pod.
    pub reference: PodReference,
    /// The node that it is on, if it is on one.
    pub node: Option<String>,
    /// In which way it is not healthy.
    pub state: UnreadyState,
}

/// In which way a pod is not healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnreadyState {
    /// It is going.
    Terminating,
    /// It was made a short while ago, and may become ready.
    Starting,
    /// It should have been ready long ago, or was and is no longer.
    NotReady,
}
