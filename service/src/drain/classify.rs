//! Each pod's verdict: what is done with it, and everything that speaks for or against it.
//!
//! Of what is found, the first of these decides: the pod selector; a removal that takes too long; a DaemonSet whose pods are
//! left; a mirror pod; the pod's own label; the first rule about it; anything that refuses. What decides nothing is still
//! reported, so that a pod that is refused shows its warnings too. A decision to leave a pod wins over a refusal, since a
//! refusal is about pods that would be removed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::Terms;
use super::rule::RuleMatch;
use super::{
    BudgetName, DRAIN_LABEL, DaemonSetPods, DrainPolicy, Effect, EmptyDirData, Finding, OrphanedDaemonSetPods,
    PlanInput, Reason, Removal, RuleBehavior, UnmanagedPods,
};
use crate::pod::{Controller, PodFacts};

/// What is done with a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Action {
    /// It is evicted: asked to go, if its budget allows.
    Evict,
    /// It is deleted: no budget is asked.
    Delete,
    /// It stays until it has finished by itself, and the drain waits for that.
    WaitForCompletion,
    /// It stops the drain before it touches anything.
    Refuse,
    /// It stays.
    Skip,
}

impl Action {
    /// Whether the pod is made to go.
    pub fn removes(self) -> bool {
        matches!(self, Self::Evict | Self::Delete)
    }

    /// Whether the drain is over only when the pod is gone.
    pub fn is_waited_for(self) -> bool {
        self.removes() || self == Self::WaitForCompletion
    }

    /// Its name in the canonical form that a plan is hashed in. It never changes.
    pub(super) fn canonical(self) -> &'static str {
        match self {
            Self::Evict => "Evict",
            Self::Delete => "Delete",
            Self::WaitForCompletion => "WaitForCompletion",
            Self::Refuse => "Refuse",
            Self::Skip => "Skip",
        }
    }
}

/// Which part of the policy, or which property of the pod, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// The policy's pod selector.
    PodSelector,
    /// How long the policy waits for pods that are being removed.
    LeaveTerminating,
    /// What the policy says of pods of DaemonSets.
    DaemonSetPods,
    /// What the policy says of pods of DaemonSets that are gone.
    OrphanedDaemonSetPods,
    /// Mirror pods are never removed.
    MirrorPod,
    /// The pod's own label.
    DrainLabel,
    /// A rule of the policy.
    Rule {
        /// The name of the rule.
        name: String,
    },
    /// A rule that needs to know the labels of the pod's namespace.
    NamespaceUnknown,
    /// What the policy says of `emptyDir` data.
    EmptyDirData,
    /// What the policy says of pods without a controller.
    UnmanagedPods,
    /// The policy's overrides of budgets.
    BudgetOverrides,
    /// Nothing in particular: how the policy removes pods.
    Removal,
}

/// The part of the order that a pod's importance makes. A lower tier goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Ordinary pods.
    Ordinary,
    /// Ordinary pods of DaemonSets.
    OrdinaryDaemonSet,
    /// Pods that the cluster cannot do without.
    Critical,
    /// Such pods of DaemonSets.
    CriticalDaemonSet,
}

impl Tier {
    /// The tier of a pod.
    pub fn of(pod: &PodFacts) -> Self {
        match (pod.is_critical(), pod.is_daemon_set()) {
            (false, false) => Self::Ordinary,
            (false, true) => Self::OrdinaryDaemonSet,
            (true, false) => Self::Critical,
            (true, true) => Self::CriticalDaemonSet,
        }
    }
}

/// What is done with a pod, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is done.
    pub action: Action,
    /// What decided it.
    pub decided_by: DecidedBy,
    /// Everything that was found, in the order in which it was looked for.
    pub findings: Vec<Finding>,
    /// Pods of a higher order go when those of a lower one are gone.
    pub order: i32,
    /// Its place among pods of one order.
    pub tier: Tier,
}

/// Gives verdicts under one policy.
pub(super) struct Classifier<'a> {
    policy: &'a DrainPolicy,
    terms: Terms,
    input: &'a PlanInput<'a>,
    /// The uids of the DaemonSets that exist, by namespace and name.
    daemon_sets: BTreeMap<(&'a str, &'a str), &'a str>,
}

/// What is known of one pod so far.
struct Case<'a> {
    pod: &'a PodFacts,
    labels: &'a BTreeMap<String, String>,
    covering: &'a [BudgetName],
    findings: Vec<Finding>,
    /// The first decision to leave the pod or to wait for it.
    decision: Option<(Action, DecidedBy)>,
    refusal: Option<DecidedBy>,
    rule: Option<&'a str>,
    order: i32,
}

