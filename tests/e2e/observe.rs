//! Watching what a drain depends on: what comes, changes and goes is seen, whatever happens to the apiserver.

use std::path::Path;
use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use nodeward_sandbox::Component;
use nodeward_server::cluster::observe::{Observation, Observer, PodsOnNode};
use nodeward_server::cluster::{Cluster, ClusterOptions, Connection};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::support::fragile::fragile_sandbox;
use crate::support::guarded::rbac_only;
use crate::support::proxy::Proxy;
use crate::support::workload::Workload;
use crate::support::{eventually, unique, world};

/// How long a change may take to be seen.
const PATIENCE: Duration = Duration::from_secs(60);

async fn observer_of(options: &ClusterOptions) -> Observer {
    Cluster::new(Connection::open(options).await.unwrap()).observer().clone()
}

async fn observer_with(kubeconfig: &Path) -> Observer {
    observer_of(&ClusterOptions { kubeconfig: Some(kubeconfig.to_owned()), ..ClusterOptions::default() }).await
}

/// With the rights of deploy/rbac and no others.
async fn observe(node: &str) -> Observation {
    let observation = observer_of(&rbac_only().await).await.observe(node);
    timeout(PATIENCE, observation.in_sync()).await.expect("it is in sync");
    observation
}

/// Waits for changes until this is so.
async fn until(observation: &mut Observation, is_so: impl Fn(&Observation) -> bool) {
    let see = async {
        while !is_so(observation) {
            observation.changed().await;
        }
    };
    timeout(PATIENCE, see).await.expect("it is seen");
}

fn has(pods: &PodsOnNode, workload: &Workload, name: &str) -> bool {
    pods.get(&workload.namespace, name).is_some()
}

async fn workload(purpose: &str) -> Workload {
    Workload::new(world().await.sandbox.client().await.unwrap(), purpose).await
}

#[tokio::test]
async fn a_pod_that_comes_late_is_seen_and_one_that_goes_too() {
    let workload = workload("observed").await;
    let mut observation = observe("worker-1").await;
    let pod = workload.pod("late", "web", "worker-1").await;
    workload.pod("elsewhere", "web", "worker-2").await;
    until(&mut observation, |seen| has(&seen.pods, &workload, "late")).await;
    let seen = observation.pods.get(&workload.namespace, "late").unwrap();
    assert_eq!(seen.metadata.uid, pod.metadata.uid);
    assert_eq!(seen.metadata.managed_fields, None);

    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    workload.pods().delete("late", &now).await.unwrap();
    until(&mut observation, |seen| !has(&seen.pods, &workload, "late")).await;
    assert!(!has(&observation.pods, &workload, "elsewhere"));
}

#[tokio::test]
async fn a_budget_that_opens_is_seen() {
    let workload = workload("observed").await;
    workload.ready_pod("one", "web", "worker-1").await;
    workload.budget("web", "web", 1, 1).await;
    let mut observation = observe("worker-1").await;
    let allowed = |seen: &Observation| {
        seen.budgets.get(&workload.namespace, "web").and_then(|budget| budget.status.clone()?.disruptions_allowed)
    };
    assert_eq!(allowed(&observation), Some(0));
    let patch = Patch::Merge(json!({ "spec": { "minAvailable": 0 } }));
    workload.budgets().patch("web", &PatchParams::default(), &patch).await.unwrap();
    until(&mut observation, |seen| allowed(seen) == Some(1)).await;
}

#[tokio::test]
async fn namespaces_and_daemon_sets_are_seen_by_what_says_who_they_are() {
    let mut observation = observe("worker-1").await;
    let agent = observation.daemon_sets.get("demo", "log-agent").unwrap();
    assert!(agent.metadata.uid.is_some());
    let workload = workload("observed").await;
    until(&mut observation, |seen| seen.namespaces.get("", &workload.namespace).is_some()).await;
    let namespace = observation.namespaces.get("", &workload.namespace).unwrap();
    assert_eq!(namespace.metadata.labels.as_ref().unwrap()["kubernetes.io/metadata.name"], workload.namespace);
}

#[tokio::test]
async fn volumes_are_seen_with_the_rights_of_the_server() {
    let volumes = observer_of(&rbac_only().await).await.volumes();
    timeout(PATIENCE, volumes.in_sync()).await.expect("they are in sync");
}

#[tokio::test]
async fn what_happens_while_the_network_is_cut_is_seen_afterwards() {
    let workload = workload("observed").await;
    let proxy = Proxy::start(&world().await.sandbox).await;
    let mut observation = observer_with(proxy.kubeconfig()).await.observe("worker-1");
    observation.in_sync().await;
    proxy.cut();
    workload.pod("meanwhile", "web", "worker-1").await;
    // It says how old it is.
    eventually("it is older", async || (observation.age() > Duration::from_secs(1)).then_some(())).await;
    assert!(observation.is_in_sync());
    assert!(!has(&observation.pods, &workload, "meanwhile"));
    proxy.mend();
    until(&mut observation, |seen| has(&seen.pods, &workload, "meanwhile")).await;
}

#[tokio::test]
async fn it_goes_on_after_the_apiserver_was_killed_and_started_again() {
    let sandbox = fragile_sandbox().await;
    let workload = Workload::new(sandbox.client().await.unwrap(), "observed").await;
    let observer = observer_with(sandbox.kubeconfig_path()).await;
    let mut observation = observer.observe("worker-1");
    observation.in_sync().await;
    workload.pod("before", "web", "worker-1").await;
    until(&mut observation, |seen| has(&seen.pods, &workload, "before")).await;

    sandbox.kill(Component::ApiServer).await.unwrap();
    sandbox.restart(Component::ApiServer).await.unwrap();
    workload.pod("after", "web", "worker-1").await;
    until(&mut observation, |seen| has(&seen.pods, &workload, "after")).await;
}

#[tokio::test]
async fn a_read_is_of_the_cluster_as_it_is_now() {
    let observer = observer_of(&rbac_only().await).await;
    let workload = workload(&unique("read")).await;
    workload.ready_pod("pod", "web", "worker-1").await;
    workload.budget("web", "web", 1, 1).await;
    let state = observer.read(Instant::now() + PATIENCE).await.unwrap();
    let is_here = |namespace: &Option<String>| namespace.as_ref() == Some(&workload.namespace);
    let pods: Vec<_> = state.pods.iter().filter(|pod| is_here(&pod.metadata.namespace)).collect();
    assert_eq!(pods.len(), 1);
    assert_eq!(pods[0].spec.as_ref().unwrap().node_name.as_deref(), Some("worker-1"));
    assert!(state.budgets.iter().any(|budget| is_here(&budget.metadata.namespace)));
    assert!(state.namespaces.iter().any(|namespace| is_here(&namespace.metadata.name)));
    assert!(state.daemon_sets.iter().any(|set| set.metadata.name.as_deref() == Some("log-agent")));
    assert!(state.nodes.iter().any(|node| node.metadata.name.as_deref() == Some("worker-1")));
}
