//! Removing pods through the one door: which pod, in whose name, and what Kubernetes refuses.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use nodeward_sandbox::{Component, User};
use nodeward_server::caller::{Caller, Credential, Details, Principal};
use nodeward_server::cluster::evict::{PodRemoval, RemovalMethod, RemovalRefused, Remover};
use nodeward_server::cluster::{Cluster, ClusterOptions, Connection, WriteAs};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::apiserver_log::{assert_made_in_the_name_of, events};
use crate::support::fragile::fragile_sandbox;
use crate::support::guarded::rbac_only;
use crate::support::workload::Workload;
use crate::support::{eventually, world};

async fn remover_of(options: ClusterOptions) -> Remover {
    Cluster::new(Connection::open(&options).await.unwrap()).remover().clone()
}

/// One with the rights of deploy/rbac and no others.
pub(crate) async fn remover() -> Remover {
    remover_of(rbac_only().await).await
}

/// One that may do everything, and sends in its own name.
async fn powerful(kubeconfig: &Path) -> Remover {
    let kubeconfig = Some(kubeconfig.to_owned());
    remover_of(ClusterOptions { kubeconfig, write_as: WriteAs::Server, ..ClusterOptions::default() }).await
}

pub(crate) async fn workload(purpose: &str) -> Workload {
    Workload::new(client().await, purpose).await
}

async fn client() -> Client {
    world().await.sandbox.client().await.unwrap()
}

pub(crate) fn by(user: User) -> Caller {
    let (username, groups) = (user.name().to_owned(), vec![user.group().to_owned()]);
    Caller::User(
        Principal { username, groups, details: Details::default(), credential: Credential::Certificate, expires: None }
            .into(),
    )
}

/// The eviction of a pod by the operator.
pub(crate) fn eviction(pod: &Pod) -> PodRemoval {
    let metadata = pod.metadata.clone();
    PodRemoval {
        caller: by(User::Operator),
        namespace: metadata.namespace.unwrap(),
        name: metadata.name.unwrap(),
        uid: metadata.uid.unwrap(),
        node: pod.spec.clone().unwrap().node_name.unwrap(),
        method: RemovalMethod::Evict,
        grace_seconds: None,
        dry_run: false,
        audit_id: Uuid::new_v4(),
        deadline: Instant::now() + Duration::from_secs(30),
    }
}

pub(crate) fn deletion(pod: &Pod) -> PodRemoval {
    PodRemoval { method: RemovalMethod::Delete, caller: by(User::Admin), ..eviction(pod) }
}

/// How many seconds the pod is given to end. None if it is not being removed.
pub(crate) async fn is_given(workload: &Workload, name: &str) -> Option<i64> {
    let metadata = workload.pods().get(name).await.unwrap().metadata;
    metadata.deletion_timestamp.and(metadata.deletion_grace_period_seconds)
}

#[tokio::test]
async fn an_evicted_pod_is_given_its_time_and_then_goes() {
    let workload = workload("evicted").await;
    for (name, grace, expected) in [("its-own", None, 30), ("shorter", Some(6), 6)] {
        let pod = workload.ready_pod(name, "web", "worker-1").await;
        let eviction = PodRemoval { grace_seconds: grace, ..eviction(&pod) };
        remover().await.remove(&eviction).await.unwrap();
        assert_eq!(is_given(&workload, name).await, Some(expected));
        assert_eq!(remover().await.remove(&eviction).await, Err(RemovalRefused::Terminating));
        eventually("it is gone", async || workload.pods().get_opt(name).await.unwrap().is_none().then_some(())).await;
        assert_eq!(remover().await.remove(&eviction).await, Err(RemovalRefused::Gone));
    }
}

#[tokio::test]
async fn a_deleted_pod_can_be_given_less_time_afterwards() {
    let workload = workload("deleted").await;
    let pod = workload.ready_pod("slow", "web", "worker-1").await;
    remover().await.remove(&deletion(&pod)).await.unwrap();
    let sooner = PodRemoval { grace_seconds: Some(5), ..deletion(&pod) };
    remover().await.remove(&sooner).await.unwrap();
    assert_eq!(is_given(&workload, "slow").await, Some(5));
}

#[tokio::test]
async fn kubernetes_files_it_under_the_callers_name_and_the_audit_id() {
    let workload = workload("filed").await;
    let eviction = eviction(&workload.ready_pod("pod", "web", "worker-1").await);
    remover().await.remove(&eviction).await.unwrap();
    let id = eviction.audit_id.to_string();
    let event = eventually("the event being written", async || {
        events().await.into_iter().find(|event| event["auditID"] == id.as_str() && event["verb"] == "create")
    })
    .await;
    assert_eq!(event["objectRef"]["subresource"], "eviction", "{event:#}");
    assert_made_in_the_name_of(&event, "operator", &[User::Operator.group(), "system:authenticated"]);
}

#[tokio::test]
async fn a_dry_run_removes_nothing() {
    let workload = workload("dry").await;
    let pod = workload.ready_pod("pod", "web", "worker-1").await;
    for removal in [eviction(&pod), deletion(&pod)] {
        remover().await.remove(&PodRemoval { dry_run: true, ..removal }).await.unwrap();
        assert_eq!(is_given(&workload, "pod").await, None);
    }
}

#[tokio::test]
async fn who_has_not_the_right_is_refused_in_whosever_name_it_is_sent() {
    let workload = workload("refused").await;
    let pod = workload.ready_pod("pod", "web", "worker-1").await;
    let by_a_viewer = PodRemoval { caller: by(User::Viewer), ..eviction(&pod) };
    let by_an_operator = PodRemoval { caller: by(User::Operator), ..deletion(&pod) };
    let removers = [remover().await, powerful(world().await.sandbox.kubeconfig_path()).await];
    for remover in removers {
        for removal in [&by_a_viewer, &by_an_operator] {
            let refused = remover.remove(removal).await;
            assert!(matches!(refused, Err(RemovalRefused::Forbidden { .. })), "{refused:?}");
        }
    }
    assert_eq!(is_given(&workload, "pod").await, None);
}

#[tokio::test]
async fn a_server_that_sends_in_its_own_name_evicts_for_who_has_the_right() {
    let workload = workload("in-its-name").await;
    let pod = workload.ready_pod("pod", "web", "worker-1").await;
    powerful(world().await.sandbox.kubeconfig_path()).await.remove(&eviction(&pod)).await.unwrap();
    assert_eq!(is_given(&workload, "pod").await, Some(30));
}

/// Nobody deletes what is in the namespace meanwhile.
#[tokio::test]
async fn nothing_is_evicted_in_a_namespace_that_is_being_deleted() {
    let sandbox = fragile_sandbox().await;
    let workload = Workload::new(sandbox.client().await.unwrap(), "ending").await;
    let pod = workload.ready_pod("pod", "web", "worker-1").await;
    sandbox.pause(Component::ControllerManager).await.unwrap();
    workload.delete().await;
    let refused = powerful(sandbox.kubeconfig_path()).await.remove(&eviction(&pod)).await;
    sandbox.resume(Component::ControllerManager).await.unwrap();
    assert_eq!(refused, Err(RemovalRefused::NamespaceTerminating));
}
