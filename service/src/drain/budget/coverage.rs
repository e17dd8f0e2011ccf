//! Which budget covers which pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::super::labels;
use super::BudgetName;

/// The budgets of a cluster, by namespace and in the order of their names.
pub(in crate::drain) struct Coverage<'a> {
    budgets: BTreeMap<BudgetName, &'a PodDisruptionBudget>,
}

impl<'a> Coverage<'a> {
    pub fn new(budgets: &[&'a PodDisruptionBudget]) -> Self {
        Self { budgets: budgets.iter().map(|budget| (BudgetName::of(budget), *budget)).collect() }
    }

    pub fn budgets(&self) -> impl Iterator<Item = (&BudgetName, &'a PodDisruptionBudget)> {
        self.budgets.iter().map(|(name, budget)| (name, *budget))
    }

    /// The budgets that cover a pod, by name.
    pub fn of(&self, pod: &Pod) -> Vec<BudgetName> {
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let first = BudgetName { namespace: namespace.clone(), name: String::new() };
        let of_namespace = self.budgets.range(first..).take_while(|(name, _)| name.namespace == namespace);
        of_namespace.filter(|(_, budget)| covers(budget, pod)).map(|(name, _)| name.clone()).collect()
    }
}

/// Whether a budget of the same namespace covers a pod. One without a selector covers none, one with an empty selector all.
pub(super) fn covers(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    labels::matches(selector, pod.metadata.labels.as_ref())
}
