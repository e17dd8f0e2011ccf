//! The client that may write. It is made here and never handed out.

use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::Value;

/// What of a node is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// Metadata and spec.
    Main,
    /// The status.
    Status,
}

#[derive(Clone)]
pub(super) struct WriteClient {
    nodes: Api<Node>,
}

impl WriteClient {
    pub(super) fn new(client: Client) -> Self {
        Self { nodes: Api::all(client) }
    }

    pub(super) async fn get(&self, name: &str) -> kube::Result<Option<Node>> {
        self.nodes.get_opt(name).await
    }

    pub(super) async fn list(&self) -> kube::Result<Vec<Node>> {
        Ok(self.nodes.list(&Default::default()).await?.items)
    }

    pub(super) async fn create(&self, node: &Node, params: &PostParams) -> kube::Result<Node> {
        self.nodes.create(params, node).await
    }

    pub(super) async fn patch(
        &self,
        name: &str,
        subresource: Subresource,
        params: &PatchParams,
        patch: &Patch<Value>,
    ) -> kube::Result<Node> {
        match subresource {
            Subresource::Main => self.nodes.patch(name, params, patch).await,
            Subresource::Status => self.nodes.patch_status(name, params, patch).await,
        }
    }

    pub(super) async fn delete(&self, name: &str, params: &DeleteParams) -> kube::Result<()> {
        self.nodes.delete(name, params).await.map(|_| ())
    }
}
