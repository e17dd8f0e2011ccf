//! Which budgets cover a pod.
//!
//! Kubernetes says in a text which budget does not allow an eviction, and in another one that there are several. Neither is
//! read: which budgets cover a pod follows from their selectors.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::ListParams;
use kube::core::{Selector, SelectorExt as _};
use kube::{Api, Client};

/// The names of the budgets that cover a pod, now.
pub(super) async fn covering(client: Client, pod: &Pod) -> kube::Result<Vec<String>> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client, namespace);
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let budgets = budgets.list(&ListParams::default()).await?.items;
    let covering = budgets.into_iter().filter(|budget| covers(budget, &labels));
    let mut names: Vec<String> = covering.filter_map(|budget| budget.metadata.name).collect();
    names.sort();
    Ok(names)
}

/// As Kubernetes reads it: no selector covers nothing, an empty one everything, and one that is not valid nothing.
fn covers(budget: &PodDisruptionBudget, labels: &BTreeMap<String, String>) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.clone());
    selector.and_then(|selector| Selector::try_from(selector).ok()).is_some_and(|selector| selector.matches(labels))
}
