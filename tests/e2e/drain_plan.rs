//! PlanDrain: what a drain would do, which changes nothing.

use nodeward_api::v1::blocker::Kind as BlockerKind;
use nodeward_api::v1::placement::Kind as PlacementKind;
use nodeward_api::v1::pod_plan::Action;
use nodeward_api::v1::pod_reason::{Effect, Kind};
use nodeward_api::v1::{BudgetName, DrainPlan, DrainPolicy, PlanDrainRequest, PodPlan};
use tonic::Code;

use crate::support::drains::{drains, operations_of, plan};
use crate::support::workload::Workload;
use crate::support::{assert_error, assert_violation, world};

async fn workload() -> Workload {
    Workload::new(world().await.sandbox.client().await.unwrap(), "plan").await
}

async fn planned(request: PlanDrainRequest) -> DrainPlan {
    drains().await.plan_drain(request).await.unwrap().into_inner()
}

fn pod<'a>(plan: &'a DrainPlan, name: &str) -> &'a PodPlan {
    plan.pods.iter().find(|pod| pod.pod.as_ref().unwrap().pod == name).unwrap()
}

#[tokio::test]
async fn a_plan_says_what_would_happen_to_each_pod_with_budgets_counted_together() {
    let node = world().await.node("plan").await;
    let workload = workload().await;
    for name in ["a", "b"] {
        workload.ready_pod(name, "web", &node).await;
    }
    workload.budget("web", "web", 1, 2).await;
    let plan = planned(plan(&node)).await;
    let found = world().await.kubernetes().await.get(&node).await.unwrap();
    assert_eq!((&plan.node, Some(&plan.node_uid)), (&format!("nodes/{node}"), found.metadata.uid.as_ref()));
    assert_eq!(plan.totals.unwrap().evict, 2);
    assert!(plan.refusals.is_empty() && plan.plan_time.is_some() && plan.plan_hash.len() == 64, "{plan:#?}");

    let [first, second] = ["a", "b"].map(|name| pod(&plan, name));
    let budget = BudgetName { namespace: workload.namespace.clone(), budget: "web".to_owned() };
    assert_eq!((first.action(), first.round, &first.blocker), (Action::Evict, Some(0), &None));
    assert_eq!((first.turn, first.budgets.as_slice()), (Some(0), [budget].as_slice()));
    assert_eq!(first.grace_period.unwrap().seconds, 30);
    assert_eq!((first.reasons[0].kind(), first.reasons[0].effect()), (Kind::Unmanaged, Effect::Warn));
    assert_eq!(first.placement.as_ref().unwrap().kind(), PlacementKind::NoReplacement);
    let Some(BlockerKind::Budget(blocker)) = &second.blocker.as_ref().unwrap().kind else { panic!("{second:#?}") };
    assert_eq!(blocker.budget.as_ref().unwrap().disruptions_allowed, 1);
    assert!(found.spec.unwrap().unschedulable.is_none() && operations_of(&node).await.is_empty());
}

#[tokio::test]
async fn a_plan_under_the_careful_policy_says_what_it_refuses_and_how_the_policy_counts() {
    let node = world().await.node("plan").await;
    let workload = workload().await;
    workload.ready_pod("a", "web", &node).await;
    let plan = planned(PlanDrainRequest { policy: None, ..plan(&node) }).await;
    assert_eq!((plan.totals.unwrap().refuse, pod(&plan, "a").action()), (1, Action::Refuse));
    let expected = format!("{}/a: nobody controls it, so nobody would replace it", workload.namespace);
    assert_eq!(plan.refusals, [expected]);
    let policy = plan.policy.unwrap();
    assert_eq!(policy.unmanaged_pods(), nodeward_api::v1::drain_policy::UnmanagedPods::Refuse);
    assert!(plan.estimate.is_none());
}

#[tokio::test]
async fn the_hash_stays_the_same_until_something_else_would_happen() {
    let node = world().await.node("plan").await;
    let workload = workload().await;
    let hash = async || planned(plan(&node)).await.plan_hash;
    let empty = hash().await;
    assert_eq!(hash().await, empty);
    workload.ready_pod("a", "web", &node).await;
    assert_ne!(hash().await, empty);
}

#[tokio::test]
async fn what_can_not_be_planned_is_refused_with_why() {
    let node = world().await.node("plan").await;
    let mut drains = drains().await;
    let policy = Some(DrainPolicy { pod_selector: "a b".to_owned(), ..DrainPolicy::default() });
    assert_violation(drains.plan_drain(PlanDrainRequest { policy, ..plan(&node) }).await, "policy.pod_selector");
    assert_violation(drains.plan_drain(PlanDrainRequest { name: node, policy: None }).await, "name");
    assert_error(drains.plan_drain(plan("nobody")).await, Code::NotFound, "NODE_NOT_FOUND");
}
