//! A node with a pod that is free to go, and one that is held.

use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use nodeward_api::v1::DrainNodeRequest;
use nodeward_server::drain::{PodProgress, PodState};
use nodeward_server::operation::{NodeOperation, OperationStatus, State};
use tonic::Request;

use super::super::drains::{drain, drains_of};
use super::super::shape::Shape;
use super::super::volumes::{Attached, with_volume};
use super::super::workload::Workload;
use super::{Ground, Replica, Story};

/// The node.
pub struct HeldNode {
    /// Its name, which is also that of the pods' namespace.
    pub node: String,
    pub workload: Workload,
    pub client: Client,
    /// The volume of the pod that is held, if that is what holds it.
    pub volume: Option<Attached>,
}

impl HeldNode {
    /// One where a budget holds the pod, or its volume.
    pub async fn new(ground: &Ground, by_volume: bool) -> Self {
        let client = ground.client().await;
        let workload = Workload::new(client.clone(), "held").await;
        let node = workload.namespace.clone();
        ground.sandbox.create_nodes(std::slice::from_ref(&node)).await.unwrap();
        workload.ready_shaped_pod("free", &Shape::of("free").grace(1), &node).await;
        let volume = if by_volume {
            let volume = Attached::to(&client, &node, &workload, "data").await;
            workload.ready_shaped_pod("held", &with_volume("data"), &node).await;
            Some(volume)
        } else {
            workload.ready_shaped_pod("held", &Shape::of("held").grace(1), &node).await;
            workload.budget("held", "held", 1, 1).await;
            None
        };
        Self { node, workload, client, volume }
    }

    /// Asks this server to drain it, as a user does: until the free pod is gone.
    pub async fn drained_by(&self, ground: &Ground, server: &Replica) -> Story {
        self.drained_with(ground, server, Request::new(drain(&self.node))).await
    }

    /// The same with this request.
    pub async fn drained_with(&self, ground: &Ground, server: &Replica, request: Request<DrainNodeRequest>) -> Story {
        ground.let_anybody_drain().await;
        let asked = drains_of(server.process.address).await.drain_node(request).await.unwrap().into_inner();
        let operations: Api<NodeOperation> = Api::all(ground.sandbox.server_client().await.unwrap());
        let created = operations.get(asked.name.trim_start_matches("operations/")).await.unwrap();
        let story = Story::of(operations, &created);
        story.until("it is held", is_held).await;
        story
    }

    /// Lets the pod go that a budget holds.
    pub async fn open(&self) {
        self.workload.set_budget("held", 0).await;
    }

    /// All nodes.
    pub fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    /// What a drain has left is in the way of nobody, but takes memory.
    pub async fn clean_up(self) {
        self.workload.delete().await;
        self.nodes().delete(&self.node, &Default::default()).await.unwrap();
    }
}

/// Whether nothing is left to go but what is held.
pub fn is_held(status: &OperationStatus) -> bool {
    let is_gone = |pod: &PodProgress| pod.pod.name == "free" && pod.state == PodState::Gone;
    status.state == State::Blocked && status.pods.iter().any(is_gone)
}