impl Case<'_> {
    fn find(&mut self, effect: Effect, reason: Reason) {
        self.findings.push(Finding { reason, effect });
    }

    fn leave(&mut self, by: DecidedBy, reason: Reason) {
        self.find(Effect::Skip, reason);
        self.decision.get_or_insert((Action::Skip, by));
    }

    fn refuse(&mut self, by: DecidedBy, reason: Reason) {
        self.find(Effect::Refuse, reason);
        self.refusal.get_or_insert(by);
    }

    /// A pod that has finished has nothing left to wait for: it is removed like others that have.
    fn wait(&mut self, by: DecidedBy, reason: Reason) {
        if self.pod.is_finished() {
            return self.find(Effect::Note, reason);
        }
        self.find(Effect::Wait, reason);
        self.decision.get_or_insert((Action::WaitForCompletion, by));
    }
}

impl<'a> Classifier<'a> {
    pub fn new(input: &'a PlanInput<'a>, policy: &'a DrainPolicy, terms: Terms) -> Self {
        let sets = input.daemon_sets.iter();
        let daemon_sets = sets.map(|set| ((set.namespace.as_str(), set.name.as_str()), set.uid.as_str())).collect();
        Self { policy, terms, input, daemon_sets }
    }

    /// The verdict on a pod that these budgets cover.
    pub fn classify(
        &self,
        pod: &'a PodFacts,
        labels: &'a BTreeMap<String, String>,
        covering: &'a [BudgetName],
    ) -> Verdict {
        let findings = Vec::new();
        let mut case = Case { pod, labels, covering, findings, decision: None, refusal: None, rule: None, order: 0 };
        self.selector(&mut case);
        self.termination(&mut case);
        self.controller(&mut case);
        if pod.is_mirror {
            case.leave(DecidedBy::MirrorPod, Reason::Mirror);
        }
        if !label(&mut case) {
            self.rules(&mut case);
        }
        self.losses(&mut case);
        if pod.is_critical() {
            let class = pod.priority_class.clone();
            case.find(Effect::Note, Reason::Critical { priority: pod.priority, class });
        }
        self.decide(case)
    }

    fn decide(&self, mut case: Case<'_>) -> Verdict {
        let (action, decided_by) = match (case.decision.take(), case.refusal.take()) {
            (Some(decision), _) => decision,
            (None, Some(by)) => (Action::Refuse, by),
            (None, None) => self.removal(&mut case),
        };
        let order = if action.removes() { case.order } else { 0 };
        Verdict { action, decided_by, findings: case.findings, order, tier: Tier::of(case.pod) }
    }

    fn selector(&self, case: &mut Case<'_>) {
        if !self.policy.pod_selector.matches(case.labels) {
            let selector = self.policy.pod_selector.to_string();
            case.leave(DecidedBy::PodSelector, Reason::NotSelected { selector });
        }
    }

    fn termination(&self, case: &mut Case<'_>) {
        let Some(terminating) = case.pod.terminating else { return };
        let (since, grace_until) = (terminating.since(), terminating.grace_until);
        case.find(Effect::Note, Reason::Terminating { since, grace_until });

        let Some(limit_seconds) = self.terms.leave_after_seconds else { return };
        let overdue_seconds = terminating.overdue_seconds(self.input.now);
        if u64::try_from(overdue_seconds).is_ok_and(|overdue| overdue > limit_seconds) {
            case.leave(DecidedBy::LeaveTerminating, Reason::LeftTerminating { overdue_seconds, limit_seconds });
        }
    }

    /// A pod that has finished may go, whoever controlled it.
    fn controller(&self, case: &mut Case<'_>) {
        let pod = case.pod;
        if pod.is_finished() {
            case.find(Effect::Note, Reason::Finished { phase: pod.phase });
        }
        match &pod.controller {
            Some(controller) if controller.is_daemon_set() && !pod.is_finished() => self.daemon_set(case, controller),
            Some(controller) => case.find(Effect::Note, Reason::Managed { controller: controller.clone() }),
            None => {}
        }
    }

