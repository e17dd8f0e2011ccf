//! NodeService as clients reach it: reads and watches are answered with bytes that are encoded already, all else by the service
//! that tonic has generated.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt};
use http::{Request, Response};
use nodeward_api::v1::node_service_server::{NodeServiceServer, SERVICE_NAME};
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use super::context::NodeRpc;
use super::encoded::{Messages, answer};
use super::{read, watch};

/// See the module.
#[derive(Clone)]
pub struct NodeServer {
    rpc: Arc<NodeRpc>,
    generated: NodeServiceServer<NodeRpc>,
}

impl NodeServer {
    /// The service whose other RPCs are answered by this one.
    pub fn new(rpc: NodeRpc, generated: NodeServiceServer<NodeRpc>) -> Self {
        Self { rpc: Arc::new(rpc), generated }
    }
}

impl NamedService for NodeServer {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<Request<Body>> for NodeServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Neither these answers nor the generated service are ever busy.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let rpc = self.rpc.clone();
        match request.uri().path() {
            "/nodeward.v1.NodeService/GetNode" => answer(request, move |request| {
                let rpc = rpc.clone();
                async move { Ok(read::get(&rpc, request).await?.map(Messages::from)) }
            })
            .map(Ok)
            .boxed(),
            "/nodeward.v1.NodeService/ListNodes" => answer(request, move |request| {
                let rpc = rpc.clone();
                async move { Ok(read::list(&rpc, request).await?.map(Messages::from)) }
            })
            .map(Ok)
            .boxed(),
            "/nodeward.v1.NodeService/StreamNodes" => answer(request, move |request| {
                let rpc = rpc.clone();
                async move { Ok(read::stream(&rpc, request).await?) }
            })
            .map(Ok)
            .boxed(),
            "/nodeward.v1.NodeService/WatchNodes" if !watch::wants_compression(request.headers()) => {
                watch::serve(rpc, request).map(Ok).boxed()
            }
            _ => self.generated.call(request),
        }
    }
}
