//! Drains by way of the service, and the operations that they are.

use std::net::SocketAddr;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::ListParams;
use nodeward_api::google::longrunning::Operation;
use nodeward_api::v1::drain_policy::UnmanagedPods;
use nodeward_api::v1::drain_service_client::DrainServiceClient;
use nodeward_api::v1::{DrainNodeMetadata, DrainNodeRequest, DrainPolicy, PlanDrainRequest};
use nodeward_server::operation::{NodeOperation, State};
use prost::Message;
use tonic::transport::{Channel, Endpoint};

use super::operations::resources;
use super::{eventually, world};

pub type Drains = DrainServiceClient<Channel>;

/// A client of the shared server.
pub async fn drains() -> Drains {
    drains_of(world().await.server.address()).await
}

/// A client of the server at this address.
pub async fn drains_of(address: SocketAddr) -> Drains {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    DrainServiceClient::new(endpoint.connect().await.unwrap())
}

/// A policy under which pods without a controller go, which are all that tests make.
pub fn any_pod() -> DrainPolicy {
    DrainPolicy { unmanaged_pods: UnmanagedPods::Drain.into(), ..DrainPolicy::default() }
}

/// What draining a node would do.
pub fn plan(node: &str) -> PlanDrainRequest {
    PlanDrainRequest { name: format!("nodes/{node}"), policy: Some(any_pod()) }
}

/// To drain a node.
pub fn drain(node: &str) -> DrainNodeRequest {
    let reason = "new disk".to_owned();
    DrainNodeRequest { name: format!("nodes/{node}"), policy: Some(any_pod()), reason, ..Default::default() }
}

/// The metadata of an operation.
pub fn metadata(operation: &Operation) -> DrainNodeMetadata {
    let metadata = operation.metadata.as_ref().unwrap();
    assert_eq!(metadata.type_url, "type.googleapis.com/nodeward.v1.DrainNodeMetadata");
    DrainNodeMetadata::decode(metadata.value.as_slice()).unwrap()
}

/// The operations of a node, whatever has become of them.
pub async fn operations_of(node: &str) -> Vec<NodeOperation> {
    let all = resources().await.list(&ListParams::default()).await.unwrap().items;
    all.into_iter().filter(|operation| operation.spec.node.name == node).collect()
}

/// Waits until an operation has ended: how.
pub async fn ended(operation: &Operation) -> State {
    let (operations, name) = (resources().await, operation.name.trim_start_matches("operations/"));
    eventually("the operation has ended", async || {
        let state = operations.get(name).await.ok()?.status?.state;
        state.is_final().then_some(state)
    })
    .await
}

/// The lease that says which operation a node has, and the namespace that it is in.
pub async fn lease_of(node: &str) -> (Api<Lease>, Lease) {
    let client = world().await.sandbox.client().await.unwrap();
    let uid = world().await.kubernetes().await.get(node).await.unwrap().metadata.uid.unwrap();
    let all: Api<Lease> = Api::all(client.clone());
    let named = ListParams::default().fields(&format!("metadata.name=nodeward-node-{uid}"));
    let lease = all.list(&named).await.unwrap().items.remove(0);
    (Api::namespaced(client, lease.metadata.namespace.as_deref().unwrap()), lease)
}