    fn daemon_set(&self, case: &mut Case<'_>, controller: &Controller) {
        let name = controller.name.clone();
        let existing = self.daemon_sets.get(&(case.pod.reference.namespace.as_str(), name.as_str())).copied();
        // An owner without a uid is none that Kubernetes wrote; kubectl goes by the name alone.
        if existing.is_some_and(|uid| controller.uid.is_empty() || uid == controller.uid) {
            let (by, reason) = (DecidedBy::DaemonSetPods, Reason::DaemonSet { name });
            return match self.policy.daemon_set_pods {
                DaemonSetPods::Refuse => case.refuse(by, reason),
                DaemonSetPods::Leave => case.leave(by, reason),
                DaemonSetPods::Drain => case.find(Effect::Warn, reason),
            };
        }
        let reason = Reason::OrphanedDaemonSet { name, replaced_by: existing.map(str::to_owned) };
        match self.policy.orphaned_daemon_set_pods {
            OrphanedDaemonSetPods::Refuse => case.refuse(DecidedBy::OrphanedDaemonSetPods, reason),
            OrphanedDaemonSetPods::Drain => case.find(Effect::Warn, reason),
        }
    }

    fn rules(&self, case: &mut Case<'a>) {
        let namespace = &case.pod.reference.namespace;
        let namespace_labels = self.input.namespaces.get(namespace);
        for rule in &self.policy.rules {
            match rule.is_about(case.labels, namespace_labels) {
                RuleMatch::No => continue,
                RuleMatch::NamespaceUnknown => {
                    let reason = Reason::NamespaceUnknown { namespace: namespace.clone(), rule: rule.name.clone() };
                    case.refuse(DecidedBy::NamespaceUnknown, reason);
                }
                RuleMatch::Yes => {
                    let (by, reason) =
                        (DecidedBy::Rule { name: rule.name.clone() }, Reason::Rule { name: rule.name.clone() });
                    match rule.drain {
                        RuleBehavior::Drain { order } => {
                            case.find(Effect::Note, reason);
                            case.rule = Some(&rule.name);
                            case.order = order;
                        }
                        RuleBehavior::Skip => case.leave(by, reason),
                        RuleBehavior::WaitCompleted => case.wait(by, reason),
                    }
                }
            }
            return;
        }
    }

    /// What nobody would bring back.
    fn losses(&self, case: &mut Case<'_>) {
        let pod = case.pod;
        if pod.is_finished() {
            return;
        }
        if !pod.empty_dirs.is_empty() {
            let reason = Reason::EmptyDir { volumes: pod.empty_dirs.clone() };
            match self.policy.empty_dir_data {
                EmptyDirData::Refuse => case.refuse(DecidedBy::EmptyDirData, reason),
                EmptyDirData::Delete => case.find(Effect::Warn, reason),
            }
        }
        if pod.controller.is_none() {
            match self.policy.unmanaged_pods {
                UnmanagedPods::Refuse => case.refuse(DecidedBy::UnmanagedPods, Reason::Unmanaged),
                UnmanagedPods::Drain => case.find(Effect::Warn, Reason::Unmanaged),
            }
        }
    }

    fn removal(&self, case: &mut Case<'_>) -> (Action, DecidedBy) {
        let decided_by = case.rule.map_or(DecidedBy::Removal, |name| DecidedBy::Rule { name: name.to_owned() });
        if self.policy.removal == Removal::Delete {
            for budget in case.covering {
                case.find(Effect::Warn, Reason::BudgetNotAsked { budget: budget.clone() });
            }
            return (Action::Delete, decided_by);
        }

        let overrides = case.covering.iter().filter_map(|budget| Some((budget, self.policy.override_of(budget)?)));
        let overrides: Vec<_> = overrides.collect();
        for (budget, it) in &overrides {
            let (budget, reason) = ((*budget).clone(), it.reason.clone());
            case.find(Effect::Warn, Reason::BudgetOverridden { budget, reason });
        }
        if !overrides.is_empty() && overrides.len() == case.covering.len() {
            (Action::Delete, DecidedBy::BudgetOverrides)
        } else {
            (Action::Evict, decided_by)
        }
    }
}

/// What the pod itself says. Whether it says anything that means something.
fn label(case: &mut Case<'_>) -> bool {
    let Some(value) = case.labels.get(DRAIN_LABEL).cloned() else { return false };
    let reason = Reason::DrainLabel { value: value.clone() };
    match value.to_ascii_lowercase().as_str() {
        "skip" => case.leave(DecidedBy::DrainLabel, reason),
        "wait-completed" | "waitcompleted" => case.wait(DecidedBy::DrainLabel, reason),
        _ => {
            case.find(Effect::Warn, Reason::UnknownDrainLabel { value });
            return false;
        }
    }
    true
}
