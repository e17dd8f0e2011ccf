//! The demo's workloads, and waiting until they run.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::ListParams;
use kube::{Api, Client};

use super::wait_for;
use crate::error::SandboxError;
use crate::progress::Step;

/// The namespace of the demo.
pub const NAMESPACE: &str = "demo";

/// What `kubectl apply` is given.
pub(crate) const MANIFEST: &str = include_str!("workloads.yaml");

const DEADLINE: Duration = Duration::from_secs(120);

/// Waits until every pod of the demo runs and every budget has counted its pods. Whatever else were in the demo's
/// namespace would be waited for too: this is for when nobody has had the time to put anything there.
pub(crate) async fn wait_running(client: &Client, logs: &Path, step: &Step) -> Result<(), SandboxError> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let daemon_sets: Api<DaemonSet> = Api::namespaced(client.clone(), NAMESPACE);
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), NAMESPACE);
    let all = ListParams::default();
    let wrap = |e| SandboxError::kube("list the demo's workloads", e);
    wait_for("the demo's workloads running", DEADLINE, Duration::from_millis(100), logs, || async {
        let (deployments, daemon_sets, pods, budgets) =
            tokio::try_join!(deployments.list(&all), daemon_sets.list(&all), pods.list(&all), budgets.list(&all))
                .map_err(wrap)?;
        let running = pods.items.iter().filter(|pod| runs(pod)).count();
        let done = deployments.items.iter().all(deployed)
            && daemon_sets.items.iter().all(everywhere)
            && running == pods.items.len()
            && budgets.items.iter().all(counted);
        let state = format!("{running} of {} pods running", pods.items.len());
        step.at(state.clone());
        Ok((!done).then_some(state))
    })
    .await
}

fn runs(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}

fn deployed(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    deployment.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0) >= wanted
}

fn everywhere(daemon_set: &DaemonSet) -> bool {
    let seen = |status: &k8s_openapi::api::apps::v1::DaemonSetStatus| {
        status.observed_generation.is_some() && status.number_available.unwrap_or(0) >= status.desired_number_scheduled
    };
    daemon_set.status.as_ref().is_some_and(seen)
}

fn counted(budget: &PodDisruptionBudget) -> bool {
    let numbers = budget.status.as_ref().and_then(|status| status.expected_pods.zip(status.current_healthy));
    numbers.is_some_and(|(expected, healthy)| expected > 0 && healthy >= expected)
}
