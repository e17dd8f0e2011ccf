//! Drains, as tests ask for them and look at them.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use nodeward_server::cluster::observe::View;
use nodeward_server::cluster::{Cluster, ClusterOptions, Connection, WriteAs};
use nodeward_server::drain::{Blocker, DrainPolicy, PodProgress, PodState};
use nodeward_server::operation::{Cancel, NodeOperation, OperationStatus, Requester, State};
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::drains::{drain, drains};
use super::nodes::set_label;
use super::operations::{operation, resources, to_drain};
use super::workload::Workload;
use super::world::on_shared_runtime;
use super::{eventually, world};

pub use super::operations::any_pod;

/// The longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// The label by which the demo's DaemonSet finds its nodes.
const DEMO: &str = "nodeward.dev/log-agent";

/// The operations of the shared cluster, as a watch has brought them.
async fn operations() -> &'static View<NodeOperation> {
    static OPERATIONS: OnceCell<View<NodeOperation>> = OnceCell::const_new();
    let open = async || {
        let kubeconfig = Some(world().await.sandbox.kubeconfig_path().to_owned());
        let options = ClusterOptions { kubeconfig, write_as: WriteAs::Server, ..ClusterOptions::default() };
        // Connections end with the runtime that has opened them.
        on_shared_runtime(|| async move {
            let view = Cluster::new(Connection::open(&options).await.unwrap()).operations().view();
            view.in_sync().await;
            view
        })
        .await
    };
    OPERATIONS.get_or_init(open).await
}

/// A new node on which no pod is.
pub async fn empty_node(purpose: &str) -> String {
    let node = world().await.node(purpose).await;
    set_label(&world().await.kubernetes().await, &node, DEMO, None).await;
    let pods: Api<Pod> = Api::all(world().await.sandbox.client().await.unwrap());
    let here = ListParams::default().fields(&format!("spec.nodeName={node}"));
    eventually("the node is empty", async || pods.list(&here).await.ok()?.items.is_empty().then_some(())).await;
    node
}

/// A namespace of a test's own.
pub async fn workload() -> Workload {
    Workload::new(world().await.sandbox.client().await.unwrap(), "drain").await
}

/// Whether no pod is scheduled to the node.
pub async fn is_cordoned(node: &str) -> bool {
    let node = world().await.kubernetes().await.get(node).await.unwrap();
    node.spec.unwrap().unschedulable == Some(true)
}

/// A drain that was asked for.
pub struct Draining {
    name: String,
}

impl Draining {
    /// Asks the service for the drain of a node, as a user does: pods without a controller go too.
    pub async fn asked(node: &str) -> Self {
        let operation = drains().await.drain_node(drain(node)).await.unwrap().into_inner();
        Self { name: operation.name.trim_start_matches("operations/").to_owned() }
    }

    /// Has a node drained with a policy, whatever a plan would say against it.
    pub async fn begin(node: &str, policy: DrainPolicy) -> Self {
        Self::begin_as(node, policy, Requester::default()).await
    }

    /// The same, in the name of somebody else than the server.
    pub async fn begin_as(node: &str, policy: DrainPolicy, requester: Requester) -> Self {
        let nodes = world().await.kubernetes().await;
        let uid = nodes.get(node).await.unwrap().metadata.uid.unwrap();
        let operation = operation(to_drain(node, &uid, &policy, requester));
        resources().await.create(&PostParams::default(), &operation).await.unwrap();
        Self { name: operation.name_any() }
    }

    /// How far it has come, as is known here.
    pub async fn status(&self) -> OperationStatus {
        let operation = operations().await.get("", &self.name);
        operation.and_then(|operation| operation.status.clone()).unwrap_or_default()
    }

    /// Waits until its status is as it should be.
    pub async fn until<T>(&self, what: &str, look: impl Fn(&OperationStatus) -> Option<T>) -> T {
        let mut view = operations().await.clone();
        let seen = timeout(PATIENCE, async {
            loop {
                if let Some(value) = look(&self.status().await) {
                    return value;
                }
                view.changed().await;
            }
        });
        match seen.await {
            Ok(value) => value,
            Err(_) => panic!("waited {PATIENCE:?} in vain: {what}: {:#?}", self.status().await),
        }
    }

    /// The same: the status then.
    pub async fn once(&self, what: &str, is_so: impl Fn(&OperationStatus) -> bool) -> OperationStatus {
        self.until(what, |status| is_so(status).then(|| status.clone())).await
    }

    /// Waits until this pod is where it should be.
    pub async fn pod<T>(&self, pod: &str, look: impl Fn(&PodProgress) -> Option<T>) -> T {
        let find = |status: &OperationStatus| status.pods.iter().filter(|it| it.pod.name == pod).find_map(&look);
        self.until(&format!("the pod {pod} is where it should be"), find).await
    }

    /// Waits until something like this keeps the pod.
    pub async fn blocker(&self, pod: &str, is_meant: impl Fn(&Blocker) -> bool) -> Blocker {
        self.pod(pod, |progress| progress.blocker.clone().filter(&is_meant)).await
    }

    /// Waits until it is blocked.
    pub async fn blocked(&self) -> OperationStatus {
        self.once("it is blocked", |status| status.state == State::Blocked).await
    }

    /// Waits until it has ended.
    pub async fn ended(&self) -> OperationStatus {
        self.once("it has ended", |status| status.state.is_final()).await
    }

    /// Waits until it has ended, which must be well.
    pub async fn succeeded(&self) -> OperationStatus {
        let status = self.ended().await;
        assert_eq!(status.state, State::Succeeded, "{status:#?}");
        status
    }

    /// Asks for its end, and waits for that.
    pub async fn cancel(&self) -> OperationStatus {
        self.cancel_as(Cancel { username: "somebody".to_owned(), ..Cancel::default() }).await
    }

    /// The same, with these words.
    pub async fn cancel_as(&self, cancel: Cancel) -> OperationStatus {
        let patch = Patch::Merge(json!({ "spec": { "cancel": cancel } }));
        resources().await.patch(&self.name, &PatchParams::default(), &patch).await.unwrap();
        self.ended().await
    }
}

/// The names of the pods that are in this state, in their order.
pub fn pods_that_are(status: &OperationStatus, state: PodState) -> Vec<String> {
    let pods = status.pods.iter().filter(|pod| pod.state == state);
    let mut names: Vec<String> = pods.map(|pod| pod.pod.name.clone()).collect();
    names.sort();
    names
}
