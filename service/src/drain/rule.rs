//! Rules for particular pods, as Cluster API's MachineDrainRules are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::policy;
use crate::node::selector::LabelSelector;

/// The label by which a pod says what a drain is to do with it: `skip` or `wait-completed`. It wins over rules.
pub const DRAIN_LABEL: &str = "nodeward.dev/drain";

/// What is done with the pods that it selects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodRule {
    /// What the rule is called where a plan says that it decided.
    pub name: String,
    /// The pods that it is about: those that one of these selects. None at all: every pod.
    #[serde(default)]
    pub pods: Vec<PodRuleSelector>,
    /// What is done with them.
    pub drain: RuleBehavior,
}

/// Selects pods by their labels and by those of their namespaces; both must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PodRuleSelector {
    /// The labels of the pod.
    #[serde(with = "policy::selector")]
    pub selector: LabelSelector,
    /// The labels of its namespace. Kubernetes gives every namespace the label `kubernetes.io/metadata.name`.
    #[serde(with = "policy::selector")]
    pub namespace_selector: LabelSelector,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "behavior", deny_unknown_fields)]
pub enum RuleBehavior {
    /// The pods are removed, as the rest of the policy says.
    Drain {
        /// Pods of a higher order are removed when those of a lower one are gone. Pods without a rule are of order 0.
        #[serde(default)]
        order: i32,
    },
    /// The pods stay.
    Skip,
    /// The pods are not removed, but the drain waits until they have finished. They are of order 0.
    WaitCompleted,
}

/// Whether a rule is about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleMatch {
    Yes,
    No,
    /// It depends on the labels of the pod's namespace, and nobody knows them.
    NamespaceUnknown,
}

impl PodRule {
    pub(super) fn is_about(
        &self,
        pod: &BTreeMap<String, String>,
        namespace: Option<&BTreeMap<String, String>>,
    ) -> RuleMatch {
        if self.pods.is_empty() {
            return RuleMatch::Yes;
        }
        let mut unknown = false;
        for selector in self.pods.iter().filter(|selector| selector.selector.matches(pod)) {
            match namespace {
                _ if selector.namespace_selector.is_everything() => return RuleMatch::Yes,
                Some(namespace) if selector.namespace_selector.matches(namespace) => return RuleMatch::Yes,
                Some(_) => {}
                None => unknown = true,
            }
        }
        if unknown { RuleMatch::NamespaceUnknown } else { RuleMatch::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(selectors: &[(&str, &str)]) -> PodRule {
        let parse = |text: &str| LabelSelector::parse(text).unwrap();
        let pods = selectors
            .iter()
            .map(|(pod, namespace)| PodRuleSelector { selector: parse(pod), namespace_selector: parse(namespace) });
        PodRule { name: "rule".into(), pods: pods.collect(), drain: RuleBehavior::Skip }
    }

    fn labels(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_rule_without_selectors_is_about_every_pod() {
        assert_eq!(rule(&[]).is_about(&labels("a", "b"), None), RuleMatch::Yes);
    }

    #[test]
    fn one_selector_suffices_but_within_it_both_must_match() {
        let rule = rule(&[("app=logs", ""), ("app=db", "env=prod")]);
        let (prod, test) = (labels("env", "prod"), labels("env", "test"));
        assert_eq!(rule.is_about(&labels("app", "logs"), Some(&test)), RuleMatch::Yes);
        assert_eq!(rule.is_about(&labels("app", "db"), Some(&prod)), RuleMatch::Yes);
        assert_eq!(rule.is_about(&labels("app", "db"), Some(&test)), RuleMatch::No);
        assert_eq!(rule.is_about(&labels("app", "web"), Some(&prod)), RuleMatch::No);
    }

    #[test]
    fn an_unknown_namespace_matters_only_where_it_decides() {
        let rule = rule(&[("app=db", "env=prod"), ("app=logs", "")]);
        assert_eq!(rule.is_about(&labels("app", "db"), None), RuleMatch::NamespaceUnknown);
        assert_eq!(rule.is_about(&labels("app", "logs"), None), RuleMatch::Yes);
        assert_eq!(rule.is_about(&labels("app", "web"), None), RuleMatch::No);
    }
}
