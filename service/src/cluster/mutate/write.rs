//! The client that may write. It is made here and never handed out.
//!
//! A write is sent in the name of the user whom its mutation says (impersonation): Kubernetes decides whether the caller may do it, and its audit log
//! names both. The server's own identity needs no right to change a node, only to impersonate for these very verbs
//! (constrained impersonation, KEP-5284).

use http::Request;
use k8s_openapi::Resource;
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::Value;

use crate::caller::Principal;
use crate::cluster::impersonate::impersonate;

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
    client: Client,
    /// The server's own reads.
    nodes: Api<Node>,
}

impl WriteClient {
    pub(super) fn new(client: Client) -> Self {
        Self { nodes: Api::all(client.clone()), client }
    }

    pub(super) async fn get(&self, name: &str) -> kube::Result<Option<Node>> {
        self.nodes.get_opt(name).await
    }

    pub(super) async fn list(&self) -> kube::Result<Vec<Node>> {
        Ok(self.nodes.list(&Default::default()).await?.items)
    }

    pub(super) async fn create(
        &self,
        user: Option<&Principal>,
        node: &Node,
        params: &PostParams,
    ) -> kube::Result<Node> {
        let body = serde_json::to_vec(node).map_err(kube::Error::SerdeError)?;
        self.send(user, requests().create(params, body)).await
    }

    pub(super) async fn patch(
        &self,
        user: Option<&Principal>,
        name: &str,
        subresource: Subresource,
        params: &PatchParams,
        patch: &Patch<Value>,
    ) -> kube::Result<Node> {
        let request = match subresource {
            Subresource::Main => requests().patch(name, params, patch),
            Subresource::Status => requests().patch_subresource("status", name, params, patch),
        };
        self.send(user, request).await
    }

    pub(super) async fn delete(&self, user: Option<&Principal>, name: &str, params: &DeleteParams) -> kube::Result<()> {
        // The answer is the node, or a status.
        self.send::<Value>(user, requests().delete(name, params)).await.map(|_| ())
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        user: Option<&Principal>,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> kube::Result<T> {
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        if let Some(user) = user {
            impersonate(user, &mut request)?;
        }
        Box::pin(self.client.request(request)).await
    }
}

fn requests() -> kube::core::Request {
    kube::core::Request::new(format!("/api/{}/nodes", Node::VERSION))
}
