//! What keeps a pod from going.

use nodeward_api::v1;
use nodeward_api::v1::blocker::Kind;

use super::count;
use super::pod::{budget_named, pod_reference};
use crate::drain::{Blocker, BudgetNumbers};
use crate::node::convert::timestamp;

/// What keeps a pod from going, in words too.
pub(in crate::rpc) fn blocker(blocker: &Blocker) -> v1::Blocker {
    v1::Blocker { message: blocker.to_string(), hint: blocker.hint().to_owned(), kind: Some(kind(blocker)) }
}

fn kind(blocker: &Blocker) -> Kind {
    match blocker {
        Blocker::Budget { budget, never, unready, evicted } => Kind::Budget(v1::BudgetBlocker {
            budget: Some(budget_state(budget)),
            never_allows: *never,
            unready_pods: unready.iter().map(pod_reference).collect(),
            evicted_pods: evicted.iter().map(pod_reference).collect(),
        }),
        Blocker::BudgetUnprocessed { budget } => Kind::BudgetFault(v1::BudgetFault {
            budget: Some(budget_named(budget)),
            message: blocker.to_string(),
            unprocessed: true,
        }),
        Blocker::BudgetFault { budget, message } => Kind::BudgetFault(v1::BudgetFault {
            budget: Some(budget).filter(|budget| !budget.is_empty()).map(|budget| budget_named(budget)),
            message: message.clone(),
            unprocessed: false,
        }),
        Blocker::SeveralBudgets { budgets } => {
            let budgets = budgets.iter().map(|budget| budget_named(budget)).collect();
            Kind::SeveralBudgets(v1::SeveralBudgets { budgets })
        }
        Blocker::Throttled => Kind::Throttled(v1::Throttled {}),
        Blocker::NamespaceTerminating => Kind::NamespaceTerminating(v1::NamespaceTerminating {}),
        Blocker::Denied { message, admission } => {
            Kind::Denied(v1::Denied { message: message.clone(), admission: admission.clone() })
        }
        Blocker::GracePeriod { until } => Kind::GracePeriod(v1::GracePeriod { end_time: Some(timestamp(*until)) }),
        Blocker::Overdue { since, finalizers } => {
            Kind::Overdue(v1::Overdue { since_time: Some(timestamp(*since)), finalizers: finalizers.clone() })
        }
        Blocker::VolumeAttached { volumes } => Kind::VolumeAttached(v1::VolumeAttached { volumes: volumes.clone() }),
        Blocker::NotCompleted => Kind::NotCompleted(v1::NotCompleted {}),
        Blocker::EarlierTurn { pods } => Kind::EarlierTurn(v1::EarlierTurn { pod_count: count(*pods) }),
        Blocker::Refused { message } => Kind::Refused(v1::Refused { message: message.clone() }),
        Blocker::Recreated { controller, times } => {
            let count = i32::try_from(*times).unwrap_or(i32::MAX);
            Kind::Recreated(v1::Recreated { controller: controller.clone(), count })
        }
        Blocker::Unavailable { message } => {
            Kind::ClusterUnavailable(v1::ClusterUnavailable { message: message.clone() })
        }
    }
}

