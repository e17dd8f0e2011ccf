//! What a plan amounts to: how many pods get which verdict, what refuses, what to beware of.

use std::fmt;

use super::{Action, Blocker, BudgetVerdict, Effect, Fit, Nowhere, PodPlan, Reason};
use crate::pod::PodReference;

/// How many pods get which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Pods that are evicted.
    pub evict: u32,
    /// Pods that are deleted.
    pub delete: u32,
    /// Pods that are waited for.
    pub wait_for_completion: u32,
    /// Pods that stop the drain before it touches anything.
    pub refuse: u32,
    /// Pods that stay.
    pub skip: u32,
}

impl Totals {
    pub(super) fn of(pods: &[PodPlan]) -> Self {
        let mut totals = Self::default();
        for pod in pods {
            let total = match pod.verdict.action {
                Action::Evict => &mut totals.evict,
                Action::Delete => &mut totals.delete,
                Action::WaitForCompletion => &mut totals.wait_for_completion,
                Action::Refuse => &mut totals.refuse,
                Action::Skip => &mut totals.skip,
            };
            *total += 1;
        }
        totals
    }
}

/// Why a drain does not begin: one pod and one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The pod.
    pub pod: PodReference,
    /// Why it refuses.
    pub reason: Reason,
}

/// What somebody may miss or will wait for, although the drain begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The node's kubelet no longer answers, so nothing ends there.
    NodeUnreachable,
    /// Something is lost with a pod, or something about it is not as it should be.
    Pod {
        /// The pod.
        pod: PodReference,
        /// What is lost or wrong.
        reason: Reason,
    },
    /// As things stand, a budget never lets a pod go. One that lets it go in a later round is no reason to warn.
    Blocked {
        /// The pod.
        pod: PodReference,
        /// What the budget says.
        verdict: BudgetVerdict,
    },
    /// No other node would take a pod's replacement.
    NoRoom {
        /// The pod.
        pod: PodReference,
        /// Why not.
        nowhere: Nowhere,
    },
}

/// One line for people.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pod, self.reason)
    }
}

/// One line for people.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeUnreachable => f.write_str("the node's kubelet does not answer: nothing ends there"),
            Self::Pod { pod, reason } => write!(f, "{pod}: {reason}"),
            Self::Blocked { pod, verdict } => write!(f, "{pod}: {}", held_by(verdict)),
            Self::NoRoom { pod, nowhere } => write!(f, "{pod}: its replacement finds no place: {nowhere}"),
        }
    }
}

/// What a budget has against an eviction, in words.
pub(super) fn held_by(verdict: &BudgetVerdict) -> String {
    match Blocker::of_budgets(verdict, &[]) {
        Some(Blocker::SeveralBudgets { .. }) => {
            "several budgets cover it, and Kubernetes evicts it under none".to_owned()
        }
        Some(blocker) => blocker.to_string(),
        None => "no budget holds it".to_owned(),
    }
}

pub(super) fn refusals(pods: &[PodPlan]) -> Vec<Refusal> {
    let refusing = pods.iter().filter(|pod| pod.verdict.action == Action::Refuse);
    refusing
        .flat_map(|pod| {
            let findings = pod.verdict.findings.iter().filter(|finding| finding.effect == Effect::Refuse);
            findings.map(|finding| Refusal { pod: pod.facts.reference.clone(), reason: finding.reason.clone() })
        })
        .collect()
}

pub(super) fn warnings(pods: &[PodPlan], is_unreachable: bool) -> Vec<Warning> {
    let mut warnings: Vec<_> = is_unreachable.then_some(Warning::NodeUnreachable).into_iter().collect();
    for it in pods {
        let pod = &it.facts.reference;
        // What would be lost with a pod is not lost while it stays.
        let is_at_stake = it.verdict.action != Action::Skip;
        let findings = it.verdict.findings.iter();
        let warned = findings.filter(|finding| {
            finding.effect == Effect::Warn
                && (is_at_stake || matches!(finding.reason, Reason::UnknownDrainLabel { .. }))
        });
        warnings.extend(warned.map(|finding| Warning::Pod { pod: pod.clone(), reason: finding.reason.clone() }));
        if it.budgets.verdict.blocks() && it.budgets.round.is_none() {
            warnings.push(Warning::Blocked { pod: pod.clone(), verdict: it.budgets.verdict.clone() });
        }
        if let Some(Fit::Nowhere(nowhere)) = &it.fit {
            warnings.push(Warning::NoRoom { pod: pod.clone(), nowhere: nowhere.clone() });
        }
    }
    warnings
}
