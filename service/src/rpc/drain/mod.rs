//! DrainService: plans of drains, and drains, which are operations.

pub(in crate::rpc) mod convert;
mod node;
mod plan;
mod rights;

use nodeward_api::google::longrunning::Operation;
use nodeward_api::v1;
use nodeward_api::v1::drain_service_server::DrainService;
use tonic::{Request, Response, Status};

use super::context::NodeRpc;

#[tonic::async_trait]
impl DrainService for NodeRpc {
    async fn plan_drain(&self, request: Request<v1::PlanDrainRequest>) -> Result<Response<v1::DrainPlan>, Status> {
        Ok(Box::pin(plan::plan(self, request)).await?)
    }

    async fn drain_node(&self, request: Request<v1::DrainNodeRequest>) -> Result<Response<Operation>, Status> {
        Ok(Box::pin(node::drain(self, request)).await?)
    }
}
