//! Pods, their controllers and budgets, and the namespaces that they are in.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::serde::Serialize;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde_json::{Value, from_value, json};

use super::nodes::set_label;
use super::shape::Shape;
use super::{eventually, unique};

/// The label of the nodes to which pods of controllers go. Its value is the namespace.
const NODES: &str = "test.nodeward.dev/workload";

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
        self.all()
    }

    /// Its budgets.
    pub fn budgets(&self) -> Api<PodDisruptionBudget> {
        self.all()
    }

    /// All that it has of a kind.
    pub fn all<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A new pod of this app on this node, which nobody has to schedule.
    pub async fn pod(&self, name: &str, app: &str, node: &str) -> Pod {
        self.shaped_pod(name, &Shape::of(app), node).await
    }

    /// The same, once it is ready.
    pub async fn ready_pod(&self, name: &str, app: &str, node: &str) -> Pod {
        self.ready_shaped_pod(name, &Shape::of(app), node).await
    }

    /// A new pod that is like this, on this node.
    pub async fn shaped_pod(&self, name: &str, shape: &Shape, node: &str) -> Pod {
        self.pods().create(&PostParams::default(), &from_value(shape.pod(name, node)).unwrap()).await.unwrap()
    }

    /// The same, once it is ready.
    pub async fn ready_shaped_pod(&self, name: &str, shape: &Shape, node: &str) -> Pod {
        self.shaped_pod(name, shape, node).await;
        let pods = self.pods();
        eventually("the pod is ready", async || pods.get(name).await.ok().filter(is_ready)).await
    }

    /// A pod as it is now. None if there is none of this name.
    pub async fn find(&self, name: &str) -> Option<Pod> {
        self.pods().get_opt(name).await.unwrap()
    }

    /// The pods of this app.
    pub async fn pods_of(&self, app: &str) -> Vec<Pod> {
        self.pods().list(&ListParams::default().labels(&format!("app={app}"))).await.unwrap().items
    }

    /// Has its controllers' pods go to this node, as to others that it was called with.
    pub async fn runs_on(&self, node: &str) {
        set_label(&Api::all(self.client.clone()), node, NODES, Some(&self.namespace)).await;
    }

    /// A new controller of pods that are like this, all of which go to the nodes that it [runs on](Self::runs_on).
    pub async fn controller<K>(&self, name: &str, shape: &Shape, mut spec: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + DeserializeOwned + Serialize,
    {
        let shape = shape.clone().spec("nodeSelector", json!({ NODES: self.namespace }));
        spec["template"] = shape.template();
        match K::kind(&()).as_ref() {
            // It makes up a selector of its own.
            "Job" => spec["template"]["spec"]["restartPolicy"] = "Never".into(),
            "ReplicationController" => spec["selector"] = shape.selector()["matchLabels"].clone(),
            _ => spec["selector"] = shape.selector(),
        }
        let controller = json!({ "metadata": { "name": name }, "spec": spec });
        self.all().create(&PostParams::default(), &from_value(controller).unwrap()).await.unwrap()
    }

    /// Waits until so many pods of this app are ready, and as many as there are.
    pub async fn ready(&self, app: &str, count: usize) -> Vec<Pod> {
        eventually("the pods are ready", async || {
            let pods = self.pods_of(app).await;
            (pods.len() == count && pods.iter().all(is_ready)).then_some(pods)
        })
        .await
    }

    /// Has a pod end in this phase, in which its fake kubelet leaves it.
    pub async fn end_in(&self, pod: &str, phase: &str) {
        let condition = json!({ "type": "Ready", "status": "False", "reason": "PodCompleted" });
        let status = Patch::Strategic(json!({ "status": { "phase": phase, "conditions": [condition] } }));
        self.pods().patch_status(pod, &PatchParams::default(), &status).await.unwrap();
    }

    /// Has a pod be gone, as its kubelet does when it has ended it.
    pub async fn end(&self, pod: &str) {
        self.pods().delete(pod, &DeleteParams::default().grace_period(0)).await.unwrap();
    }

    /// Takes all finalizers off a pod.
    pub async fn drop_finalizers(&self, pod: &str) {
        let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        self.pods().patch(pod, &PatchParams::default(), &patch).await.unwrap();
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

    /// Has a budget ask for so many pods.
    pub async fn set_budget(&self, name: &str, min_available: i32) {
        let patch = Patch::Merge(json!({ "spec": { "minAvailable": min_available } }));
        self.budgets().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Deletes a budget.
    pub async fn delete_budget(&self, name: &str) {
        self.budgets().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Deletes the namespace.
    pub async fn delete(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await.unwrap();
    }
}

/// Whether a pod is ready.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// What tells a pod from all others.
pub fn uid(pod: &Pod) -> String {
    pod.uid().unwrap()
}

/// The node that a pod is on.
pub fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}
