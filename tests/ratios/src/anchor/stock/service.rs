//! The service, by hand what tonic's code generator would make of this:
//!
//! ```proto
//! service Stock {
//!   rpc Watch(nodeward.v1.WatchNodesRequest) returns (stream nodeward.v1.WatchNodesResponse);
//!   rpc Echo(nodeward.v1.GetNodeRequest) returns (google.protobuf.BytesValue);
//! }
//! ```

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use http::{Request, Response};
use nodeward_api::v1::{GetNodeRequest, WatchNodesRequest, WatchNodesResponse};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError::Lagged;
use tonic::Status;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic_prost::ProstCodec;

use super::server::lost;
use super::{ECHO, SERVICE, WATCH};

/// The service.
#[derive(Clone)]
pub(super) struct Stock {
    /// What is streamed.
    pub changes: broadcast::Sender<WatchNodesResponse>,
    /// What is answered.
    pub node: Bytes,
}

impl NamedService for Stock {
    const NAME: &'static str = SERVICE;
}

impl tower::Service<Request<Body>> for Stock {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let stock = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                WATCH => Grpc::new(ProstCodec::default()).server_streaming(Watch(stock), request).await,
                ECHO => Grpc::new(ProstCodec::default()).unary(Echo(stock), request).await,
                _ => Status::unimplemented("there is no such method").into_http(),
            })
        })
    }
}

struct Watch(Stock);

impl ServerStreamingService<WatchNodesRequest> for Watch {
    type Response = WatchNodesResponse;
    type ResponseStream = BoxStream<'static, Result<WatchNodesResponse, Status>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: tonic::Request<WatchNodesRequest>) -> Self::Future {
        let changes = BroadcastStream::new(self.0.changes.subscribe());
        let changes = changes.map(|change| change.map_err(|Lagged(count)| lost(count)));
        ready(Ok(tonic::Response::new(changes.boxed())))
    }
}

struct Echo(Stock);

impl UnaryService<GetNodeRequest> for Echo {
    type Response = Bytes;
    type Future = Ready<Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, _: tonic::Request<GetNodeRequest>) -> Self::Future {
        ready(Ok(tonic::Response::new(self.0.node.clone())))
    }
}
