//! The changes.

use std::future::Future;

use tonic::{Request, Response, Status};

use crate::api::{
    CordonNodeRequest, CreateNodeRequest, DeleteNodeRequest, DeleteNodesRequest, Node, PatchNodeRequest,
    UncordonNodeRequest, UpdateNodeRequest, UpdateNodeStatusRequest,
};
use crate::change::{Change, Changed, CordonOptions, DeleteOptions, Identified, Patch, Selection, UncordonOptions};
use crate::client::{Client, Service, mask};
use crate::error::{Error, TRACE_ID};
use crate::name::{node_id, resource_name};

/// All of them fail with the server's error, or with the last one of the attempts to reach it.
impl Client {
    /// Keeps new pods off a node until the caller uncordons it. Pods that run on it go on running.
    pub async fn cordon(&self, name: &str, change: Change) -> Result<Changed<Node>, Error> {
        self.cordon_with(name, CordonOptions::default(), change).await
    }

    /// As [`cordon`](Self::cordon), for somebody else or until a certain time.
    pub async fn cordon_with(
        &self,
        name: &str,
        options: CordonOptions,
        change: Change,
    ) -> Result<Changed<Node>, Error> {
        let Identified { request_id, etag, validate_only, reason } = change.identified();
        let (id, name) = (request_id.clone(), resource_name(name));
        let CordonOptions { owner, expire_time } = options;
        let expire_time = expire_time.map(Into::into);
        let request = CordonNodeRequest { name, request_id, etag, validate_only, reason, owner, expire_time };
        self.change(id, request, |mut service, request| async move { service.cordon_node(request).await }).await
    }

    /// Lets new pods be scheduled on a node again, as far as the caller is concerned: it stays cordoned while others want
    /// it to be.
    pub async fn uncordon(&self, name: &str, change: Change) -> Result<Changed<Node>, Error> {
        self.uncordon_with(name, UncordonOptions::default(), change).await
    }

    /// As [`uncordon`](Self::uncordon), for somebody else or for all.
    pub async fn uncordon_with(
        &self,
        name: &str,
        options: UncordonOptions,
        change: Change,
    ) -> Result<Changed<Node>, Error> {
        let Identified { request_id, etag, validate_only, reason } = change.identified();
        let (id, name) = (request_id.clone(), resource_name(name));
        let UncordonOptions { owner, take_over } = options;
        let request = UncordonNodeRequest { name, request_id, etag, validate_only, reason, owner, take_over };
        self.change(id, request, |mut service, request| async move { service.uncordon_node(request).await }).await
    }

    /// Creates a node object from its metadata and spec. The node's own `name` is ignored.
    pub async fn create(&self, name: &str, node: Node, change: Change) -> Result<Changed<Node>, Error> {
        let Identified { request_id, validate_only, reason, .. } = change.identified_without_etag()?;
        let id = request_id.clone();
        let node_id = node_id(name).to_owned();
        let request = CreateNodeRequest { node_id, node: Some(node), request_id, validate_only, reason };
        self.change(id, request, |mut service, request| async move { service.create_node(request).await }).await
    }

    /// Changes the fields that the mask names to what the node holds; [`path`](crate::path) names single labels,
    /// annotations and taints. All changeable fields that the node holds, if the mask is empty.
    pub async fn update(&self, node: Node, update_mask: Vec<String>, change: Change) -> Result<Changed<Node>, Error> {
        let Identified { request_id, etag, validate_only, reason } = change.identified();
        let (id, node, update_mask) = (request_id.clone(), Some(named(node)), mask(update_mask));
        let request = UpdateNodeRequest { node, update_mask, request_id, etag, validate_only, reason };
        self.change(id, request, |mut service, request| async move { service.update_node(request).await }).await
    }

    /// As [`update`](Self::update), for the fields of the status.
    pub async fn update_status(
        &self,
        node: Node,
        update_mask: Vec<String>,
        change: Change,
    ) -> Result<Changed<Node>, Error> {
        let Identified { request_id, etag, validate_only, reason } = change.identified();
        let (id, node, update_mask) = (request_id.clone(), Some(named(node)), mask(update_mask));
        let request = UpdateNodeStatusRequest { node, update_mask, request_id, etag, validate_only, reason };
        self.change(id, request, |mut service, request| async move { service.update_node_status(request).await }).await
    }

    /// Applies a patch.
    pub async fn patch(&self, name: &str, patch: Patch, change: Change) -> Result<Changed<Node>, Error> {
        let Identified { request_id, etag, validate_only, reason } = change.identified();
        let Patch { format, json, subresource, field_manager, force } = patch;
        let id = request_id.clone();
        let request = PatchNodeRequest {
            name: resource_name(name),
            r#type: format.into(),
            patch: json,
            subresource: subresource.into(),
            field_manager,
            force,
            request_id,
            etag,
            validate_only,
            reason,
        };
        self.change(id, request, |mut service, request| async move { service.patch_node(request).await }).await
    }

    /// Deletes a node object. The machine and its kubelet are not touched.
    pub async fn delete(&self, name: &str, options: DeleteOptions, change: Change) -> Result<Changed<()>, Error> {
        let Identified { request_id, etag, validate_only, reason } = change.identified();
        let DeleteOptions { allow_missing, propagation_policy } = options;
        let id = request_id.clone();
        let request = DeleteNodeRequest {
            name: resource_name(name),
            request_id,
            etag,
            validate_only,
            reason,
            allow_missing,
            propagation_policy: propagation_policy.into(),
        };
        self.change(id, request, |mut service, request| async move { service.delete_node(request).await }).await
    }

    /// Deletes all nodes that match, which must be as many as expected, and answers with their names. The etag of the change
    /// is that of a list with the same filter and selector.
    pub async fn delete_nodes(&self, selection: Selection, change: Change) -> Result<Changed<Vec<String>>, Error> {
        let Identified { request_id, etag, validate_only, reason } = change.identified();
        let Selection { filter, label_selector, expected_count, propagation_policy } = selection;
        let id = request_id.clone();
        let request = DeleteNodesRequest {
            filter,
            label_selector,
            expected_count,
            request_id,
            etag,
            validate_only,
            reason,
            propagation_policy: propagation_policy.into(),
        };
        let send = |mut service: Service, request| async move { service.delete_nodes(request).await };
        let Changed { value, request_id, trace_id } = self.change(id, request, send).await?;
        Ok(Changed { value: value.deleted_nodes, request_id, trace_id })
    }

    /// Sends a change, which has its request id already.
    pub(crate) async fn change<Q, A, F, Fut>(
        &self,
        request_id: String,
        message: Q,
        send: F,
    ) -> Result<Changed<A>, Error>
    where
        Q: Clone,
        F: Fn(Service, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<A>, Status>>,
    {
        match Box::pin(self.call(message, send)).await {
            Ok(response) => {
                let trace_id = response.metadata().get(TRACE_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
                Ok(Changed { value: response.into_inner(), request_id, trace_id })
            }
            Err(error) => Err(error.with_request_id(&request_id)),
        }
    }
}

fn named(mut node: Node) -> Node {
    node.name = resource_name(&node.name);
    node
}
