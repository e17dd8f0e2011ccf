//! How a node is to be drained: what happens to the pods that somebody would miss, in which order, until when.
//!
//! Every choice is an enum that says what is done, not a boolean that says what is permitted. A policy is stored with the
//! operation that follows it. Fields that this version does not know are refused when it is read: a replica of an older
//! version must not carry out half of what was asked for.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{BudgetName, PodRule, duration};
use crate::node::selector::LabelSelector;

/// How a node is to be drained.
///
/// The default one loses nothing that cannot be had again without somebody saying so: it evicts, so budgets hold; pods that
/// nobody would replace and data in `emptyDir` volumes stop the drain before it touches anything; pods of DaemonSets are left,
/// since they would be replaced on the same node at once; whatever blocks is waited for. Tiers go one after another, so that
/// what the cluster needs to move pods (networking, DNS, storage) goes last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DrainPolicy {
    /// Pods without a controller, which nobody replaces.
    pub unmanaged_pods: UnmanagedPods,
    /// Pods of DaemonSets that exist.
    pub daemon_set_pods: DaemonSetPods,
    /// Pods of DaemonSets that are gone.
    pub orphaned_daemon_set_pods: OrphanedDaemonSetPods,
    /// Data in `emptyDir` volumes, which is lost with the pod.
    pub empty_dir_data: EmptyDirData,
    /// How pods are removed.
    pub removal: Removal,
    /// Budgets that are not respected, each with the reason.
    pub budget_overrides: Vec<BudgetOverride>,
    /// The pods that the drain is about. Others are skipped.
    #[serde(with = "selector")]
    pub pod_selector: LabelSelector,
    /// How long each pod is given to end, in seconds. None: as long as the pod itself asks for. 0 kills at once, which breaks
    /// the promise of a StatefulSet that at most one pod has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_period_seconds: Option<u32>,
    /// How long the drain may take. None: as long as it does.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
    /// What happens when the deadline comes.
    pub at_deadline: AtDeadline,
    /// Pods whose grace period has been over for more than this are left as they are: their kubelet does not answer, or a
    /// finalizer holds them. None: they are waited for.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub leave_terminating_after: Option<Duration>,
    /// The most pods that are being removed at one time, from the request until they are gone. None: as many as budgets and
    /// order allow, since it is budgets, not this number, that protect a workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<NonZeroU32>,
    /// What waits for what, among pods of one order.
    pub ordering: PodOrdering,
    /// Rules for particular pods. Of those that match a pod, the first counts.
    pub rules: Vec<PodRule>,
    /// What is done when the kubelet of the node no longer answers.
    pub unreachable_node: UnreachableNode,
    /// What is done when somebody makes the node schedulable while it is drained.
    pub on_uncordon: OnUncordon,
    /// When a pod with PersistentVolumes is gone. The default is not written down: so plans that are compared, and servers that
    /// don't know this, see the policy that they know.
    #[serde(skip_serializing_if = "PodVolumes::is_default")]
    pub volumes: PodVolumes,
}

/// What happens to pods without a controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnmanagedPods {
    /// They stop the drain before it touches anything.
    #[default]
    Refuse,
    /// They are removed, and nobody replaces them.
    Drain,
}

/// What happens to pods of DaemonSets that exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DaemonSetPods {
    /// They stop the drain before it touches anything, as kubectl does without `--ignore-daemonsets`.
    Refuse,
    /// They stay.
    #[default]
    Leave,
    /// They are removed. Unless the node has a taint that they do not tolerate, the DaemonSet replaces them on it at once, and
    /// the replacements stay.
    Drain,
}

/// What happens to pods of DaemonSets that are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OrphanedDaemonSetPods {
    /// They stop the drain before it touches anything.
    #[default]
    Refuse,
    /// They are removed, and nobody replaces them.
    Drain,
}

/// What happens to data in `emptyDir` volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EmptyDirData {
    /// Pods that have some stop the drain before it touches anything.
    #[default]
    Refuse,
    /// It is lost with the pods.
    Delete,
}

/// How pods are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Removal {
    /// By eviction: Kubernetes refuses while a PodDisruptionBudget does not allow it.
    #[default]
    Evict,
    /// By deletion: no budget is asked.
    Delete,
}

/// What happens when the deadline comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AtDeadline {
    /// The drain fails, and the pods that are left stay.
    #[default]
    Fail,
    /// Each pod that is left is deleted early enough to have its grace period until then, but at least one second. No budget
    /// is asked, no order and no parallelism counts any more, and pods whose completion was waited for go too. Skipped pods
    /// stay.
    Delete,
}

/// What waits for what, among pods of one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PodOrdering {
    /// A tier begins when the one before is gone: ordinary pods, ordinary pods of DaemonSets, critical ones, critical ones of
    /// DaemonSets.
    #[default]
    ByTier,
    /// All go at the same time.
    AllAtOnce,
}

/// What is done when the kubelet of the node no longer answers (its condition `Ready` is `Unknown`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnreachableNode {
    /// The same as always: pods are waited for until the kubelet is back and ends them.
    #[default]
    Wait,
    /// Pods get one second, and those whose grace period is over for more than a second are left, as Cluster API does. They may
    /// still run: use it only when the machine is known to be off.
    LeaveTerminating,
}

/// What is done when somebody makes the node schedulable while it is drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OnUncordon {
    /// It is cordoned again.
    #[default]
    CordonAgain,
    /// No further pod is removed until somebody cordons it again.
    Pause,
    /// The drain is cancelled.
    Cancel,
}

/// When a pod with PersistentVolumes is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PodVolumes {
    /// When it is not there any more, as for kubectl.
    #[default]
    Ignore,
    /// When it is not there any more and its volumes are not attached to the node any more, as for Cluster API and Karpenter.
    WaitDetached,
}

