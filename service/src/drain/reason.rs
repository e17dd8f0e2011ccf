//! What was found about a pod, and what it means for the pod.

use std::fmt;

use jiff::Timestamp;

use super::BudgetName;
use crate::pod::{Controller, Phase};

/// One thing that was found about a pod, and what it means under the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was found.
    pub reason: Reason,
    /// What it means.
    pub effect: Effect,
}

/// What a finding means for the pod. What a pod's verdict is, is in its action: of several effects one decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing: it is good to know.
    Note,
    /// The pod can be removed, but somebody may miss something.
    Warn,
    /// The pod is to be left.
    Skip,
    /// The pod is to finish by itself.
    Wait,
    /// The drain must not touch anything.
    Refuse,
}

/// What can be found about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The policy's pod selector does not select it.
    NotSelected {
        /// The selector.
        selector: String,
    },
    /// Its grace period has been over for longer than the policy waits.
    LeftTerminating {
        /// For how many seconds it has been over.
        overdue_seconds: i64,
        /// How many the policy waits.
        limit_seconds: u64,
    },
    /// It is being removed already.
    Terminating {
        /// Since when.
        since: Timestamp,
        /// When its grace period is over.
        grace_until: Timestamp,
    },
    /// A DaemonSet that exists controls it, and would replace it on the same node.
    DaemonSet {
        /// The name of the DaemonSet.
        name: String,
    },
    /// The DaemonSet that controls it is gone, so nobody would replace it.
    OrphanedDaemonSet {
        /// The name of the DaemonSet.
        name: String,
        /// The uid of another DaemonSet that has that name now.
        replaced_by: Option<String>,
    },
    /// It mirrors a static pod, which only the kubelet can end.
    Mirror,
    /// The pod's own label `nodeward.dev/drain` says so.
    DrainLabel {
        /// The label's value.
        value: String,
    },
    /// The pod's label `nodeward.dev/drain` has a value that means nothing.
    UnknownDrainLabel {
        /// The label's value.
        value: String,
    },
    /// A rule of the policy says so.
    Rule {
        /// The name of the rule.
        name: String,
    },
    /// Whether a rule is about the pod depends on the labels of its namespace, which are not known.
    NamespaceUnknown {
        /// The namespace.
        namespace: String,
        /// The name of the rule.
        rule: String,
    },
    /// It has `emptyDir` volumes, whose contents are lost with it.
    EmptyDir {
        /// The names of the volumes.
        volumes: Vec<String>,
    },
    /// Nobody controls it, so nobody replaces it.
    Unmanaged,
    /// Somebody controls it.
    Managed {
        /// Who.
        controller: Controller,
    },
    /// It has finished, so removing it disrupts nothing.
    Finished {
        /// `Succeeded` or `Failed`.
        phase: Phase,
    },
    /// The cluster cannot do without it.
    Critical {
        /// Its priority.
        priority: i32,
        /// The name of its priority class.
        class: Option<String>,
    },
    /// A budget that covers it is overridden, so it is deleted instead of evicted.
    BudgetOverridden {
        /// The budget.
        budget: BudgetName,
        /// Why, as the policy says.
        reason: String,
    },
    /// A budget covers it, but the policy deletes pods and asks no budget.
    BudgetNotAsked {
        /// The budget.
        budget: BudgetName,
    },
}

/// One clause in plain words, for logs and for people.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSelected { selector } => write!(f, "the pod selector `{selector}` does not select it"),
            Self::LeftTerminating { overdue_seconds, limit_seconds } => {
                write!(f, "its grace period ended {overdue_seconds} s ago, and only {limit_seconds} s are waited for")
            }
            Self::Terminating { since, .. } => write!(f, "it has been terminating since {since}"),
            Self::DaemonSet { name } => write!(f, "DaemonSet {name} would replace it on this node"),
            Self::OrphanedDaemonSet { name, replaced_by: None } => {
                write!(f, "DaemonSet {name}, which controls it, is gone")
            }
            Self::OrphanedDaemonSet { name, replaced_by: Some(_) } => {
                write!(f, "DaemonSet {name}, which controls it, is gone, and another one has its name")
            }
            Self::Mirror => f.write_str("it mirrors a static pod, which only the kubelet can end"),
            Self::DrainLabel { value } => write!(f, "its label {} is {value}", super::DRAIN_LABEL),
            Self::UnknownDrainLabel { value } => write!(
                f,
                "its label {} is {value}, which means nothing: skip and wait-completed do",
                super::DRAIN_LABEL
            ),
            Self::Rule { name } => write!(f, "rule {name} is about it"),
            Self::NamespaceUnknown { namespace, rule } => {
                write!(f, "the labels of namespace {namespace}, which rule {rule} asks for, are not known")
            }
            Self::EmptyDir { volumes } => write!(f, "what is in emptyDir {} would be lost", volumes.join(", ")),
            Self::Unmanaged => f.write_str("nobody controls it, so nobody would replace it"),
            Self::Managed { controller } => write!(f, "{} {} controls it", controller.kind, controller.name),
            Self::Finished { phase } => write!(f, "it has finished: {phase:?}"),
            Self::Critical { priority, class: Some(class) } => {
                write!(f, "it is critical: priority {priority}, class {class}")
            }
            Self::Critical { priority, class: None } => write!(f, "it is critical: priority {priority}"),
            Self::BudgetOverridden { budget, reason } => write!(f, "budget {budget} is overridden: {reason}"),
            Self::BudgetNotAsked { budget } => write!(f, "budget {budget} covers it, but is not asked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_in_plain_words() {
        let budget = || BudgetName { namespace: "shop".into(), name: "web".into() };
        let orphan = |replaced_by| Reason::OrphanedDaemonSet { name: "logs".into(), replaced_by };
        for (reason, expected) in [
            (Reason::EmptyDir { volumes: vec!["a".into(), "b".into()] }, "what is in emptyDir a, b would be lost"),
            (orphan(None), "DaemonSet logs, which controls it, is gone"),
            (orphan(Some("u".into())), "DaemonSet logs, which controls it, is gone, and another one has its name"),
            (Reason::Finished { phase: Phase::Failed }, "it has finished: Failed"),
            (Reason::Critical { priority: 7, class: None }, "it is critical: priority 7"),
            (
                Reason::BudgetOverridden { budget: budget(), reason: "owner agreed".into() },
                "budget shop/web is overridden: owner agreed",
            ),
            (
                Reason::LeftTerminating { overdue_seconds: 90, limit_seconds: 60 },
                "its grace period ended 90 s ago, and only 60 s are waited for",
            ),
            (
                Reason::UnknownDrainLabel { value: "x".into() },
                "its label nodeward.dev/drain is x, which means nothing: skip and wait-completed do",
            ),
        ] {
            assert_eq!(reason.to_string(), expected);
        }
    }
}
