//! What pods and budgets are called, and what is done with pods.

use nodeward_api::v1;
use nodeward_api::v1::pod_plan::Action as ContractAction;

use crate::drain::{Action, BudgetName};
use crate::pod::PodReference;

/// The pod.
pub(in crate::rpc) fn pod_reference(pod: &PodReference) -> v1::PodReference {
    v1::PodReference { namespace: pod.namespace.clone(), pod: pod.name.clone(), uid: pod.uid.clone() }
}

/// The budget.
pub(in crate::rpc) fn budget_name(budget: &BudgetName) -> v1::BudgetName {
    v1::BudgetName { namespace: budget.namespace.clone(), budget: budget.name.clone() }
}

/// The budget that `namespace/name` names.
pub(super) fn budget_named(text: &str) -> v1::BudgetName {
    let (namespace, budget) = text.split_once('/').unwrap_or(("", text));
    v1::BudgetName { namespace: namespace.to_owned(), budget: budget.to_owned() }
}

/// What is done with a pod.
pub(in crate::rpc) fn action(action: Action) -> ContractAction {
    match action {
        Action::Evict => ContractAction::Evict,
        Action::Delete => ContractAction::Delete,
        Action::WaitForCompletion => ContractAction::WaitForCompletion,
        Action::Refuse => ContractAction::Refuse,
        Action::Skip => ContractAction::Skip,
    }
}
