//! What emptying a node would do: every pod's verdict with its reasons, budgets, room elsewhere, order and time.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no tonic. The semantics are those of `kubectl drain`
//! 0.36, with per-pod rules as Cluster API's MachineDrainRules have them, and differ on purpose in this: no reason is lost
//! (kubectl shows the last one), budgets are counted together for all pods of the node (a server dry run counts each pod as if
//! it were alone), and an orphan of a DaemonSet is known by uid.
//!
//! A plan is a forecast, not a promise: whoever carries it out decides again from what the cluster is then.

mod blocker;
mod budget;
mod check;
mod classify;
mod compact;
mod duration;
mod estimate;
mod fit;
mod hash;
mod input;
mod kubectl;
mod labels;
mod plan;
mod policy;
mod progress;
mod reason;
mod recreated;
mod rest;
mod rule;
mod step;
mod summary;
mod volumes;

#[cfg(test)]
pub(crate) mod tests;

pub use blocker::Blocker;
pub use budget::{
    BudgetCheck, BudgetFault, BudgetName, BudgetNumbers, BudgetVerdict, Exemption, UnreadyPod, UnreadyState,
};
pub use check::{MAX_ENTRIES, MAX_SELECTORS, MAX_TEXT};
pub use classify::{Action, DecidedBy, Tier, Verdict};
pub use compact::compact;
pub use duration::parse_duration;
pub use estimate::{Estimate, REMOVAL_OVERHEAD, REPLACEMENT_READY, STUCK_AFTER, Unbounded};
pub use fit::{Fit, NoReplacement, NodeReason, Nowhere};
pub use hash::PlanHash;
pub use input::{DaemonSetReference, PlanInput};
pub use kubectl::KubectlFlags;
pub use plan::{DrainPlan, PodPlan, plan};
pub use policy::{
    AtDeadline, BudgetOverride, DaemonSetPods, DrainPolicy, EmptyDirData, OnUncordon, OrphanedDaemonSetPods,
    PodOrdering, PodVolumes, Removal, UnmanagedPods, UnreachableNode,
};
pub use progress::{PodProgress, PodState};
pub use reason::{Effect, Finding, Reason};
pub use rule::{DRAIN_LABEL, PodRule, PodRuleSelector, RuleBehavior};
pub use step::{Outlook, RemovalOrder, Situation, Step};
pub use summary::{Refusal, Totals, Warning};
pub use volumes::NodeVolumes;
