//! OperationService and `google.longrunning.Operations`: each RPC in a line, carried out in the files beside.
//!
//! What an operation is and what carries it out is none of this room's: it shows the custom resource, and notes in it that
//! the operation is to end. So every replica does it, whichever carries the operation out.

mod access;
mod cancel;
mod convert;
mod delete;
mod event;
mod follow;
mod list;
mod name;
mod progress;
mod stream;
mod view;
mod wait;

use std::sync::{Arc, OnceLock};

use futures::stream::BoxStream;
use nodeward_api::google::longrunning::operations_server::Operations;
use nodeward_api::google::longrunning::{
    CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest, ListOperationsResponse,
    Operation, WaitOperationRequest,
};
use nodeward_api::v1;
use nodeward_api::v1::operation_service_server::OperationService;
use tonic::{Request, Response, Status};

use super::context::NodeRpc;
use crate::cluster::observe::View;
use crate::operation::NodeOperation;

pub(super) use convert::{of_nothing_begun, operation_of, resource_name};

/// Both services on a cluster.
#[derive(Clone)]
pub struct OperationRpc {
    rpc: NodeRpc,
    /// All operations, from the first call on that has to look at more than one, or for longer than a moment.
    operations: Arc<OnceLock<View<NodeOperation>>>,
}

impl OperationRpc {
    /// The services, with what those of nodes work with.
    pub fn new(rpc: NodeRpc) -> Self {
        Self { rpc, operations: Arc::default() }
    }
}

#[tonic::async_trait]
impl OperationService for OperationRpc {
    type StreamOperationEventsStream = BoxStream<'static, Result<v1::OperationEvent, Status>>;

    async fn stream_operation_events(
        &self,
        request: Request<v1::StreamOperationEventsRequest>,
    ) -> Result<Response<Self::StreamOperationEventsStream>, Status> {
        Ok(stream::stream(self, request).await?)
    }

    async fn cancel_operation(
        &self,
        request: Request<v1::CancelOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        Ok(Box::pin(cancel::cancel(self, request)).await?)
    }
}

#[tonic::async_trait]
impl Operations for OperationRpc {
    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        Ok(list::list(self, request).await?)
    }

    async fn get_operation(&self, request: Request<GetOperationRequest>) -> Result<Response<Operation>, Status> {
        Ok(access::get(self, request).await?)
    }

    async fn delete_operation(&self, request: Request<DeleteOperationRequest>) -> Result<Response<()>, Status> {
        Ok(Box::pin(delete::delete(self, request)).await?)
    }

    /// The node stays cordoned.
    async fn cancel_operation(&self, request: Request<CancelOperationRequest>) -> Result<Response<()>, Status> {
        let request = request.map(|request| v1::CancelOperationRequest { name: request.name, ..Default::default() });
        Ok(Box::pin(cancel::cancel(self, request)).await?.map(|_| ()))
    }

    async fn wait_operation(&self, request: Request<WaitOperationRequest>) -> Result<Response<Operation>, Status> {
        Ok(wait::wait(self, request).await?)
    }
}
