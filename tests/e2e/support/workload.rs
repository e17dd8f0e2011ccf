//! Pods, budgets and the namespaces that they are in.

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::{from_value, json};

use super::{eventually, unique};

/// A namespace of a test's own.
pub struct Workload {
    /// Its name.
    pub namespace: String,
    client: Client,
}

impl Workload {
    /// A new namespace, where pods can be created at once.
    pub async fn new(client: Client, purpose: &str) -> Self {
        let namespace = unique(purpose);
        let create = PostParams::default();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces.create(&create, &from_value(json!({ "metadata": { "name": namespace } })).unwrap()).await.unwrap();
        // The controller that makes it may be slower.
        let account: ServiceAccount = from_value(json!({ "metadata": { "name": "default" } })).unwrap();
        match Api::namespaced(client.clone(), &namespace).create(&create, &account).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            other => drop(other.unwrap()),
        }
        Self { namespace, client }
    }

    /// Its pods.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Its budgets.
    pub fn budgets(&self) -> Api<PodDisruptionBudget> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A new pod of this app on this node, which nobody has to schedule.
    pub async fn pod(&self, name: &str, app: &str, node: &str) -> Pod {
        let container = json!({ "name": "main", "image": "registry.example/main:1" });
        let pod = json!({
            "metadata": { "name": name, "labels": { "app": app } },
            "spec": { "nodeName": node, "automountServiceAccountToken": false, "containers": [container] },
        });
        self.pods().create(&PostParams::default(), &from_value(pod).unwrap()).await.unwrap()
    }

    /// The same, once it is ready.
    pub async fn ready_pod(&self, name: &str, app: &str, node: &str) -> Pod {
        self.pod(name, app, node).await;
        let pods = self.pods();
        eventually("the pod is ready", async || {
            let pod = pods.get(name).await.ok()?;
            let conditions = pod.status.clone()?.conditions?;
            conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True").then_some(pod)
        })
        .await
    }

    /// A new budget of the pods of this app, once it has counted so many that are healthy.
    pub async fn budget(&self, name: &str, app: &str, min_available: i32, healthy: i32) {
        let spec = json!({ "minAvailable": min_available, "selector": { "matchLabels": { "app": app } } });
        let budget = json!({ "metadata": { "name": name }, "spec": spec });
        self.budgets().create(&PostParams::default(), &from_value(budget).unwrap()).await.unwrap();
        eventually("the budget is counted", async || {
            let budget = self.budgets().get(name).await.ok()?;
            let status = budget.status?;
            let is_counted = status.observed_generation == budget.metadata.generation;
            (is_counted && status.current_healthy == Some(healthy)).then_some(())
        })
        .await;
    }

    /// Deletes the namespace.
    pub async fn delete(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await.unwrap();
    }
}