impl PodVolumes {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A budget that is not respected: pods that it covers are deleted instead of evicted.
///
/// A pod that other budgets cover too is deleted only if each of them is overridden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetOverride {
    /// The namespace of the PodDisruptionBudget.
    pub namespace: String,
    /// The name of the PodDisruptionBudget.
    pub name: String,
    /// Why it is not respected. It is written to the audit log.
    pub reason: String,
}

impl DrainPolicy {
    /// The override of a budget, if there is one.
    pub fn override_of(&self, budget: &BudgetName) -> Option<&BudgetOverride> {
        self.budget_overrides.iter().find(|it| it.namespace == budget.namespace && it.name == budget.name)
    }
}

/// Selectors are stored as text, in their canonical form.
pub(super) mod selector {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(selector: &LabelSelector, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(selector)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LabelSelector, D::Error> {
        let text = String::deserialize(deserializer)?;
        LabelSelector::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{PodRuleSelector, RuleBehavior};
    use super::*;

    fn full() -> DrainPolicy {
        let selector = |text| LabelSelector::parse(text).unwrap();
        DrainPolicy {
            unmanaged_pods: UnmanagedPods::Drain,
            daemon_set_pods: DaemonSetPods::Drain,
            orphaned_daemon_set_pods: OrphanedDaemonSetPods::Drain,
            empty_dir_data: EmptyDirData::Delete,
            removal: Removal::Delete,
            budget_overrides: vec![BudgetOverride {
                namespace: "shop".into(),
                name: "web".into(),
                reason: "owner agreed".into(),
            }],
            pod_selector: selector("app=web"),
            grace_period_seconds: Some(5),
            deadline: Some(Duration::from_secs(5400)),
            at_deadline: AtDeadline::Delete,
            leave_terminating_after: Some(Duration::from_millis(1500)),
            parallelism: NonZeroU32::new(3),
            ordering: PodOrdering::AllAtOnce,
            rules: vec![PodRule {
                name: "databases last".into(),
                pods: vec![PodRuleSelector {
                    selector: selector("tier=db"),
                    namespace_selector: selector("env in (prod,test)"),
                }],
                drain: RuleBehavior::Drain { order: 10 },
            }],
            unreachable_node: UnreachableNode::LeaveTerminating,
            on_uncordon: OnUncordon::Pause,
            volumes: PodVolumes::WaitDetached,
        }
    }

    #[test]
    fn a_policy_is_stored_in_words() {
        let expected = json!({
            "unmanagedPods": "Drain",
            "daemonSetPods": "Drain",
            "orphanedDaemonSetPods": "Drain",
            "emptyDirData": "Delete",
            "removal": "Delete",
            "budgetOverrides": [{"namespace": "shop", "name": "web", "reason": "owner agreed"}],
            "podSelector": "app=web",
            "gracePeriodSeconds": 5,
            "deadline": "5400s",
            "atDeadline": "Delete",
            "leaveTerminatingAfter": "1.5s",
            "parallelism": 3,
            "ordering": "AllAtOnce",
            "rules": [{
                "name": "databases last",
                "pods": [{"selector": "tier=db", "namespaceSelector": "env in (prod,test)"}],
                "drain": {"behavior": "Drain", "order": 10},
            }],
            "unreachableNode": "LeaveTerminating",
            "onUncordon": "Pause",
            "volumes": "WaitDetached",
        });
        assert_eq!(serde_json::to_value(full()).unwrap(), expected);
    }

    #[test]
    fn what_is_stored_is_read_back() {
        for policy in [full(), DrainPolicy::default()] {
            let stored = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<DrainPolicy>(&stored).unwrap(), policy);
        }
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        assert_eq!(serde_json::from_value::<DrainPolicy>(json!({})).unwrap(), DrainPolicy::default());
    }

    #[test]
    fn durations_may_be_seconds_or_text() {
        for deadline in [json!(5400), json!("1h30m"), json!("5400")] {
            let policy: DrainPolicy = serde_json::from_value(json!({"deadline": deadline})).unwrap();
            assert_eq!(policy.deadline, Some(Duration::from_secs(5400)));
        }
        assert_eq!(serde_json::from_value::<DrainPolicy>(json!({"deadline": null})).unwrap().deadline, None);
        assert!(serde_json::from_value::<DrainPolicy>(json!({"deadline": -1})).is_err());
    }

    #[test]
    fn what_this_version_does_not_know_is_refused() {
        for policy in [
            json!({"unmanagedPods": "Pray"}),
            json!({"colour": "blue"}),
            json!({"parallelism": 0}),
            json!({"podSelector": "a b"}),
            json!({"budgetOverrides": [{"namespace": "a", "name": "b", "reason": "c", "until": "tomorrow"}]}),
            json!({"rules": [{"name": "r", "drain": {"behavior": "Drain", "order": 1, "after": "noon"}}]}),
        ] {
            assert!(serde_json::from_value::<DrainPolicy>(policy.clone()).is_err(), "{policy}");
        }
    }

    #[test]
    fn the_default_loses_nothing_without_being_told() {
        let policy = DrainPolicy::default();
        assert_eq!(policy.unmanaged_pods, UnmanagedPods::Refuse);
        assert_eq!(policy.empty_dir_data, EmptyDirData::Refuse);
        assert_eq!(policy.removal, Removal::Evict);
        assert_eq!(policy.at_deadline, AtDeadline::Fail);
        assert_eq!(policy.grace_period_seconds, None);
        assert_eq!(policy.on_uncordon, OnUncordon::CordonAgain);
    }
}