fn budget_state(numbers: &BudgetNumbers) -> v1::BudgetState {
    v1::BudgetState {
        namespace: numbers.budget.namespace.clone(),
        budget: numbers.budget.name.clone(),
        current_healthy: numbers.healthy,
        desired_healthy: numbers.desired,
        expected_pods: numbers.expected,
        disruptions_allowed: numbers.allowed,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::drain::BudgetName;
    use crate::pod::PodReference;

    fn pod() -> PodReference {
        PodReference { namespace: "shop".into(), name: "web-1".into(), uid: "u".into() }
    }

    fn web() -> v1::BudgetName {
        v1::BudgetName { namespace: "shop".into(), budget: "web".into() }
    }

    #[test]
    fn a_budget_is_told_with_its_numbers_and_its_unready_pods() {
        let name = BudgetName { namespace: "shop".into(), name: "web".into() };
        let budget = BudgetNumbers { budget: name, healthy: 2, desired: 3, allowed: 0, expected: 4 };
        let told = blocker(&Blocker::Budget { budget, never: true, unready: vec![pod()], evicted: Vec::new() });
        let Some(Kind::Budget(found)) = told.kind else { panic!("{told:?}") };
        let expected = v1::BudgetState {
            namespace: "shop".into(),
            budget: "web".into(),
            current_healthy: 2,
            desired_healthy: 3,
            expected_pods: 4,
            disruptions_allowed: 0,
        };
        assert_eq!((found.budget, found.never_allows), (Some(expected), true));
        assert_eq!(found.unready_pods, [pod_reference(&pod())]);
        assert_eq!(told.message, "budget shop/web needs 3 healthy pods and has 2; not ready: shop/web-1");
        assert!(!told.hint.is_empty());
    }

    #[test]
    fn every_blocker_has_a_kind_of_its_own() {
        let (at, message) = (Timestamp::UNIX_EPOCH, || "no".to_owned());
        let fault =
            |budget, message: &str, unprocessed| v1::BudgetFault { budget, message: message.into(), unprocessed };
        let cases = [
            (
                Blocker::BudgetUnprocessed { budget: "shop/web".into() },
                Kind::BudgetFault(fault(Some(web()), "budget shop/web was changed and is being processed", true)),
            ),
            (
                Blocker::BudgetFault { budget: "shop/web".into(), message: message() },
                Kind::BudgetFault(fault(Some(web()), "no", false)),
            ),
            (
                Blocker::BudgetFault { budget: String::new(), message: message() },
                Kind::BudgetFault(fault(None, "no", false)),
            ),
            (
                Blocker::SeveralBudgets { budgets: vec!["shop/web".into()] },
                Kind::SeveralBudgets(v1::SeveralBudgets { budgets: vec![web()] }),
            ),
            (Blocker::Throttled, Kind::Throttled(v1::Throttled {})),
            (Blocker::NamespaceTerminating, Kind::NamespaceTerminating(v1::NamespaceTerminating {})),
            (
                Blocker::Denied { message: message(), admission: "policy".into() },
                Kind::Denied(v1::Denied { message: message(), admission: "policy".into() }),
            ),
            (
                Blocker::GracePeriod { until: at },
                Kind::GracePeriod(v1::GracePeriod { end_time: Some(Default::default()) }),
            ),
            (
                Blocker::Overdue { since: at, finalizers: vec!["x".into()] },
                Kind::Overdue(v1::Overdue { since_time: Some(Default::default()), finalizers: vec!["x".into()] }),
            ),
            (
                Blocker::VolumeAttached { volumes: vec!["pv".into()] },
                Kind::VolumeAttached(v1::VolumeAttached { volumes: vec!["pv".into()] }),
            ),
            (Blocker::NotCompleted, Kind::NotCompleted(v1::NotCompleted {})),
            (Blocker::EarlierTurn { pods: 3 }, Kind::EarlierTurn(v1::EarlierTurn { pod_count: 3 })),
            (Blocker::Refused { message: message() }, Kind::Refused(v1::Refused { message: message() })),
            (
                Blocker::Recreated { controller: "DaemonSet agent".into(), times: 4 },
                Kind::Recreated(v1::Recreated { controller: "DaemonSet agent".into(), count: 4 }),
            ),
            (
                Blocker::Unavailable { message: message() },
                Kind::ClusterUnavailable(v1::ClusterUnavailable { message: message() }),
            ),
        ];
        for (blocked, expected) in cases {
            let told = blocker(&blocked);
            assert_eq!(told.kind, Some(expected));
            assert_eq!((told.message, told.hint), (blocked.to_string(), blocked.hint().to_owned()));
        }
    }
}
