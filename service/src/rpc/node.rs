//! NodeService: each RPC in a line, carried out in `read`, `watch` and `change`.
//!
//! Reads are carried out to encoded messages, which clients are sent as they are ([`NodeServer`](super::NodeServer)). Here
//! they are decoded again, as tonic's own service wants them.

use futures::StreamExt;
use futures::stream::BoxStream;
use nodeward_api::v1;
use nodeward_api::v1::node_service_server::NodeService;
use prost::Message;
use tonic::{Request, Response, Status};

use super::context::NodeRpc;
use super::encoded::Encoded;
use super::{change, cordon, read, watch};

#[tonic::async_trait]
impl NodeService for NodeRpc {
    type StreamNodesStream = BoxStream<'static, Result<v1::StreamNodesResponse, Status>>;
    type WatchNodesStream = BoxStream<'static, Result<v1::WatchNodesResponse, Status>>;

    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::Node>, Status> {
        decoded(read::get(self, request).await?)
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        decoded(read::list(self, request).await?)
    }

    async fn stream_nodes(
        &self,
        request: Request<v1::StreamNodesRequest>,
    ) -> Result<Response<Self::StreamNodesStream>, Status> {
        let messages = read::stream(self, request).await?;
        Ok(messages.map(|messages| messages.map(|message| Ok(message?.decode()?)).boxed()))
    }

    async fn watch_nodes(
        &self,
        request: Request<v1::WatchNodesRequest>,
    ) -> Result<Response<Self::WatchNodesStream>, Status> {
        Ok(watch::watch(&self.of_connection(request.extensions()), request).await?)
    }

    async fn create_node(&self, request: Request<v1::CreateNodeRequest>) -> Result<Response<v1::Node>, Status> {
        Ok(Box::pin(change::create(self, request)).await?)
    }

    async fn update_node(&self, request: Request<v1::UpdateNodeRequest>) -> Result<Response<v1::Node>, Status> {
        Ok(Box::pin(change::update(self, request)).await?)
    }

    async fn update_node_status(
        &self,
        request: Request<v1::UpdateNodeStatusRequest>,
    ) -> Result<Response<v1::Node>, Status> {
        Ok(Box::pin(change::update_status(self, request)).await?)
    }

    async fn patch_node(&self, request: Request<v1::PatchNodeRequest>) -> Result<Response<v1::Node>, Status> {
        Ok(Box::pin(change::patch(self, request)).await?)
    }

    async fn delete_node(&self, request: Request<v1::DeleteNodeRequest>) -> Result<Response<()>, Status> {
        Ok(Box::pin(change::delete(self, request)).await?)
    }

    async fn delete_nodes(
        &self,
        request: Request<v1::DeleteNodesRequest>,
    ) -> Result<Response<v1::DeleteNodesResponse>, Status> {
        Ok(Box::pin(change::delete_collection(self, request)).await?)
    }

    async fn cordon_node(&self, request: Request<v1::CordonNodeRequest>) -> Result<Response<v1::Node>, Status> {
        Ok(Box::pin(cordon::cordon(self, request)).await?)
    }

    async fn uncordon_node(&self, request: Request<v1::UncordonNodeRequest>) -> Result<Response<v1::Node>, Status> {
        Ok(Box::pin(cordon::uncordon(self, request)).await?)
    }
}

fn decoded<M: Message + Default>(response: Response<Encoded>) -> Result<Response<M>, Status> {
    let message = response.get_ref().decode()?;
    Ok(response.map(|_| message))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;
    use tonic_types::StatusExt;

    use super::super::context::WatchLimits;
    use super::*;
    use crate::access::Session;
    use crate::audit::AuditCall;
    use crate::cluster::{Cluster, Connection};

    fn rpc(stop: CancellationToken) -> NodeRpc {
        let limits = WatchLimits { max_age: Duration::from_secs(60) };
        NodeRpc::new(Cluster::new(Connection::nowhere()), limits, TaskTracker::new(), stop)
    }

    /// A request of a caller who may do everything.
    fn request<T>(message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(Session::of_nobody());
        request.extensions_mut().insert(AuditCall::of_nothing());
        request
    }

    fn reason<T>(result: Result<T, Status>) -> String {
        result.err().and_then(|status| status.get_details_error_info()).map(|info| info.reason).unwrap_or_default()
    }

    #[tokio::test]
    async fn a_server_that_stops_sends_changes_and_watches_elsewhere() {
        let stop = CancellationToken::new();
        let rpc = rpc(stop.clone());
        stop.cancel();
        let cordon = v1::CordonNodeRequest { name: "nodes/a".into(), ..Default::default() };
        assert_eq!(reason(rpc.cordon_node(request(cordon)).await), "DRAINING");
        assert_eq!(reason(rpc.watch_nodes(request(v1::WatchNodesRequest::default())).await), "DRAINING");
    }

    #[tokio::test]
    async fn before_the_cluster_is_read_cached_reads_and_watches_are_not_ready() {
        let rpc = rpc(CancellationToken::new());
        let get = v1::GetNodeRequest { name: "nodes/a".into(), ..Default::default() };
        assert_eq!(reason(rpc.get_node(request(get)).await), "NOT_READY");
        assert_eq!(reason(rpc.list_nodes(request(v1::ListNodesRequest::default())).await), "NOT_READY");
        assert_eq!(reason(rpc.stream_nodes(request(v1::StreamNodesRequest::default())).await), "NOT_READY");
        assert_eq!(reason(rpc.watch_nodes(request(v1::WatchNodesRequest::default())).await), "NOT_READY");
    }
}
