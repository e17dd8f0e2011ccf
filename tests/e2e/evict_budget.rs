//! Evictions and budgets: what blocks a pod is named, and what is not evicted costs nothing.

use nodeward_server::cluster::evict::{PodRemoval, RemovalRefused};

use crate::evict::{deletion, eviction, is_given, remover, workload};
use crate::support::eventually;

#[tokio::test]
async fn a_budget_that_allows_nothing_is_named() {
    let workload = workload("blocked").await;
    let pod = workload.ready_pod("pod", "web", "worker-1").await;
    workload.budget("all-of-web", "web", 1, 1).await;
    workload.budget("others", "db", 0, 0).await;
    for dry_run in [false, true] {
        let refused = remover().await.remove(&PodRemoval { dry_run, ..eviction(&pod) }).await;
        let Err(RemovalRefused::Budget { message, budget, retry_after }) = refused else { panic!("{refused:?}") };
        assert_eq!((budget.as_deref(), retry_after), (Some("all-of-web"), None));
        assert!(message.contains("needs 1 healthy pods and has 1 currently"), "{message}");
    }
    assert_eq!(is_given(&workload, "pod").await, None);
    // It asks no budget.
    remover().await.remove(&deletion(&pod)).await.unwrap();
    assert_eq!(is_given(&workload, "pod").await, Some(30));
}

#[tokio::test]
async fn a_pod_of_several_budgets_is_told_so() {
    let workload = workload("several").await;
    let pod = workload.ready_pod("pod", "web", "worker-1").await;
    for name in ["second", "first"] {
        workload.budget(name, "web", 0, 1).await;
    }
    let budgets = vec!["first".to_owned(), "second".to_owned()];
    assert_eq!(remover().await.remove(&eviction(&pod)).await, Err(RemovalRefused::SeveralBudgets { budgets }));
    assert_eq!(is_given(&workload, "pod").await, None);
}

#[tokio::test]
async fn the_wrong_pod_is_not_evicted_and_costs_no_budget() {
    let workload = workload("wrong").await;
    let pod = workload.ready_pod("one", "web", "worker-1").await;
    workload.ready_pod("two", "web", "worker-1").await;
    workload.budget("web", "web", 1, 2).await;
    let wrong_uid = PodRemoval { uid: "00000000-0000-0000-0000-000000000000".to_owned(), ..eviction(&pod) };
    let wrong_node = PodRemoval { node: "worker-2".to_owned(), ..eviction(&pod) };
    for removal in [wrong_uid, wrong_node] {
        let refused = remover().await.remove(&removal).await;
        let uid = pod.metadata.uid.clone().unwrap();
        assert_eq!(refused, Err(RemovalRefused::Conflict { uid, node: "worker-1".to_owned() }));
        let status = workload.budgets().get("web").await.unwrap().status.unwrap();
        assert_eq!((status.disruptions_allowed, status.disrupted_pods), (Some(1), None));
        assert_eq!(is_given(&workload, "one").await, None);
    }
}

#[tokio::test]
async fn an_eviction_goes_through_once_the_budget_allows_it() {
    let workload = workload("opened").await;
    let pod = workload.ready_pod("one", "web", "worker-1").await;
    workload.budget("web", "web", 1, 1).await;
    assert!(matches!(remover().await.remove(&eviction(&pod)).await, Err(RemovalRefused::Budget { .. })));
    workload.ready_pod("two", "web", "worker-2").await;
    eventually("the budget allows one", async || {
        let status = workload.budgets().get("web").await.unwrap().status.unwrap();
        (status.disruptions_allowed == Some(1)).then_some(())
    })
    .await;
    remover().await.remove(&eviction(&pod)).await.unwrap();
    assert_eq!(is_given(&workload, "one").await, Some(30));
}
